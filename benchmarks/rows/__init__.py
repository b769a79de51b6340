"""One module per row, each with `async def measure(place) -> Figure`."""
