"""Events of imports. Facts that name an import are history until it has ended."""

from typing import ClassVar

from pydantic import Field

from shared.events.contract import EventData


class ImportBegun(EventData):
    """Facts that carry this import's id in `history` may follow."""

    type: ClassVar[str] = "import.begun.v1"
    import_id: str
    title: str


class ImportEnded(EventData):
    """All facts of the import lie before this event, in every partition: it is sent to each."""

    type: ClassVar[str] = "import.ended.v1"
    import_id: str
    facts: int = Field(ge=0, description="facts that the import has recorded")


EVENTS: tuple[type[EventData], ...] = (ImportBegun, ImportEnded)
BROADCAST: frozenset[str] = frozenset({ImportEnded.type})
"""Types that the relay sends to every partition of their topic."""
