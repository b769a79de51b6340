"""How a contact is shown to whoever need not know it."""

SHOWN_FROM = 6
"""Shorter values would be all but shown by two of their characters."""


def masked(value: str | None) -> str | None:
    """Its last two characters, where that is a small part of it."""
    if value is None:
        return None
    return "•••" + (value[-2:] if len(value) >= SHOWN_FROM else "")
