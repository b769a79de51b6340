"""Diaries as Kafka would hand them out, and stores of read models that misbehave when asked to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.clock import ManualClock
from shared.eventstore import Commit, StoreUnavailable
from shared.execute import Command, Writer
from shared.keyring import Keyring
from shared.memory import MemoryDocuments, MemoryEventStore, MemoryKeyStore, MemoryParking
from shared.projection import Projection
from shared.projector import Folder
from shared.readmodel import RawDocument
from shared.testing import DAY, LoggedRecord, diary, note
from shared.testing.diaries import Diary, diaries

KEYS = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))


async def commits_of(*commands: Command[Any]) -> Sequence[Commit]:
    """What the commands give, a commit each."""
    store = MemoryEventStore()
    writer = Writer(store, KEYS, ManualClock(DAY), "customer")
    pending = list(commands)
    while pending:
        together: dict[str, Command[Any]] = {}
        while pending and pending[0].stream not in together:
            command = pending.pop(0)
            together[command.stream] = command
        await writer.many(diary, list(together.values()))
    return store.commits


async def log_of(*lines: tuple[str, str], partition: int = 0) -> list[LoggedRecord]:
    """A partition that holds the lines (owner, text) in this order."""
    commits = await commits_of(
        *(note(f"c|{number}", owner, text) for number, (owner, text) in enumerate(lines))
    )
    events = [(commit.key.encode(), text.encode()) for commit in commits for text in commit.events]
    return [
        LoggedRecord("customer.events.v1", partition, offset, key, value)
        for offset, (key, value) in enumerate(events)
    ]


def with_value(record: LoggedRecord, value: bytes | None) -> LoggedRecord:
    """The record as somebody else would have written it."""
    return replace(record, value=value)  # type: ignore[arg-type]  # Kafka takes it


@dataclass(slots=True)
class TroubledDocuments(MemoryDocuments):
    """Documents that another worker writes to just before us, or that are away for a while.

    `rivals` are called once each, before a write; `absences` counts the writes that fail.
    """

    rivals: list["Folder[Any]"] = field(default_factory=list)
    rival_records: Sequence[LoggedRecord] = ()
    absences: int = 0
    writes: int = 0
    loads: int = 0

    async def load(self, ids: Sequence[str]) -> Mapping[str, RawDocument]:
        self.loads += 1
        return await MemoryDocuments.load(self, ids)

    async def write(self, documents: Sequence[RawDocument]) -> set[str]:
        if self.absences:
            self.absences -= 1
            raise StoreUnavailable
        if self.rivals:
            await self.rivals.pop().fold(self.rival_records)
        self.writes += 1
        return await MemoryDocuments.write(self, documents)


@dataclass(slots=True)
class Desk:
    """A folder of diaries with its documents and its parked events."""

    projection: Projection[Diary] = field(default_factory=diaries)
    documents: TroubledDocuments = field(default_factory=TroubledDocuments)
    parking: MemoryParking = field(default_factory=MemoryParking)
    limit: int = 1_000
    folder: Folder[Diary] = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.another(self.projection)

    def another(self, projection: Projection[Diary]) -> Folder[Diary]:
        """A folder of another process, on the same documents."""
        return Folder(projection, self.documents, self.parking, KEYS, self.limit)

    def lines(self) -> dict[str, list[str]]:
        """Owner → lines, as the documents have them."""
        return {raw["_id"]: raw["lines"] for raw in self.documents.everything()}

    async def parked(self) -> list[tuple[int, bytes, str]]:
        """Offset, key and reason of what is parked."""
        return [
            (event.offset, event.key, event.reason) for event in await self.parking.parked([0, 1])
        ]
