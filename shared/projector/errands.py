"""What the owner of partitions does beside its batches, a slice at a time.

Barriers (an import has ended: wait until nothing can be missing, then live its history), timers
(as far as progress reaches), and documents that were evaluated with an older rule set. Each slice
is bounded, so that events are never kept waiting long.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from shared.decider import NewEvent
from shared.envelope import Light, decode_light
from shared.progress import Progress, Reach, reach
from shared.projection import SteppedDocument
from shared.projector.decoding import UNREADABLE
from shared.projector.stepped import SteppedFolder
from shared.readmodel import RawDocument
from shared.records import RawRecord

HISTORY_SLICE = 50
TIMER_SLICE = 500
RULES_SLICE = 200
KEPT_SNAPSHOTS = 60
"""A reader that lags by seconds never has the newest record; an older one still tells something."""
REST_SECONDS = 0.2
"""How long a finished errand rests: each look costs a round trip."""

SteppedT = TypeVar("SteppedT", bound=SteppedDocument)
Positions = Mapping[tuple[str, int], int]


@dataclass(slots=True)
class Errands(Generic[SteppedT]):
    """The errands of one stepped projection.

    `progress` gives the newest progress records of the topics it reads; `topics` and positions
    carry full topic names.
    """

    folder: SteppedFolder[SteppedT]
    topics: Sequence[str]
    progress: Callable[[], Iterable[Progress | None]]
    _not_before: float = 0.0
    _snapshots: deque[tuple[Progress | None, ...]] = field(
        default_factory=lambda: deque(maxlen=KEPT_SNAPSHOTS)
    )
    _revised: dict[int, int] = field(default_factory=dict)

    def is_barrier(self, record: RawRecord) -> bool:
        """Whether the partition must stop at this record."""
        value = record.value or b""
        return any(kind.encode() in value for kind in self.folder.source.stepped.barriers) and (
            _type_of(value) in self.folder.source.stepped.barriers
        )

    def forget(self) -> None:
        """Partitions have changed hands: what was known of them is not."""
        self._revised.clear()

    async def pass_barrier(self, record: RawRecord, positions: Positions) -> bool:
        """Live a slice of the history that the record ends; True once none is left.

        Nothing is lived before every other topic is known to hold nothing older than the record.
        """
        others = [topic for topic in self.topics if topic != record.topic]
        have = reach(self.progress(), record.partition, positions, others)
        if others and (have is None or have.system.timestamp() * 1000 <= record.timestamp):
            return False
        light = decode_light(record.value or b"")
        import_id = light.stream.removeprefix("import-")
        documents = await self.folder.stepped_documents.with_history(
            record.partition, import_id, HISTORY_SLICE
        )
        if not documents:
            return True
        stepped = self.folder.source.stepped
        await self.folder.revise(
            documents, lambda document: stepped.live(document, import_id, light.recordedtime)
        )
        return False

    async def run_slice(self, partitions: Sequence[int], positions: Positions) -> bool:
        """One slice of timers and of revisions; True when there may be more to do at once."""
        now = asyncio.get_running_loop().time()
        if now < self._not_before:
            return False
        self._not_before = now + REST_SECONDS
        reached = self._reached(partitions, positions)
        more = await self._wake(reached)
        more = await self._revise(reached) or more
        if more:
            self._not_before = 0.0
        return more

    def _reached(self, partitions: Sequence[int], positions: Positions) -> dict[int, Reach]:
        newest = tuple(self.progress())
        if not self._snapshots or newest != self._snapshots[0]:
            self._snapshots.appendleft(newest)
        reached = {}
        for partition in partitions:
            for records in self._snapshots:
                have = reach(records, partition, positions, self.topics)
                if have is not None:
                    reached[partition] = have
                    break
        return reached

    async def _wake(self, reached: Mapping[int, Reach]) -> bool:
        if not reached:
            return False
        until = min(have.chain for have in reached.values())
        due = await self.folder.stepped_documents.due(sorted(reached), until, TIMER_SLICE)
        free = self._free(due)
        if free:
            await self.folder.revise(
                free, lambda document: self.folder.source.stepped.wake(document, until)
            )
        return len(due) == TIMER_SLICE and bool(free)

    async def _revise(self, reached: Mapping[int, Reach]) -> bool:
        rules = self.folder.source.number
        behind = [p for p in reached if self._revised.get(p, 0) < rules]
        if not behind:
            return False
        found = await self.folder.stepped_documents.with_older_rules(behind, rules, RULES_SLICE)
        if not found:
            self._revised.update(dict.fromkeys(behind, rules))
            return False
        free = self._free(found)
        if free:
            await self.folder.revise(free, lambda document: self._at(document, reached))
        return bool(free)

    def _at(
        self, document: SteppedT, reached: Mapping[int, Reach]
    ) -> tuple[SteppedT, Sequence[NewEvent]]:
        return self.folder.source.stepped.revise(document, reached[document.partition].chain)

    def _free(self, raws: Sequence[RawDocument]) -> list[RawDocument]:
        """Without those whose key is parked here or refused by Kafka: their log is not complete."""
        refused = {
            key for record in self.progress() if record is not None for key in record.refused
        }
        return [
            raw
            for raw in raws
            if raw["_id"] not in refused and raw["_id"].encode() not in self.folder.parked_keys
        ]


def _type_of(value: bytes) -> str:
    try:
        light: Light = decode_light(value)
    except UNREADABLE:
        return ""
    return light.type
