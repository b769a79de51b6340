"""Series and journeys: given events, when a command, then events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest

from services.notify.domain.series import (
    JOURNEY,
    NOT_YET,
    NOTHING_KNOWN,
    SERIES,
    Became,
    Course,
    DefineSeries,
    GoOn,
    Note,
    NoteSign,
    Said,
    SeriesVersion,
    Steering,
    SteerSeries,
    Surroundings,
    Turn,
    mark_of,
    series_of,
)
from services.notify.domain.series.course import awaited
from shared.decider import NewEvent
from shared.events.campaign import Condition, OnDate, OnEntering, OnEvent, OnLeaving
from shared.events.contract import EventData
from shared.events.series import (
    BranchStep,
    EndReason,
    EndStep,
    FieldIs,
    IsMember,
    JourneyEnded,
    JourneyEntered,
    JourneyNoted,
    JourneyPassedOver,
    JourneyStepTaken,
    JourneyWaiting,
    KnownQuestion,
    KnownSign,
    KnownStep,
    MessageState,
    MessageWas,
    Outcome,
    SendStep,
    SeriesDefined,
    SeriesPaused,
    SeriesResumed,
    SeriesStarted,
    SeriesStopped,
    WaitEventStep,
    WaitMessageStep,
    WaitStep,
    WaitUntilStep,
)
from shared.testing.specification import given

T0 = datetime(2018, 1, 1, 12, tzinfo=UTC)
HOUR, DAY, TICK = timedelta(hours=1), timedelta(days=1), timedelta(milliseconds=1)
BOUGHT = OnEvent(event="interaction.receipt_recorded.v1")
VISITED = WaitEventStep(
    id="visit", event="interaction.visit_recorded.v1", at_most="P7D", next="thanks", otherwise="ask"
)
STEPS: tuple[KnownStep, ...] = (
    SendStep(id="hello", campaign="hello"),
    VISITED,
    BranchStep(id="ask", question=FieldIs(field="language", values=("en",)), otherwise="done"),
    SendStep(id="remind", campaign="remind", next="done"),
    SendStep(id="thanks", campaign="thanks"),
    EndStep(id="done"),
)
DEFINED = SeriesDefined(
    series="welcome",
    title="Welcome",
    entry=OnEntering(segment="new"),
    steps=STEPS,
    exits=(BOUGHT, OnLeaving(segment="new")),
)


def course(*turns: Turn, **change: object) -> Course:
    """The series with other fields; started a day before the first moment of the tests."""
    version = SeriesVersion(1, T0 - 2 * DAY, DEFINED.model_copy(update=change))
    return Course((version,), (Turn(T0 - DAY, "running"), *turns))


def enters(at: datetime = T0, happened: datetime | None = None, cause: str = "m@1") -> Note:
    return Note(at, happened or at, cause, enters=True)


def sign(
    kind: KnownSign, at: datetime, happened: datetime | None = None, cause: str = "f@1"
) -> Note:
    return Note(at, happened or at, cause, signs=frozenset([mark_of(kind)]))


def sign_of(kind: Became, at: datetime) -> Note:
    return Note(at, at, "message-m@3", signs=frozenset([mark_of(kind)]))


def noted(note: Note) -> JourneyNoted:
    return JourneyNoted(
        series="welcome",
        at=note.at,
        happened=note.happened,
        cause=note.cause,
        enters=note.enters,
        signs=tuple(note.signs),
        ends=note.ends,
    )


def entered(at: datetime = T0, number: int = 1, version: int = 1) -> JourneyEntered:
    return JourneyEntered(series="welcome", number=number, version=version, at=at, cause="m@1")


def sent(step: str, at: datetime, number: int = 1) -> JourneyStepTaken:
    return JourneyStepTaken(
        series="welcome",
        number=number,
        step=step,
        at=at,
        outcome="sent",
        campaign=step,
        occurrence=f"welcome/{number}/{step}",
    )


def taken(step: str, at: datetime, outcome: Outcome) -> JourneyStepTaken:
    return JourneyStepTaken(series="welcome", number=1, step=step, at=at, outcome=outcome)


def waiting(step: str, at: datetime, until: datetime | None) -> JourneyWaiting:
    return JourneyWaiting(series="welcome", number=1, step=step, at=at, until=until)


def ended(at: datetime, reason: EndReason, exit_: KnownSign | None = None) -> JourneyEnded:
    return JourneyEnded(series="welcome", number=1, at=at, reason=reason, exit=exit_)


def go(
    before: datetime, of: Course | None = None, surroundings: Surroundings = NOTHING_KNOWN
) -> GoOn:
    return GoOn(of or course(), "welcome", before, surroundings)


@dataclass(frozen=True, slots=True)
class Known:
    """Everything is known: a zone, and the answers by question."""

    answers: Mapping[str, bool] = field(default_factory=dict)
    where: tzinfo = UTC
    reaches: Mapping[tuple[str, str], datetime] = field(default_factory=dict)

    def zone(self, _at: datetime) -> tzinfo:
        return self.where

    def answer(self, question: IsMember | FieldIs, _at: datetime) -> bool:
        return self.answers[question.kind]

    def reached(self, said: Said, state: MessageState) -> datetime:
        return self.reaches.get((said.occurrence, state), NOT_YET)


AT_VISIT: list[EventData] = [entered(), sent("hello", T0), waiting("visit", T0, T0 + 7 * DAY)]


def test_who_enters_begins_at_once_up_to_the_first_wait() -> None:
    command = NoteSign(course(), "welcome", enters())
    given(JOURNEY).when(command).then(
        [NewEvent(data, T0) for data in AT_VISIT]  # each at the exact moment
    )


@pytest.mark.parametrize(
    "change",
    [{"start": T0 + TICK}, {"end": T0}, {"end": T0 - HOUR}],
)
def test_nobody_enters_before_the_start_or_from_the_end_on(change: dict[str, object]) -> None:
    given(JOURNEY).when(NoteSign(course(**change), "welcome", enters())).then_nothing()


def test_nobody_enters_a_series_that_does_not_run_or_by_what_happened_before_it_did() -> None:
    stopped = course(Turn(T0, "stopped"))
    given(JOURNEY).when(NoteSign(stopped, "welcome", enters())).then_nothing()
    old = enters(happened=T0 - DAY - TICK)
    given(JOURNEY).when(NoteSign(course(), "welcome", old)).then_nothing()
    again = course(Turn(T0 - HOUR, "stopped"), Turn(T0 - TICK, "running"))
    in_between = enters(happened=T0 - HOUR)
    given(JOURNEY).when(NoteSign(again, "welcome", in_between)).then_nothing()


def test_an_event_that_was_waited_for_lets_it_go_on_at_its_moment() -> None:
    note = sign(awaited(VISITED), T0 + DAY)
    given(JOURNEY, [*AT_VISIT, noted(note)]).when(go(T0 + DAY)).then_nothing()
    given(JOURNEY, [*AT_VISIT, noted(note)]).when(go(T0 + DAY + TICK)).then(
        [
            taken("visit", T0 + DAY, "came"),
            sent("thanks", T0 + DAY),
            ended(T0 + DAY, "finished"),
        ]
    )


def test_the_wait_is_over_at_its_exact_moment_however_late_that_is_seen() -> None:
    due = T0 + 7 * DAY
    given(JOURNEY, AT_VISIT).when(go(due)).then_nothing()
    answers = Known({"field": True})
    given(JOURNEY, AT_VISIT).when(go(due + 30 * DAY, surroundings=answers)).then(
        [
            taken("visit", due, "timed_out"),
            taken("ask", due, "yes"),
            sent("remind", due),
            ended(due, "finished"),
        ]
    )


def test_an_event_of_the_very_moment_of_the_timeout_came() -> None:
    due = T0 + 7 * DAY
    events = [*AT_VISIT, noted(sign(awaited(VISITED), due))]
    given(JOURNEY, events).when(go(due + TICK)).then(
        [taken("visit", due, "came"), sent("thanks", due), ended(due, "finished")]
    )


def test_what_happened_before_the_wait_or_comes_after_the_timeout_changes_nothing() -> None:
    early = sign(awaited(VISITED), T0 + HOUR, happened=T0)
    given(JOURNEY, AT_VISIT).when(NoteSign(course(), "welcome", early)).then_nothing()
    due = T0 + 7 * DAY
    late = sign(awaited(VISITED), due + TICK, happened=due - HOUR)
    given(JOURNEY, [*AT_VISIT, noted(late)]).when(
        go(due + DAY, surroundings=Known({"field": False}))
    ).then(
        [
            taken("visit", due, "timed_out"),
            taken("ask", due, "no"),
            ended(due, "finished"),
            JourneyPassedOver(series="welcome", until=due + TICK),
        ]
    )


def test_an_exit_ends_it_wherever_it_is_and_before_what_came_at_the_same_moment() -> None:
    at = T0 + DAY
    both = Note(at, at, "f@1", signs=frozenset([mark_of(BOUGHT), mark_of(awaited(VISITED))]))
    given(JOURNEY, [*AT_VISIT, noted(both)]).when(go(at + TICK)).then([ended(at, "exit", BOUGHT)])
    due = T0 + 7 * DAY
    at_the_timeout = sign(BOUGHT, due)
    given(JOURNEY, [*AT_VISIT, noted(at_the_timeout)]).when(go(due + TICK)).then(
        [ended(due, "exit", BOUGHT)]
    )


def test_what_was_read_in_another_order_comes_to_the_same() -> None:
    visit = noted(sign(awaited(VISITED), T0 + 2 * DAY, cause="f@2"))
    bought = noted(sign(BOUGHT, T0 + DAY, cause="f@1"))
    for order in ([visit, bought], [bought, visit]):
        given(JOURNEY, [*AT_VISIT, *order]).when(go(T0 + 3 * DAY)).then(
            [ended(T0 + DAY, "exit", BOUGHT), JourneyPassedOver(series="welcome", until=visit.at)]
        )


@pytest.mark.parametrize("reason", ["merged", "erased"])
def test_a_customer_who_is_no_more_ends_it(reason: Literal["merged", "erased"]) -> None:
    note = Note(T0 + DAY, T0 + DAY, "customer@9", ends=reason)
    given(JOURNEY, [*AT_VISIT, noted(note)]).when(go(T0 + 2 * DAY)).then([ended(T0 + DAY, reason)])
    given(JOURNEY).when(NoteSign(course(), "welcome", note)).then_nothing()
    at_once = Note(T0, T0, "customer@9", ends=reason)
    given(JOURNEY, AT_VISIT).when(NoteSign(course(), "welcome", at_once)).then_nothing()


def test_a_stop_ends_it_at_its_moment_and_not_what_ended_before() -> None:
    stopped = course(Turn(T0 + DAY, "stopped"))
    given(JOURNEY, AT_VISIT).when(go(T0 + DAY, stopped)).then_nothing()
    given(JOURNEY, AT_VISIT).when(go(T0 + 9 * DAY, stopped)).then([ended(T0 + DAY, "stopped")])
    bought = noted(sign(BOUGHT, T0 + HOUR))
    given(JOURNEY, [*AT_VISIT, bought]).when(go(T0 + 9 * DAY, stopped)).then(
        [ended(T0 + HOUR, "exit", BOUGHT)]
    )


def test_what_is_due_in_a_pause_is_done_when_it_is_resumed() -> None:
    due, resumed = T0 + 7 * DAY, T0 + 9 * DAY
    paused = course(Turn(T0 + 6 * DAY, "paused"))
    given(JOURNEY, AT_VISIT).when(go(T0 + 30 * DAY, paused)).then_nothing()
    after = course(Turn(T0 + 6 * DAY, "paused"), Turn(resumed, "running"))
    known = Known({"field": True})
    given(JOURNEY, AT_VISIT).when(go(resumed + TICK, after, known)).then(
        [
            taken("visit", resumed, "timed_out"),
            taken("ask", resumed, "yes"),
            sent("remind", resumed),
            ended(resumed, "finished"),
        ]
    )
    # What came in the pause came before the wait was over: that ends with the pause.
    came = noted(sign(awaited(VISITED), due + HOUR))
    given(JOURNEY, [*AT_VISIT, came]).when(go(resumed, after)).then_nothing()
    given(JOURNEY, [*AT_VISIT, came]).when(go(resumed + TICK, after)).then(
        [taken("visit", resumed, "came"), sent("thanks", resumed), ended(resumed, "finished")]
    )


def test_who_enters_while_it_is_paused_takes_the_first_step_afterwards_unless_it_ends() -> None:
    paused = course(Turn(T0 - HOUR, "paused"))
    given(JOURNEY).when(NoteSign(paused, "welcome", enters())).then([entered()])
    resumed = course(Turn(T0 - HOUR, "paused"), Turn(T0 + DAY, "running"))
    until = T0 + 8 * DAY
    given(JOURNEY, [entered()]).when(go(T0 + 2 * DAY, resumed)).then(
        [sent("hello", T0 + DAY), waiting("visit", T0 + DAY, until)]
    )
    bought = noted(sign(BOUGHT, T0 + HOUR))
    given(JOURNEY, [entered(), bought]).when(go(T0 + 2 * DAY, paused)).then(
        [ended(T0 + HOUR, "exit", BOUGHT)]
    )


def test_a_branch_waits_until_the_answer_is_known_and_nothing_overtakes_it() -> None:
    due = T0 + 7 * DAY
    stands = waiting("ask", due, None)
    given(JOURNEY, AT_VISIT).when(go(due + DAY)).then([taken("visit", due, "timed_out"), stands])
    history = [*AT_VISIT, taken("visit", due, "timed_out"), stands]
    given(JOURNEY, history).when(go(due + DAY)).then_nothing()
    bought = noted(sign(BOUGHT, due + HOUR))
    given(JOURNEY, [*history, bought]).when(go(due + DAY)).then_nothing()
    given(JOURNEY, [*history, bought]).when(
        go(due + DAY, surroundings=Known({"field": True}))
    ).then(
        [
            taken("ask", due, "yes"),
            sent("remind", due),
            ended(due, "finished"),
            JourneyPassedOver(series="welcome", until=due + HOUR),
        ]
    )


@pytest.mark.parametrize(
    ("question", "answer", "step"),
    [
        (IsMember(segment="vip"), True, "yes-said"),
        (IsMember(segment="vip"), False, "no-said"),
        (MessageWas(step="hello", state="clicked"), True, "yes-said"),
        (FieldIs(field="city", values=("Riga",)), False, "no-said"),
    ],
)
def test_a_branch_goes_where_its_answer_leads(
    question: KnownQuestion, *, answer: bool, step: str
) -> None:
    asked: list[Said] = []

    class Answers(Known):
        def answer(self, _question: IsMember | FieldIs, _at: datetime) -> bool:
            return answer

        def reached(self, said: Said, _state: MessageState) -> datetime:
            asked.append(said)
            return T0

    steps = (
        SendStep(id="hello", campaign="hello"),
        BranchStep(id="fork", question=question, otherwise="no-said"),
        SendStep(id="yes-said", campaign="yes-said", next="end"),
        SendStep(id="no-said", campaign="no-said"),
        EndStep(id="end"),
    )
    given(JOURNEY, [entered(), sent("hello", T0)]).when(
        go(T0 + TICK, course(steps=steps), Answers())
    ).then(
        [
            taken("fork", T0, "yes" if answer else "no"),
            sent(step, T0),
            ended(T0, "finished"),
        ]
    )
    about = isinstance(question, MessageWas)
    assert asked == [Said("hello", "welcome/1/hello")] * about


# Riga puts its clock forward on 25 March 2018 at 3:00 (1:00 UTC), and back on 28 October at 4:00.
@pytest.mark.parametrize(
    ("since", "step", "until"),
    [
        ("2018-01-01T12:00Z", WaitUntilStep(id="w", at="10:00"), "2018-01-02T08:00Z"),
        ("2018-01-01T07:59Z", WaitUntilStep(id="w", at="10:00"), "2018-01-01T08:00Z"),
        ("2018-01-01T08:00Z", WaitUntilStep(id="w", at="10:00"), "2018-01-02T08:00Z"),
        ("2018-01-01T12:00Z", WaitUntilStep(id="w", at="10:00", weekday=1), "2018-01-08T08:00Z"),
        ("2018-03-24T12:00Z", WaitUntilStep(id="w", at="10:00"), "2018-03-25T07:00Z"),
        ("2018-03-24T12:00Z", WaitUntilStep(id="w", at="03:30"), "2018-03-25T01:30Z"),
        ("2018-10-27T12:00Z", WaitUntilStep(id="w", at="03:30"), "2018-10-28T00:30Z"),
        ("2018-10-28T00:45Z", WaitUntilStep(id="w", at="03:30"), "2018-10-29T01:30Z"),
    ],
)
def test_a_local_hour_is_by_the_customers_clock(
    since: str, step: WaitUntilStep, until: str
) -> None:
    at, then = datetime.fromisoformat(since), datetime.fromisoformat(until)
    riga = Known(where=ZoneInfo("Europe/Riga"))
    started = Course(course(steps=(step,)).versions, (Turn(T0 - DAY, "running"),))
    given(JOURNEY, [entered(at)]).when(go(at + TICK, started, riga)).then([waiting("w", at, then)])
    given(JOURNEY, [entered(at)]).when(go(at + TICK, started)).then([waiting("w", at, None)])
    stands = [entered(at), waiting("w", at, None)]
    given(JOURNEY, stands).when(go(then + TICK, started, riga)).then(
        [waiting("w", at, then), taken("w", then, "waited"), ended(then, "finished")]
    )


def test_a_wait_goes_on_after_so_long() -> None:
    steps = (WaitStep(id="rest", length="PT36H"), EndStep(id="end"))
    of = course(steps=steps)
    given(JOURNEY).when(NoteSign(of, "welcome", enters())).then(
        [entered(), waiting("rest", T0, T0 + 36 * HOUR)]
    )
    given(JOURNEY, [entered(), waiting("rest", T0, T0 + 36 * HOUR)]).when(
        go(T0 + 37 * HOUR, of)
    ).then([taken("rest", T0 + 36 * HOUR, "waited"), ended(T0 + 36 * HOUR, "finished")])


OVER: list[EventData] = [*AT_VISIT, ended(T0 + DAY, "exit", BOUGHT)]


@pytest.mark.parametrize(
    ("change", "at", "again"),
    [
        ({"reentry": "never"}, T0 + 9 * DAY, False),
        ({"reentry": "ended"}, T0 + DAY, False),
        ({"reentry": "ended"}, T0 + DAY + TICK, True),
        ({"reentry": "ended", "reentry_after": "P7D"}, T0 + 8 * DAY - TICK, False),
        ({"reentry": "ended", "reentry_after": "P7D"}, T0 + 8 * DAY, True),
    ],
)
def test_who_may_enter_again(change: dict[str, object], at: datetime, *, again: bool) -> None:
    command = NoteSign(course(**change), "welcome", enters(at, cause="m@3"))
    if not again:
        given(JOURNEY, OVER).when(command).then_nothing()
        return
    events = given(JOURNEY, OVER).when(command).events
    first = events[0].data
    assert isinstance(first, JourneyEntered)
    assert (first.number, first.at, first.cause) == (2, at, "m@3")
    assert events[1].data == sent("hello", at, number=2)


def test_who_is_under_way_enters_again_only_once_that_is_over() -> None:
    again = course(reentry="ended")
    early, late = enters(T0 + HOUR, cause="m@3"), enters(T0 + 2 * DAY, cause="m@5")
    given(JOURNEY, AT_VISIT).when(NoteSign(course(), "welcome", early)).then_nothing()
    given(JOURNEY, AT_VISIT).when(NoteSign(again, "welcome", early)).then([noted(early)])
    bought = sign(BOUGHT, T0 + DAY)
    history = [*AT_VISIT, noted(early), noted(late), noted(bought)]
    events = given(JOURNEY, history).when(go(T0 + 3 * DAY, again)).events
    assert [type(each.data) for each in events] == [
        JourneyEnded,
        JourneyEntered,
        JourneyStepTaken,
        JourneyWaiting,
    ]
    assert [each.time for each in events] == [T0 + DAY, *[T0 + 2 * DAY] * 3]


def test_an_occasion_in_a_pause_that_a_stop_ended_is_not_looked_at_for_ever() -> None:
    """It may not enter again yet, and no pause will ever be over for it."""
    history = [entered(), ended(T0 + HOUR, "finished"), noted(enters(T0 + 3 * HOUR))]
    paused = Turn(T0 + 2 * HOUR, "paused")
    waits = course(paused, reentry="ended", reentry_after="P30D")
    given(JOURNEY, history).when(go(T0 + DAY, waits)).then([])
    stopped = Turn(T0 + 4 * HOUR, "stopped")
    over = course(
        paused, stopped, Turn(T0 + 5 * HOUR, "running"), reentry="ended", reentry_after="P30D"
    )
    passed = JourneyPassedOver(series="welcome", until=T0 + 3 * HOUR)
    given(JOURNEY, history).when(go(T0 + DAY, over)).then([passed])


def test_who_entered_before_a_change_goes_through_the_steps_of_then() -> None:
    changed = DEFINED.model_copy(update={"steps": (EndStep(id="end"),)})
    both = Course((*course().versions, SeriesVersion(3, T0 + HOUR, changed)), course().turns)
    note = sign(awaited(VISITED), T0 + DAY)
    given(JOURNEY, [*AT_VISIT, noted(note)]).when(go(T0 + 2 * DAY, both)).then(
        [taken("visit", T0 + DAY, "came"), sent("thanks", T0 + DAY), ended(T0 + DAY, "finished")]
    )
    given(JOURNEY).when(NoteSign(both, "welcome", enters(T0 + HOUR))).then(
        [entered(T0 + HOUR, version=3), ended(T0 + HOUR, "finished")]
    )
    given(JOURNEY).when(NoteSign(both, "welcome", enters(T0 + HOUR - TICK))).then(
        [
            entered(T0 + HOUR - TICK),
            sent("hello", T0 + HOUR - TICK),
            waiting("visit", T0 + HOUR - TICK, T0 + 7 * DAY + HOUR - TICK),
        ]
    )


def test_what_concerns_nobody_is_not_noted() -> None:
    of = course()
    given(JOURNEY).when(NoteSign(of, "welcome", sign(BOUGHT, T0))).then_nothing()
    given(JOURNEY, OVER).when(NoteSign(of, "welcome", sign(BOUGHT, T0 + 2 * DAY))).then_nothing()
    other = sign(OnEntering(segment="other"), T0 + HOUR)
    given(JOURNEY, AT_VISIT).when(NoteSign(of, "welcome", other)).then_nothing()
    before = sign(BOUGHT, T0 + HOUR, happened=T0)
    given(JOURNEY, AT_VISIT).when(NoteSign(of, "welcome", before)).then_nothing()
    counts = sign(BOUGHT, T0 + HOUR, happened=T0 + TICK)
    given(JOURNEY, AT_VISIT).when(NoteSign(of, "welcome", counts)).then([noted(counts)])


def test_the_series_of_a_message_is_in_its_occurrence() -> None:
    assert series_of("welcome/1/hello") == "welcome"
    assert series_of("lapsed@3") is None


def test_a_series_goes_through_its_states() -> None:
    ways: list[Steering] = ["start", "pause", "resume", "stop"]
    steer = [SteerSeries("welcome", way, T0) for way in ways]
    start, pause, resume, stop = steer
    running = [DEFINED, SeriesStarted(series="welcome")]
    paused = [*running, SeriesPaused(series="welcome")]
    stopped = [*paused, SeriesStopped(series="welcome")]
    given(SERIES).when(start).then_refused("not-found")
    given(SERIES, [DEFINED]).when(start).then([SeriesStarted(series="welcome")])
    given(SERIES, [DEFINED]).when(pause).then_refused("series-not-running")
    given(SERIES, [DEFINED]).when(stop).then_nothing()
    given(SERIES, running).when(start).then_nothing()
    given(SERIES, running).when(resume).then_nothing()
    given(SERIES, running).when(pause).then([SeriesPaused(series="welcome")])
    given(SERIES, paused).when(start).then_refused("series-paused")
    given(SERIES, paused).when(pause).then_nothing()
    given(SERIES, paused).when(resume).then([SeriesResumed(series="welcome")])
    given(SERIES, paused).when(stop).then([SeriesStopped(series="welcome")])
    given(SERIES, stopped).when(resume).then_refused("series-not-running")
    given(SERIES, stopped).when(start).then([SeriesStarted(series="welcome")])
    over = DEFINED.model_copy(update={"end": T0})
    given(SERIES, [over]).when(start).then_refused("too-late")


def test_a_definition_changes_at_any_time_by_who_has_seen_it() -> None:
    seen: list[int] = []
    changed = DEFINED.model_copy(update={"title": "Other"})
    command = DefineSeries(changed, T0, seen.append)
    given(SERIES, [DEFINED, SeriesStarted(series="welcome")]).when(command).then([changed])
    given(SERIES, [changed]).when(command).then_nothing()
    given(SERIES).when(command).then([changed])
    assert seen == [2]


def chain(*steps: KnownStep) -> dict[str, object]:
    return {"steps": steps}


VISIT = "interaction.visit_recorded.v1"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"series": "No Name"}, "name"),
        ({"title": " "}, "title"),
        ({"entry": OnEntering(segment="No")}, "entry.segment"),
        ({"entry": OnEvent(event="task.planned.v1")}, "entry.event"),
        ({"entry": OnDate(field="name", at="10:00")}, "entry.field"),
        ({"exits": (BOUGHT, OnLeaving(segment="No"))}, "exits.1.segment"),
        (
            {
                "exits": (
                    OnEvent(event=VISIT, where=(Condition(field="no", test="equals", value=1),)),
                )
            },
            "exits.0.where.0.field",
        ),
        ({"exits": (BOUGHT,) * 11}, "exits"),
        ({"reentry_after": "P1D"}, "reentry_after"),
        ({"reentry": "ended", "reentry_after": "P1M"}, "reentry_after"),
        ({"start": T0, "end": T0}, "end"),
        (chain(), "steps"),
        (chain(*(SendStep(id=f"s-{n}", campaign="c") for n in range(51))), "steps"),
        (chain(SendStep(id="No", campaign="c")), "steps.0.id"),
        (chain(SendStep(id="a", campaign="c"), EndStep(id="a")), "steps.1.id"),
        (chain(SendStep(id="a", campaign="No")), "steps.0.campaign"),
        (chain(WaitStep(id="a", length="soon")), "steps.0.length"),
        (chain(WaitStep(id="a", length="P367D")), "steps.0.length"),
        (chain(WaitEventStep(id="a", event=VISIT, at_most="P0D")), "steps.0.at_most"),
        (chain(WaitEventStep(id="a", event="no.v1", at_most="P1D")), "steps.0.event"),
        (
            chain(WaitMessageStep(id="a", step="b", state="clicked", at_most="P1D")),
            "steps.0.step",
        ),
        (
            chain(
                SendStep(id="a", campaign="c"),
                WaitMessageStep(id="b", step="a", state="clicked", at_most="soon"),
            ),
            "steps.1.at_most",
        ),
        (
            chain(
                SendStep(id="a", campaign="c"),
                WaitMessageStep(
                    id="b", step="a", state="opened", at_most="P1D", next="c", otherwise="a"
                ),
                EndStep(id="c"),
            ),
            "steps.1.otherwise",
        ),
        (chain(SendStep(id="a", campaign="c", next="b")), "steps.0.next"),
        (
            chain(WaitEventStep(id="a", event=VISIT, at_most="P1D", otherwise="b")),
            "steps.0.otherwise",
        ),
        (chain(BranchStep(id="a", question=IsMember(segment="No"))), "steps.0.question.segment"),
        (
            chain(
                WaitStep(id="w", length="P1D"),
                BranchStep(id="a", question=MessageWas(step="w", state="sent")),
            ),
            "steps.1.question.step",
        ),
        (
            chain(BranchStep(id="a", question=FieldIs(field="city", values=()))),
            "steps.0.question.values",
        ),
        (
            chain(BranchStep(id="a", question=FieldIs(field="city", values=("x" * 201,)))),
            "steps.0.question.values",
        ),
        (chain(EndStep(id="a"), EndStep(id="b")), "steps.1"),
        (chain(WaitStep(id="a", length="P1D", next="a")), "steps.0.next"),
        (
            chain(
                WaitStep(id="a", length="P1D"),
                BranchStep(id="b", question=IsMember(segment="s"), next="c", otherwise="a"),
                EndStep(id="c"),
            ),
            "steps.1.otherwise",
        ),
    ],
)
def test_what_is_wrong_in_a_definition_is_named(change: dict[str, Any], field: str) -> None:
    definition = DEFINED.model_copy(update=change)
    given(SERIES).when(DefineSeries(definition, T0)).then_refused("invalid", field)


ASKING: tuple[KnownStep, ...] = (
    SendStep(id="hello", campaign="hello"),
    WaitMessageStep(id="click", step="hello", state="clicked", at_most="P7D"),
    EndStep(id="done"),
)


def test_a_message_is_waited_for_once_it_is_known_that_it_has_not_come_so_far() -> None:
    of = course(steps=ASKING)
    begun = [entered(), sent("hello", T0), waiting("click", T0, None)]
    given(JOURNEY).when(NoteSign(of, "welcome", enters())).then([NewEvent(e, T0) for e in begun])
    given(JOURNEY, begun).when(go(T0 + HOUR, of)).then_nothing()
    waits = waiting("click", T0, T0 + 7 * DAY)
    given(JOURNEY, begun).when(go(T0 + HOUR, of, Known())).then([waits])
    clicked = Known(reaches={("welcome/1/hello", "clicked"): T0 + DAY})
    given(JOURNEY, [*begun, waits]).when(go(T0 + DAY, of, clicked)).then_nothing()
    # Nobody has looked: the end of the wait does not overtake the answer.
    given(JOURNEY, [*begun, waits]).when(go(T0 + 9 * DAY, of)).then_nothing()
    given(JOURNEY, [*begun, waits]).when(go(T0 + 9 * DAY, of, clicked)).then(
        [taken("click", T0 + DAY, "came"), ended(T0 + DAY, "finished")]
    )
    given(JOURNEY, [*begun, waits]).when(go(T0 + 9 * DAY, of, Known())).then(
        [taken("click", T0 + 7 * DAY, "timed_out"), ended(T0 + 7 * DAY, "finished")]
    )


def test_what_is_heard_of_messages_is_noted_while_somebody_may_wait_for_it() -> None:
    of = course(steps=ASKING)
    begun = [entered(), sent("hello", T0), waiting("click", T0, T0 + 7 * DAY)]
    clicked = sign_of(Became("hello", "clicked"), T0 + DAY)
    given(JOURNEY, begun).when(NoteSign(of, "welcome", clicked)).then([noted(clicked)])
    opened = sign_of(Became("hello", "opened"), T0 + DAY)
    given(JOURNEY, begun).when(NoteSign(of, "welcome", opened)).then_nothing()
    longer = course(steps=(*ASKING[:2], WaitStep(id="rest", length="P9D"), ASKING[2]))
    passed = [*begun, taken("click", T0 + DAY, "came"), waiting("rest", T0 + DAY, T0 + 10 * DAY)]
    again = sign_of(Became("hello", "clicked"), T0 + 2 * DAY)
    given(JOURNEY, passed).when(NoteSign(longer, "welcome", again)).then_nothing()


def test_where_there_are_two_ways_in_nobody_begins_before_the_other_is_known() -> None:
    dated = DEFINED.model_copy(update={"entry": OnDate(field="birth_date", at="10:00")})
    both = Course((*course().versions, SeriesVersion(3, T0 + HOUR, dated)), course().turns)
    later, first = enters(T0 + 2 * HOUR, cause="birth_date-2018@3"), enters()
    given(JOURNEY).when(NoteSign(both, "welcome", later)).then([noted(later)])
    given(JOURNEY, [noted(later)]).when(NoteSign(both, "welcome", first)).then([noted(first)])
    events = given(JOURNEY, [noted(later), noted(first)]).when(go(T0 + DAY, both)).events
    assert [each.data for each in events[:2]] == [entered(), sent("hello", T0)]


def test_ways_may_meet_again() -> None:
    given(SERIES).when(DefineSeries(DEFINED, T0)).then([DEFINED])
