"""Imports of facts whole, on memory: from a file to events, and back."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from services.interaction.domain.facts import fact_id
from services.interaction.domain.returns import TakeBack, WantedLine
from services.interaction.handlers.importing import running
from services.interaction.handlers.returns import Returns, SentReturn
from shared.decider import Refused
from shared.envelope import Envelope
from shared.eventstore import Append, StoreUnavailable
from shared.importing import grouping
from shared.jobs import Flaw
from shared.memory import MemoryEventStore
from shared.testing import DAY
from tests.unit.factfiles import BRANCH, OWNER, FactWorld

HEADER = "source_id,branch,time,card,product,quantity,amount\n"
TWO = HEADER + (
    "r1,12,2017-12-01 10:00,A1,bread,1,1.99\n"
    "r1,12,2017-12-01 10:00,A1,milk,2,3.00\n"
    "r2,12,2017-12-01 11:00,,bread,1,1.99\n"
)
RECORDED = "interaction.receipt_recorded"


@pytest.fixture
def world() -> FactWorld:
    found = FactWorld()
    found.knows("anna", "card", "A1")
    return found


def data(event: Envelope) -> dict[str, object]:
    found: dict[str, object] = msgspec.json.decode(event.data)
    return found


def sums(world: FactWorld) -> dict[str, tuple[int, int]]:
    """Of each receipt by its id: lines and total."""
    found = {}
    for event in world.events(RECORDED):
        said = data(event)
        lines = said["lines"]
        assert isinstance(lines, list)
        assert said["source_id"] not in found
        found[str(said["source_id"])] = (len(lines), int(str(said["total"])))
    return found


async def test_rows_of_one_receipt_become_one_receipt_and_the_file_is_deleted(
    world: FactWorld,
) -> None:
    job = await world.run(TWO)
    assert (job.state, job.position, job.counts) == ("done", 3, {"new": 2})
    assert sums(world) == {"r1": (2, 499), "r2": (1, 199)}
    first, second = world.events(RECORDED)
    # 10:00 in Samara, the chain's zone, is 06:00 UTC.
    assert (first.subject, first.time, first.history) == (
        "anna",
        "2017-12-01T06:00:00.000Z",
        job.id,
    )
    assert second.stream.startswith("unknown-")
    assert [(each.row, each.outcome) for each in await world.results(job)] == [
        (2, "new"), (4, "new"),
    ]  # fmt: skip
    with pytest.raises(Refused, match="not-found"):
        await world.files.open((await world.imports.find(job.id, OWNER)).file)


async def test_an_import_is_begun_and_ended_with_the_number_of_facts_that_it_brought(
    world: FactWorld,
) -> None:
    job = await world.run(TWO)
    begun, ended = world.events("import.")
    assert (begun.type, data(begun)["import_id"]) == ("import.begun.v1", job.id)
    assert (ended.type, data(ended)["facts"]) == ("import.ended.v1", 2)


async def test_the_same_file_again_adds_nothing(world: FactWorld) -> None:
    await world.run(TWO)
    before = world.events()
    again = await world.run(TWO)
    assert (again.counts, world.events()) == ({"repeated": 2}, before)


async def test_another_content_under_the_same_id_is_a_conflict_and_changes_nothing(
    world: FactWorld,
) -> None:
    await world.run(TWO)
    before = world.events()
    other = await world.run(TWO.replace("3.00", "4.00"))
    assert (other.counts, world.events()) == ({"conflict": 1, "repeated": 1}, before)
    assert await world.flaws(other) == [(2, "source_id", running.SENT_BEFORE)]


def many(receipts: int, lines: int) -> list[str]:
    """Rows of receipts, in order."""
    return [
        f"r{receipt},12,2017-12-01 10:00,,p{line},1,{receipt}.{line:02}\n"
        for receipt in range(receipts)
        for line in range(lines)
    ]


@pytest.mark.parametrize("run_rows", [7, 50, 10_000])
async def test_a_shuffled_file_gives_the_same_receipts_however_it_is_sorted(
    monkeypatch: pytest.MonkeyPatch, run_rows: int
) -> None:
    monkeypatch.setattr(grouping, "RUN_ROWS", run_rows)
    monkeypatch.setattr(running, "CHUNK_ROWS", 13)
    rows = many(40, 5)
    in_order = FactWorld()
    await in_order.run(HEADER + "".join(rows))
    random.Random(run_rows).shuffle(rows)
    shuffled = FactWorld()
    job = await shuffled.run(HEADER + "".join(rows))
    assert (job.position, job.counts) == (200, {"new": 40})
    # Receipt n has lines of n.00 to n.04: 5 · 100n + 10 cents.
    assert sums(shuffled) == sums(in_order) == {f"r{n}": (5, 500 * n + 10) for n in range(40)}
    # Nothing of the file is left, neither itself nor what was sorted.
    assert await shuffled.files.store.expired(DAY + timedelta(days=9), 99) == []


async def test_the_same_rows_in_another_order_are_the_same_receipt(world: FactWorld) -> None:
    await world.run(TWO)
    header, first, second, third = TWO.splitlines(keepends=True)
    other = await world.run(header + second + third + first)
    assert other.counts == {"repeated": 2}


async def test_lines_stand_as_their_numbers_say_where_there_are_any(world: FactWorld) -> None:
    header = HEADER.replace("product", "line,product")
    rows = "r1,12,2017-12-01,,{},bread,1,1\nr1,12,2017-12-01,,{},milk,1,2\n"
    await world.run(header + rows.format(2, 1))
    (event,) = world.events(RECORDED)
    assert [line["product"] for line in data(event)["lines"]] == ["milk", "bread"]  # type: ignore[attr-defined] # a list
    other = await world.run(header + rows.format(1, 2))
    assert other.counts == {"conflict": 1}
    missing = await world.run(header + rows.format(1, "").replace("r1", "r2"))
    assert await world.flaws(missing) == [
        (2, None, "nothing is recorded of it: see row 3"), (3, "line", "should not be empty"),
    ]  # fmt: skip


async def test_halves_of_a_file_complete_each_other_where_they_part_between_receipts() -> None:
    world, rows = FactWorld(), many(10, 3)
    first = await world.run(HEADER + "".join(rows[:15]))
    second = await world.run(HEADER + "".join(rows[12:]))
    assert (first.counts, second.counts) == ({"new": 5}, {"new": 5, "repeated": 1})
    assert len(sums(world)) == 10


async def test_each_error_names_its_row_and_its_column_and_nothing_is_recorded_of_the_receipt(
    world: FactWorld,
) -> None:
    rows = (
        "r1,12,2017-12-01 10:00,A1,bread,1,1.99\n"
        "r1,12,2017-12-01 10:00,A1,milk,many,much\n"
        "r2,12,when,A1,bread,1,1.99\n"
        ",12,2017-12-01 10:00,A1,bread,1,1.99\n"
        "r3,,2017-12-01 10:00,A1,,1,\n"
        "r4,12,2017-12-01 10:00,A1,bread,1,1.99\n"
        "r4,12,2017-12-01 10:05,A1,bread,1,1.99\n"
        "r5,12,2017-12-01 10:00,A1,bread,1,1.99,more\n"
        "r6,12,2017-12-05 10:00,A1,bread,1,1.99\n"
    )
    world.clock.moment = DAY.replace(year=2017, month=12, day=1)
    job = await world.run(HEADER + rows)
    found = await world.flaws(job)
    assert [(row, column) for row, column, _ in found] == [
        (2, None), (3, "quantity"), (3, "amount"), (4, "time"), (5, "source_id"),
        (6, "branch"), (6, "product"), (6, "amount"), (7, None), (8, "time"), (9, None),
        (10, "time"),
    ]  # fmt: skip
    assert found[0][2] == "nothing is recorded of it: see row 3"
    assert "as in row 7" in found[9][2]
    assert world.events(RECORDED) == []


async def test_rows_without_an_id_are_not_one_receipt(world: FactWorld) -> None:
    job = await world.run(HEADER + ",12,2017-12-01,,bread,1,1\n" * 3)
    assert job.counts == {"error": 3}


async def test_a_receipt_of_too_many_rows_fails_the_job_before_anything_is_recorded(
    world: FactWorld,
) -> None:
    job = await world.run(HEADER + "r,12,2017-12-01,,bread,1,1\n" * 2_001)
    assert (job.state, world.events()) == ("failed", [])
    assert job.problem is not None
    assert "2001 rows are of one and the same thing" in job.problem


async def test_a_dry_run_says_what_would_become_of_each_receipt_and_records_nothing(
    world: FactWorld,
) -> None:
    await world.run(TWO)
    before = world.events()
    rows = TWO.replace("3.00", "4.00") + "r3,12,2017-12-01,,bread,1,1\nr4,12,,,bread,1,1\n"
    tried = await world.tried(rows)
    assert (tried.state, tried.counts) == (
        "done", {"conflict": 1, "repeated": 1, "new": 1, "error": 1},
    )  # fmt: skip
    assert world.events() == before


async def test_rows_of_other_branches_are_errors_for_whoever_is_of_one() -> None:
    world = FactWorld()
    rows = HEADER + "r1,12,2017-12-01,,bread,1,1\nr2,13,2017-12-01,,bread,1,1\n"
    job = await world.run(rows, by=BRANCH)
    assert job.counts == {"new": 1, "error": 1}
    assert [event.branch for event in world.events(RECORDED)] == ["12"]


async def test_a_row_is_a_visit_and_the_second_of_one_id_is_told_in_the_dry_run() -> None:
    world = FactWorld()
    world.knows("anna", "phone", "89161234567")
    text = (
        "source_id,branch,time,phone,visit,state,minutes,note,extra.room\n"
        "v1,12,01.12.2017 10:00,79161234567,b7,Kept,30,came late,4\n"
        "v1,12,01.12.2017 10:00,79161234567,b7,kept,30,came late,4\n"
        "v1,12,01.12.2017 10:00,79161234567,b7,missed,30,came late,4\n"
        "v2,12,01.12.2017 10:00,79161234567,b8,walked in,,,\n"
        "v3,12,01.12.2017 10:00,79161234567,b8,slept,,,\n"
    )
    tried = await world.tried(text, "visits")
    assert tried.counts == {"new": 2, "repeated": 1, "conflict": 1, "error": 1}
    job = await world.run(text, "visits")
    assert job.counts == tried.counts
    assert await world.flaws(job) == [
        (4, "source_id", running.SENT_BEFORE),
        (6, "state", (await world.flaws(tried))[1][2]),
    ]
    first, second = world.events("interaction.visit_recorded")
    assert (first.subject, data(first)["minutes"]) == ("anna", 30)
    assert data(second)["state"] == "walked_in"
    # Notes and own fields are sealed.
    assert "came late" not in str(data(first))


@dataclass
class Disturbed(MemoryEventStore):
    """A store in which something happens after the append of a number."""

    left: int = 0
    happening: Callable[[], Awaitable[None]] | None = None

    async def append(self, appends: Sequence[Append]) -> Sequence[bool]:
        done = await MemoryEventStore.append(self, appends)
        self.left -= 1
        if self.left == 0 and self.happening is not None:
            await self.happening()
        return done


@pytest.mark.parametrize("failing", [1, 2, 3])
async def test_what_a_runner_recorded_before_it_was_cut_off_counts_as_new(failing: int) -> None:
    async def cut_off() -> None:
        raise StoreUnavailable("gone")

    world = FactWorld(store=Disturbed(left=failing, happening=cut_off))
    name = await world.upload(HEADER + "".join(many(3, 2)))
    await world.imports.start(name, OWNER)
    for _ in range(3):
        await world.work()
        world.clock.moment += timedelta(seconds=60)
    job = await world.jobs.find(name, OWNER)
    assert (job.state, job.counts) == ("done", {"new": 3})
    assert len(sums(world)) == 3


async def test_a_revert_voids_receipts_that_the_import_brought_and_no_others(
    world: FactWorld,
) -> None:
    header, *rows = TWO.splitlines(keepends=True)
    await world.run(header + rows[2])
    job = await world.run(TWO)
    assert job.counts == {"new": 1, "repeated": 1}
    undone = await world.revert(job)
    assert (undone.state, undone.counts["voided"]) == ("reverted", 1)
    (void,) = world.events("interaction.receipt_voided")
    assert (void.subject, void.history, data(void)["total"]) == ("anna", None, 499)
    again = await world.run(TWO)
    assert again.counts == {"repeated": 2}


async def test_a_revert_withdraws_facts_that_are_no_receipts(world: FactWorld) -> None:
    text = "source_id,time,card,direction,text\nc1,2017-12-01 10:00,A1,in,asked for Boris\n"
    undone = await world.revert(await world.run(text, "calls"))
    assert (undone.state, undone.counts) == ("reverted", {"new": 1, "withdrawn": 1})
    (recorded,) = world.events("interaction.call_recorded")
    (withdrawn,) = world.events("interaction.fact_withdrawn")
    fact = data(withdrawn)["withdrawn"]
    assert isinstance(fact, dict)
    assert (fact["fact"], fact["type"], fact["home"]) == (
        data(recorded)["fact"], "interaction.call_recorded.v1", "anna",
    )  # fmt: skip
    # What is personal stays where it was.
    assert "text" not in fact["data"]


async def test_a_stopped_import_that_is_taken_back_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(running, "CHUNK_FACTS", 1)

    async def stop() -> None:
        await world.jobs.stop(name, OWNER)

    # The first append begins the import, the second is that of the first receipt.
    world = FactWorld(store=Disturbed(left=2, happening=stop))
    name = await world.upload(HEADER + "".join(many(3, 2)))
    await world.imports.start(name, OWNER)
    await world.work()
    stopped = await world.jobs.find(name, OWNER)
    assert (stopped.state, stopped.position, stopped.counts) == ("stopped", 2, {"new": 1})
    undone = await world.revert(stopped)
    assert undone.counts["voided"] == 1
    begun, ended = world.events("import.")
    assert (begun.type, data(ended)["facts"]) == ("import.begun.v1", 1)


async def test_a_stopped_import_goes_on_where_it_stood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "CHUNK_FACTS", 1)

    async def stop() -> None:
        await world.jobs.stop(name, OWNER)

    world = FactWorld(store=Disturbed(left=3, happening=stop))
    rows = many(6, 3)
    random.Random(5).shuffle(rows)
    name = await world.upload(HEADER + "".join(rows))
    await world.imports.start(name, OWNER)
    await world.work()
    assert (await world.jobs.find(name, OWNER)).position == 6
    await world.jobs.resume(name, OWNER)
    await world.work()
    job = await world.jobs.find(name, OWNER)
    assert (job.state, job.counts) == ("done", {"new": 6})
    assert sums(world) == {f"r{n}": (3, 300 * n + 3) for n in range(6)}


async def test_a_receipt_that_was_returned_or_voided_since_is_listed_by_a_revert(
    world: FactWorld,
) -> None:
    job = await world.run(TWO + "r3,12,2017-12-01 12:00,,bread,1,1.00\n")
    returns = Returns(world.writer)
    await returns.record([taken_back("r1", void=False), taken_back("r3", void=True)])
    undone = await world.revert(job)
    assert undone.counts == {"new": 3, "partly": 1, "voided": 1, "kept": 1}
    found = {each.row: (each.undone, each.flaws) for each in await world.results(undone)}
    assert found[2] == ("partly", (Flaw("returned since it was imported"),))
    assert found[5] == ("kept", (Flaw("voided since it was imported"),))
    voids = [data(each) for each in world.events("interaction.receipt_voided")]
    # Of r1 the milk for 3.00 is left, of r2 all of it.
    assert sorted(str(void["total"]) for void in voids) == ["100", "199", "300"]


def taken_back(receipt: str, *, void: bool) -> SentReturn:
    """A till that gives back the first line of a receipt, or voids it."""
    command = TakeBack(
        source="pos",
        source_id=f"back-{receipt}",
        branch="12",
        time=DAY,
        now=DAY,
        receipt=fact_id("pos", "12", receipt),
        void=void,
        lines=None if void else (WantedLine(1, Decimal(1)),),
    )
    return SentReturn(command, f"pos|12|{receipt}", "as it was")
