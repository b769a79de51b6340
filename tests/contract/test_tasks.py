"""The lists and the timers of tasks over both stores."""

import asyncio
import itertools
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.interaction.domain.task import task_stream
from services.interaction.domain.tasks import TASK, Cancel, Complete, Plan, TakeOver
from services.interaction.domain.tasks import Command as TaskCommand
from services.interaction.handlers.task_following import TaskTimers
from services.interaction.handlers.task_rules import TaskGrounds
from services.interaction.handlers.tasks import Request, execution
from services.interaction.projections.agenda import AGENDA, AgendaEntry
from services.interaction.projections.staff import STAFF
from services.interaction.projections.task_sources import CALLEES
from services.interaction.queries.agenda import Agenda, Filters
from services.interaction.queries.staff import Staff
from services.interaction.queries.task_owners import TaskSources
from shared.access import Kind, Scope
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.segment import Cause, SegmentEntered, SegmentExited
from shared.events.task import HandOver, TaskOverdue, TaskTerms, TaskWords
from shared.eventstore import EventStore
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import MemoryDocuments, MemoryKeyStore, MemoryLeases, MemoryParking
from shared.mongo import MongoDocuments, MongoLeases
from shared.projection import Projection
from shared.projector import Folder
from shared.readmodel import Documents, Leases, Questions
from shared.sweeping import Sweeper
from shared.testing import DAY, InterceptedStore, MongoSpace, logs_of
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import tell

HOUR = timedelta(hours=1)
WHOLE = Scope(Kind.TASK, None)
Kept = tuple[Documents, Questions]
KEPT: tuple[Projection[Any], ...] = (AGENDA, STAFF, CALLEES)


@dataclass(slots=True)
class Bureau:
    """Tasks on one of the stores, and what is read of them."""

    store: EventStore
    writer: Writer
    clock: ManualClock
    agenda: Agenda
    kept: dict[str, Kept]
    leases: Leases
    numbers: Any

    async def plan(self, customer: str | None = None, **said: Any) -> str:  # noqa: ANN401 - any of the terms
        task = f"{next(self.numbers):036d}"
        terms = TaskTerms(kind="call", since=DAY).model_copy(update=said)
        words = TaskWords(title=f"Call {customer}")
        await self.do(task, Plan(task=task, at=DAY, terms=terms, words=words), customer)
        return task

    async def do(self, task: str, command: TaskCommand, customer: str | None = None) -> None:
        request = Request(f"r{next(self.numbers)}", "", DAY)
        await self.writer.one(TASK, execution(request, task_stream(task), customer, command))

    async def read(self) -> None:
        names = await self.store.names("")
        commits = [each for found in (await self.store.read(names)).values() for each in found]
        for projection in (AGENDA, CALLEES):
            parking = MemoryParking()
            folder: Folder[Any] = Folder(projection, self.kept[projection.name][0], parking)
            for log in logs_of(commits):
                await folder.fold(log)
            assert not await parking.parked(range(100))

    async def page(self, scope: Scope = WHOLE, **wanted: Any) -> list[str]:  # noqa: ANN401 - any filter
        found = await self.agenda.page(scope, Filters(**wanted), None, 50)
        return [each.id for each in found.entries]

    def sweeper(self) -> Sweeper:
        grounds = TaskGrounds(self.writer, Staff(self.kept[STAFF.name][1]))
        timers = TaskTimers(self.writer, grounds)
        return Sweeper(
            "agenda", self.kept[AGENDA.name][1], self.leases, "a", self.clock, timers.settle
        )


@pytest.fixture
async def bureau(space: MongoSpace | None, store: EventStore) -> Bureau:
    """No tasks yet."""
    clock = ManualClock(DAY)
    keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
    writer = Writer(store, keyring, clock, "interaction", timedelta(seconds=10))
    kept: dict[str, Kept] = {}
    for projection in KEPT:
        if space is None:
            memory = MemoryDocuments()
            kept[projection.name] = (memory, MemoryQuestions(memory))
        else:
            mongo = MongoDocuments(space.database("interaction"), projection.name)
            await mongo.create_indexes(projection.indexes)
            kept[projection.name] = (mongo, mongo.collection)
    leases: Leases = (
        MemoryLeases(clock) if space is None else MongoLeases(space.database("interaction"))
    )
    agenda = Agenda(kept[AGENDA.name][1], keyring)
    return Bureau(store, writer, clock, agenda, kept, leases, itertools.count(1))


async def test_lists_are_narrowed_by_each_filter_and_by_the_scope(bureau: Bureau) -> None:
    first = await bureau.plan("anna", responsible="eve", branch="12", due=DAY + 3 * HOUR)
    second = await bureau.plan("boris", responsible="fay", branch="13", due=DAY + HOUR)
    third = await bureau.plan(kind="todo", department="Service", call_list="l")
    await bureau.do(second, Complete(task=second, at=DAY, outcome="reached"), "boris")
    await bureau.read()
    assert await bureau.page() == [second, first, third]
    assert await bureau.page(Scope(Kind.TASK, frozenset({"12"}))) == [first]
    assert await bureau.page(Scope(Kind.TASK, frozenset({"12"})), branch="13") == []
    assert await bureau.page(person="eve") == [first]
    assert await bureau.page(customer="boris") == [second]
    assert await bureau.page(status="open") == [first, third]
    assert await bureau.page(kind="todo", department="Service") == [third]
    assert await bureau.page(call_list="l") == [third]
    assert await bureau.page(due_before=DAY + 3 * HOUR) == [second]
    entry = await bureau.agenda.get(first)
    assert entry is not None
    assert entry.words.title == "Call anna"


async def test_pages_go_on_where_the_one_before_ended(bureau: Bureau) -> None:
    # Three of each moment, and some of none.
    tasks = [await bureau.plan(due=DAY + number // 3 * HOUR) for number in range(9)]
    tasks += [await bureau.plan() for _ in range(2)]
    await bureau.read()
    found: list[str] = []
    after: str | None = None
    while True:
        page = await bureau.agenda.page(WHOLE, Filters(), after, 2)
        found += [each.id for each in page.entries]
        after = page.after
        if after is None:
            break
    assert found == tasks


async def test_outcomes_of_a_call_list_are_counted(bureau: Bureau) -> None:
    tasks = [await bureau.plan(call_list="l", branch=branch) for branch in ("12", "12", "13", "12")]
    for task, outcome in zip(tasks, ("reached", None, "reached"), strict=False):
        await bureau.do(task, Complete(task=task, at=DAY, outcome=outcome))
    await bureau.do(tasks[3], Cancel(task=tasks[3], at=DAY, reason="enough"))
    await bureau.read()
    counts = await bureau.agenda.outcomes(WHOLE, "l")
    assert counts == {"completed": {"reached": 2, "": 1}, "cancelled": {"enough": 1}}
    here = await bureau.agenda.outcomes(Scope(Kind.TASK, frozenset({"13"})), "l")
    assert here == {"completed": {"reached": 1}}


async def test_what_leavers_left_and_what_was_taken_over_is_found(bureau: Bureau) -> None:
    left, done, handed = [await bureau.plan(responsible="eve") for _ in range(3)]
    await bureau.plan(responsible="gil")
    await bureau.do(done, Complete(task=done, at=DAY))
    handing = HandOver(giver="eve", taker="fay", leaving="e@1")
    await bureau.do(handed, TakeOver(task=handed, at=DAY, handed=handing))
    await bureau.read()

    def names(found: Any) -> list[str]:  # noqa: ANN401 - entries
        return [each.id for each in found]

    assert names(await bureau.agenda.left_behind(["eve"])) == [left]
    assert names(await bureau.agenda.taken_over(["eve"])) == [handed]
    assert names(await bureau.agenda.taken_over(["fay"])) == []


async def test_members_of_a_segment_are_found_by_pages(bureau: Bureau) -> None:
    cause = Cause(kind="time")
    for name in ("anna", "boris", "clara", "dora"):
        entered = SegmentEntered(segment="lapsed", definition=1, cause=cause)
        await tell(bureau.writer, f"profile-{name}", name, [NewEvent(entered, DAY)])
    left = SegmentExited(segment="lapsed", definition=1, cause=cause)
    await tell(bureau.writer, "profile-boris", "boris", [NewEvent(left, DAY)])
    await bureau.read()
    sources = TaskSources(bureau.kept[STAFF.name][1], bureau.kept[CALLEES.name][1])
    first = await sources.members("lapsed", "", 2)
    assert [each.id for each in first] == ["anna", "clara"]
    assert [each.id for each in await sources.members("lapsed", "clara", 2)] == ["dora"]
    assert list(await sources.members("other", "", 2)) == []


async def test_the_sweeper_tells_what_is_due_and_nothing_else(bureau: Bureau) -> None:
    due = [await bureau.plan("anna", due=DAY + number * HOUR) for number in (1, 1, 2)]
    later = await bureau.plan(due=DAY + 9 * HOUR)
    await bureau.plan()
    await bureau.read()
    bureau.clock.advance(2 * HOUR)
    sweeper = bureau.sweeper()
    # That which is due in this very moment is among them.
    assert await sweeper.sweep() == 3
    await bureau.read()
    assert await sweeper.sweep() == 0
    entries: dict[str, AgendaEntry] = {}
    for task in (*due, later):
        entry = await bureau.agenda.get(task)
        assert entry is not None
        entries[task] = entry
    assert [entries[task].overdue for task in due] == [DAY + HOUR, DAY + HOUR, DAY + 2 * HOUR]
    assert (entries[later].overdue, entries[later].due_at) == (None, DAY + 9 * HOUR)


async def test_of_two_writers_who_complete_at_once_one_wins(
    bureau: Bureau, store: EventStore
) -> None:
    task = await bureau.plan("anna")
    keyring = bureau.writer.keyring
    others = [
        Writer(store, keyring, bureau.clock, "interaction", timedelta(seconds=10)) for _ in range(4)
    ]
    outcomes = []
    for number, writer in enumerate(others):
        request = Request(f"c{number}", "", DAY, by=f"e{number}")
        command = Complete(task=task, at=DAY, by=f"e{number}")
        outcomes.append(writer.many(TASK, [execution(request, task_stream(task), "anna", command)]))
    settled = await _together(outcomes)
    won = [each for each in settled if not hasattr(each, "status")]
    lost = [each for each in settled if hasattr(each, "status")]
    assert (len(won), len(lost)) == (1, 3)
    assert {each.type for each in lost} == {"task-completed"}
    assert len({each.extra["ended_by"] for each in lost}) == 1


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("commits", [0, 1, 2])
@pytest.mark.parametrize("written", [False, True])
async def test_a_sweeper_that_is_killed_at_any_write_leaves_each_told_once(
    bureau: Bureau, *, commits: int, written: bool
) -> None:
    tasks = [await bureau.plan("anna", due=DAY + number * HOUR) for number in range(1, 4)]
    await bureau.read()
    bureau.clock.advance(4 * HOUR)
    left = [commits]

    async def kill(_appends: object) -> None:
        if left[0] == 0:
            raise Killed
        left[0] -= 1

    store = (
        InterceptedStore(bureau.store, after=kill)
        if written
        else InterceptedStore(bureau.store, before=kill)
    )
    dying = bureau.sweeper()
    writer = replace(bureau.writer, store=store)
    grounds = TaskGrounds(writer, Staff(bureau.kept[STAFF.name][1]))
    dying.batch, dying.settle = 1, TaskTimers(writer, grounds).settle
    with pytest.raises(Killed):
        await dying.sweep()
    # Whoever goes on knows nothing of it; the read model has not read what was told either.
    await bureau.sweeper().sweep()
    streams = [task_stream(each) for each in tasks]
    histories = await bureau.writer.histories(streams)
    told = {
        stream: [each.due for each in events if isinstance(each, TaskOverdue)]
        for stream, (events, _) in histories.items()
    }
    assert told == {stream: [DAY + at * HOUR] for at, stream in enumerate(streams, 1)}


async def _together(works: list[Any]) -> list[Any]:
    return [outcome for (outcome,) in await asyncio.gather(*works)]
