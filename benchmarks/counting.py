"""What a MongoDB client sends, counted by the driver itself."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from shared.mongo import Database

WRITES = {"insert": "documents", "update": "updates"}
"""Command → the field that lists what it writes."""


@dataclass(slots=True)
class CommandCount(CommandListener):
    """Commands by name, documents written by `_id`, since the last `clear`."""

    names: list[str] = field(default_factory=list)
    written: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        """Begin anew."""
        self.names.clear()
        self.written.clear()

    def started(self, event: CommandStartedEvent) -> None:
        """Note a command."""
        self.names.append(event.command_name)
        listed = WRITES.get(event.command_name)
        for each in event.command.get(listed, ()) if listed else ():
            document = each["q"] if event.command_name == "update" else each
            self.written[str(document["_id"])] += 1

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Nothing to add."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Nothing to add: a refused command was a round trip too."""


def counted_database(url: str, name: str, count: CommandCount) -> Database:
    """A database of the kernel whose client tells the count of everything it sends."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        url, tz_aware=True, event_listeners=[count]
    )
    return Database(client, name)
