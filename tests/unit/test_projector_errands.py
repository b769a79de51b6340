"""What the owner of partitions does beside its batches: never too early, and never for ever."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from shared.events.contract import show_moment
from shared.progress import Progress
from shared.projection import Stepped
from shared.projector import Errands, SteppedFolder
from shared.projector.errands import FEWEST, Pace
from shared.testing import DAY, LoggedRecord
from shared.testing.diaries import TOPIC, Habit, Habits, HabitSource, habits
from shared.testing.virtual_time import in_virtual_time
from tests.unit.folding import log_of
from tests.unit.stepping import Room

OTHER = "interaction.events.v1"
TOPICS = (TOPIC, OTHER)
SECOND = timedelta(seconds=1)
IMPORT = "2017"


@dataclass(slots=True)
class Duty:
    """The errands of an owner of partitions 0 and 1, at certain positions."""

    room: Room = field(default_factory=Room)
    progress: list[Progress | None] = field(default_factory=list)
    positions: dict[tuple[str, int], int] = field(default_factory=dict)
    folder: SteppedFolder[Habit] = field(init=False)
    errands: Errands[Habit] = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.room.folder()
        self.errands = Errands(self.folder, TOPICS, self._told)

    def _told(self) -> Iterable[Progress | None]:
        return self.progress

    def tell(self, seconds: float, *refused: str, **offsets: int) -> None:
        """Both relays say: what was recorded before DAY and so many seconds is below `offsets`.

        Offsets are those of partition 0, by the first word of the topic; 0 unless given.
        """
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

    async def run(self, slices: int = 1) -> list[bool]:
        """Run slices, each after the rest that the last one took."""
        more = []
        for _ in range(slices):
            more.append(await self.errands.run_slice([0, 1], self.positions))
            self.errands._not_before = 0.0  # noqa: SLF001 - as if the rest were over
        return more

    def inside(self) -> dict[str, bool]:
        return {name: habit.inside for name, habit in self.room.habits().items()}


def sparing(rules: Habits) -> Stepped[Habit]:
    """The second topic is asked about by all rules but the first."""
    spared = frozenset({OTHER}) if rules.number == 1 else frozenset[str]()
    return replace(habits(rules, topics=TOPICS), spared=spared)


def due(seconds: float) -> str:
    """The line that sets a timer."""
    return f"due {show_moment(DAY + timedelta(seconds=seconds))}"


async def with_timers(*timers: tuple[str, float]) -> Duty:
    duty = Duty()
    lines = [(owner, due(seconds)) for owner, seconds in timers]
    await duty.folder.fold(await log_of(*lines))
    return duty


async def test_timers_fire_as_far_as_progress_reaches_and_no_further() -> None:
    duty = await with_timers(("anna", 5), ("ben", 10), ("carl", 10.001))
    duty.tell(10)
    await duty.run()
    # Before W, not at it: who is due exactly then may still be settled by an event.
    assert duty.inside() == {"anna": True, "ben": False, "carl": False}
    duty.tell(11)
    await duty.run()
    assert duty.inside() == {"anna": True, "ben": True, "carl": True}
    assert set(duty.room.transitions()["membership-anna"]) == {"entered by time"}


async def test_timers_wait_while_a_partition_is_not_read_up_to_the_offsets() -> None:
    duty = await with_timers(("anna", 5))
    duty.tell(10, customer=7)
    duty.positions = {(TOPIC, 0): 6, (OTHER, 0): 9}
    await duty.run()
    assert duty.inside() == {"anna": False}
    duty.positions[(TOPIC, 0)] = 7
    await duty.run()
    assert duty.inside() == {"anna": True}


async def test_timers_wait_while_one_topic_has_told_nothing() -> None:
    duty = await with_timers(("anna", 5))
    duty.tell(10)
    duty.progress[1] = None
    await duty.run()
    assert duty.inside() == {"anna": False}


async def test_nothing_waits_for_a_topic_that_the_present_rules_spare() -> None:
    source = HabitSource(make=sparing)
    duty = Duty(Room(source=source))
    await duty.folder.fold(await log_of(("anna", due(5)), ("ben", due(15))))
    duty.tell(10)
    duty.progress[1] = None
    await duty.run()
    assert duty.inside() == {"anna": True, "ben": False}
    # With newer rules it is asked about: from then on it is waited for.
    source.newest = Habits(3)
    await source.refresh()
    duty.tell(20)
    duty.progress[1] = None
    await duty.run(2)
    assert duty.inside()["ben"] is False
    duty.tell(20)
    await duty.run(2)
    assert duty.inside()["ben"] is True


async def test_a_reader_that_never_has_the_newest_record_goes_by_an_older_one() -> None:
    duty = await with_timers(("anna", 5), ("ben", 15))
    duty.tell(10, customer=7)
    duty.positions = {(TOPIC, 0): 3}
    await duty.run()
    duty.tell(20, customer=90)
    duty.positions = {(TOPIC, 0): 7}
    await duty.run()
    assert duty.inside() == {"anna": True, "ben": False}


async def test_timers_of_parked_and_of_refused_keys_wait() -> None:
    duty = await with_timers(("anna", 5), ("ben", 5), ("carl", 5))
    await duty.folder.fold(await log_of(*[("anna", "1")], ("anna", "!2")))
    assert duty.folder.parked_keys == {b"anna"}
    duty.tell(10, "ben")
    await duty.run(2)
    assert duty.inside() == {"anna": False, "ben": False, "carl": True}
    duty.tell(10)
    await duty.run()
    assert duty.inside()["ben"]


async def test_while_events_wait_a_slice_takes_no_longer_than_it_is_given() -> None:
    duty = await with_timers(*((f"o{n}", n / 1_000) for n in range(600)))
    duty.tell(100)
    # No time at all is still enough for a few, so that nothing is due for ever.
    assert await duty.errands.run_slice([0, 1], duty.positions, 0.0)
    assert sum(duty.inside().values()) == FEWEST


def test_a_pace_is_learnt_from_what_was_done() -> None:
    pace = Pace(each=0.001)
    assert (pace.room(None, 500), pace.room(0.1, 500), pace.room(10, 500)) == (500, 100, 500)
    # Half of it stays: (1 ms + 3 ms) / 2 = 2 ms each.
    pace.took(100, 0.3)
    assert (pace.room(0.1, 500), pace.room(-1, 500)) == (50, FEWEST)


async def test_more_timers_than_a_slice_holds_are_all_fired() -> None:
    duty = await with_timers(*((f"o{n}", n / 1_000) for n in range(1_200)))
    duty.tell(100)
    # 500 in a slice: two full ones, and a third with the rest.
    assert await duty.run(3) == [True, True, False]
    assert all(duty.inside().values())


@in_virtual_time
async def test_a_finished_errand_rests_before_it_looks_again() -> None:
    duty = await with_timers(("anna", 5))
    duty.tell(1)
    assert await duty.errands.run_slice([0, 1], duty.positions) is False
    duty.tell(10)
    # Each look costs a round trip: the next is not before a fifth of a second.
    assert await duty.errands.run_slice([0, 1], duty.positions) is False
    assert duty.inside() == {"anna": False}


async def test_newer_rules_ask_everybody_anew_in_slices_and_then_are_content() -> None:
    duty = Duty()
    await duty.folder.fold(await log_of(*((f"o{n}", "1") for n in range(450))))
    duty.tell(3)
    assert await duty.run() == [False]
    duty.room.source.newest = Habits(2)
    await duty.room.source.refresh()
    # 200 in a slice; the last look finds nobody.
    assert await duty.run(4) == [True, True, True, False]
    assert {habit.rules for habit in duty.room.habits().values()} == {2}
    # Everybody has one line, which is odd, and by the new rules out.
    assert not any(duty.inside().values())
    assert await duty.run() == [False]
    logged = set(map(tuple, duty.room.transitions().values()))
    assert len(logged) == 450
    assert {changes[1] for changes in logged} == {"exited by definition"}


async def test_parked_and_refused_keys_are_not_asked_anew_before_their_log_is_complete() -> None:
    duty = Duty()
    await duty.folder.fold(await log_of(("anna", "1"), ("anna", "!"), ("ben", "1"), ("carl", "1")))
    duty.tell(3, "ben")
    duty.room.source.newest = Habits(2)
    await duty.room.source.refresh()
    await duty.run(3)
    assert duty.inside() == {"anna": True, "ben": True, "carl": False}
    duty.tell(4)
    await duty.run(2)
    assert duty.inside()["ben"] is False


def ended(timestamp_seconds: float, offset: int = 0) -> LoggedRecord:
    """The record that says that the import has ended, as Kafka took it."""
    stamp = DAY + timedelta(seconds=timestamp_seconds)
    value = (
        f'{{"type":"import.ended.v1","stream":"import-{IMPORT}","streamversion":2,'
        f'"time":"{show_moment(DAY)}","recordedtime":"{show_moment(DAY)}",'
        f'"data":{{"import_id":"{IMPORT}","facts":3}}}}'
    )
    key = IMPORT.encode()
    return LoggedRecord(OTHER, 0, offset, key, value.encode(), int(stamp.timestamp() * 1000))


async def with_history(*owners: str) -> Duty:
    """Everybody has a line that an import has brought."""
    duty = Duty()
    log = await log_of(*((owner, "1") for owner in owners))
    told = b'"correlationid"'
    await duty.folder.fold(
        [
            replace(record, value=record.value.replace(told, b'"history":"2017",' + told))
            for record in log
        ]
    )
    return duty


async def test_a_barrier_waits_until_no_other_topic_can_hold_anything_older() -> None:
    duty = await with_history("anna")
    end = ended(5)
    assert duty.errands.is_barrier(end)
    assert not await duty.errands.pass_barrier(end, duty.positions)
    # Not at the very moment: what Kafka took then may not be all of it.
    duty.tell(5)
    assert not await duty.errands.pass_barrier(end, duty.positions)
    duty.tell(6, customer=9)
    assert not await duty.errands.pass_barrier(end, duty.positions)
    assert duty.inside() == {"anna": False}
    duty.positions = {(TOPIC, 0): 9}
    # Its own topic it stands still in: that one cannot be waited for.
    duty.tell(6, customer=9, interaction=1_000)
    assert not await duty.errands.pass_barrier(end, duty.positions)
    assert await duty.errands.pass_barrier(end, duty.positions)
    assert duty.inside() == {"anna": True}
    assert duty.room.transitions() == {"membership-anna": ["entered by history"]}


async def test_a_history_is_lived_in_slices_and_once() -> None:
    duty = await with_history(*(f"o{n}" for n in range(120)))
    duty.tell(60)
    passed = [await duty.errands.pass_barrier(ended(5), duty.positions) for _ in range(4)]
    # 50 in a slice: 50, 50, 20, and one look that finds nothing left.
    assert passed == [False, False, False, True]
    assert all(duty.inside().values())
    # The same end again, after a restart at the committed offset.
    assert await Duty(duty.room, duty.progress).errands.pass_barrier(ended(5), {})
    assert {len(changes) for changes in duty.room.transitions().values()} == {1}


async def test_only_the_type_makes_a_barrier_and_not_the_text() -> None:
    duty = Duty()
    (line,) = await log_of(("anna", "import.ended.v1"))
    assert not duty.errands.is_barrier(line)
    for value in (b"import.ended.v1", b'{"type":"import.ended.v1"}', b"\xffimport.ended.v1", b""):
        assert not duty.errands.is_barrier(replace(line, value=value))
    deep = b'{"type":"import.ended.v1","data":' + b"[" * 20_000
    assert not duty.errands.is_barrier(replace(line, value=deep))


async def test_a_document_that_was_written_meanwhile_is_found_again() -> None:
    duty = await with_timers(("anna", 5))
    duty.tell(10)
    rival = duty.room.folder()
    duty.room.documents.rivals = [rival]
    log = await log_of(("anna", "0"), ("anna", "1"))
    duty.room.documents.rival_records = log[1:]
    await duty.run(2)
    (anna,) = duty.room.habits().values()
    # One line by the rival's event, one by the timer: even again.
    assert (anna.lines, anna.inside, anna.due_at) == (2, False, None)
    assert duty.room.transitions()["membership-anna"] == [
        "entered by customer-anna@2",
        "exited by time",
    ]
