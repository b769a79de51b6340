"""Tasks on real servers: exact timers, two who complete at once, and what tasks follow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import msgspec
import pytest

from services.customer.main import build as build_customer
from services.interaction.main import InteractionSettings, build
from shared.decider import NewEvent
from shared.events.care import ConfirmationOverdue, FieldsConfirmed, TaskRequested
from shared.events.contract import show_moment
from shared.process import Kernel
from shared.settings import Settings
from shared.testing import LocalChain, eventually
from shared.testing.facts import tell

Json = Any
ANY: Json = {"headers": {"If-Match": "*"}}


@dataclass(frozen=True, slots=True)
class Offices:
    """Both services, and what the customer service's rules would say."""

    tasks: httpx2.AsyncClient
    customers: httpx2.AsyncClient
    told: Kernel
    kept: Kernel

    async def plan(self, **said: Json) -> Json:
        return await post(self.tasks, "/v1/tasks", {"title": "Call", **said})

    async def seen(self, task: str, **wanted: Json) -> Json:
        """The task, once it is as it is wanted."""

        async def look() -> Json | None:
            answer = await self.tasks.get(f"/v1/tasks/{task}")
            if not answer.is_success:
                return None
            view = answer.json()
            return view if all(view[name] == value for name, value in wanted.items()) else None

        return await eventually(look)

    async def listed(self, number: int, **wanted: str) -> Json:
        """So many tasks, once there are."""

        async def look() -> Json | None:
            found = (await self.tasks.get("/v1/tasks", params=wanted)).json()["items"]
            return found if len(found) == number else None

        return await eventually(look)

    async def events(self, kind: str) -> list[Json]:
        """The envelopes of a type in the interaction service's store."""
        commits = await self.kept.database.collection("commits").find({})
        texts = [msgspec.json.decode(text) for each in commits for text in each["events"]]
        return [each for each in texts if each["type"] == kind]


@pytest.fixture
async def offices(chain: LocalChain) -> AsyncIterator[Offices]:
    """The customer and the interaction service of this test alone."""
    async with AsyncExitStack() as exits:
        settings = chain.settings(InteractionSettings)
        customers = await exits.enter_async_context(
            chain.running(build_customer, chain.settings(Settings))
        )
        tasks = await exits.enter_async_context(chain.running(build, settings))
        told = Kernel.unconnected(settings, "customer")
        exits.push_async_callback(told.close)
        kept = Kernel.unconnected(settings, "interaction")
        exits.push_async_callback(kept.close)
        yield Offices(tasks, customers, told, kept)


async def post(client: httpx2.AsyncClient, path: str, body: Json, **more: Json) -> Json:
    answer = await client.post(path, json=body, **more)
    assert answer.is_success, answer.text
    return answer.json()


async def customer(offices: Offices, name: str) -> str:
    """A customer whom the interaction service knows."""
    found: str = (await post(offices.customers, "/v1/customers", {"surname": name}))["id"]

    async def known() -> bool | None:
        answer = await offices.tasks.post("/v1/tasks", json={"title": "x", "customer": found})
        return True if answer.is_success else None

    await eventually(known)
    (first,) = await offices.listed(1, customer=found)
    await post(offices.tasks, f"/v1/tasks/{first['id']}/cancel", {})
    return found


async def test_timers_tell_their_exact_moments_and_of_two_one_completes(offices: Offices) -> None:
    # A busy machine may need a while to plan it: nothing is told before it was agreed.
    due = offices.kept.clock.now() + timedelta(seconds=20)
    planned = await offices.plan(
        due=show_moment(due),
        reminders=[{"at": show_moment(due - timedelta(seconds=5))}],
        escalation={"after": "PT1M", "employee": "meg"},
    )
    others = [await offices.plan() for _ in range(5)]
    for other in others:
        path = f"/v1/tasks/{other['id']}/complete"
        answers = await asyncio.gather(*(offices.tasks.post(path, json={}) for _ in range(4)))
        assert sorted(each.status_code for each in answers) == [200, 409, 409, 409]
        for each in answers:
            if each.status_code == 409:
                assert each.json()["ended_by"].startswith("key:")
    assert len(await offices.events("task.completed.v1")) == 5
    view = await offices.seen(planned["id"], overdue=True)
    assert view["status"] == "open"

    async def told() -> list[Json] | None:
        found = await offices.events("task.overdue.v1")
        return found or None

    (overdue,) = await eventually(told)
    assert overdue["time"] == show_moment(due)
    (reminded,) = await offices.events("task.reminded.v1")
    assert reminded["time"] == show_moment(due - timedelta(seconds=5))
    # Next comes the escalation.
    await offices.seen(planned["id"], next_timer=show_moment(due + timedelta(minutes=1)))


async def test_tasks_follow_merges_erases_and_those_who_leave(offices: Offices) -> None:
    anna, boris = await customer(offices, "Ivanova"), await customer(offices, "Petrov")
    employees = [
        (await post(offices.customers, "/v1/employees", {"name": name, "position": "clerk"}))["id"]
        for name in ("Eve", "Fay")
    ]
    task = (await offices.plan(customer=anna, responsible=employees[0], notes="Gently"))["id"]
    await post(offices.customers, f"/v1/customers/{anna}/merge", {"into": boris}, **ANY)
    await offices.seen(task, customer=boris)
    leaving = {"since": "2017-12-01", "successor": employees[1]}
    await post(offices.customers, f"/v1/employees/{employees[0]}/leave", leaving, **ANY)
    view = await offices.seen(task, responsible=employees[1], handed_from=employees[0])
    assert (view["title"], view["notes"], view["version"] > 1_000_000) == ("Call", "Gently", True)
    await post(offices.customers, f"/v1/employees/{employees[0]}/return", {}, **ANY)
    await offices.seen(task, responsible=employees[0])
    await post(offices.customers, f"/v1/customers/{anna}/merge/revert", {}, **ANY)
    await offices.seen(task, customer=anna)
    erased = {"reason": "request", "confirm": "erase"}
    await post(offices.customers, f"/v1/customers/{anna}/erase", erased)

    async def gone() -> bool | None:
        answer = await offices.tasks.get(f"/v1/tasks/{task}")
        return True if answer.status_code == 404 else None

    await eventually(gone)


async def test_what_rules_and_confirmations_ask_for_is_planned_and_closed(offices: Offices) -> None:
    anna = await customer(offices, "Ivanova")
    now = offices.told.clock.now()
    wanted = TaskRequested(rule="welcome", title="Say hello", due=now + timedelta(days=1))
    overdue = ConfirmationOverdue(field="city", since=now, how="call", by="employee:eve")
    for stream, event in ((f"rules-{anna}", wanted), (f"care-{anna}", overdue)):
        await tell(offices.told.writer, stream, anna, [NewEvent(event, now)])
    found = await offices.listed(2, customer=anna, status="open")
    assert sorted((each["kind"], each["title"]) for each in found) == [
        ("confirmation", None), ("todo", "Say hello"),
    ]  # fmt: skip
    confirmed = FieldsConfirmed(fields=("city",))
    await tell(offices.told.writer, f"care-{anna}", anna, [NewEvent(confirmed, now)])
    (left,) = await offices.listed(1, customer=anna, status="open")
    assert left["kind"] == "todo"


async def test_a_recurring_task_and_a_call_list(offices: Offices) -> None:
    anna, boris = await customer(offices, "Ivanova"), await customer(offices, "Petrov")
    due = "2117-12-01T09:00:00Z"
    task = await offices.plan(customer=anna, due=due, recurrence={"every": "P1W"})
    path = f"/v1/tasks/{task['id']}/complete"
    await post(offices.tasks, path, {"text": "Done"})
    done = await offices.seen(task["id"], status="completed")
    following = await offices.seen(done["outcome"]["next_task"], status="open")
    assert (following["due"], following["title"]) == ("2117-12-08T09:00:00.000Z", "Call")
    said = {"title": "Tyres", "customers": [anna, boris], "responsibles": ["eve", "fay"]}
    name = (await post(offices.tasks, "/v1/call-lists", said))["id"]
    calls = await offices.listed(2, call_list=name)
    assert {each["customer"]: each["responsible"] for each in calls} == {anna: "eve", boris: "fay"}
    await post(offices.tasks, f"/v1/tasks/{calls[0]['id']}/complete", {"outcome": "reached"})
    await offices.seen(calls[0]["id"], status="completed")
    figures = (await offices.tasks.get(f"/v1/call-lists/{name}")).json()
    assert (figures["total"], figures["open"], figures["outcomes"]) == (2, 1, {"reached": 1})
