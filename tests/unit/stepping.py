"""Habits in memory: a stepped folder, what it has written, and databases that are in its way."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec

from shared.clock import Clock, ManualClock
from shared.envelope import decode
from shared.eventstore import Commit
from shared.memory import MemoryDocuments, MemoryParking
from shared.projector import SteppedFolder
from shared.readmodel import RawDocument
from shared.testing import DAY, LoggedRecord
from shared.testing.diaries import Habit, HabitSource
from tests.unit.folding import KEYS


@dataclass(slots=True)
class SlowDocuments(MemoryDocuments):
    """Documents that take their time, and let a rival go first.

    `seconds_each` is per document of a write; `rivals` are called once each, before a write.
    """

    seconds_each: float = 0.0
    rivals: list["SteppedFolder[Habit]"] = field(default_factory=list)
    rival_records: Sequence[LoggedRecord] = ()
    sizes: list[int] = field(default_factory=list)

    async def write_stepped(self, steps: Sequence[tuple[RawDocument, Commit | None]]) -> set[str]:
        if self.rivals:
            await self.rivals.pop().fold(self.rival_records)
        await asyncio.sleep(self.seconds_each * len(steps))
        self.sizes.append(len(steps))
        return await MemoryDocuments.write_stepped(self, steps)


@dataclass(slots=True)
class Room:
    """Stepped folders on the same documents and commits."""

    documents: SlowDocuments = field(default_factory=SlowDocuments)
    parking: MemoryParking = field(default_factory=MemoryParking)
    source: HabitSource = field(default_factory=HabitSource)
    clock: Clock = field(default_factory=lambda: ManualClock(DAY))

    def folder(self, source: HabitSource | None = None) -> SteppedFolder[Habit]:
        """A folder of a process of its own."""
        source = source or self.source
        return SteppedFolder(
            source.stepped.projection,
            self.documents,
            self.parking,
            KEYS,
            source=source,
            stepped_documents=self.documents,
            clock=self.clock,
            service="segment",
            append_deadline=timedelta(seconds=2),
        )

    def habits(self) -> dict[str, Habit]:
        """The documents by owner."""
        return {raw["_id"]: msgspec.convert(raw, Habit) for raw in self.documents.everything()}

    def transitions(self) -> dict[str, list[str]]:
        """Per stream what was logged: `entered` or `exited`, by what; fails on any hole."""
        logged: dict[str, list[str]] = {}
        seqs: dict[str, int] = {}
        for commit in self.documents.commits.commits:
            stream = logged.setdefault(commit.stream, [])
            seqs[commit.stream] = seqs.get(commit.stream, 0) + 1
            assert commit.seq == seqs[commit.stream]
            for text in commit.events:
                envelope = decode(text)
                assert envelope.streamversion == len(stream) + 1
                cause = msgspec.json.decode(envelope.data)["cause"]
                change = envelope.type.split(".")[1]
                stream.append(f"{change} by {cause.get('event', cause['kind'])}")
            assert commit.version == len(stream)
        return logged
