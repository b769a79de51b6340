"""Facts of an import that has ended: lived whenever they come, and never on half of a past."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import msgspec

from shared.events.contract import show_moment
from shared.progress import Progress
from shared.projector import Errands, SteppedFolder
from shared.projector.decoding import Entry
from shared.projector.folder import parked_event
from shared.readmodel import EndedImport, RawDocument
from shared.testing import DAY, LoggedRecord
from shared.testing.diaries import TOPIC, Habit
from tests.unit.folding import log_of
from tests.unit.stepping import Room, SlowDocuments

OTHER = "interaction.events.v1"
TOPICS = (TOPIC, OTHER)


@dataclass(slots=True)
class WatchedDocuments(SlowDocuments):
    """Documents that count how often somebody looked for histories."""

    looks: int = 0

    async def with_history(
        self,
        partition: int,
        imports: Collection[str],
        limit: int,
        without: Collection[str] = (),
    ) -> Sequence[RawDocument]:
        self.looks += 1
        return await SlowDocuments.with_history(self, partition, imports, limit, without)


@dataclass(slots=True)
class Owner:
    """The owner of partitions 0 and 1, and what it is told; another is the next process."""

    room: Room = field(default_factory=lambda: Room(WatchedDocuments()))
    progress: list[Progress | None] = field(default_factory=list)
    positions: dict[tuple[str, int], int] = field(default_factory=dict)
    folder: SteppedFolder[Habit] = field(init=False)
    errands: Errands[Habit] = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.room.folder()
        self.errands = Errands(self.folder, TOPICS, self._told)

    def _told(self) -> Iterable[Progress | None]:
        return self.progress

    def next(self) -> "Owner":
        """Who owns the partitions after this one was killed."""
        return Owner(self.room, self.progress, self.positions)

    def tell(self, seconds: float, *refused: str, **offsets: int) -> None:
        """Both relays say: what was recorded before so many seconds is below `offsets`."""
        until = DAY + timedelta(seconds=seconds)
        self.progress = [
            Progress(
                topic.split(".")[0],
                until,
                until,
                {topic: {0: offsets.get(topic.split(".")[0], 0), 1: 0}},
                list(refused),
            )
            for topic in TOPICS
        ]

    async def bring(self, *lines: tuple[str, str], history: str = "2017") -> list[LoggedRecord]:
        """Fold lines that an import has brought."""
        log = await history_of(*lines, history=history)
        await self.folder.fold(log)
        return log

    async def pass_barrier(self, end: LoggedRecord, looks: int = 9) -> bool:
        for _ in range(looks):
            if await self.errands.pass_barrier(end, self.positions):
                return True
        return False

    async def run(self, slices: int = 1) -> list[bool]:
        more = []
        for _ in range(slices):
            more.append(await self.errands.run_slice([0, 1], self.positions))
            self.errands._not_before = 0.0  # noqa: SLF001 - as if the rest were over
        return more

    async def park(self, *records: LoggedRecord) -> None:
        """Have the records parked, though they could be applied by now."""
        await self.room.parking.park(
            [parked_event(Entry(record, None), "in a test") for record in records]
        )
        await self.folder.assigned([0, 1])

    async def replay(self) -> None:
        await self.room.parking.request_replay(None)
        await self.folder.replay([0, 1])

    def lived(self) -> dict[str, int]:
        """By owner how many lines were lived; those that wait for a history are left out."""
        return {
            name: habit.lines for name, habit in self.room.habits().items() if not habit.history
        }

    @property
    def looks(self) -> int:
        assert isinstance(self.room.documents, WatchedDocuments)
        return self.room.documents.looks


async def history_of(*lines: tuple[str, str], history: str = "2017") -> list[LoggedRecord]:
    told = b'"correlationid"'
    mark = f'"history":"{history}",'.encode()
    log = await log_of(*lines)
    return [replace(record, value=record.value.replace(told, mark + told)) for record in log]


def ended(seconds: float, history: str = "2017", until: datetime = DAY) -> LoggedRecord:
    """The record that ends an import, as Kafka took it."""
    stamp = DAY + timedelta(seconds=seconds)
    value = (
        f'{{"type":"import.ended.v1","stream":"import-{history}","streamversion":2,'
        f'"time":"{show_moment(until)}","recordedtime":"{show_moment(until)}",'
        f'"data":{{"import_id":"{history}","facts":3}}}}'
    )
    millis = int(stamp.timestamp() * 1000)
    return LoggedRecord(OTHER, 0, 0, history.encode(), value.encode(), millis)


async def test_a_barrier_leaves_out_who_is_parked_and_a_replay_has_all_of_it_lived() -> None:
    owner = Owner()
    log = await history_of(("anna", "1"), ("ben", "1"), ("anna", "2"), ("anna", "3"))
    await owner.folder.fold(log[:2])
    await owner.park(*log[2:])
    owner.tell(60)
    assert await owner.pass_barrier(ended(5))
    await owner.run(2)
    assert owner.lived() == {"ben": 1}
    await owner.replay()
    await owner.run(2)
    # All three at once, and not the first by itself.
    assert owner.lived() == {"ben": 1, "anna": 3}
    assert owner.room.transitions()["membership-anna"] == ["entered by history"]


async def test_who_was_left_out_is_lived_also_when_the_replay_brings_nothing_of_the_import() -> (
    None
):
    owner = Owner()
    await owner.bring(("anna", "1"))
    line, another = await log_of(("anna", "1"), ("anna", "2"))
    assert line.key == b"anna"
    await owner.park(another)
    owner.tell(60)
    assert await owner.pass_barrier(ended(5))
    await owner.run(2)
    assert owner.lived() == {}
    await owner.replay()
    await owner.run(2)
    assert owner.lived() == {"anna": 2}


async def test_a_barrier_leaves_out_who_is_refused_until_the_reader_has_what_came_late() -> None:
    owner = Owner()
    log = await history_of(("anna", "1"), ("anna", "2"), ("ben", "1"))
    await owner.folder.fold([log[0], log[2]])
    owner.tell(60, "anna")
    assert await owner.pass_barrier(ended(5))
    assert owner.lived() == {"ben": 1}
    await owner.run()
    # Published by now, and not read yet: there is more of her below 7.
    owner.positions = {(TOPIC, 0): 6, (OTHER, 0): 9}
    owner.tell(70, customer=7)
    await owner.run(2)
    assert owner.lived() == {"ben": 1}
    await owner.folder.fold([log[1]])
    owner.positions[(TOPIC, 0)] = 7
    await owner.run(2)
    assert owner.lived() == {"ben": 1, "anna": 2}
    assert "membership-anna" not in owner.room.transitions()


async def test_nobody_waits_behind_those_who_are_left_out() -> None:
    owner = Owner()
    # More than the 50 of a slice, and before all others.
    await owner.bring(*((f"o{n}", "1") for n in range(60)))
    await owner.bring(("zoe", "1"))
    owner.tell(60, *(f"o{n}" for n in range(60)))
    assert await owner.pass_barrier(ended(5))
    await owner.run(2)
    assert owner.lived() == {"zoe": 1}


async def test_the_barrier_knows_what_its_own_topic_was_refused() -> None:
    owner = Owner()
    await owner.bring(("anna", "1"))
    owner.tell(60)
    told = owner.progress[1]
    assert told is not None
    # Whose records cannot be in front of it is said a little later than it is published.
    owner.progress[1] = replaced(told, system=DAY + timedelta(seconds=5))
    assert not await owner.pass_barrier(ended(5))
    owner.progress[1] = replaced(told, system=DAY + timedelta(seconds=6), refused=["anna"])
    assert await owner.pass_barrier(ended(5))
    assert owner.lived() == {}


def replaced(progress: Progress, **changes: object) -> Progress:
    return msgspec.structs.replace(progress, **changes)


async def test_a_fact_that_comes_after_the_end_is_lived_when_it_comes() -> None:
    owner = Owner()
    owner.tell(60)
    await owner.bring(("anna", "1"))
    assert await owner.pass_barrier(ended(5))
    await owner.run(2)
    log = await history_of(("anna", "1"), ("anna", "2"), ("ben", "1"))
    await owner.folder.fold(log[1:])
    assert owner.lived() == {}
    await owner.run(2)
    assert owner.lived() == {"anna": 2, "ben": 1}


async def test_nobody_looks_while_no_fact_comes_late() -> None:
    owner = Owner()
    owner.tell(60)
    await owner.bring(("anna", "1"))
    assert await owner.pass_barrier(ended(5))
    await owner.run(2)
    looks = owner.looks
    await owner.folder.fold(await log_of(("ben", "1")))
    # Of an import that has not ended.
    await owner.bring(("carl", "1"), history="2018")
    await owner.run(5)
    assert owner.looks == looks
    assert owner.lived() == {"anna": 1, "ben": 1}


async def test_whoever_owns_the_partition_next_lives_what_a_killed_one_left() -> None:
    killed = Owner()
    killed.tell(60)
    assert await killed.pass_barrier(ended(5))
    await killed.run()
    await killed.bring(("anna", "1"))
    owner = killed.next()
    await owner.run(2)
    assert owner.lived() == {"anna": 1}
    assert owner.room.transitions() == {"membership-anna": ["entered by history"]}


async def test_the_same_process_looks_again_when_partitions_come_back() -> None:
    owner = Owner()
    owner.tell(60)
    assert await owner.pass_barrier(ended(5))
    await owner.run()
    other = owner.next()
    await other.bring(("anna", "1"))
    await owner.run()
    assert owner.lived() == {}
    owner.errands.forget()
    await owner.run(2)
    assert owner.lived() == {"anna": 1}


async def test_what_came_late_is_lived_in_slices() -> None:
    owner = Owner()
    owner.tell(60)
    assert await owner.pass_barrier(ended(5))
    await owner.bring(*((f"o{n}", "1") for n in range(120)))
    # 50, 50, 20, and one look that finds nothing left.
    assert await owner.run(4) == [True, True, True, False]
    assert len(owner.lived()) == 120


async def test_what_came_late_waits_while_the_reader_lags_behind_progress() -> None:
    owner = Owner()
    owner.tell(60)
    assert await owner.pass_barrier(ended(5))
    owner = owner.next()
    await owner.bring(("anna", "1"))
    owner.tell(70, customer=7)
    await owner.run(2)
    assert owner.lived() == {}
    owner.positions = {(TOPIC, 0): 7}
    await owner.run(2)
    assert owner.lived() == {"anna": 1}


async def test_late_facts_of_two_imports_are_lived_in_the_order_of_their_ends() -> None:
    owner = Owner()
    owner.tell(60)
    # The name that comes later in the alphabet ended first.
    assert await owner.pass_barrier(ended(5, "b", DAY))
    assert await owner.pass_barrier(ended(6, "a", DAY + timedelta(hours=1)))
    log = await history_of(("anna", "1"), ("anna", "2"), history="a")
    again = await history_of(("anna", "1"), ("anna", "2"), history="b")
    await owner.folder.fold([log[0], again[1]])
    order: list[tuple[str, datetime]] = []
    stepped = owner.room.source.stepped

    def live(habit: Habit, import_id: str, until: datetime) -> object:
        order.append((import_id, until))
        return stepped.live(habit, import_id, until)

    owner.room.source.make = lambda _rules: replace(stepped, live=live)  # type: ignore[arg-type]  # as it gives it
    await owner.run(2)
    assert order == [("b", DAY), ("a", DAY + timedelta(hours=1))]
    assert owner.lived() == {"anna": 2}


async def test_a_partition_that_stands_at_the_end_still_lives_nothing_of_it_early() -> None:
    owner = Owner()
    owner.tell(60)
    assert await owner.pass_barrier(ended(5))
    elsewhere = [replace(each, partition=1) for each in await history_of(("anna", "1"))]
    await owner.folder.fold(elsewhere)
    await owner.run(2)
    await owner.next().run(2)
    assert owner.lived() == {}


async def test_a_reader_that_lags_on_a_busy_topic_passes_by_an_older_record() -> None:
    owner = Owner()
    await owner.bring(("anna", "1"))
    owner.tell(60, customer=7)
    owner.positions = {(TOPIC, 0): 3}
    assert not await owner.pass_barrier(ended(5))
    # There is always more than it has read.
    owner.tell(70, customer=90)
    owner.positions = {(TOPIC, 0): 7}
    assert await owner.pass_barrier(ended(5))
    assert owner.lived() == {"anna": 1}


async def test_many_partitions_that_come_at_once_are_looked_at_in_slices() -> None:
    killed = Owner()
    for partition in range(20):
        for topic in TOPICS:
            killed.positions[(topic, partition)] = 0
        await killed.room.documents.note_ended(EndedImport(partition, "2017", DAY))
    await killed.bring(("anna", "1"))
    owner = killed.next()
    owner.tell(60)
    looks = []
    for _ in range(5):
        more = await owner.errands.run_slice(range(20), owner.positions)
        looks.append((owner.looks, more))
        owner.errands._not_before = 0.0  # noqa: SLF001 - as if the rest were over
    # Her own; it again and 7 that are empty; 8; and the 4 that remain of 20.
    assert looks == [(1, True), (9, True), (17, True), (21, False), (21, False)]
    assert owner.lived() == {"anna": 1}
