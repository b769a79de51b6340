"""Tasks follow what becomes of their customers and of those who do them; timers are exact."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from services.interaction.consumers.tasks import subscription
from services.interaction.domain.task_rules import DefineRules
from services.interaction.handlers.task_following import TaskFollowing, TaskTimers
from services.interaction.handlers.task_planning import Asked, ByRule
from services.interaction.projections.agenda import AGENDA
from services.interaction.projections.staff import STAFF
from shared.decider import Refused
from shared.events.care import (
    ConfirmationOverdue,
    FieldsConfirmed,
    ResponsibleAssigned,
    TaskRequested,
)
from shared.events.configuration import EmployeeLeft, EmployeeReturned
from shared.events.customer import CustomerChanged
from shared.events.deal import DealOpened, DealResponsibleAssigned, DealTaskRequested, Terms
from shared.events.task import Escalation, Recurrence, Reminder
from shared.eventstore import Commit, EventStore, StoreUnavailable
from shared.execute import Writer
from shared.keyring import PREFIX
from shared.testing import DAY, InterceptedStore
from shared.testing.reading import LoggedRecord
from tests.unit.tasking import Bureau

HOUR = timedelta(hours=1)
DUE = DAY + 5 * HOUR


async def test_overdue_is_told_at_its_exact_moment_however_late_the_sweeper_comes() -> None:
    bureau = Bureau()
    await bureau.customer("anna")
    task = await bureau.plan(
        "anna", due=DUE, reminders=(Reminder(before="PT1H"),), responsible="eve"
    )
    bureau.clock.advance(timedelta(hours=4, minutes=30))
    await bureau.sweep()
    (reminded,) = bureau.events("task.reminded.v1")
    assert reminded["time"] == "2017-12-01T13:30:00.000Z"
    bureau.clock.advance(timedelta(days=9))
    await bureau.sweep()
    await bureau.sweep()
    (overdue,) = bureau.events("task.overdue.v1")
    # DUE is 9:30 and five hours.
    assert (overdue["time"], overdue["subject"]) == ("2017-12-01T14:30:00.000Z", "anna")
    assert overdue["data"] == {
        "task": task,
        "due": "2017-12-01T14:30:00.000Z",
        "responsible": "eve",
    }
    entry = await bureau.entry(task)
    assert (entry.due_at, entry.overdue) == (None, DUE)


async def test_a_reminder_before_the_due_moment_is_next_and_then_the_due_moment() -> None:
    bureau = Bureau()
    task = await bureau.plan(due=DUE, reminders=(Reminder(before="PT1H"),))
    await bureau.read()
    assert (await bureau.entry(task)).due_at == DUE - HOUR
    bureau.clock.advance(4 * HOUR)
    await bureau.sweep()
    assert (await bureau.entry(task)).due_at == DUE


async def test_an_escalation_goes_to_whoever_has_the_position_at_the_branch() -> None:
    bureau = Bureau()
    await bureau.employee("boss", "manager", None)
    await bureau.employee("meg", "manager", ("12", "13"))
    await bureau.employee("zoe", "manager", ("14",))
    await bureau.read()
    escalation = Escalation(after="P1D", position="manager")
    here = await bureau.plan(due=DUE, branch="12", responsible="eve", escalation=escalation)
    elsewhere = await bureau.plan(due=DUE, branch="15", responsible="eve", escalation=escalation)
    nobody = await bureau.plan(
        due=DUE, branch="12", escalation=Escalation(after="P1D", position="cook")
    )
    bureau.clock.advance(timedelta(days=3))
    await bureau.sweep()
    told = {each["data"]["task"]: each for each in bureau.events("task.escalated.v1")}
    assert {name: each["data"].get("to") for name, each in told.items()} == {
        here: "meg", elsewhere: "boss", nobody: None,
    }  # fmt: skip
    assert {each["time"] for each in told.values()} == {"2017-12-02T14:30:00.000Z"}
    assert (await bureau.entry(here)).people == ["eve", "meg"]


class Killed(BaseException):
    """The process is gone."""


def intercepted(
    store: EventStore, step: str, hook: Callable[[object], Awaitable[None]]
) -> InterceptedStore:
    """The store with a hook before or after each append."""
    if step == "before":
        return InterceptedStore(store, before=hook)
    return InterceptedStore(store, after=hook)


@pytest.mark.parametrize("step", ["before", "after"])
@pytest.mark.parametrize("commits", [0, 1, 2])
async def test_a_sweeper_that_is_killed_at_any_write_leaves_each_told_once(
    step: str, commits: int
) -> None:
    bureau = Bureau()
    tasks = [await bureau.plan(due=DUE + number * HOUR) for number in range(3)]
    bureau.clock.advance(timedelta(days=1))
    await bureau.read()
    left = [commits]

    async def kill(_appends: object) -> None:
        if left[0] == 0:
            raise Killed
        left[0] -= 1

    store = intercepted(bureau.store, step, kill)
    dying = Writer(store, bureau.keyring, bureau.clock, "interaction")
    sweeper = bureau.sweeper()
    sweeper.batch, sweeper.settle = 1, TaskTimers(dying, bureau.grounds).settle
    with pytest.raises(Killed):
        await sweeper.sweep()
    # Another one knows nothing of it, and the read model may not have read what was told.
    await bureau.sweeper("another").sweep()
    told = [(each["data"]["task"], each["time"]) for each in bureau.events("task.overdue.v1")]
    assert sorted(told) == [
        (tasks[0], "2017-12-01T14:30:00.000Z"),
        (tasks[1], "2017-12-01T15:30:00.000Z"),
        (tasks[2], "2017-12-01T16:30:00.000Z"),
    ]


async def test_a_recurring_task_that_is_done_is_planned_again_once() -> None:
    bureau = Bureau()
    await bureau.customer("anna")
    task = await bureau.plan(
        "anna",
        due=DUE,
        recurrence=Recurrence(every="P1W"),
        reminders=(Reminder(before="PT1H"), Reminder(at=DAY)),
        branch="12",
    )
    await bureau.tasks.complete(bureau.request(), task)
    records = bureau.records()
    await bureau.planner.plan([])
    bureau.reacted = 0
    await bureau.follow()
    bureau.reacted = 0
    await bureau.follow()
    assert records
    following = [each for each in await bureau.entries() if each.id != task]
    (again,) = following
    assert (again.terms.due, again.status, again.customer) == (
        DUE + timedelta(weeks=1), "open", "anna",
    )  # fmt: skip
    # Reminders at a moment were for the first alone; texts keep their key and place.
    assert [each.before for each in again.terms.reminders] == ["PT1H"]
    assert (again.words.title, again.words.notes) == ("Call", "Gently")
    assert again.origin.name == task
    planned = bureau.events("task.planned.v1")[-1]
    assert planned["data"]["words"]["title"].startswith(f"{PREFIX}anna:task-{task}:")
    assert planned["causedepth"] == 1
    # It goes on from there; opened and done a second time, nothing more comes of the first.
    await bureau.tasks.reopen(bureau.request(), task)
    await bureau.tasks.complete(bureau.request(), task)
    await bureau.tasks.cancel(bureau.request(), again.id, "holiday")
    await bureau.follow()
    dues = sorted(each.terms.due for each in await bureau.entries() if each.terms.due)
    assert dues == [DUE, DUE + timedelta(weeks=1), DUE + timedelta(weeks=2)]


async def test_the_next_of_a_task_that_concerns_nobody_can_be_read_too() -> None:
    bureau = Bureau()
    task = await bureau.plan(due=DUE, recurrence=Recurrence(every="P1D"))
    await bureau.tasks.complete(bureau.request(), task)
    await bureau.follow()
    (again,) = [each for each in await bureau.entries() if each.id != task]
    assert (again.words.title, again.customer) == ("Call", None)


async def test_tasks_follow_a_merge_whole_and_come_back_as_they_are() -> None:
    bureau = Bureau()
    for name in ("anna", "boris"):
        await bureau.customer(name)
    hers = await bureau.plan("anna", due=DUE, responsible="eve")
    his = await bureau.plan("boris")
    done = await bureau.plan("anna")
    await bureau.tasks.complete(bureau.request("eve"), done, "reached", "Likes it")
    merge = await bureau.merge("anna", "boris")
    await bureau.follow()
    assert {(await bureau.entry(each)).customer for each in (hers, his, done)} == {"boris"}
    entry = await bureau.entry(done)
    assert entry.outcome is not None
    assert (entry.outcome.text, entry.outcome.by, entry.generation) == ("Likes it", "eve", 2)
    # Commands go on where the task does, timers too.
    settled = await bureau.tasks.change(bureau.request(), hers, {"responsible": "fay"})
    assert settled.version == 1_000_002
    bureau.clock.advance(timedelta(days=1))
    await bureau.sweep()
    assert [each["subject"] for each in bureau.events("task.overdue.v1")] == ["boris"]
    later = await bureau.plan("boris")
    await bureau.revert(merge, "anna", "boris")
    await bureau.follow()
    owners = {each: (await bureau.entry(each)).customer for each in (hers, his, done, later)}
    assert owners == {hers: "anna", his: "boris", done: "anna", later: "boris"}
    assert (await bureau.entry(hers)).responsible == "fay"
    # What was told at the survivor is not told again.
    await bureau.sweep()
    assert len(bureau.events("task.overdue.v1")) == 1


async def test_a_task_that_is_planned_for_who_was_merged_already_goes_on() -> None:
    bureau = Bureau()
    for name in ("anna", "boris"):
        await bureau.customer(name)
    await bureau.merge("anna", "boris")
    await bureau.follow()
    task = await bureau.plan("anna")
    await bureau.follow()
    assert (await bureau.entry(task)).customer == "boris"


@pytest.mark.parametrize("step", ["before", "after"])
async def test_a_move_that_is_cut_off_is_made_by_the_next(step: str) -> None:
    bureau = Bureau()
    for name in ("anna", "boris"):
        await bureau.customer(name)
    task = await bureau.plan("anna")
    await bureau.merge("anna", "boris")
    await bureau.read()

    async def kill(_appends: object) -> None:
        raise Killed

    store = intercepted(bureau.store, step, kill)
    dying = Writer(store, bureau.keyring, bureau.clock, "interaction")
    with pytest.raises(Killed):
        await TaskFollowing(dying, bureau.grounds, bureau.owners).step()
    await bureau.follow()
    assert (await bureau.entry(task)).customer == "boris"
    assert len(bureau.events("task.transferred.v1")) == 1


async def test_a_command_that_gets_in_first_is_told_in_the_next_stream() -> None:
    bureau = Bureau()
    for name in ("anna", "boris"):
        await bureau.customer(name)
    task = await bureau.plan("anna")
    await bureau.merge("anna", "boris")
    await bureau.read()
    first = [True]

    async def rival(_appends: object) -> None:
        if first:
            first.clear()
            await bureau.tasks.complete(bureau.request("eve"), task)

    store = InterceptedStore(bureau.store, before=rival)
    writer = Writer(store, bureau.keyring, bureau.clock, "interaction")
    await TaskFollowing(writer, bureau.grounds, bureau.owners).step()
    await bureau.follow()
    entry = await bureau.entry(task)
    assert (entry.customer, entry.status) == ("boris", "completed")


async def test_an_erase_cancels_what_is_open_and_nothing_can_be_read_any_more() -> None:
    bureau = Bureau()
    await bureau.customer("anna")
    open_one = await bureau.plan("anna", due=DUE, recurrence=Recurrence(every="P1D"))
    done = await bureau.plan("anna")
    await bureau.tasks.complete(bureau.request(), done, text="She said")
    await bureau.follow()
    await bureau.erase("anna")
    await bureau.follow()
    (cancelled,) = bureau.events("task.cancelled.v1")
    assert (cancelled["data"]["task"], cancelled["data"]["reason"]) == (open_one, "erased")
    assert "next" not in cancelled["data"]
    assert await bureau.agenda.get(open_one) is None
    raw = await bureau.questions(AGENDA).get(open_one)
    assert (raw["removed"], raw["customer"], raw.get("words")) == (True, None, None)
    entry = await bureau.entry(done)
    assert entry.outcome is not None
    assert (entry.words.title, entry.outcome.text) == (None, None)
    # A tombstone stays one, and nothing falls due of it.
    bureau.clock.advance(timedelta(days=2))
    await bureau.sweep()
    assert bureau.events("task.overdue.v1") == []
    with pytest.raises(Refused, match="erased"):
        await bureau.plan("anna")


async def test_who_leaves_hands_over_what_is_open_and_gets_back_what_is_still_there() -> None:
    bureau = Bureau()
    for name in ("eve", "fay", "gil"):
        await bureau.employee(name)
    open_one, kept = [await bureau.plan(responsible="eve") for _ in range(2)]
    done = await bureau.plan(responsible="eve")
    others = await bureau.plan(responsible="gil")
    await bureau.tasks.complete(bureau.request(), done)
    await bureau.tell("employees", "employees", EmployeeLeft(employee="eve", since="2017-12-01"))
    await bureau.follow()
    assert (await bureau.entry(open_one)).responsible == "eve"
    left = EmployeeLeft(employee="eve", since="2017-12-01", successor="fay")
    await bureau.tell("employees", "employees", left)
    await bureau.follow()
    names = [(await bureau.entry(each)).responsible for each in (open_one, kept, done, others)]
    assert names == ["fay", "fay", "eve", "gil"]
    assert (await bureau.entry(open_one)).giver == "eve"
    # Planned for somebody who has left, it is handed over too.
    late = await bureau.plan(responsible="eve")
    await bureau.follow()
    assert (await bureau.entry(late)).responsible == "fay"
    # Somebody has given one of them to another meanwhile.
    await bureau.tasks.change(bureau.request(), open_one, {"responsible": "gil"})
    await bureau.tell("employees", "employees", EmployeeReturned(employee="eve"))
    await bureau.follow()
    names = [(await bureau.entry(each)).responsible for each in (open_one, kept, late)]
    assert names == ["gil", "eve", "eve"]
    assert (await bureau.entry(kept)).giver is None


async def test_who_comes_back_gets_back_a_series_of_which_the_successor_has_done_one() -> None:
    bureau = Bureau()
    for name in ("eve", "fay"):
        await bureau.employee(name)
    task = await bureau.plan(responsible="eve", due=DUE, recurrence=Recurrence(every="P1D"))
    left = EmployeeLeft(employee="eve", since="2017-12-01", successor="fay")
    await bureau.tell("employees", "employees", left)
    await bureau.follow()
    await bureau.tasks.complete(bureau.request(), task)
    await bureau.follow()
    (again,) = [each for each in await bureau.entries() if each.id != task]
    assert (again.responsible, again.giver) == ("fay", "eve")
    await bureau.tell("employees", "employees", EmployeeReturned(employee="eve"))
    await bureau.follow()
    names = [(await bureau.entry(each)).responsible for each in (task, again.id)]
    assert names == ["fay", "eve"]


async def test_where_the_successor_has_left_too_the_next_who_works_takes_over() -> None:
    bureau = Bureau()
    for name in ("eve", "fay", "gil"):
        await bureau.employee(name)
    task = await bureau.plan(responsible="eve")
    for name, successor in (("fay", "gil"), ("eve", "fay")):
        left = EmployeeLeft(employee=name, since="2017-12-01", successor=successor)
        await bureau.tell("employees", "employees", left)
    await bureau.follow()
    assert (await bureau.entry(task)).responsible == "gil"


async def test_nobody_takes_over_where_successors_go_round_or_are_unknown() -> None:
    bureau = Bureau()
    for name in ("eve", "fay", "gil"):
        await bureau.employee(name)
    task = await bureau.plan(responsible="eve")
    for name, successor in (("eve", "fay"), ("fay", "eve"), ("gil", "nobody")):
        left = EmployeeLeft(employee=name, since="2017-12-01", successor=successor)
        await bureau.tell("employees", "employees", left)
    await bureau.follow()
    assert (await bureau.entry(task)).responsible == "eve"


async def test_a_rule_plans_a_task_for_whoever_is_named_or_looks_after_the_customer() -> None:
    bureau = Bureau()
    await bureau.customer("anna", "12")
    await bureau.tell("customer-anna", "anna", ResponsibleAssigned(employee="eve"))
    for employee in (None, "fay"):
        wanted = TaskRequested(
            rule="welcome", title="Say hello", kind="call", due=DUE, employee=employee
        )
        await bureau.tell("customer-anna", "anna", wanted)
    await bureau.follow()
    found = await bureau.entries()
    assert sorted((each.responsible or "", each.words.title) for each in found) == [
        ("eve", "Say hello"), ("fay", "Say hello"),
    ]  # fmt: skip
    assert {(each.kind, each.branch, each.customer, each.terms.due) for each in found} == {
        ("call", "12", "anna", DUE)
    }
    assert {(each.origin.kind, each.origin.name) for each in found} == {("rule", "welcome")}
    # All of it again is planned once; the chain of causes is kept.
    bureau.reacted = 0
    await bureau.follow()
    planned = bureau.events("task.planned.v1")
    causes = sorted(each["causationid"] for each in planned)
    assert causes == ["customer-anna@3", "customer-anna@4"]
    assert [each["causedepth"] for each in planned] == [1, 1]


async def test_a_robot_plans_a_task_for_whoever_answers_for_the_deal() -> None:
    bureau = Bureau()
    await bureau.customer("anna", "12")
    request = f"{7:036d}"
    await bureau.tell(
        "deal-d",
        "anna",
        DealOpened(deal="d", pipeline="p", stage="s", terms=Terms(amount=1, branch="13")),
        DealResponsibleAssigned(deal="d", responsible="eve"),
    )
    wanted = DealTaskRequested(
        request=request, deal="d", pipeline="p", stage="s", robot="r", title="Ring", due=DUE
    )
    await bureau.tell("robots-d", "anna", wanted)
    await bureau.follow()
    entry = await bureau.entry(request)
    assert (entry.responsible, entry.branch, entry.words.title) == ("eve", "13", "Ring")


@pytest.mark.parametrize(
    ("by", "who"),
    [("responsible", "eve"), (None, "eve"), ("position:admin", "ada"), ("employee:zoe", "zoe")],
)
async def test_a_field_to_be_confirmed_becomes_a_task_until_the_end_of_the_day(
    by: str | None, who: str
) -> None:
    bureau = Bureau()
    await bureau.employee("ada", "admin")
    await bureau.branch("12", "Asia/Tokyo")
    await bureau.customer("anna", "12")
    await bureau.tell("customer-anna", "anna", ResponsibleAssigned(employee="eve"))
    overdue = ConfirmationOverdue(field="email", since=DAY, how="call", by=by)
    await bureau.tell("care-anna", "anna", overdue)
    await bureau.follow()
    (entry,) = await bureau.entries()
    assert (entry.kind, entry.responsible, entry.origin.name) == ("confirmation", who, "email")
    assert entry.origin.how == "call"
    # 9:30 UTC is 18:30 in Tokyo, whose day ends at 15:00 UTC.
    assert entry.terms.due == datetime(2017, 12, 1, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "answer",
    [
        FieldsConfirmed(fields=("email", "city")),
        CustomerChanged(city="Rome"),
    ],
)
async def test_confirming_or_changing_the_field_closes_its_task(
    answer: FieldsConfirmed | CustomerChanged,
) -> None:
    bureau = Bureau()
    await bureau.customer("anna", "12")
    for name in ("city", "surname"):
        await bureau.tell("care-anna", "anna", ConfirmationOverdue(field=name, since=DAY))
    await bureau.follow()
    bureau.clock.advance(HOUR)
    await bureau.tell("customer-anna", "anna", answer)
    await bureau.follow()
    found = {each.origin.name: each for each in await bureau.entries()}
    assert {name: each.status for name, each in found.items()} == {
        "city": "completed", "surname": "open",
    }  # fmt: skip
    outcome = found["city"].outcome
    assert outcome is not None
    assert (outcome.outcome, outcome.at) == ("confirmed", DAY + HOUR)
    # A year later it falls due again, as a task of its own.
    bureau.clock.advance(timedelta(days=365))
    await bureau.tell("care-anna", "anna", ConfirmationOverdue(field="city", since=DAY + HOUR))
    await bureau.follow()
    open_ones = [each for each in await bureau.entries() if each.status == "open"]
    assert sorted(each.origin.name or "" for each in open_ones) == ["city", "surname"]


async def test_a_confirmation_that_went_on_with_a_merge_is_closed_at_the_survivor() -> None:
    bureau = Bureau()
    for name in ("anna", "boris"):
        await bureau.customer(name)
    await bureau.tell("care-anna", "anna", ConfirmationOverdue(field="city", since=DAY))
    await bureau.follow()
    await bureau.merge("anna", "boris")
    await bureau.follow()
    bureau.clock.advance(HOUR)
    await bureau.tell("customer-boris", "boris", FieldsConfirmed(fields=("city",)))
    await bureau.follow()
    (entry,) = await bureau.entries()
    assert (entry.customer, entry.status) == ("boris", "completed")


async def test_a_chain_of_causes_that_is_too_long_is_not_carried_out() -> None:
    bureau = Bureau()
    await bureau.customer("anna")
    wanted = ByRule("loop", "Again", "todo", DUE, None)
    await bureau.planner.plan(
        [Asked(f"e{depth}", DAY, "c", depth, wanted, "anna") for depth in (7, 8)]
    )
    await bureau.read()
    assert [each.origin.event for each in await bureau.entries()] == ["e7"]


async def test_what_cannot_be_read_or_carried_out_does_not_stop_the_others() -> None:
    bureau = Bureau()
    for name in ("anna", "boris"):
        await bureau.customer(name)
        wanted = TaskRequested(rule="r", title="Hello", due=DUE)
        await bureau.tell(f"customer-{name}", name, wanted)
    await bureau.erase("anna")
    await bureau.read()
    broken = LoggedRecord("t", 0, 0, b"", b'{"type":"customer.task_requested.v1","data":{}}')
    await subscription(bureau.planner).react([broken, *bureau.records()])
    await bureau.read()
    assert [each.customer for each in await bureau.entries()] == ["boris"]


async def test_while_the_database_is_away_planning_is_asked_for_again() -> None:
    bureau = Bureau()
    await bureau.customer("anna")

    async def away(_appends: object) -> None:
        raise StoreUnavailable

    bureau.writer = Writer(
        InterceptedStore(bureau.store, before=away), bureau.keyring, bureau.clock, "interaction"
    )
    with pytest.raises(StoreUnavailable):
        await bureau.plan("anna")


async def test_who_is_asked_for_is_found_at_most_a_second_late() -> None:
    bureau = Bureau()
    await bureau.employee("eve")
    await bureau.read()
    grounds = bureau.grounds
    assert (await grounds.now()).people.who("key:eve") == "eve"
    assert (await grounds.now()).people.who("key:fay") == "key:fay"
    found = await bureau.questions(STAFF).find({})
    assert [raw["_id"] for raw in found] == ["employee|eve"]


@dataclass(slots=True)
class SlowlyRead(InterceptedStore):
    """A store whose answer to the first reading comes late."""

    late: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, streams: Sequence[str]) -> Mapping[str, Sequence[Commit]]:
        found = await InterceptedStore.read(self, streams)
        if self.questions.count("read") == 1:
            await self.late.wait()
        return found


async def test_rules_that_are_changed_while_they_are_being_read_are_seen_at_once() -> None:
    bureau = Bureau()
    store = SlowlyRead(bureau.store)
    bureau.writer = Writer(store, bureau.keyring, bureau.clock, "interaction")
    grounds = bureau.grounds
    reading = asyncio.ensure_future(grounds.rules())
    await asyncio.sleep(0)
    await grounds.define("1", "", DefineRules(DAY, "Europe/Moscow", escalation=None))
    store.late.set()
    assert (await reading)[1] == 0
    assert (await grounds.rules())[0].zone == "Europe/Moscow"
