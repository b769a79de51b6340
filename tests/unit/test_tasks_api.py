"""Tasks over HTTP: planned, changed, done, listed; and call lists."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from shared.access import Role
from shared.events.configuration import EmployeeHired
from shared.events.segment import Cause, SegmentEntered, SegmentExited
from shared.testing import DAY
from tests.unit.tasking import Bureau, kind_of

DUE = "2017-12-01T14:30:00Z"
HOUR = timedelta(hours=1)


async def opened(*customers: str) -> tuple[Bureau, httpx2.AsyncClient]:
    bureau = Bureau()
    for name in customers:
        await bureau.customer(name, "12")
    await bureau.read()
    client, _ = await bureau.caller()
    return bureau, client


async def planned(client: httpx2.AsyncClient, **said: Any) -> str:  # noqa: ANN401 - any of the fields
    answer = await client.post("/v1/tasks", json={"title": "Call", **said})
    assert answer.status_code == 201, answer.text
    task: str = answer.json()["id"]
    return task


async def listed(client: httpx2.AsyncClient, **wanted: str) -> list[str]:
    answer = await client.get("/v1/tasks", params=wanted)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["items"]]


async def test_a_task_is_planned_and_shown_with_all_that_was_said() -> None:
    bureau, client = await opened("anna")
    said = {
        "title": "Call about the sofa",
        "notes": "After six",
        "kind": "request",
        "customer": "anna",
        "responsible": "eve",
        "department": "Service",
        "branch": "12",
        "due": DUE,
        "reminders": [{"before": "PT1H"}, {"at": "2017-12-01T10:00:00Z"}],
        "recurrence": {"every": "P1M"},
        "priority": "high",
        "escalation": {"after": "P1D", "employee": "meg"},
        "script": "Ask how it is.",
        "questionnaire": [{"question": "happy", "text": "Happy?", "choices": ["yes", "no"]}],
    }
    answer = await client.post("/v1/tasks", json=said, headers={"Idempotency-Key": "k"})
    task = answer.json()["id"]
    assert (answer.status_code, answer.headers["ETag"]) == (201, '"1"')
    assert answer.json() == {"id": task, "version": 1, "repeated": False}
    again = await client.post("/v1/tasks", json=said, headers={"Idempotency-Key": "k"})
    assert again.json() == {"id": task, "version": 1, "repeated": True}
    other = await client.post(
        "/v1/tasks", json={**said, "title": "Other"}, headers={"Idempotency-Key": "k"}
    )
    assert kind_of(other) == (422, "command-differs")
    await bureau.read()
    shown = (await client.get(f"/v1/tasks/{task}", params={"min_version": 1})).json()
    assert {name: shown[name] for name in said if name not in {"due", "reminders", "recurrence",
            "escalation", "questionnaire"}} == {
        name: value for name, value in said.items() if isinstance(value, str) and name != "due"
    }  # fmt: skip
    assert shown["due"] == "2017-12-01T14:30:00.000Z"
    assert shown["next_timer"] == "2017-12-01T10:00:00.000Z"
    assert shown["recurrence"] == {"every": "P1M", "until": None}
    assert (shown["status"], shown["overdue"], shown["origin"]["kind"]) == ("open", False, "person")
    # Texts are sealed where they are kept.
    assert all("sofa" not in text for each in bureau.store.commits for text in each.events)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"title": ""}, "title"),
        ({"kind": "confirmation"}, "kind"),
        ({"due": 7}, "due"),
        ({"customer": "nobody"}, "customer"),
        ({"colour": "red"}, "colour"),
        ({"reminders": [{"before": "PT1H"}]}, "reminders.0.before"),
        ({"recurrence": {"every": "P1D"}}, "recurrence"),
        ({"escalation": {"after": "P1D"}, "due": DUE}, "escalation"),
        ({"priority": "asap"}, "priority"),
        ({"branch": "a|b"}, "branch"),
    ],
)
async def test_what_is_wrong_is_named(said: dict[str, Any], field: str) -> None:
    _, client = await opened()
    answer = await client.post("/v1/tasks", json={"title": "Call", **said})
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]


async def test_a_change_rests_on_what_was_read() -> None:
    bureau, client = await opened("anna")
    task = await planned(client, customer="anna", due=DUE, notes="Gently")
    path = f"/v1/tasks/{task}"
    assert kind_of(await client.patch(path, json={})) == (428, "precondition-required")
    stale = await client.patch(path, json={"priority": "high"}, headers={"If-Match": '"7"'})
    assert kind_of(stale) == (412, "precondition-failed")
    change: dict[str, Any] = {"notes": None, "due": None, "script": "Smile", "reminders": []}
    changed = await client.patch(path, json=change, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    await bureau.read()
    shown = (await client.get(path)).json()
    assert (shown["title"], shown["notes"], shown["due"], shown["script"]) == (
        "Call", None, None, "Smile",
    )  # fmt: skip
    wrong = await client.patch(
        path, json={"recurrence": {"every": "P1D"}}, headers={"If-Match": "*"}
    )
    assert wrong.json()["errors"][0]["field"] == "recurrence"
    again = await client.patch(
        path,
        json={"recurrence": {"every": "P1D"}, "due": DUE, "questionnaire": []},
        headers={"If-Match": "*"},
    )
    assert again.json()["version"] == 3


async def test_of_two_who_complete_at_once_one_wins_and_the_other_is_told_who_and_when() -> None:
    bureau, first = await opened("anna")
    second, principal = await bureau.caller(name="second")
    hired = EmployeeHired(employee="fay", position="clerk", principals=(principal.id,))
    await bureau.tell("employees", "employees", hired)
    await bureau.read()
    task = await planned(first, customer="anna")
    answers = await asyncio.gather(
        *(
            each.post(f"/v1/tasks/{task}/complete", json={"outcome": "reached", "text": "Fine"})
            for each in (second, first)
        )
    )
    codes = sorted(each.status_code for each in answers)
    assert codes == [200, 409]
    (lost,) = [each for each in answers if each.status_code == 409]
    (completed,) = bureau.events("task.completed.v1")
    assert kind_of(lost) == (409, "task-completed")
    assert lost.json()["ended_by"] == completed["data"]["by"]
    assert lost.json()["ended_at"] == "2017-12-01T09:30:00.000Z"
    await bureau.read()
    shown = (await first.get(f"/v1/tasks/{task}")).json()
    assert (shown["status"], shown["outcome"]["outcome"], shown["outcome"]["text"]) == (
        "completed", "reached", "Fine",
    )  # fmt: skip


async def test_an_employee_is_known_by_the_key_that_they_call_with() -> None:
    bureau, client = await opened()
    mine, principal = await bureau.caller(Role.CASHIER, "12")
    hired = EmployeeHired(
        employee="fay", position="clerk", branches=("12",), principals=(principal.id,)
    )
    await bureau.tell("employees", "employees", hired)
    await bureau.read()
    task = await planned(client, branch="12", responsible="fay")
    await planned(client, branch="12", responsible="gil")
    await bureau.read()
    assert await listed(mine, person="me") == [task]
    done = await mine.post(f"/v1/tasks/{task}/complete", json={})
    assert done.status_code == 200
    late = await client.post(f"/v1/tasks/{task}/complete", json={})
    assert late.json()["ended_by"] == "fay"


async def test_answers_are_checked_and_shown() -> None:
    bureau, client = await opened("anna")
    task = await planned(
        client,
        customer="anna",
        questionnaire=[{"question": "happy", "text": "?", "required": True}],
    )
    path = f"/v1/tasks/{task}/complete"
    wrong = await client.post(path, json={})
    assert [each["field"] for each in wrong.json()["errors"]] == ["answers.happy"]
    assert (await client.post(path, json={"answers": {"happy": "Very"}})).status_code == 200
    await bureau.read()
    shown = (await client.get(f"/v1/tasks/{task}")).json()
    assert shown["outcome"]["answers"] == {"happy": "Very"}


async def test_a_task_is_cancelled_and_opened_again() -> None:
    bureau, client = await opened()
    task = await planned(client)
    assert (await client.post(f"/v1/tasks/{task}/cancel")).json()["version"] == 2
    forged = await client.post(f"/v1/tasks/{task}/cancel", json={"reason": "erased"})
    assert forged.status_code == 422
    assert (await client.post(f"/v1/tasks/{task}/reopen", json={})).json()["version"] == 3
    await bureau.read()
    assert (await client.get(f"/v1/tasks/{task}")).json()["status"] == "open"


async def test_there_is_no_such_task() -> None:
    _, client = await opened()
    for answer in (
        await client.get("/v1/tasks/t"),
        await client.post("/v1/tasks/t/complete", json={}),
        await client.patch("/v1/tasks/t", json={}, headers={"If-Match": "*"}),
    ):
        assert kind_of(answer) == (404, "not-found")


async def test_a_key_of_some_branches_sees_and_touches_their_tasks_only() -> None:
    bureau, owner = await opened()
    cashier, _ = await bureau.caller(Role.CASHIER, "12")
    mine = await planned(cashier, branch="12")
    theirs, nobodys = await planned(owner, branch="13"), await planned(owner)
    assert kind_of(await cashier.post("/v1/tasks", json={"title": "x"})) == (403, "out-of-scope")
    await bureau.read()
    assert await listed(cashier) == [mine]
    assert await listed(cashier, branch="13") == []
    assert set(await listed(owner)) == {mine, theirs, nobodys}
    for task in (theirs, nobodys):
        for answer in (
            await cashier.get(f"/v1/tasks/{task}"),
            await cashier.post(f"/v1/tasks/{task}/complete", json={}),
        ):
            assert kind_of(answer) == (403, "out-of-scope")
    reader, _ = await bureau.caller(Role.READER)
    assert set(await listed(reader)) == {mine, theirs, nobodys}
    assert kind_of(await reader.post("/v1/tasks", json={"title": "x"})) == (403, "forbidden")


async def test_a_task_for_a_customer_is_at_the_home_branch_unless_another_is_said() -> None:
    bureau, _ = await opened("anna")
    cashier, _ = await bureau.caller(Role.CASHIER, "12")
    home = await planned(cashier, customer="anna")
    owner, _ = await bureau.caller()
    elsewhere = await planned(owner, customer="anna", branch="13")
    nowhere = await planned(owner, customer="anna", branch=None)
    await bureau.read()
    branches = [(await bureau.entry(each)).branch for each in (home, elsewhere, nowhere)]
    assert branches == ["12", "13", None]


async def test_lists_are_in_the_order_of_due_moments_page_by_page() -> None:
    bureau, client = await opened()
    tasks = [await planned(client, due=f"2017-12-0{number}T09:00:00Z") for number in (4, 2, 5, 3)]
    never = await planned(client)
    await bureau.read()
    wanted = [tasks[1], tasks[3], tasks[0], tasks[2], never]
    found: list[str] = []
    cursor = None
    while True:
        params = {"limit": 2} | ({} if cursor is None else {"cursor": cursor})
        page = (await client.get("/v1/tasks", params=params)).json()
        found += [each["id"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == wanted


async def test_lists_for_a_person_a_branch_a_customer_a_kind_and_a_state() -> None:
    bureau, client = await opened("anna", "boris")
    first = await planned(client, customer="anna", branch="12", responsible="eve", kind="meeting")
    second = await planned(client, branch="13", responsible="fay", department="Service")
    await client.post(f"/v1/tasks/{second}/complete", json={})
    await bureau.read()
    assert await listed(client, person="eve") == [first]
    assert await listed(client, branch="13") == [second]
    assert await listed(client, customer="anna") == [first]
    assert await listed(client, kind="meeting") == [first]
    assert await listed(client, department="Service") == [second]
    assert await listed(client, status="completed") == [second]
    await bureau.merge("anna", "boris")
    await bureau.follow()
    assert await listed(client, customer="anna") == [first]
    assert await listed(client, customer="boris") == [first]
    # Planned for who was merged, it is the survivor's at once.
    third = await planned(client, customer="anna")
    await bureau.read()
    assert set(await listed(client, customer="boris")) == {first, third}


async def test_today_ends_with_the_day_of_the_branch_else_of_the_chain() -> None:
    bureau, _ = await opened()
    await bureau.branch("tokyo", "Asia/Tokyo")
    await bureau.read()
    client, _ = await bureau.caller()
    rules = {"zone": "America/New_York"}
    assert (await client.put("/v1/tasks/rules", json=rules)).status_code == 200
    # It is 9:30 UTC: the day ends at 15:00 UTC in Tokyo, and at 5:00 UTC of the next in New York.
    tokyo = [
        await planned(client, branch="tokyo", due=due)
        for due in ("2017-11-30T09:00:00Z", "2017-12-01T14:59:59Z", "2017-12-01T15:00:00Z")
    ]
    chain = [
        await planned(client, due=due) for due in ("2017-12-02T04:59:59Z", "2017-12-02T05:00:00Z")
    ]
    await bureau.read()
    assert await listed(client, when="today", branch="tokyo") == tokyo[:2]
    assert await listed(client, when="today") == [*tokyo, chain[0]]
    assert await listed(client, when="overdue") == tokyo[:1]
    await client.post(f"/v1/tasks/{tokyo[0]}/complete", json={})
    await bureau.read()
    assert await listed(client, when="overdue") == []


async def test_the_rules_of_the_chain_give_an_escalation_to_tasks_that_say_nothing_of_it() -> None:
    bureau, client = await opened()
    assert (await client.get("/v1/tasks/rules")).json() == {
        "zone": "UTC", "escalation": None, "version": 0,
    }  # fmt: skip
    rules = {"zone": "UTC", "escalation": {"after": "P1D", "position": "manager"}}
    answer = await client.put("/v1/tasks/rules", json=rules)
    assert answer.json() == {**rules, "version": 1}
    assert kind_of(await client.put("/v1/tasks/rules", json={"zone": "UTC"})) == (
        428, "precondition-required",
    )  # fmt: skip
    wrong = await client.put("/v1/tasks/rules", json={"zone": "Paris"}, headers={"If-Match": '"1"'})
    assert wrong.json()["errors"][0]["field"] == "zone"
    given = await planned(client, due=DUE)
    none = await planned(client, due=DUE, escalation=None)
    never = await planned(client)
    await bureau.read()
    shown = {
        task: (await client.get(f"/v1/tasks/{task}")).json()["escalation"]
        for task in (given, none, never)
    }
    assert shown == {
        given: {"after": "P1D", "employee": None, "position": "manager"},
        none: None,
        never: None,
    }
    cashier, _ = await bureau.caller(Role.CASHIER)
    assert kind_of(await cashier.put("/v1/tasks/rules", json=rules)) == (403, "forbidden")
    manager, _ = await bureau.caller(Role.MANAGER, "12")
    assert kind_of(await manager.put("/v1/tasks/rules", json=rules)) == (403, "out-of-scope")


async def test_of_two_who_change_the_rules_at_two_processes_one_is_told_of_the_other() -> None:
    bureau, here = await opened()
    there, _ = await bureau.caller()
    assert (await here.put("/v1/tasks/rules", json={"zone": "UTC"})).json()["version"] == 1
    assert (await there.get("/v1/tasks/rules")).json()["version"] == 1
    rests, moscow = {"If-Match": '"1"', "Idempotency-Key": "k"}, {"zone": "Europe/Moscow"}
    for _ in range(2):
        answer = await here.put("/v1/tasks/rules", json=moscow, headers=rests)
        assert (answer.status_code, answer.json()["version"]) == (200, 2)
    # The other process has read them a moment ago, and does not look again yet.
    late = await there.put("/v1/tasks/rules", json={"zone": "Asia/Tokyo"}, headers=rests)
    assert kind_of(late) == (412, "precondition-failed")


async def test_a_call_list_plans_a_call_for_each_member_of_a_segment_in_turn() -> None:
    bureau, client = await opened("anna", "boris", "clara", "dora")
    entered = SegmentEntered(segment="lapsed", definition=1, cause=Cause(kind="time"))
    for name in ("anna", "boris", "clara", "dora"):
        await bureau.tell(f"profile-{name}", name, entered)
    left = SegmentExited(segment="lapsed", definition=1, cause=Cause(kind="time"))
    await bureau.tell("profile-dora", "dora", left)
    await bureau.read()
    said = {
        "title": "Winter tyres",
        "segment": "lapsed",
        "script": "Say hello.",
        "questionnaire": [{"question": "interested", "text": "?", "choices": ["yes", "no"]}],
        "due": DUE,
        "responsibles": ["eve", "fay"],
    }
    answer = await client.post("/v1/call-lists", json=said, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 202
    name = answer.json()["id"]
    again = await client.post("/v1/call-lists", json=said, headers={"Idempotency-Key": "k"})
    assert again.json()["id"] == name
    other = {**said, "title": "Summer tyres"}
    differs = await client.post("/v1/call-lists", json=other, headers={"Idempotency-Key": "k"})
    assert kind_of(differs) == (422, "command-differs")
    await bureau.work()
    await bureau.read()
    entries = await bureau.entries()
    assert sorted((each.customer, each.responsible) for each in entries) == [
        ("anna", "eve"), ("boris", "fay"), ("clara", "eve"),
    ]  # fmt: skip
    assert {(each.kind, each.branch, each.terms.script, each.words.title) for each in entries} == {
        ("call", "12", "Say hello.", "Winter tyres")
    }
    first, second, third = await listed(client, call_list=name)
    outcomes = {first: "reached", second: "no_answer"}
    for task, outcome in outcomes.items():
        done = {"outcome": outcome, "answers": {"interested": "yes"}}
        assert (await client.post(f"/v1/tasks/{task}/complete", json=done)).status_code == 200
    await client.post(f"/v1/tasks/{third}/cancel")
    await bureau.read()
    assert (await client.get(f"/v1/call-lists/{name}")).json() == {
        "id": name,
        "total": 3,
        "open": 0,
        "completed": 2,
        "cancelled": 1,
        "outcomes": {"no_answer": 1, "reached": 1},
    }


async def test_a_call_list_of_customers_calls_each_person_once_and_tells_of_the_others() -> None:
    bureau, client = await opened("anna", "boris", "clara")
    await bureau.customer("zoe", "13")
    await bureau.merge("anna", "boris")
    await bureau.erase("clara")
    await bureau.read()
    customers = ["anna", "boris", "boris", "clara", "nobody", "zoe"]
    cashier, _ = await bureau.caller(Role.CASHIER, "12")
    said = {"title": "Tyres", "customers": customers}
    job = (await cashier.post("/v1/call-lists", json=said)).json()["id"]
    await bureau.work()
    stored = await bureau.jobs.store.get(job)
    assert stored is not None
    assert (stored.state, stored.counts) == (
        "done", {"planned": 2, "refused": 2, "other_branch": 1},
    )  # fmt: skip
    await bureau.read()
    assert [each.customer for each in await bureau.entries()] == ["boris"]
    segment = await cashier.post("/v1/call-lists", json={"title": "T", "segment": "lapsed"})
    assert segment.status_code == 403
    elsewhere = {**said, "branch": "13"}
    assert kind_of(await cashier.post("/v1/call-lists", json=elsewhere)) == (403, "out-of-scope")
    for wrong in ({"title": "T"}, {**said, "segment": "lapsed"}):
        assert (await client.post("/v1/call-lists", json=wrong)).status_code == 422
    late = {**said, "reminders": [{"before": "PT1H"}]}
    answer = await client.post("/v1/call-lists", json=late)
    assert answer.json()["errors"][0]["field"] == "reminders.0.before"


async def test_a_task_whose_moment_has_passed_is_overdue_at_once() -> None:
    bureau, client = await opened()
    task = await planned(client, due=DUE)
    await bureau.read()
    bureau.clock.moment = datetime(2017, 12, 1, 14, 30, 0, 1000, tzinfo=UTC)
    assert (await client.get(f"/v1/tasks/{task}")).json()["overdue"] is True
    assert bureau.clock.now() - DAY == 5 * HOUR + timedelta(milliseconds=1)
