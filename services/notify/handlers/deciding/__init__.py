"""What becomes of a message now. Nothing here reads or writes."""
