"""The read models of tasks: live = rebuilt, in whatever order the partitions are read."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.interaction.projections.agenda import AGENDA
from services.interaction.projections.task_owners import TASK_OWNERS
from shared.decider import Refused
from shared.events.care import ConfirmationOverdue, FieldsConfirmed
from shared.events.task import Recurrence
from shared.memory import MemoryDocuments, MemoryParking
from shared.projection import Projection
from shared.projector import Folder
from shared.testing import DAY, logs_of, readings
from shared.testing.reading import Log
from tests.unit.tasking import Bureau

NAMES = ("anna", "boris", "clara")
LAST = 11
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["plan", "complete", "cancel", "reopen", "change", "merge", "revert", "erase", "time",
             "overdue", "confirm"]
        ),
        st.integers(0, LAST),
    ),
    min_size=4,
    max_size=14,
)  # fmt: skip


@dataclass(slots=True)
class Life:
    """A chain in which things happen, and whatever follows from them."""

    bureau: Bureau = field(default_factory=Bureau)
    tasks: list[str] = field(default_factory=list)
    merges: list[tuple[str, str, str]] = field(default_factory=list)

    async def step(self, step: str, number: int) -> None:
        """One thing; what is refused does not happen."""
        with contextlib.suppress(Refused):
            if self.tasks:
                await self._with_task(step, number, self.tasks[number % len(self.tasks)])
            await self._without(step, number, NAMES[number % len(NAMES)])
        await self.bureau.follow()

    async def _with_task(self, step: str, number: int, task: str) -> None:
        tasks, request = self.bureau.tasks, self.bureau.request("eve")
        match step:
            case "complete":
                await tasks.complete(request, task, "reached", "Fine")
            case "cancel":
                await tasks.cancel(request, task, "enough")
            case "reopen":
                await tasks.reopen(request, task)
            case "change":
                due = DAY + timedelta(hours=2 * number)
                await tasks.change(request, task, {"responsible": f"e{number}", "due": due})

    async def _without(self, step: str, number: int, name: str) -> None:
        bureau = self.bureau
        match step:
            case "plan":
                again = Recurrence(every="P1D") if number % 2 else None
                due = DAY + timedelta(hours=number)
                customer = None if number % 5 == 0 else name
                self.tasks.append(await bureau.plan(customer, due=due, recurrence=again))
            case "merge" if not self.merges:
                other = NAMES[(number + 1) % len(NAMES)]
                self.merges.append((await bureau.merge(name, other), name, other))
            case "revert" if self.merges:
                await bureau.revert(*self.merges.pop())
            case "erase" if number == LAST and not self.merges:
                await bureau.erase(name)
            case "time":
                bureau.clock.advance(timedelta(hours=number))
                await bureau.sweep()
            case "overdue":
                overdue = ConfirmationOverdue(field="city", since=DAY)
                await bureau.tell(f"care-{name}", name, overdue)
            case "confirm":
                await bureau.tell(f"care-{name}", name, FieldsConfirmed(fields=("city",)))


async def lived(steps: Sequence[tuple[str, int]]) -> Bureau:
    """A chain in which all of that happened."""
    life = Life()
    for name in NAMES:
        await life.bureau.customer(name, "12")
    for step, number in steps:
        await life.step(step, number)
    return life.bureau


async def folded(projection: Projection[Any], batches: Sequence[Log]) -> dict[str, Any]:
    """The documents after the batches, all at `rev` 0; fails when an event was parked."""
    documents, parking = MemoryDocuments(), MemoryParking()
    folder: Folder[Any] = Folder(projection, documents, parking)
    for batch in batches:
        await folder.fold(batch)
    assert not await parking.parked(range(100))
    return {raw["_id"]: {**raw, "rev": 0} for raw in documents.everything()}


def logs(bureau: Bureau) -> list[Log]:
    """One log per key and topic: that is what Kafka keeps in order."""
    theirs = [each for each in bureau.store.commits if not each.stream.startswith("task-")]
    ours = [each for each in bureau.store.commits if each.stream.startswith("task-")]
    return [*logs_of(theirs), *logs_of(ours)]


@settings(max_examples=30, deadline=None)
@given(steps=STEPS, data=st.data())
def test_however_partitions_are_read_and_read_again_it_comes_to_the_same(
    steps: Sequence[tuple[str, int]], data: st.DataObject
) -> None:
    bureau = asyncio.run(lived(steps))
    batches = data.draw(readings(logs(bureau)))
    for projection in (AGENDA, TASK_OWNERS):
        live = {
            raw["_id"]: {**raw, "rev": 0} for raw in bureau.documents[projection.name].everything()
        }
        assert asyncio.run(folded(projection, batches)) == live


@settings(max_examples=30, deadline=None)
@given(steps=STEPS)
def test_each_task_is_told_overdue_and_the_next_of_a_series_planned_at_most_once(
    steps: Sequence[tuple[str, int]],
) -> None:
    bureau = asyncio.run(lived(steps))
    told = [
        (each["data"]["task"], each["data"]["due"]) for each in bureau.events("task.overdue.v1")
    ]
    assert len(told) == len(set(told))
    assert all(each["time"] >= each["data"]["due"] for each in bureau.events("task.overdue.v1"))
    planned = [each["data"]["task"] for each in bureau.events("task.planned.v1")]
    assert len(planned) == len(set(planned))
    named = {
        each["data"]["next_task"]
        for kind in ("task.completed.v1", "task.cancelled.v1")
        for each in bureau.events(kind)
        if "next_task" in each["data"]
    }
    erased = {each["subject"] for each in bureau.events("customer.erased.v1")}
    if not erased:
        assert named <= set(planned)
