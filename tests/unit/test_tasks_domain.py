"""What may be done with a task, and what follows from it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.interaction.domain.task import GENERATION_VERSIONS, task_stream, task_version
from services.interaction.domain.task_rules import RULES, DefineRules
from services.interaction.domain.task_times import moment_of, next_due, span_of
from services.interaction.domain.tasks import (
    TASK,
    Cancel,
    Change,
    Command,
    Complete,
    Confirm,
    Continue,
    GiveBack,
    Plan,
    Reopen,
    Settle,
    TakeOver,
    Transfer,
)
from shared.decider import NewEvent, Refused
from shared.events.task import (
    Escalation,
    HandOver,
    Question,
    Recurrence,
    Reminder,
    Series,
    TaskCancelled,
    TaskChanged,
    TaskCompleted,
    TaskContinued,
    TaskEscalated,
    TaskMerge,
    TaskOrigin,
    TaskOverdue,
    TaskPlanned,
    TaskReminded,
    TaskReopened,
    TaskRulesDefined,
    TaskTerms,
    TaskTransferred,
    TaskWords,
)
from shared.testing import DAY, given

HOUR = timedelta(hours=1)
DUE = DAY + 5 * HOUR
LATER = DAY + 48 * HOUR
BY_HAND = TaskOrigin(kind="person")
HANDED = HandOver(giver="eve", taker="fay", leaving="employees@4")


def terms(**said: Any) -> TaskTerms:  # noqa: ANN401 - any of the terms
    return TaskTerms(kind="call", since=DAY).model_copy(
        update={"due": DUE, "responsible": "eve", **said}
    )


def planned(**said: Any) -> TaskPlanned:  # noqa: ANN401 - any of the terms
    agreed = terms(**said)
    series = None
    if agreed.recurrence is not None:
        assert agreed.due is not None
        series = Series(first="t", since=agreed.due, number=0)
    return TaskPlanned(
        task="t", terms=agreed, words=TaskWords(title="Call"), origin=BY_HAND, series=series
    )


def completed(at: datetime = LATER, **said: Any) -> TaskCompleted:  # noqa: ANN401 - any of its fields
    return TaskCompleted(task="t", at=at, **said)


def plan(**said: Any) -> Plan:  # noqa: ANN401 - any of the terms
    return Plan(task="t", at=DAY, terms=terms(**said), words=TaskWords(title="Call"))


def test_a_task_is_planned_with_all_that_was_agreed() -> None:
    given(TASK).when(plan(branch="12")).then([NewEvent(planned(branch="12"), DAY, "12")])
    given(TASK, [planned()]).when(plan(priority="high")).then_nothing()


def test_a_recurring_task_begins_a_series() -> None:
    weekly = Recurrence(every="P1W")
    given(TASK).when(plan(recurrence=weekly)).then([planned(recurrence=weekly)])


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"reminders": (Reminder(),)}, "reminders.0"),
        ({"reminders": (Reminder(at=DAY, before="PT1H"),)}, "reminders.0"),
        ({"reminders": (Reminder(at=DAY), Reminder(before="1h"))}, "reminders.1.before"),
        ({"reminders": (Reminder(before="P9Y"),)}, "reminders.0.before"),
        ({"reminders": (Reminder(before="PT1H"),), "due": None}, "reminders.0.before"),
        ({"reminders": (Reminder(before="PT1H"),) * 11}, "reminders"),
        ({"recurrence": Recurrence(every="PT1H")}, "recurrence.every"),
        ({"recurrence": Recurrence(every="P1D"), "due": None}, "recurrence"),
        ({"escalation": Escalation(after="P1M", employee="fay")}, "escalation.after"),
        ({"escalation": Escalation(after="P99999W", employee="fay")}, "escalation.after"),
        ({"escalation": Escalation(after="P1D")}, "escalation"),
        ({"escalation": Escalation(after="P1D", employee="f", position="p")}, "escalation"),
        ({"escalation": Escalation(after="P1D", employee="f"), "due": None}, "escalation"),
        ({"questionnaire": (Question(question="a", text="?"),) * 2}, "questionnaire"),
        (
            {"questionnaire": tuple(Question(question=f"q{n}", text="?") for n in range(51))},
            "questionnaire",
        ),
    ],
)
def test_what_cannot_be_agreed_on_is_named(said: dict[str, Any], field: str) -> None:
    given(TASK).when(plan(**said)).then_refused("invalid", field)
    given(TASK, [planned()]).when(Change(task="t", at=DAY, terms=said)).then_refused(
        "invalid", field
    )


COMMANDS: list[Command] = [
    Change(task="t", at=LATER, terms={"priority": "high"}),
    Complete(task="t", at=LATER),
    Confirm(task="t", at=LATER),
    Cancel(task="t", at=LATER, reason="not_needed"),
    Reopen(task="t", at=LATER),
    Settle(task="t", at=LATER),
    TakeOver(task="t", at=LATER, handed=HANDED),
    GiveBack(task="t", at=LATER, giver="eve"),
    Transfer(task="t", at=LATER, stream="task-t-2", customer="boris", merge="m"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_there_is_nothing_to_do_with_a_task_that_is_not_there(command: Command) -> None:
    given(TASK).when(command).then_refused("not-found")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_task_that_went_on_elsewhere_tells_where(command: Command) -> None:
    moved = TaskTransferred(task="t", stream="task-t-2", customer="boris", merge="m")
    refusal = given(TASK, [planned(), moved]).when(command).then_refused("task-moved")
    assert refusal.extra == {"stream": "task-t-2"}


def _out_of_scope(branch: str | None) -> None:
    if branch != "12":
        raise Refused("out-of-scope", 403, "No.")


def test_only_tasks_of_the_callers_branches_are_touched_before_and_after() -> None:
    elsewhere = Change(task="t", at=DAY, terms={"branch": "13"}, may_touch=_out_of_scope)
    given(TASK, [planned(branch="12")]).when(elsewhere).then_refused("out-of-scope")
    given(TASK, [planned(branch="13")]).when(elsewhere).then_refused("out-of-scope")
    unplanned = Plan(task="t", at=DAY, terms=terms(branch="13"), may_touch=_out_of_scope)
    given(TASK).when(unplanned).then_refused("out-of-scope")


def test_a_change_rests_on_a_version_but_the_same_again_is_no_change() -> None:
    def rests_on(version: int) -> None:
        raise Refused("precondition-failed", 412, str(version))

    change = Change(task="t", at=DAY, terms={"priority": "high"}, rests_on=rests_on)
    refusal = given(TASK, [planned()]).when(change).then_refused("precondition-failed")
    assert refusal.title == "1"
    given(TASK, [planned(priority="high")]).when(change).then_nothing()


def test_a_change_tells_only_what_is_different() -> None:
    said = {"due": DUE, "responsible": "fay"}
    change = Change(task="t", at=DAY + HOUR, terms=said, words=TaskWords(title="Call"), by="eve")
    # The moment did not change, so its timers are as old as they were.
    given(TASK, [planned()]).when(change).then(
        [TaskChanged(task="t", terms=terms(responsible="fay"), by="eve")]
    )
    words = Change(task="t", at=DAY, words=TaskWords(notes="gently"), cleared=("title",))
    given(TASK, [planned()]).when(words).then(
        [TaskChanged(task="t", words=TaskWords(notes="gently"), cleared=("title",))]
    )
    nothing = Change(task="t", at=DAY, words=TaskWords(title="Call"), cleared=("notes",))
    given(TASK, [planned()]).when(nothing).then_nothing()


def test_a_task_that_is_put_off_has_its_timers_anew() -> None:
    put_off = Change(task="t", at=DUE + HOUR, terms={"due": LATER})
    late = [planned(), TaskOverdue(task="t", due=DUE, responsible="eve")]
    changed = TaskChanged(task="t", terms=terms(due=LATER, since=DUE + HOUR))
    given(TASK, late).when(put_off).then([changed])
    settle = Settle(task="t", at=LATER)
    given(TASK, [*late, changed]).when(settle).then(
        [NewEvent(TaskOverdue(task="t", due=LATER, responsible="eve"), LATER)]
    )


def test_another_period_begins_another_series() -> None:
    weekly, daily = Recurrence(every="P1W"), Recurrence(every="P1D")
    change = Change(task="t", at=DAY, terms={"recurrence": daily, "due": DUE + HOUR})
    given(TASK, [planned(recurrence=weekly)]).when(change).then(
        [
            TaskChanged(
                task="t",
                terms=terms(recurrence=daily, due=DUE + HOUR),
                series=Series(first="t", since=DUE + HOUR, number=0),
            )
        ]
    )


def test_reminders_the_due_moment_and_escalation_are_told_at_their_exact_moments() -> None:
    agreed = planned(
        branch="12",
        reminders=(Reminder(before="PT2H"), Reminder(at=DAY + HOUR), Reminder(before="PT5M")),
        escalation=Escalation(after="P1D", position="manager"),
    )
    told = [
        NewEvent(TaskReminded(task="t", reminder=DAY + HOUR, responsible="eve"), DAY + HOUR, "12"),
        # 14:30 less two hours.
        NewEvent(
            TaskReminded(task="t", reminder=DAY + 3 * HOUR, responsible="eve"),
            DAY + 3 * HOUR,
            "12",
        ),
        NewEvent(
            TaskReminded(task="t", reminder=DUE - timedelta(minutes=5), responsible="eve"),
            DUE - timedelta(minutes=5),
            "12",
        ),
        NewEvent(TaskOverdue(task="t", due=DUE, responsible="eve"), DUE, "12"),
        NewEvent(
            TaskEscalated(task="t", deadline=DUE + 24 * HOUR, to="meg", responsible="eve"),
            DUE + 24 * HOUR,
            "12",
        ),
    ]
    settle = Settle(task="t", at=LATER, escalates_to="meg")
    given(TASK, [agreed]).when(settle).then(told)
    # Later, and one after another, it comes to the same; what was told is not told again.
    history: list[Any] = [agreed]
    for at in (DAY, DAY + HOUR, DAY + HOUR, DUE, LATER, LATER):
        result = given(TASK, history).when(Settle(task="t", at=at, escalates_to="meg"))
        history += [event.data for event in result.events]
    assert history[1:] == [event.data for event in told]


def test_what_is_due_before_it_was_agreed_is_told_when_it_was_agreed() -> None:
    agreed = planned(reminders=(Reminder(before="P1D"),))
    given(TASK, [agreed]).when(Settle(task="t", at=DAY)).then(
        [NewEvent(TaskReminded(task="t", reminder=DUE - 24 * HOUR, responsible="eve"), DAY)]
    )


def test_nothing_falls_due_of_a_task_that_is_done() -> None:
    settle = Settle(task="t", at=LATER)
    given(TASK, [planned(), completed(at=DAY)]).when(settle).then_nothing()
    given(TASK, [planned(due=None)]).when(settle).then_nothing()


def test_what_was_late_is_told_before_it_is_done_whoever_looked_at_the_clock() -> None:
    complete = Complete(task="t", at=LATER, outcome="reached", text="Fine", by="eve")
    given(TASK, [planned()]).when(complete).then(
        [
            NewEvent(TaskOverdue(task="t", due=DUE, responsible="eve"), DUE),
            NewEvent(completed(by="eve", outcome="reached", text="Fine"), LATER),
        ]
    )
    # Done in the very moment, it is not late.
    in_time = Complete(task="t", at=DUE)
    given(TASK, [planned()]).when(in_time).then([completed(at=DUE)])


def test_of_two_who_complete_a_task_the_second_is_told_who_was_first_and_when() -> None:
    history = [planned(), completed(by="eve")]
    refusal = given(TASK, history).when(Complete(task="t", at=LATER + HOUR, by="fay"))
    told = refusal.then_refused("task-completed")
    assert (told.status, told.extra) == (
        409,
        {"ended_by": "eve", "ended_at": "2017-12-03T09:30:00.000Z"},
    )


def test_what_is_cancelled_cannot_be_completed_nor_changed() -> None:
    cancelled = TaskCancelled(task="t", at=LATER, reason="not_needed")
    for command in (Complete(task="t", at=LATER), COMMANDS[0]):
        refusal = given(TASK, [planned(), cancelled]).when(command).then_refused("task-cancelled")
        assert refusal.extra == {"ended_at": "2017-12-03T09:30:00.000Z"}
        assert refusal.detail == "by the chain at 2017-12-03T09:30:00.000Z"
    given(TASK, [planned(), cancelled]).when(COMMANDS[3]).then_nothing()
    given(TASK, [planned(), completed()]).when(COMMANDS[3]).then_refused("task-completed")


QUESTIONS = (
    Question(question="happy", text="Happy?", choices=("yes", "no"), required=True),
    Question(question="why", text="Why?"),
)


@pytest.mark.parametrize(
    ("answers", "wrong"),
    [
        ({}, ["answers.happy"]),
        ({"happy": "perhaps"}, ["answers.happy"]),
        ({"happy": "yes", "when": "now"}, ["answers.when"]),
        ({"when": "now"}, ["answers.when", "answers.happy"]),
    ],
)
def test_answers_that_are_missing_or_none_are_named(
    answers: dict[str, str], wrong: list[str]
) -> None:
    complete = Complete(task="t", at=DAY, answers=answers)
    given(TASK, [planned(questionnaire=QUESTIONS)]).when(complete).then_refused("invalid", *wrong)


def test_answers_are_kept() -> None:
    complete = Complete(task="t", at=DAY, answers={"happy": "no", "why": "It rained"})
    given(TASK, [planned(questionnaire=QUESTIONS)]).when(complete).then(
        [completed(at=DAY, answers={"happy": "no", "why": "It rained"})]
    )


def test_a_confirmation_closes_its_task_once_and_asks_no_questions() -> None:
    confirm = Confirm(task="t", at=DAY)
    given(TASK, [planned(questionnaire=QUESTIONS)]).when(confirm).then(
        [completed(at=DAY, outcome="confirmed")]
    )
    given(TASK, [planned(), completed()]).when(confirm).then_nothing()


def test_what_was_done_can_be_opened_again() -> None:
    reopen = Reopen(task="t", at=LATER, by="eve")
    reopened = TaskReopened(task="t", at=LATER, by="eve")
    given(TASK, [planned(), completed()]).when(reopen).then([reopened])
    given(TASK, [planned()]).when(reopen).then_nothing()
    history = [planned(), completed(), TaskReopened(task="t")]
    given(TASK, history).when(Complete(task="t", at=DAY)).then([completed(at=DAY)])


def test_a_task_of_who_was_erased_is_over_for_ever() -> None:
    history = [planned(), TaskCancelled(task="t", at=DAY, reason="erased")]
    given(TASK, history).when(Reopen(task="t", at=LATER)).then_refused("task-cancelled")


def test_while_it_was_done_nothing_was_due() -> None:
    reopened = TaskReopened(task="t", at=LATER)
    assert LATER > DUE
    overdue = TaskOverdue(task="t", due=DUE, responsible="eve")
    settled = given(TASK, [planned(responsible="eve"), completed(), reopened]).when(
        Settle(task="t", at=LATER + HOUR)
    )
    settled.then([NewEvent(overdue, LATER)])
    # One that was told before it was done is not told again.
    known = [planned(responsible="eve"), overdue, completed(), reopened]
    given(TASK, known).when(Settle(task="t", at=LATER + HOUR)).then_nothing()


def test_done_or_dropped_a_recurring_task_names_the_next_which_is_the_same_each_time() -> None:
    history = [planned(recurrence=Recurrence(every="P1D"))]
    (done,) = given(TASK, history).when(Complete(task="t", at=DAY)).events
    assert isinstance(done.data, TaskCompleted)
    assert (done.data.next, done.data.next_number) == (DUE + 24 * HOUR, 1)
    (dropped,) = given(TASK, history).when(Cancel(task="t", at=DAY, reason="holiday")).events
    assert isinstance(dropped.data, TaskCancelled)
    assert dropped.data.next_task == done.data.next_task
    # Opened and done again days later, what was missed is not made up for.
    again = given(TASK, [*history, done.data, TaskReopened(task="t")]).when(
        Complete(task="t", at=DUE + 60 * HOUR)
    )
    last = again.events[-1].data
    assert isinstance(last, TaskCompleted)
    assert (last.next, last.next_number, last.next_task) == (
        DUE + 72 * HOUR, 3, done.data.next_task,
    )  # fmt: skip


def test_a_series_ends_when_it_is_dropped_whole_when_its_time_is_over_or_with_its_customer() -> (
    None
):
    history = [planned(recurrence=Recurrence(every="P1D", until=DUE + 30 * HOUR))]
    whole = Cancel(task="t", at=DAY, reason="enough", whole_series=True)
    erased = Cancel(task="t", at=DAY, reason="erased")
    for command in (whole, erased):
        given(TASK, history).when(command).then(
            [TaskCancelled(task="t", at=DAY, reason=command.reason)]
        )
    # The second day is the last one.
    (done,) = given(TASK, history).when(Complete(task="t", at=DAY)).events
    assert isinstance(done.data, TaskCompleted)
    assert done.data.next == DUE + 24 * HOUR
    given(TASK, history).when(Complete(task="t", at=DUE + 25 * HOUR)).then(
        [
            TaskOverdue(task="t", due=DUE, responsible="eve"),
            completed(at=DUE + 25 * HOUR),
        ]
    )


def test_a_hand_over_takes_what_is_open_and_theirs_and_comes_back_if_it_is_still_there() -> None:
    take, back = COMMANDS[6], COMMANDS[7]
    taken = TaskChanged(task="t", terms=terms(responsible="fay"), handed=HANDED)
    early = TakeOver(task="t", at=DAY, handed=HANDED)
    given(TASK, [planned()]).when(early).then([taken])
    given(TASK, [planned(responsible="gil")]).when(take).then_nothing()
    given(TASK, [planned(responsible=None)]).when(take).then_nothing()
    given(TASK, [planned(), completed()]).when(take).then_nothing()
    given(TASK, [planned(), taken]).when(GiveBack(task="t", at=DAY, giver="eve")).then(
        [TaskChanged(task="t", terms=terms(), given_back="employees@4")]
    )
    # Somebody else has it by now, or nobody ever took it over.
    by_hand = TaskChanged(task="t", terms=terms(responsible="gil"))
    given(TASK, [planned(), taken, by_hand]).when(back).then_nothing()
    given(TASK, [planned()]).when(back).then_nothing()


def test_a_task_goes_on_as_it_is_and_a_stream_begins_only_once() -> None:
    whole = TaskContinued(
        task="t",
        generation=2,
        merge="m",
        merges=(TaskMerge(merge="m", customer="anna"),),
        status="open",
        terms=terms(branch="12"),
        origin=BY_HAND,
        overdue=DUE,
    )
    begin = Continue(task="t", at=LATER, continued=whole)
    given(TASK).when(begin).then([NewEvent(whole, LATER, "12")])
    given(TASK, [whole]).when(begin).then_nothing()
    # What was told before the move is not told again.
    given(TASK, [whole]).when(Settle(task="t", at=LATER)).then_nothing()
    assert TASK.fold([whole]).task_version == GENERATION_VERSIONS + 1
    assert task_version(task_stream("t", 2), "t", 1) == GENERATION_VERSIONS + 1


def test_a_fold_does_not_pass_over_events_of_its_own() -> None:
    with pytest.raises(TypeError, match=r"task\.rules_defined"):
        TASK.fold([TaskRulesDefined(zone="UTC")])
    with pytest.raises(TypeError, match=r"task\.planned"):
        RULES.fold([planned()])


def test_the_rules_of_the_chain_are_told_whole_and_once() -> None:
    to = Escalation(after="P1D", position="manager")
    command = DefineRules(DAY, "Europe/Moscow", to, by="eve")
    defined = TaskRulesDefined(zone="Europe/Moscow", escalation=to, by="eve")
    given(RULES).when(command).then([defined])
    given(RULES, [defined]).when(command).then_nothing()
    first = DefineRules(DAY, "UTC", None)
    given(RULES).when(first).then([TaskRulesDefined(zone="UTC")])
    for wrong, field in (
        (DefineRules(DAY, "Moscow", None), "zone"),
        (DefineRules(DAY, "UTC", Escalation(after="P1D")), "escalation"),
        (DefineRules(DAY, "UTC", Escalation(after="1 day", employee="e")), "escalation.after"),
    ):
        given(RULES).when(wrong).then_refused("invalid", field)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("P3D", timedelta(days=3)),
        ("P2W", timedelta(days=14)),
        ("PT4H", timedelta(hours=4)),
        ("PT15M", timedelta(minutes=15)),
    ],
)
def test_durations_are_of_days_to_minutes(text: str, span: timedelta) -> None:
    assert span_of(text, "x") == span


def test_a_month_later_is_the_same_day_or_the_last_one_and_does_not_drift() -> None:
    since = datetime(2018, 1, 31, 9, tzinfo=UTC)
    moments = [moment_of(since, "P1M", number, "UTC") for number in (1, 2, 3, 12)]
    assert [each and (each.month, each.day) for each in moments] == [
        (2, 28), (3, 31), (4, 30), (1, 31),
    ]  # fmt: skip
    assert moment_of(datetime(2016, 2, 29, tzinfo=UTC), "P1Y", 1, "UTC") == datetime(
        2017, 2, 28, tzinfo=UTC
    )


def test_a_weekly_task_keeps_its_time_of_day_where_it_is_done() -> None:
    # 9:00 in Berlin is 8:00 UTC until the clocks go forward on 25 March 2018, then 7:00.
    since = datetime(2018, 3, 22, 8, tzinfo=UTC)
    assert moment_of(since, "P1W", 1, "Europe/Berlin") == datetime(2018, 3, 29, 7, tzinfo=UTC)


def test_a_series_ends_with_the_calendar() -> None:
    since = datetime(9999, 12, 30, tzinfo=UTC)
    assert moment_of(since, "P1M", 1, "UTC") is None
    assert moment_of(since, "P1W", 1, "UTC") is None
    assert moment_of(since, "one week", 1, "UTC") is None
    assert next_due(since, "P1Y", 0, after=since, until=None, zone="UTC") is None
