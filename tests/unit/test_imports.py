"""Imports whole, on memory: from a file to customers, and back to what was before."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from services.customer.domain.commands import (
    AddIdentifier,
    ChangeRecord,
    ChangeTags,
    NewIdentifier,
    Register,
    WithdrawConsent,
)
from services.customer.domain.importing.columns import ColumnUse
from services.customer.domain.state import stream_of
from services.customer.handlers.customers import Request, carry_out
from services.customer.handlers.imports import reverting, running
from services.customer.queries.records import Records
from shared.decider import Refused
from shared.envelope import Causation
from shared.events.customer import ConsentWithdrawn, CustomerRegistered, Evidence, RecordFields
from shared.eventstore import StoreUnavailable
from shared.jobs import Job, RowResult
from shared.memory import (
    MemoryEventStore,
    MemoryJobs,
)
from shared.testing import DAY
from tests.unit.importing import AGREES, BRANCH, OTHER, OWNER, World


@pytest.fixture
def world() -> World:
    return World()


ANNA = "phone,name,city\n+79161234567,Anna,Moscow\n"


async def test_customers_are_registered_and_the_file_is_deleted(world: World) -> None:
    job = await world.run("phone,email,name\n89161234567,a@example.com,Anna\n89161234568,,Boris\n")
    assert (job.state, job.position, job.counts) == ("done", 2, {"new": 2})
    anna = await world.customer("email", "a@example.com")
    assert anna is not None
    assert (anna.record.name, len(anna.identifiers)) == ("Anna", 2)
    assert [each.fields for each in await world.results(job)] == [
        ("email", "name", "phone"), ("name", "phone"),
    ]  # fmt: skip
    with pytest.raises(Refused, match="not-found"):
        await world.files.open((await world.imports.find(job.id, OWNER)).file)


async def test_the_same_file_again_adds_nothing(world: World) -> None:
    await world.run(ANNA)
    before = world.events()
    job = await world.run(ANNA)
    assert (job.counts, world.events()) == ({"duplicate": 1}, before)


async def test_somebody_who_is_known_is_changed_and_gets_what_is_new(world: World) -> None:
    await world.run(ANNA)
    job = await world.run("phone,name,city,card,tags\n+79161234567,Anna,Berlin,A1,vip\n")
    (result,) = await world.results(job)
    assert (result.outcome, result.fields) == ("changed", ("card", "city", "tags"))
    anna = await world.customer("card", "A1")
    assert anna is not None
    assert (anna.record.city, anna.tags) == ("Berlin", frozenset({"vip"}))


async def test_a_file_may_fill_gaps_only(world: World) -> None:
    await world.run(ANNA)
    job = await world.run("phone,surname,city\n+79161234567,Ivanova,Berlin\n", fill="empty")
    assert [each.fields for each in await world.results(job)] == [("surname",)]
    anna = await world.customer("phone", "+79161234567")
    assert anna is not None
    assert (anna.record.surname, anna.record.city) == ("Ivanova", "Moscow")


async def test_a_row_of_two_customers_is_an_error_and_its_neighbours_go_on(world: World) -> None:
    await world.run("phone,card\n+79161234567,A1\n+79161234568,A2\n")
    job = await world.run("phone,card\n+79161234567,A2\nabc,\n+79161234569,A3\n")
    ambiguous, wrong, good = await world.results(job)
    assert (ambiguous.outcome, wrong.outcome, good.outcome) == ("error", "error", "new")
    assert "2 customers" in ambiguous.flaws[0].message
    assert wrong.flaws[0].field == "phone"
    assert (ambiguous.row, wrong.row, good.row) == (2, 3, 4)


async def test_rows_of_one_person_in_one_file_are_one_customer(world: World) -> None:
    text = "phone,card,name\n+79161234567,,Anna\n+79161234567,A1,\n,A1,Anna\n+79161234567,A1,\n"
    job = await world.run(text)
    assert await world.outcomes(job) == ["new", "changed", "duplicate", "duplicate"]
    assert len({each.id for each in await world.results(job)}) == 1


async def test_a_dry_run_says_what_would_be_and_does_nothing(world: World) -> None:
    await world.run(ANNA)
    before = world.events()
    text = (
        "phone,name,city,card\n+79161234567,Anna,Moscow,\n+79161234567,Anna,Berlin,\n"
        "+79161234568,Boris,,A2\n,Boris,,A2\nx,,,\n+79161234568,Boris,,A2\n"
    )
    name = await world.upload(text)
    job = await world.imports.try_out(name, OWNER)
    await world.work()
    results = await world.results(job)
    assert [each.outcome for each in results] == [
        "duplicate", "changed", "new", "changed", "error", "duplicate",
    ]  # fmt: skip
    assert results[2].id is None
    assert world.events() == before
    # The same reading tried out again is the same job; another reading is another.
    assert (await world.imports.try_out(name, OWNER)).id == job.id
    await world.imports.read_as(name, OWNER, {"phone": ColumnUse("phone")})
    assert (await world.imports.try_out(name, OWNER)).id != job.id


def consenting(text: str) -> dict[str, object]:
    return {
        "text": text,
        "uses": {"agrees": AGREES, "since": ColumnUse("consent_at", "news", ("sms",))},
    }


async def standing(world: World) -> bool | None:
    anna = await world.customer("phone", "+79161234567")
    assert anna is not None
    found = anna.consents.get(("news", "sms", ""))
    return None if found is None else found.given


async def test_old_consents_and_refusals_come_with_their_evidence(world: World) -> None:
    await world.run(**consenting("phone,agrees,since\n+79161234567,yes,2016-05-01\n"))  # type: ignore[arg-type] # a file
    assert await standing(world) is True
    anna = await world.customer("phone", "+79161234567")
    assert anna is not None
    evidence = anna.consents["news", "sms", ""].evidence
    assert evidence is not None
    assert (evidence.source, evidence.by, str(evidence.at)[:10]) == (
        "import", "key:owner", "2016-05-01",
    )  # fmt: skip
    await world.run(**consenting("phone,agrees,since\n+79161234567,no,2016-06-01\n"))  # type: ignore[arg-type] # a file
    assert await standing(world) is False


@pytest.mark.parametrize(
    ("row", "outcome"),
    [("yes,", "duplicate"), ("yes,2016-05-01", "duplicate"), ("no,", "duplicate")],
)
async def test_an_old_file_does_not_undo_what_a_customer_said_since(
    world: World, row: str, outcome: str
) -> None:
    await world.run(ANNA)
    said = ConsentWithdrawn(
        topic="news", channel="sms", evidence=Evidence(source="web", at=world.clock.now())
    )
    await world.do(WithdrawConsent, "phone", "+79161234567", withdrawn=said)
    job = await world.run(**consenting(f"phone,agrees,since\n+79161234567,{row}\n"))  # type: ignore[arg-type] # a file
    assert (await world.outcomes(job), await standing(world)) == ([outcome], False)


async def test_none_means_not_given(world: World) -> None:
    await world.run(**consenting("phone,agrees,since\n+79161234567,,2016-05-01\n"))  # type: ignore[arg-type] # a file
    assert await standing(world) is None


async def test_a_key_of_some_branches_imports_their_customers_alone(world: World) -> None:
    await world.run("phone,home_branch\n+79161234567,7\n")
    text = "phone,home_branch,city\n+79161234567,,X\n+79161234568,12,X\n+79161234569,7,X\n"
    name = await world.upload(text + "+79161234560,,X\n", by=BRANCH)
    with pytest.raises(Refused, match="not-found"):
        await world.imports.start(name, OTHER)
    await world.imports.start(name, BRANCH)
    await world.work()
    job = await world.jobs.find(name, BRANCH)
    assert await world.outcomes(job) == ["error", "new", "error", "error"]


async def test_a_started_import_is_read_as_it_was(world: World) -> None:
    name = await world.upload(ANNA)
    first = await world.imports.start(name, OWNER)
    assert (await world.imports.start(name, OWNER)).id == first.id == name
    with pytest.raises(Refused, match="import-started"):
        await world.imports.read_as(name, OWNER, {"phone": ColumnUse("phone")})


async def test_an_expired_file_is_not_started(world: World) -> None:
    name = await world.upload(ANNA)
    world.clock.advance(timedelta(days=3))
    with pytest.raises(Refused, match="file-gone"):
        await world.imports.start(name, OWNER)
    assert await world.imports.header(await world.imports.find(name, OWNER)) is None


async def test_a_consent_is_never_taken_for_one_without_being_asked_for(world: World) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield "Телефон;Согласие\n+79161234567;да\n".encode("cp1251")

    opened = await world.imports.upload("x", OWNER, content(), "f.csv", "text/csv")
    assert opened.draft.reading.columns == (ColumnUse("phone"), None)
    assert [each.target for each in opened.suggestions] == ["phone", "consent"]
    assert "Телефон" not in str(opened.draft)


class Killed(Exception):  # noqa: N818 - what a test does to a worker
    """The worker is gone."""


@pytest.mark.parametrize("after", range(1, 8))
async def test_an_import_that_is_killed_anywhere_records_every_row_once(
    world: World, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(running, "CHUNK_ROWS", 3)
    await world.run("phone,city\n+79160000001,Old\n")
    rows = "".join(f"+7916000000{n},c{n},New\n" for n in range(8))
    name = await world.upload(f"phone,card,city\n{rows}+79160000003,c3,New\n")
    await world.imports.start(name, OWNER)
    writes = 0
    append, write = MemoryEventStore.append, MemoryJobs.write

    async def append_then_die(store: MemoryEventStore, appends: Sequence[object]) -> Sequence[bool]:
        nonlocal writes
        done = await append(store, appends)  # type: ignore[arg-type] # what was given
        writes += 1
        if writes == after:
            raise asyncio.CancelledError
        return done

    async def die_or_write(store: MemoryJobs, job: Job, results: Sequence[RowResult] = ()) -> bool:
        nonlocal writes
        if results:
            writes += 1
            if writes == after:
                raise StoreUnavailable
        return await write(store, job, results)

    monkeypatch.setattr(MemoryEventStore, "append", append_then_die)
    monkeypatch.setattr(MemoryJobs, "write", die_or_write)
    for _ in range(4):
        await world.work()
        world.clock.advance(timedelta(minutes=1))
    job = await world.jobs.find(name, OWNER)
    assert (job.state, job.position) == ("done", 9)
    assert job.counts == {"new": 7, "changed": 1, "duplicate": 1}
    results = await world.results(job)
    assert [each.outcome for each in results] == [
        "new", "changed", *["new"] * 6, "duplicate",
    ]  # fmt: skip
    assert results[1].fields == ("card", "city")
    # Two commits of the known one, one of each of the seven others.
    assert len(world.store.commits) == 2 + 7


async def test_an_untouched_import_is_taken_back_whole(world: World) -> None:
    await world.run("phone,name,city,tags\n+79161234567,Anna,Moscow,vip\n")
    before = await world.customer("phone", "+79161234567")
    assert before is not None
    job = await world.run(
        "phone,name,city,card,tags,agrees\n+79161234567,Anya,Berlin,A1,new,yes\n"
        "+79161234568,Boris,,,,\n+79161234567,Anka,,,,\n",
        uses={"agrees": AGREES},
    )
    assert await world.outcomes(job) == ["changed", "new", "changed"]
    undone = await world.revert(job)
    assert (undone.state, undone.counts["restored"], undone.counts["removed"]) == ("reverted", 2, 1)
    after = await world.customer("phone", "+79161234567")
    assert after is not None
    assert (after.record, after.tags, after.identifiers) == (
        before.record, before.tags, before.identifiers,
    )  # fmt: skip
    assert await standing(world) is False
    assert await world.customer("card", "A1") is None
    assert await world.customer("phone", "+79161234568") is None
    boris = next(each.id for each in await world.results(job) if each.outcome == "new")
    gone = (await Records(world.writer).get(boris or "")).state
    assert (gone.archived, gone.identifiers) == (True, {})
    again = await world.run("phone,name\n+79161234568,Boris\n")
    assert await world.outcomes(again) == ["new"]


async def test_what_was_changed_since_is_kept_and_listed(world: World) -> None:
    await world.run("phone,name,city,card\n+79161234567,Anna,Moscow,A0\n")
    job = await world.run(
        "phone,name,city,card,tags\n+79161234567,Anya,Berlin,A1,one;two\n+79161234568,B,,,\n"
        "+79161234569,C,,,\n"
    )
    await world.do(ChangeRecord, "phone", "+79161234567", fields=RecordFields(city="Paris"))
    await world.do(ChangeTags, "phone", "+79161234567", remove=frozenset({"one"}))
    await world.do(
        AddIdentifier,
        "phone",
        "+79161234568",
        identifier=NewIdentifier(known=world.rules.known("card", "B1", "card")),
    )
    undone = await world.revert(job)
    changed, touched, alone = await world.results(undone)
    assert (changed.undone, [each.field for each in changed.flaws]) == ("partly", ["city", "tags"])
    assert (touched.undone, touched.flaws[0].message) == ("kept", "changed since")
    assert alone.undone == "removed"
    anna = await world.customer("phone", "+79161234567")
    assert anna is not None
    assert (anna.record.name, anna.record.city, anna.tags) == ("Anna", "Paris", frozenset())
    assert await world.customer("card", "A1") is None
    assert await world.customer("card", "A0") is not None
    boris = await world.customer("card", "B1")
    assert boris is not None
    assert not boris.archived


async def test_what_rules_of_the_chain_did_because_of_the_import_does_not_keep_it(
    world: World,
) -> None:
    job = await world.run(ANNA)
    (result,) = await world.results(job)
    request = Request(
        "rule|1", "h", DAY, Causation(f"job|{job.id}|{result.row}", causation="e", depth=1)
    )
    await carry_out(
        world.writer,
        request,
        ChangeTags(customer=result.id or "", at=DAY, add=frozenset({"by-rule"})),
    )
    undone = await world.revert(job)
    assert (await world.results(undone))[0].undone == "removed"


async def test_a_revert_that_is_cut_off_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await world.run("phone,city\n" + "".join(f"+7916000000{n},X\n" for n in range(5)))
    monkeypatch.setattr(reverting, "CHUNK_ROWS", 2)
    write, failures = MemoryJobs.write, 2

    async def fail_at_first(store: MemoryJobs, job: Job, results: Sequence[RowResult] = ()) -> bool:
        nonlocal failures
        if results and failures:
            failures -= 1
            raise StoreUnavailable
        return await write(store, job, results)

    monkeypatch.setattr(MemoryJobs, "write", fail_at_first)
    await world.imports.revert(job.id, OWNER)
    for _ in range(3):
        await world.work()
        world.clock.advance(timedelta(minutes=1))
    undone = await world.jobs.find(job.id, OWNER)
    assert (undone.state, undone.position, undone.counts) == (
        "reverted", 5, {"new": 5, "removed": 5},
    )  # fmt: skip
    # One commit to register each, one to remove each.
    assert len(world.store.commits) == 10


async def test_results_name_fields_and_never_a_value(world: World) -> None:
    job = await world.run(
        "phone,name,city,email\n+79161234567,Ivanova,Sokolniki,x\n+79161234568,Petrov,Arbat,\n"
    )
    told = str(await world.results(job)) + str(job)
    for value in ("Ivanova", "Sokolniki", "9161234567", "Petrov", "Arbat"):
        assert value not in told


async def test_a_customer_whom_somebody_registers_in_between_is_changed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims, raced = MemoryEventStore.claims, False

    async def register_first(store: MemoryEventStore, ids: Sequence[str]) -> object:
        nonlocal raced
        found = await claims(store, ids)
        if not raced:
            raced = True
            known = world.rules.known("phone", "+79161234567", "phone")
            await carry_out(
                world.writer,
                Request("http|first", "h", DAY),
                Register(
                    customer="first",
                    at=DAY,
                    person=CustomerRegistered(name="Anna"),
                    identifiers=(NewIdentifier(known=known),),
                ),
            )
        return found

    monkeypatch.setattr(MemoryEventStore, "claims", register_first)
    job = await world.run(ANNA)
    (result,) = await world.results(job)
    assert (result.outcome, result.id, result.fields) == ("changed", "first", ("city",))
    assert len((await world.store.read([stream_of("first")]))[stream_of("first")]) == 2
