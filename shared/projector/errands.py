"""What the owner of partitions does beside its batches, a slice at a time.

Barriers (an import has ended: wait until nothing can be missing, then live its history), histories
that come late, timers (as far as progress reaches), and documents that were evaluated with an older
rule set. Each slice is bounded, so that events are never kept waiting long. Documents whose key is
parked or refused are left out of all of it: their log is not complete.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from shared.decider import NewEvent
from shared.envelope import UNREADABLE, Light, decode_light
from shared.progress import Progress, Reach, reach
from shared.projection import SteppedDocument
from shared.projector.due import DueDocuments
from shared.projector.glancing import Glancing
from shared.projector.histories import Histories
from shared.projector.stepped import SteppedFolder
from shared.readmodel import EndedImport, RawDocument
from shared.records import RawRecord

TIMER_SLICE = 500
FEWEST = 20
"""Documents of a slice, however little time it is given."""
RULES_SLICE = 200
MOST_GLANCED = 2_000
"""Documents of a slice while a new rule set changes nothing for most of them."""
KEPT_SNAPSHOTS = 60
"""A reader that lags by seconds never has the newest record; an older one still tells something."""
REST_SECONDS = 0.2
"""How long a finished errand rests: each look costs a round trip."""

SteppedT = TypeVar("SteppedT", bound=SteppedDocument)
Beside = Callable[[Sequence[int], Collection[str]], Awaitable[bool]]
"""One more errand: the partitions, and ids of those to leave out → whether there may be more."""
Positions = Mapping[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class _Known:
    """A W that the owner has, by the records that were kept `age` changes ago."""

    reach: Reach
    age: int


@dataclass(slots=True)
class Pace:
    """How long a document takes that is written with its commit, by the last ones that were."""

    each: float = 0.001

    def room(self, seconds: float | None, most: int) -> int:
        """How many fit into the seconds (None: there is no hurry), within bounds."""
        if seconds is None:
            return most
        return max(FEWEST, min(most, int(seconds / self.each)))

    def took(self, count: int, seconds: float) -> None:
        """So many have taken so long: half of what is known comes from them."""
        self.each = max((self.each + seconds / count) / 2, 0.00001)


@dataclass(slots=True)
class Errands(Generic[SteppedT]):
    """The errands of one stepped projection.

    `progress` gives the newest progress records of the topics it reads; `topics` are these, in
    the projection's order, and like positions carry full topic names.
    """

    folder: SteppedFolder[SteppedT]
    topics: Sequence[str]
    progress: Callable[[], Iterable[Progress | None]]
    beside: Beside | None = None
    _not_before: float = 0.0
    _snapshots: deque[tuple[Progress | None, ...]] = field(
        default_factory=lambda: deque(maxlen=KEPT_SNAPSHOTS)
    )
    _revised: dict[int, int] = field(default_factory=dict)
    _rules_slice: int = RULES_SLICE
    _pace: Pace = field(default_factory=Pace)
    _due: DueDocuments = field(init=False)
    _histories: Histories[SteppedT] = field(init=False)
    _glancing: Glancing[SteppedT] = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is known before the first slice."""
        self._due = DueDocuments(self.folder.stepped_documents)
        self._histories = Histories(self.folder)
        self._glancing = Glancing(self.folder)

    def is_barrier(self, record: RawRecord) -> bool:
        """Whether the partition must stop at this record."""
        value = record.value or b""
        return any(kind.encode() in value for kind in self.folder.source.stepped.barriers) and (
            _type_of(value) in self.folder.source.stepped.barriers
        )

    def forget(self) -> None:
        """Partitions have changed hands, or nobody goes on: what was known of them is not."""
        self._revised.clear()
        self._due.forget()
        self._histories.forget()

    async def pass_barrier(self, record: RawRecord, positions: Positions) -> bool:
        """Live a slice of the history that the record ends; True once none is left.

        Nothing is lived before every other topic is known to hold nothing older than the record,
        and before it is told what of its own topic Kafka had refused by then.
        """
        self._remember()
        others = [topic for topic in self._awaited() if topic != record.topic]
        known = self._known(record.partition, positions, others)
        if others and (known is None or not _passes(known.reach.system, record)):
            return False
        told = (each for each in self._snapshots[0] if each and record.topic in each.offsets)
        if not any(_passes(each.system, record) for each in told):
            return False
        light = decode_light(record.value or b"")
        end = EndedImport(
            record.partition, light.stream.removeprefix("import-"), light.recordedtime
        )
        return await self._histories.live_at_end(end, self._blocked(known.age if known else 0))

    async def run_slice(
        self,
        partitions: Sequence[int],
        positions: Positions,
        seconds: float | None = None,
    ) -> bool:
        """One slice of histories, timers and revisions; True when there may be more to do.

        With `seconds`, timers and revisions together take about so long: events are waiting.
        """
        now = asyncio.get_running_loop().time()
        if now < self._not_before:
            return False
        self._not_before = now + REST_SECONDS
        self._remember()
        awaited = self._awaited()
        known = {
            partition: have
            for partition in partitions
            if (have := self._known(partition, positions, awaited)) is not None
        }
        blocked = self._blocked(max((have.age for have in known.values()), default=0))
        reached = {partition: have.reach for partition, have in known.items()}
        more = await self._histories.live_late(sorted(known), blocked)
        began = asyncio.get_running_loop().time()
        more = await self._wake(reached, blocked, seconds) or more
        if seconds is not None:
            seconds -= asyncio.get_running_loop().time() - began
        more = await self._revise(reached, blocked, seconds) or more
        if self.beside is not None:
            more = await self.beside(sorted(reached), blocked) or more
        if more:
            self._not_before = 0.0
        return more

    def _awaited(self) -> Sequence[str]:
        """The topics that the present stepping does not spare."""
        stepped = self.folder.source.stepped
        if not stepped.spared:
            return self.topics
        names = zip(stepped.projection.topics, self.topics, strict=True)
        return [full for topic, full in names if topic not in stepped.spared]

    def _remember(self) -> None:
        newest = tuple(self.progress())
        if not self._snapshots or newest != self._snapshots[0]:
            self._snapshots.appendleft(newest)

    def _known(self, partition: int, positions: Positions, topics: Sequence[str]) -> _Known | None:
        """The newest W over the topics that the owner of the partition has."""
        for age, records in enumerate(self._snapshots):
            have = reach(records, partition, positions, topics)
            if have is not None:
                return _Known(have, age)
        return None

    def _blocked(self, age: int) -> set[str]:
        """Ids of those whose key is parked here, or refused by what was told so long ago or later.

        A key that is refused no more was published before that was told, so who goes by an older
        record may lack it.
        """
        told = (record for records in list(self._snapshots)[: age + 1] for record in records)
        refused = {key for record in told if record is not None for key in record.refused}
        return refused | {key.decode(errors="replace") for key in self.folder.parked_keys}

    async def _wake(
        self, reached: Mapping[int, Reach], blocked: Collection[str], seconds: float | None
    ) -> bool:
        if not reached:
            return False
        until = min(have.chain for have in reached.values())
        loop, patience = asyncio.get_running_loop(), REST_SECONDS if seconds is None else seconds
        looked = loop.time()
        if await self._due.look(reached, until, blocked, patience):
            began = loop.time()
            left = None if seconds is None else seconds - (began - looked)
            due = await self._due.take(reached, until, self._pace.room(left, TIMER_SLICE))
            free = _without(blocked, due)
            if free:
                await self.folder.revise(
                    free, lambda document: self.folder.source.stepped.wake(document, until)
                )
                self._pace.took(len(free), loop.time() - began)
        return self._due.more

    async def _revise(
        self, reached: Mapping[int, Reach], blocked: Collection[str], seconds: float | None
    ) -> bool:
        rules = self.folder.source.number
        behind = [p for p in reached if self._revised.get(p, 0) < rules]
        if not behind:
            return False
        limit = self._pace.room(seconds, self._rules_slice) + len(blocked)
        glances = self._glancing.present()
        found = await self.folder.stepped_documents.with_older_rules(
            behind, rules, limit, glances[0].unseen if glances else ()
        )
        if not found:
            self._revised.update(dict.fromkeys(behind, rules))
            return False
        free = _without(blocked, found)
        if free:
            whole = await self._glancing.settle(glances, free)
            await self.folder.revise(whole, lambda document: self._at(document, reached))
            few = len(whole) * 10 < len(free)
            self._rules_slice = MOST_GLANCED if few else RULES_SLICE
        return bool(free)

    def _at(
        self, document: SteppedT, reached: Mapping[int, Reach]
    ) -> tuple[SteppedT, Sequence[NewEvent]]:
        return self.folder.source.stepped.revise(document, reached[document.partition].chain)


def _without(blocked: Collection[str], raws: Sequence[RawDocument]) -> list[RawDocument]:
    return [raw for raw in raws if (raw.get("key") or raw["_id"]) not in blocked]


def _passes(until: datetime, record: RawRecord) -> bool:
    """Whether W has passed the record."""
    return until.timestamp() * 1000 > record.timestamp


def _type_of(value: bytes) -> str:
    try:
        light: Light = decode_light(value)
    except UNREADABLE:
        return ""
    return light.type
