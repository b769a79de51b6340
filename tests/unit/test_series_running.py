"""Series on memory: who enters, what is due, and that neither kills nor repeats change it."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from services.notify.consumers.signs import entering, moving, topics_of_series
from services.notify.domain import message_id, message_stream
from services.notify.domain.series import journey_stream, mark_of
from services.notify.handlers.books.series import SeriesBook
from services.notify.handlers.deciding.stepping import Stepping
from services.notify.projections import queued
from services.notify.queries import Journeys
from shared.decider import NewEvent
from shared.envelope import Causation
from shared.events.campaign import Condition, OnEntering, OnEvent, OnLeaving
from shared.events.contract import EventData
from shared.events.customer import CustomerChanged, CustomerRegistered
from shared.events.interaction import VisitRecorded
from shared.events.merging import CustomerErased, CustomerMerged
from shared.events.notification import (
    MessageClicked,
    MessageScheduled,
    MessageSending,
    MessageSent,
)
from shared.events.series import (
    BranchStep,
    EndStep,
    FieldIs,
    IsMember,
    JourneyEnded,
    JourneyStepTaken,
    KnownStep,
    MessageWas,
    SendStep,
    SeriesDefined,
    WaitEventStep,
    WaitStep,
    WaitUntilStep,
)
from shared.testing import LoggedRecord
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import tell
from tests.unit.seriesworld import T0, TICK, World, entered_segment, left_segment

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEPT = OnEvent(
    event="interaction.visit_recorded.v1",
    where=(Condition(field="state", test="equals", value="kept"),),
)
VISIT = WaitEventStep(id="visit", event=KEPT.event, where=KEPT.where, at_most="P7D", next="thanks")
STEPS: tuple[KnownStep, ...] = (
    SendStep(id="hello", campaign="hello"),
    VISIT,
    SendStep(id="remind", campaign="remind", next="done"),
    SendStep(id="thanks", campaign="thanks"),
    EndStep(id="done"),
)
STEPS = (STEPS[0], VISIT.model_copy(update={"otherwise": "remind"}), *STEPS[2:])
DEFINED = SeriesDefined(
    series="welcome",
    title="Welcome",
    entry=OnEntering(segment="new"),
    steps=STEPS,
    exits=(OnLeaving(segment="new"),),
)


def defined(*steps: KnownStep, **more: object) -> SeriesDefined:
    return DEFINED.model_copy(update={"steps": steps, **more})


def kept(state: Any = "kept") -> VisitRecorded:  # noqa: ANN401 - a literal
    return VisitRecorded(fact="f", visit="v", state=state, source="web", source_id="1")


async def world(definition: SeriesDefined = DEFINED) -> World:
    """The series runs since an hour."""
    found = World()
    await found.begin(definition)
    found.clock.advance(HOUR)
    return found


def went(events: Sequence[EventData]) -> list[tuple[str, Any]]:
    """Steps taken with their outcome, and the end."""
    return [
        (each.step, each.outcome) if isinstance(each, JourneyStepTaken) else ("end", each.reason)
        for each in events
        if isinstance(each, JourneyStepTaken | JourneyEnded)
    ]


NOW = T0 + HOUR


async def test_whoever_enters_gets_the_first_message_with_its_cause() -> None:
    chain = await world()
    record = await chain.tell("anna", entered_segment("new"), NOW)
    await chain.read(record)
    (said,) = await chain.messages()
    stream = journey_stream("welcome", "anna")
    assert (said.campaign, said.customer, said.occurrence, said.occurred) == (
        "hello",
        "anna",
        "welcome/1/hello",
        NOW,
    )
    # The second event of the journey, which follows from the entering of the segment.
    assert said.why == Causation("told", f"{stream}@2", 2)


async def test_the_wait_is_over_at_its_moment_once_all_before_it_is_known() -> None:
    chain = await world()
    await chain.read(await chain.tell("anna", entered_segment("new"), NOW))
    due = NOW + 7 * DAY
    await chain.go_on(due)
    standing = await chain.standing()
    assert standing is not None
    assert (standing.step, standing.until, standing.due_at) == ("visit", due, due)
    await chain.go_on(due + TICK)
    assert went(await chain.history()) == [
        ("hello", "sent"),
        ("visit", "timed_out"),
        ("remind", "sent"),
        ("end", "finished"),
    ]
    assert [each.occurred for each in await chain.messages()] == [NOW, due]
    standing = await chain.standing()
    assert standing is not None
    assert (standing.state, standing.due_at) == ("finished", None)


async def test_what_was_waited_for_and_read_late_still_came_before_the_timeout() -> None:
    chain = await world()
    await chain.read(await chain.tell("anna", entered_segment("new"), NOW))
    late = await chain.tell("anna", kept(), NOW + 7 * DAY, topic="facts")
    other = await chain.tell("anna", kept("missed"), NOW + DAY, topic="facts")
    await chain.go_on(NOW + 7 * DAY)
    await chain.read(other, late)
    await chain.go_on(NOW + 8 * DAY)
    assert went(await chain.history()) == [
        ("hello", "sent"),
        ("visit", "came"),
        ("thanks", "sent"),
        ("end", "finished"),
    ]


async def test_leaving_the_segment_ends_it_also_by_a_merge_which_lets_nobody_enter() -> None:
    chain = await world()
    by_merge = await chain.tell("boris", entered_segment("new", "merge"), NOW)
    await chain.read(by_merge, await chain.tell("anna", entered_segment("new"), NOW))
    await chain.read(await chain.tell("anna", left_segment("new", "merge"), NOW + DAY))
    await chain.read(await chain.tell("anna", left_segment("other"), NOW + HOUR))
    await chain.go_on(NOW + 2 * DAY)
    assert (await chain.history())[-1] == JourneyEnded(
        series="welcome", number=1, at=NOW + DAY, reason="exit", exit=OnLeaving(segment="new")
    )
    assert await chain.history("boris") == []


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (CustomerMerged(merge="m", survivor="boris"), "merged"),
        (CustomerErased(erase="e", reason="request"), "erased"),
    ],
)
async def test_who_is_no_more_goes_no_further(event: EventData, reason: str) -> None:
    chain = await world()
    await chain.read(await chain.tell("anna", entered_segment("new"), NOW))
    await chain.read(await chain.tell("boris", entered_segment("new"), NOW))
    await chain.read(await chain.tell("anna", event, NOW + DAY, topic="customers"))
    await chain.go_on(NOW + 2 * DAY)
    assert went(await chain.history()) == [("hello", "sent"), ("end", reason)]
    assert went(await chain.history("boris")) == [("hello", "sent")]


async def test_the_same_read_again_or_by_two_changes_nothing() -> None:
    chain = await world()
    records = [
        await chain.tell("anna", entered_segment("new"), NOW),
        await chain.tell("anna", kept(), NOW + DAY, topic="facts"),
    ]
    await asyncio.gather(*(chain.read(*records) for _ in range(3)))
    count = len(chain.store.commits)
    await chain.read(*records, *records)
    assert len(chain.store.commits) == count
    await chain.go_on(NOW + 2 * DAY)
    count = len(chain.store.commits)
    await chain.read(*records)
    chain.taken, chain.documents = 0, type(chain.documents)()
    await chain.go_on(NOW + 3 * DAY)
    assert len(chain.store.commits) == count
    assert len(await chain.messages()) == 2


async def test_nothing_is_kept_of_who_is_on_no_journey() -> None:
    chain = await world()
    count = len(chain.store.commits)
    await chain.read(
        await chain.tell("anna", kept(), NOW, topic="facts"),
        await chain.tell("anna", CustomerErased(erase="e", reason="request"), NOW, topic="c"),
    )
    assert len(chain.store.commits) == count


async def test_what_ends_journeys_waits_until_it_is_known_who_has_entered() -> None:
    chain = await world()
    visit = await chain.tell("anna", kept(), NOW + DAY, topic="facts")
    chain.entered_until = visit.timestamp
    readers = chain.readers()
    moving_on = asyncio.ensure_future(readers.move([visit]))
    await asyncio.sleep(0)
    # The entering, which was recorded before, is read after it.
    await readers.enter([await chain.tell("anna", entered_segment("new"), NOW)])
    assert not moving_on.done()
    chain.entered_until = visit.timestamp + 1
    await moving_on
    await chain.go_on(NOW + 2 * DAY)
    assert went(await chain.history())[1] == ("visit", "came")


async def test_a_pause_lets_timers_wait_and_a_stop_ends_journeys_at_its_moment() -> None:
    chain = await world()
    await chain.read(await chain.tell("anna", entered_segment("new"), NOW))
    chain.until(NOW + 6 * DAY)
    await chain.steer("pause")
    await chain.go_on(NOW + 8 * DAY)
    assert went(await chain.history()) == [("hello", "sent")]
    chain.until(NOW + 9 * DAY)
    await chain.steer("resume")
    await chain.go_on(NOW + 9 * DAY + TICK)
    (taken,) = [e for e in await chain.history() if getattr(e, "outcome", "") == "timed_out"]
    assert isinstance(taken, JourneyStepTaken)
    assert taken.at == NOW + 9 * DAY
    await chain.read(await chain.tell("boris", entered_segment("new"), NOW + 10 * DAY))
    chain.until(NOW + 11 * DAY)
    await chain.steer("stop")
    # Not before it is known that nothing else has ended it.
    await chain.go_on(NOW + 11 * DAY)
    assert went(await chain.history("boris")) == [("hello", "sent")]
    await chain.go_on(NOW + 11 * DAY + TICK)
    assert (await chain.history("boris"))[-1] == JourneyEnded(
        series="welcome", number=1, at=NOW + 11 * DAY, reason="stopped"
    )
    await chain.read(await chain.tell("clara", entered_segment("new"), NOW + 12 * DAY))
    assert await chain.history("clara") == []


async def test_in_a_pause_who_may_leave_leaves_and_what_was_due_before_is_done() -> None:
    chain = await world()
    for customer, at in (("anna", NOW), ("boris", NOW + DAY)):
        await chain.read(await chain.tell(customer, entered_segment("new"), at))
    chain.until(NOW + 7 * DAY + HOUR)
    await chain.steer("pause")
    left = await chain.tell("boris", left_segment("new"), NOW + 7 * DAY + 2 * HOUR)
    await chain.read(left)
    await chain.go_on(NOW + 9 * DAY)
    anna, boris = await chain.standing("anna"), await chain.standing("boris")
    assert anna is not None
    assert boris is not None
    # The wait of anna was over an hour before the pause.
    assert (anna.state, anna.ended) == ("finished", NOW + 7 * DAY)
    assert (boris.state, boris.ended) == ("exit", NOW + 7 * DAY + 2 * HOUR)


async def test_a_series_that_runs_again_ends_who_was_under_way_when_it_was_stopped() -> None:
    chain = await world()
    await chain.read(await chain.tell("anna", entered_segment("new"), NOW))
    chain.until(NOW + DAY)
    await chain.steer("stop")
    chain.until(NOW + 2 * DAY)
    await chain.steer("start")
    in_between = await chain.tell("boris", entered_segment("new"), NOW + DAY + HOUR)
    await chain.read(in_between)
    await chain.go_on(NOW + 3 * DAY)
    assert went(await chain.history()) == [("hello", "sent"), ("end", "stopped")]
    assert await chain.history("boris") == []


def steps_of(chain: World) -> Stepping:
    return Stepping(SeriesBook(chain.store), Journeys(MemoryQuestions(chain.documents)))


async def test_a_message_of_a_series_stands_and_falls_with_it() -> None:
    chain = await world()
    await chain.read(await chain.tell("anna", entered_segment("new"), NOW))
    await chain.fold()
    scheduled = MessageScheduled(
        message="m", campaign="hello", occurrence="welcome/1/hello", channel="email", occurred=NOW
    )
    message = queued("m", scheduled, "anna", at=NOW, recorded=NOW, why=Causation("c"))
    other = queued(
        "n",
        scheduled.model_copy(update={"occurrence": "new@1"}),
        "anna",
        at=NOW,
        recorded=NOW,
        why=Causation("c"),
    )

    async def said() -> tuple[str | None, bool, bool]:
        found = await steps_of(chain).of([message, other])
        assert (found.closed(other), found.paused(other), found.left(other)) == (None, False, False)
        return found.closed(message), found.paused(message), found.left(message)

    assert await said() == (None, False, False)
    chain.until(NOW + HOUR)
    await chain.steer("pause")
    assert await said() == (None, True, False)
    await chain.steer("resume")
    await chain.read(await chain.tell("anna", left_segment("new"), NOW + 2 * HOUR))
    await chain.go_on(NOW + 3 * HOUR)
    assert await said() == (None, False, True)
    chain.until(NOW + 4 * HOUR)
    await chain.steer("stop")
    chain.until(NOW + 5 * HOUR)
    await chain.steer("start")
    # Stopped since it was due, though the series runs again.
    assert await said() == ("campaign_stopped", False, True)


async def test_who_finished_has_not_left() -> None:
    chain = await world(defined(SendStep(id="hello", campaign="hello")))
    await chain.read(await chain.tell("anna", entered_segment("new"), NOW))
    await chain.fold()
    scheduled = MessageScheduled(
        message="m", campaign="hello", occurrence="welcome/1/hello", channel="email", occurred=NOW
    )
    message = queued("m", scheduled, "anna", at=NOW, recorded=NOW, why=Causation("c"))
    assert not (await steps_of(chain).of([message])).left(message)
    assert went(await chain.history()) == [("hello", "sent"), ("end", "finished")]


FORK = (
    BranchStep(id="fork", question=FieldIs(field="language", values=("en",)), otherwise="no"),
    SendStep(id="yes", campaign="yes", next="done"),
    SendStep(id="no", campaign="no"),
    EndStep(id="done"),
)


async def test_a_branch_is_decided_once_all_of_the_customer_is_known() -> None:
    chain = await world(defined(*FORK))
    await chain.read(await chain.tell("anna", entered_segment("new"), NOW))
    chain.known = NOW + DAY
    chain.people_known = NOW
    await chain.go_on()
    standing = await chain.standing()
    assert standing is not None
    assert (standing.step, standing.until, standing.due_at) == ("fork", None, NOW)
    await chain.person("anna", CustomerRegistered(), CustomerChanged(language="en"))
    chain.people_known = NOW + TICK
    chain.clock.advance(DAY)
    await chain.go_on()
    assert went(await chain.history())[0] == ("fork", "yes")


async def test_of_somebody_who_is_not_known_nothing_is_so() -> None:
    member = BranchStep(id="fork", question=IsMember(segment="vip"), otherwise="no")
    for first in (FORK[0], member):
        chain = await world(defined(first, *FORK[1:]))
        await chain.read(await chain.tell("anna", entered_segment("new"), NOW))
        await chain.go_on(NOW + DAY)
        assert went(await chain.history())[0] == ("fork", "no")


async def test_a_branch_knows_who_is_a_member() -> None:
    member = BranchStep(id="fork", question=IsMember(segment="vip"), otherwise="no")
    chain = await world(defined(member, *FORK[1:]))
    await chain.person("anna", CustomerRegistered(), entered_segment("vip"))
    await chain.read(await chain.tell("anna", entered_segment("new"), NOW))
    await chain.go_on(NOW + DAY)
    assert went(await chain.history())[0] == ("fork", "yes")


@pytest.mark.parametrize(
    ("state", "happened", "outcome"),
    [
        ("sent", [], "no"),
        ("sent", [MessageSent], "yes"),
        ("opened", [MessageSent], "no"),
        ("opened", [MessageSent, MessageClicked], "yes"),
        ("clicked", [MessageSent, MessageClicked], "yes"),
    ],
)
async def test_a_branch_knows_what_became_of_a_message(
    state: Any,  # noqa: ANN401 - a literal
    happened: Sequence[Any],
    outcome: str,
) -> None:
    asked = BranchStep(id="fork", question=MessageWas(step="hello", state=state), otherwise="no")
    chain = await world(defined(STEPS[0], WaitStep(id="rest", length="P1D"), asked, *FORK[1:]))
    await chain.read(await chain.tell("anna", entered_segment("new"), NOW))
    message = message_id("hello", "anna", "welcome/1/hello")
    events: list[EventData] = [
        MessageScheduled(
            message=message, campaign="hello", occurrence="welcome/1/hello", channel="email"
        ),
        MessageSending(message=message, campaign="hello", contact="h", attempt="a"),
        *(kind(message=message, campaign="hello") for kind in happened),
    ]
    await tell(
        chain.writer(), message_stream(message), "anna", [NewEvent(each, NOW) for each in events]
    )
    await chain.go_on(NOW + DAY + TICK)
    assert went(await chain.history())[2] == ("fork", outcome)


async def test_a_local_hour_is_that_of_the_customer() -> None:
    morning = WaitUntilStep(id="morning", at="10:00")
    chain = await world(defined(morning, EndStep(id="done")))
    await chain.person("anna", CustomerRegistered(), CustomerChanged(time_zone="Asia/Tokyo"))
    for customer in ("anna", "boris"):
        await chain.read(await chain.tell(customer, entered_segment("new"), NOW))
    await chain.go_on(NOW + TICK)
    anna, boris = await chain.standing("anna"), await chain.standing("boris")
    # Tokyo is nine hours ahead of UTC, the chain's zone.
    assert anna is not None
    assert boris is not None
    assert (anna.until, boris.until) == (T0 + 13 * HOUR, T0 + 22 * HOUR)


async def test_whose_events_stand_still_stands_still_and_keeps_nobody_up() -> None:
    chain = await world()
    for customer in ("anna", "boris"):
        await chain.read(await chain.tell(customer, entered_segment("new"), NOW))
    chain.parked.add("anna")
    await chain.go_on(NOW + 8 * DAY)
    assert len(went(await chain.history("anna"))) == 1
    assert went(await chain.history("boris"))[-1] == ("end", "finished")
    chain.parked.clear()
    chain.clock.advance(HOUR)
    await chain.go_on()
    assert went(await chain.history("anna"))[-1] == ("end", "finished")


async def test_many_are_due_at_one_moment_page_by_page() -> None:
    chain = await world()
    names = [f"c-{number:02}" for number in range(25)]
    await chain.read(*[await chain.tell(name, entered_segment("new"), NOW) for name in names])
    await chain.fold()
    chain.known = chain.people_known = NOW + 8 * DAY
    await chain.timers(page=4).turn()
    for name in names:
        assert went(await chain.history(name))[-1] == ("end", "finished")


async def test_a_chain_of_causes_that_is_too_long_lets_nobody_enter() -> None:
    chain = await world()
    record = await chain.tell("anna", entered_segment("new"), NOW)
    value = record.value or b""
    deep = value.replace(b'"data":', b'"causedepth":9,"data":')
    await chain.read(LoggedRecord("t", 0, 0, b"anna", deep, record.timestamp))
    assert await chain.history() == []


MOMENTS = b'"time":"2018-01-01T13:00:00Z","recordedtime":"2018-01-01T13:00:00Z"'
BROKEN = [
    b"",
    b'{"type":"segment.entered.v1"',
    b'{"type":"segment.entered.v1","stream":7}',
    b'{"type":"segment.entered.v1","stream":"s","streamversion":1,' + MOMENTS + b',"data":{}}',
]


async def test_broken_records_are_passed_over_and_their_neighbours_are_not() -> None:
    chain = await world()
    good = await chain.tell("anna", entered_segment("new"), NOW)
    broken = [LoggedRecord("t", 0, n, b"x", value) for n, value in enumerate(BROKEN)]
    entries = list((await SeriesBook(chain.store).now()).values())
    records = [*broken, good, *broken]
    assert [noticed.customer for _, noticed in entering(entries, records)] == ["anna"]
    assert list(moving(entries, records)) == []


async def test_a_series_depends_on_the_topics_of_its_signs_and_on_the_customers() -> None:
    chain = await world()
    (entry,) = (await SeriesBook(chain.store).now()).values()
    assert topics_of_series(entry) == [
        "customer.events.v1",
        "interaction.events.v1",
        "segment.events.v1",
    ]
    alone = await world(defined(STEPS[0], exits=()))
    (entry,) = (await SeriesBook(alone.store).now()).values()
    assert topics_of_series(entry) == ["customer.events.v1", "segment.events.v1"]
    assert mark_of(KEPT) != mark_of(OnEvent(event=KEPT.event))
