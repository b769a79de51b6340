"""Journeys, as readers and timers carry them out, against a slow and obvious model.

Random definitions that change on the way, pauses and stops, events that are recorded long after
they happened, dates that come round, clicks on messages. Each topic is read in order and none waits
for another, in any batches, some twice; stores fail before and after an append. What becomes of the
customer is the same.
"""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from services.notify.domain import message_id, message_stream
from services.notify.handlers.books.series import SeriesBook
from services.notify.handlers.series.beginning import dates_of
from shared.decider import NewEvent
from shared.events.campaign import Condition, OnDate, OnEntering, OnEvent, OnLeaving
from shared.events.contract import EventData
from shared.events.customer import CustomerRegistered
from shared.events.interaction import VisitRecorded
from shared.events.merging import CustomerMerged
from shared.events.notification import MessageClicked
from shared.events.series import (
    BranchStep,
    EndStep,
    IsMember,
    JourneyEnded,
    JourneyEntered,
    JourneyStepTaken,
    JourneyWaiting,
    KnownSign,
    KnownStep,
    SendStep,
    SeriesDefined,
    WaitEventStep,
    WaitMessageStep,
    WaitStep,
    WaitUntilStep,
)
from shared.eventstore import Append, StoreUnavailable
from shared.records import RawRecord
from shared.testing import InterceptedStore
from tests.unit.naive.series import Event, Plan, Step, Story, lived
from tests.unit.seriesworld import TICK, World, entered_segment, left_segment

TICK_OF = timedelta(minutes=30)
MIDNIGHT = datetime.fromisoformat("2018-01-01T00:00Z")
LAST = 40
"""The last tick at which anything is recorded."""
END = LAST + 6 * 48 + 6 * 20
"""By then every wait is over: six steps of at most a day, or twenty ticks."""
VISIT = "interaction.visit_recorded.v1"
TOPICS = {"enter": "m", "leave": "m", "kept": "f", "missed": "f", "merged": "c", "click": "n"}


def moment(tick: int) -> datetime:
    return MIDNIGHT + tick * TICK_OF


def visits(state: str) -> tuple[Condition, ...]:
    return (Condition(field="state", test="equals", value=state),)


EXITS: dict[str, KnownSign] = {
    "leave": OnLeaving(segment="new"),
    "missed": OnEvent(event=VISIT, where=visits("missed")),
    "kept": OnEvent(event=VISIT, where=visits("kept")),
}


def data_of(kind: str) -> EventData:
    match kind:
        case "enter":
            return entered_segment("new")
        case "leave":
            return left_segment("new")
        case "merged":
            return CustomerMerged(merge="m", survivor="boris")
        case _:
            state: Any = kind
            return VisitRecorded(fact="f", visit="v", state=state, source="web", source_id="1")


def clock(tick: int) -> str:
    return f"{tick // 2:02}:{tick % 2 * 30:02}"


def real_step(place: int, step: Step) -> KnownStep:
    name, no = f"s-{place}", None if step.otherwise is None else f"s-{step.otherwise}"
    length = f"PT{step.length * 30}M"
    match step.kind:
        case "send":
            return SendStep(id=name, campaign="words")
        case "wait":
            return WaitStep(id=name, length=length)
        case "wait_until":
            return WaitUntilStep(id=name, at=clock(step.length))
        case "wait_event":
            where = visits("kept")
            return WaitEventStep(id=name, event=VISIT, where=where, at_most=length, otherwise=no)
        case "wait_message":
            sent = f"s-{step.of}"
            return WaitMessageStep(
                id=name, step=sent, state="clicked", at_most=length, otherwise=no
            )
        case "branch":
            return BranchStep(id=name, question=IsMember(segment="vip"), otherwise=no)
        case _:
            return EndStep(id=name)


def real(plan: Plan) -> SeriesDefined:
    """The definition that says what the model's plan says."""
    reentry: Literal["never", "ended"] = "ended" if plan.reentry == "ended" else "never"
    return SeriesDefined(
        series="welcome",
        title=f"Since {plan.since}",
        entry=OnEntering(segment="new")
        if plan.date is None
        else OnDate(field="birth_date", at=clock(plan.date)),
        steps=tuple(real_step(place, step) for place, step in enumerate(plan.steps)),
        exits=tuple(EXITS[name] for name in sorted(plan.exits)),
        reentry=reentry,
        reentry_after=f"PT{plan.after * 30}M" if plan.after and reentry == "ended" else None,
    )


@st.composite
def plans(draw: st.DrawFn, since: int, number: int) -> Plan:
    size = draw(st.integers(1, 5))
    kinds = st.sampled_from(
        ("send", "send", "wait", "wait_until", "wait_event", "wait_event", "click", "branch")
    )
    steps: list[Step] = []
    for place in range(size):
        kind = draw(kinds)
        said = [each for each, step in enumerate(steps) if step.kind == "send"]
        if kind == "click":
            kind = "wait_message" if said else "send"
        forks = kind in ("wait_event", "wait_message", "branch")
        steps.append(
            Step(
                kind,
                draw(st.integers(0, 47) if kind == "wait_until" else st.integers(1, 12)),
                draw(st.integers(place + 1, size)) if forks else None,
                draw(st.sampled_from(said)) if kind == "wait_message" else 0,
            )
        )
    return Plan(
        since,
        number,
        (*steps, Step("end")),
        draw(st.frozensets(st.sampled_from(sorted(EXITS)), max_size=2)),
        draw(st.sampled_from(("never", "ended", "ended"))),
        draw(st.sampled_from((0, 0, 1, 5))),
        draw(st.none() | st.none() | st.integers(2, LAST)),
    )


@dataclass(frozen=True)
class Scenario:
    """What happens, and with which luck it is read."""

    plans: Sequence[Plan]
    turns: Sequence[tuple[int, str]]
    events: Sequence[Event]
    member: bool
    seed: int


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    state, turns = "running", [(1, "start")]
    for tick in sorted(draw(st.sets(st.integers(3, LAST), max_size=4))):
        choices = {"running": ("pause", "stop"), "paused": ("resume", "resume", "stop")}
        turn = draw(st.sampled_from(choices.get(state, ("start",))))
        state = {"pause": "paused", "stop": "stopped"}.get(turn, "running")
        turns.append((tick, turn))
    kinds = st.sampled_from(
        ("enter", "enter", "enter", "leave", "kept", "kept", "missed", "merged", "click", "click")
    )
    told = st.tuples(st.integers(2, LAST), st.integers(0, 6), kinds)
    events: list[Event] = []
    counts: dict[str, int] = {}
    for at, late, kind in sorted(draw(st.lists(told, min_size=1, max_size=10)), key=lambda e: e[0]):
        topic = TOPICS[kind]
        counts[topic] = counts.get(topic, 0) + 1
        happened = at - late if topic == "f" else at
        on = draw(st.tuples(st.integers(1, 2), st.integers(0, 2))) if kind == "click" else None
        events.append(Event(at, happened, kind, f"{topic}-anna@{counts[topic]}", on))
    changed = draw(st.none() | st.integers(2, LAST))
    found = [draw(plans(0, 1))]
    if changed is not None:
        # Its number is the version of the stream: the definition, and the turns before it.
        before = sum(at < changed for at, _ in turns)
        second = draw(plans(changed, before + 2))
        if all(at != changed for at, _ in turns):
            found.append(second)
    return Scenario(found, turns, events, draw(st.booleans()), draw(st.integers(0, 1 << 30)))


@dataclass
class Run:
    """One way of reading: where each reader is in each topic."""

    world: World
    luck: random.Random
    topics: dict[str, list[RawRecord]] = field(default_factory=dict)
    entries: dict[str, int] = field(default_factory=dict)
    signs: dict[str, int] = field(default_factory=dict)

    async def record(self, scenario: Scenario, tick: int) -> None:
        """What people and other services do at a tick."""
        for plan in scenario.plans:
            if plan.since == tick:
                await self.world.define(real(plan))
        for at, turn in scenario.turns:
            if at == tick:
                await self.world.steer(turn)
        for event in scenario.events:
            if event.at == tick:
                topic, happened = TOPICS[event.kind], moment(event.happened)
                if event.on is not None:
                    told = await self.click(*event.on, tick)
                else:
                    data = data_of(event.kind)
                    told = await self.world.tell("anna", data, moment(tick), happened, topic)
                self.topics.setdefault(topic, []).append(told)

    async def click(self, number: int, place: int, tick: int) -> RawRecord:
        """The customer follows a link of a journey's message."""
        message = message_id("words", "anna", f"welcome/{number}/s-{place}")
        clicked = NewEvent(MessageClicked(message=message, campaign="words"), moment(tick))
        return await self.world.happens(message_stream(message), "anna", clicked, moment(tick))

    async def act(self, now: int) -> None:
        """Something that a worker may do at any time."""
        what = self.luck.choice(("entries", "entries", "signs", "signs", "timers", "fold", "dates"))
        with suppress(StoreUnavailable):
            match what:
                case "entries":
                    await self._read(self.entries, None)
                case "signs":
                    before = self._unread(self.entries, now)
                    if await self._by_date():
                        looked = await self._looked()
                        before = MIDNIGHT if looked is None else min(before, looked + TICK)
                    await self._read(self.signs, before)
                case "dates":
                    await self.world.beginnings(self._store()).look(moment(now))
                case "timers":
                    self.world.known = await self._known(now)
                    self.world.people_known = moment(self.luck.randint(0, now))
                    await self.world.timers(self._store()).turn()
                case _:
                    await self.world.fold()

    async def _known(self, now: int) -> datetime:
        known = min(self._unread(self.signs, now), self._unread(self.entries, now))
        entries = (await SeriesBook(self.world.store).now()).values()
        if all(len(each.course.ways_in) == 1 or not each.course.by_date for each in entries):
            return known
        return min(known, await self._looked() or MIDNIGHT)

    async def _by_date(self) -> bool:
        entries = (await SeriesBook(self.world.store).now()).values()
        return any(each.course.by_date for each in entries)

    async def _looked(self) -> datetime | None:
        return await self.world.beginnings().dates.looked_until(dates_of("welcome"))

    async def _read(self, group: dict[str, int], before: datetime | None) -> None:
        """The next records of a topic, perhaps some of the last ones again."""
        topic = self.luck.choice(sorted(self.topics) or [""])
        records = self.topics.get(topic, [])
        start = group.get(topic, 0)
        stop = min(len(records), start + self.luck.randint(1, 4))
        while before is not None and stop > start and taken(records[stop - 1]) >= before:
            stop -= 1
        first = max(0, start - self.luck.choice((0, 0, 2)))
        readers = self.world.readers(self._store())
        read = readers.enter if group is self.entries else readers.move
        await read(records[first:stop])
        group[topic] = max(start, stop)

    def _unread(self, group: dict[str, int], now: int) -> datetime:
        """The moment before which the group has read everything."""
        coming = [
            taken(records[group.get(topic, 0)])
            for topic, records in self.topics.items()
            if group.get(topic, 0) < len(records)
        ]
        return min([*coming, moment(now)])

    def _store(self) -> InterceptedStore | None:
        """One that fails now and then, before or after what it appends."""
        if self.luck.random() < 0.7:
            return None

        async def killed(_batch: Sequence[Append]) -> None:
            message = "killed"
            raise StoreUnavailable(message)

        if self.luck.random() < 0.5:
            return InterceptedStore(self.world.store, before=killed)
        return InterceptedStore(self.world.store, after=killed)


def taken(record: RawRecord) -> datetime:
    return datetime.fromtimestamp(record.timestamp / 1000, MIDNIGHT.tzinfo)


async def carried_out(scenario: Scenario) -> tuple[Story, list[str]]:
    """What becomes of the customer, and the messages that are to be said."""
    world, luck = World(), random.Random(scenario.seed)
    world.until(moment(0))
    await world.campaigns("words")
    await world.person(
        "anna",
        CustomerRegistered(birth_date="1990-01-01"),
        *([entered_segment("vip")] if scenario.member else []),
    )
    run = Run(world, luck)
    for tick in range(LAST + 1):
        world.until(moment(tick))
        await run.record(scenario, tick)
        for _ in range(luck.choice((0, 0, 1, 3, 6))):
            await run.act(tick)
    world.until(moment(END))
    await world.beginnings().look(moment(END))
    for group, read in ((run.entries, "enter"), (run.signs, "move")):
        for topic, records in run.topics.items():
            await getattr(world.readers(), read)(records[group.get(topic, 0) :])
    await world.go_on(moment(END) + TICK)
    story = [told for each in await world.history() if (told := shown(each)) is not None]
    return story, [each.occurrence for each in await world.messages()]


def tick_of(at: datetime) -> int:
    return (at - MIDNIGHT) // TICK_OF


def shown(event: EventData) -> tuple[Any, ...] | None:
    """An event in the words of the model."""
    match event:
        case JourneyEntered(number=number, at=at, version=version):
            return "entered", number, tick_of(at), version
        case JourneyWaiting(until=None):
            # That an answer was not known yet is as it was read.
            return None
        case JourneyWaiting(number=number, step=step, at=at, until=until):
            assert until is not None
            return "waiting", number, int(step[2:]), tick_of(at), tick_of(until)
        case JourneyStepTaken(number=number, step=step, at=at, outcome=outcome):
            return "taken", number, int(step[2:]), tick_of(at), outcome
        case JourneyEnded(number=number, at=at, reason=reason):
            return "ended", number, tick_of(at), reason
    message = f"nothing else is told: {event.type}"
    raise AssertionError(message)


@settings(max_examples=40, deadline=None)
@given(scenarios())
def test_a_journey_is_the_same_however_it_is_read_and_whoever_is_killed(
    scenario: Scenario,
) -> None:
    told, said = asyncio.run(carried_out(scenario))
    expected = lived(
        scenario.plans,
        scenario.turns,
        scenario.events,
        member=scenario.member,
        last=END,
    )
    assert told == expected
    sends = [
        f"welcome/{number}/s-{place}"
        for kind, number, place, *rest in expected
        if kind == "taken" and rest[-1] == "sent"
    ]
    assert said == sends
