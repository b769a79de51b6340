"""Lists from files, on memory: rows that name customers in any way, tried out, done, taken back."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.segment.api.list_imports import ListImportApi
from services.segment.domain.listing import LISTING, listing_stream
from services.segment.domain.lists import NameList
from services.segment.handlers import importing
from services.segment.handlers.definitions import Request
from services.segment.handlers.importing import ListDryRun, ListFiles, ListImport, Source
from services.segment.handlers.lists import Change, Entry, ListWriting, archive_list, name_list
from services.segment.projections.holders import (
    HOLDERS,
    Added,
    Brought,
    Claim,
    Gone,
    Holder,
    Reverted,
    Told,
    owners_of,
)
from services.segment.queries.holders import Holders
from services.segment.queries.lists import StaticLists
from services.segment.queries.profiles import Profiles
from shared.access import Authenticator, Principal, Role, issue
from shared.clock import ManualClock
from shared.decider import Refused
from shared.envelope import Light
from shared.events.lists import ListCause
from shared.eventstore import StoreUnavailable
from shared.execute import Writer
from shared.files import Files
from shared.http import build_app
from shared.identifiers import IdentifierRules
from shared.importing import ImportList, Imports
from shared.jobs import Job, JobRunner, Jobs, RowResult, kinds_by_name
from shared.keyring import Keyring
from shared.memory import (
    MemoryApiKeys,
    MemoryDocuments,
    MemoryEventStore,
    MemoryFiles,
    MemoryJobs,
    MemoryKeyStore,
    MemoryLeases,
)
from shared.projection import Event
from shared.testing import client_of
from shared.testing.collections import MemoryQuestions

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = b"s" * 32
MASTER = AESGCM(b"m" * 32)
OWNER = Principal("key:owner", frozenset({Role.OWNER}))
BRANCH = Principal("key:branch", frozenset({Role.OWNER}), frozenset({"12"}))
PHONE, MAIL = "+79161234567", "b@example.com"


@dataclass
class World:
    """A segment service in memory, and a worker for its jobs."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    number: int = 0

    def __post_init__(self) -> None:
        self.writer = Writer(
            MemoryEventStore(), Keyring(MemoryKeyStore(), MASTER), self.clock, "segment"
        )
        self.rules = IdentifierRules(SECRET, "RU")
        self.people, self.held = MemoryDocuments(), MemoryDocuments()
        files, drafts = Files(MemoryFiles(), MASTER, SECRET, self.clock), MemoryDocuments()
        self.jobs = Jobs(MemoryJobs(), self.clock)
        profiles = Profiles(MemoryQuestions(self.people))
        lists = StaticLists(self.writer)
        self.writing = ListWriting(self.writer, profiles)
        holders = Holders(MemoryQuestions(self.held))
        self.source = Source(
            drafts, files, self.writing, lists, holders, profiles, self.rules, self.clock
        )
        self.imports = Imports(drafts, files, self.jobs, self.clock, ListFiles(lists))
        kinds = kinds_by_name([ListImport(self.source), ListDryRun(self.source)])
        self.runner = JobRunner(
            self.jobs.store, MemoryLeases(self.clock), self.clock, kinds, "a", poll_seconds=0
        )

    async def knows(self, customer: str, **identifiers: str) -> None:
        claims = [
            {"id": self.rules.known(kind, value, kind).claim_id, "epoch": 1}  # type: ignore[arg-type]  # one of the kinds
            for kind, value in identifiers.items()
        ]
        await self.people.write([{"_id": customer, "rev": 1}])
        await self.held.write([{"_id": customer, "rev": 1, "versions": {}, "claims": claims}])

    async def upload(self, text: str, by: Principal = OWNER) -> str:
        """A file for the list, read by its own header."""
        self.number += 1

        async def content() -> AsyncIterator[bytes]:
            yield text.encode()

        name = f"i{self.number}"
        await self.imports.upload(name, by, content(), "f.csv", "text/csv", "vip")
        return name

    async def work(self) -> None:
        await self.runner.look()
        await self.runner.settle()

    async def run(self, text: str) -> Job:
        name = await self.upload(text)
        await self.imports.start(name, OWNER)
        await self.work()
        return await self.jobs.find(name, OWNER)

    async def revert(self, job: Job) -> Job:
        await self.imports.revert(job.id, OWNER)
        await self.work()
        return await self.jobs.find(job.id, OWNER)

    async def results(self, name: str) -> Sequence[RowResult]:
        return await self.jobs.store.results(name, after=0, limit=99)

    async def by_hand(self, customer: str, *, on: bool) -> None:
        self.number += 1
        change = Change("vip", on, ListCause(kind="hand"), NOW, "c")
        await self.writing.change(change, [Entry(f"hand|{self.number}", customer)])

    async def on(self, *customers: str) -> list[str]:
        found = []
        for customer in customers:
            state, _ = await self.writer.state(LISTING, listing_stream(customer))
            found += [customer] if "vip" in state.on else []
        return found


@pytest.fixture
async def world() -> World:
    """A list, and three customers."""
    world = World()
    request = Request("list", "list", NOW)
    await name_list(world.writer, request, NameList("vip", "VIP", NOW))
    await world.knows("anna", phone=PHONE, card="A1")
    await world.knows("boris", email=MAIL)
    await world.knows("clara")
    return world


EVERYBODY = f"Phone,E-mail,Customer ID,Note\n8 916 123-45-67,,,x\n,{MAIL},,\n,,clara,\n"


async def test_rows_name_customers_by_any_identifier_or_by_their_id(world: World) -> None:
    job = await world.run(EVERYBODY)
    assert (job.state, job.counts) == ("done", {"entered": 3})
    assert await world.on("anna", "boris", "clara") == ["anna", "boris", "clara"]
    assert [each.id for each in await world.results(job.id)] == ["anna", "boris", "clara"]
    with pytest.raises(Refused, match="not-found"):
        await world.source.files.open((await world.imports.find(job.id, OWNER)).file)


async def test_each_row_has_a_result_and_its_neighbours_go_on(world: World) -> None:
    text = (
        "phone,card,customer\n"
        f"{PHONE},A1,\nabc,,\n+79169999999,,\n,,nobody\n,A1,\n{PHONE},,clara\n,,clara\n"
    )
    job = await world.run(text)
    results = await world.results(job.id)
    assert [each.outcome for each in results] == [
        "entered", "error", "unknown", "unknown", "there", "error", "entered",
    ]  # fmt: skip
    assert results[1].flaws[0].field == "phone"
    assert "2 customers" in results[5].flaws[0].message


async def test_the_same_file_again_puts_nobody_on_twice(world: World) -> None:
    await world.run(EVERYBODY)
    assert (await world.run(EVERYBODY)).counts == {"there": 3}


async def test_a_dry_run_says_whom_rows_mean_and_does_nothing(world: World) -> None:
    name = await world.upload(EVERYBODY + ",,nobody,\n")
    job = await world.imports.try_out(name, OWNER)
    await world.work()
    assert (await world.jobs.find(job.id, OWNER)).counts == {"known": 3, "unknown": 1}
    assert await world.on("anna", "boris", "clara") == []


async def test_an_import_takes_off_again_who_is_on_the_list_by_it_still(world: World) -> None:
    await world.by_hand("clara", on=True)
    job = await world.run(EVERYBODY)
    await world.by_hand("boris", on=False)
    await world.by_hand("boris", on=True)
    reverted = await world.revert(job)
    assert reverted.state == "reverted"
    assert await world.on("anna", "boris", "clara") == ["boris", "clara"]
    undone = [each.undone for each in await world.results(job.id)]
    assert undone == ["taken off", "kept", None]


async def test_an_import_that_is_killed_goes_on_where_it_stood(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 1)
    write, left = world.jobs.store.write, 3

    async def failing(job: Job, results: Sequence[RowResult] = ()) -> bool:
        nonlocal left
        left -= 1
        if left == 0:
            message = "killed"
            raise StoreUnavailable(message)
        return await write(job, results)

    monkeypatch.setattr(type(world.jobs.store), "write", lambda _, *told: failing(*told))
    name = await world.upload(EVERYBODY)
    await world.imports.start(name, OWNER)
    await world.work()
    assert (await world.jobs.find(name, OWNER)).state == "running"
    assert await world.on("anna", "boris", "clara") == ["anna", "boris"]
    await world.work()
    job = await world.jobs.find(name, OWNER)
    # What was recorded and not saved counts as what it was.
    assert (job.state, job.counts) == ("done", {"entered": 3})


async def test_a_list_that_is_archived_while_a_file_is_read_gets_nobody_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 1)
    change = ListWriting.change

    async def archiving(writing: ListWriting, *told: Any) -> Any:  # noqa: ANN401 - as it is there
        outcomes = await change(writing, *told)
        await archive_list(world.writer, Request("archive", "archive", NOW), "vip", None)
        return outcomes

    monkeypatch.setattr(ListWriting, "change", archiving)
    job = await world.run(EVERYBODY)
    assert (job.state, job.counts) == ("failed", {"entered": 1})
    assert await world.on("anna", "boris", "clara") == ["anna"]


@pytest.mark.parametrize(
    ("columns", "field"), [({"Note": "surname"}, "columns.Note"), ({}, "columns")]
)
async def test_a_mapping_says_who_is_meant(
    world: World, columns: dict[str, Any], field: str
) -> None:
    name = await world.upload(EVERYBODY)
    with pytest.raises(Refused) as refused:
        await world.imports.read_as(name, OWNER, columns)
    assert [each.field for each in refused.value.errors] == [field]
    opened = await world.imports.read_as(name, OWNER, {"Customer ID": "customer"})
    assert opened.draft.reading.columns == (None, None, "customer", None)


async def test_a_file_is_for_a_list_of_use_and_of_the_whole_chain(world: World) -> None:
    name = await world.upload(EVERYBODY)
    with pytest.raises(Refused) as branch:
        await world.imports.start(await world.upload(EVERYBODY, BRANCH), BRANCH)
    assert branch.value.status == 403
    await archive_list(world.writer, Request("a", "a", NOW), "vip", None)
    for asked in (world.upload(EVERYBODY), world.imports.start(name, OWNER)):
        with pytest.raises(Refused) as archived:
            await asked
        assert archived.value.type == "list-archived"


async def test_a_file_is_sent_mapped_and_started_over_http(world: World) -> None:
    keys, (text, stored) = MemoryApiKeys(), issue(SECRET, title="test", roles=[Role.OWNER])
    await keys.add(stored)
    api = ListImportApi(world.imports, ImportList(MemoryQuestions(MemoryDocuments())))

    async def readiness() -> dict[str, Any]:
        return {}

    app = build_app(
        title="test",
        service="segment",
        routers=[api.router(), api.uploads()],
        authenticator=Authenticator(keys, SECRET),
        readiness=readiness,
    )
    async with client_of(app, text) as client:
        missing = await client.post("/v1/lists/none/imports", content=EVERYBODY.encode())
        assert missing.status_code == 404
        sent = await client.post("/v1/lists/vip/imports", content=EVERYBODY.encode())
        assert sent.status_code == 201, sent.text
        seen = sent.json()
        assert (seen["list"], seen["rows"]) == ("vip", 3)
        assert [each["to"] for each in seen["columns"]] == ["phone", "email", "customer", None]
        place = f"/v1/list-imports/{seen['id']}"
        body = {"columns": {"E-mail": "email"}}
        assert (await client.put(f"{place}/mapping", json=body)).status_code == 200
        assert (await client.post(f"{place}/start")).status_code == 202
        await world.work()
        assert (await client.get(place)).json()["started"] is True
    assert await world.on("anna", "boris", "clara") == ["boris"]


# Whom an identifier finds


def event(version: int, kind: str, data: object) -> Event:
    light = Light(
        f"customer.{kind}.v1", "customer-anna", version, NOW, NOW, msgspec.Raw(b""), "anna"
    )
    return Event(light, data, 0)


def claims(*told: tuple[str, object]) -> list[tuple[str, int]]:
    held: Holder | None = None
    for version, (kind, data) in enumerate(told, start=1):
        what = event(version, kind, data)
        assert HOLDERS.target(what) == "anna"
        held = HOLDERS.apply(held, what)
    assert held is not None
    return [(claim.id, claim.epoch) for claim in held.claims]


A, B, FAMILY = Told("phone", "a", 1), Told("phone", "b", 2), Told("phone", "f", 1, shared=True)
REGISTERED = ("registered", Brought([A, FAMILY]))


def test_a_customer_is_found_by_what_is_theirs_alone() -> None:
    assert claims(REGISTERED) == [("phone|a", 1)]
    assert claims(REGISTERED, ("identifier_added", Added(B))) == [("phone|a", 1), ("phone|b", 2)]
    assert claims(REGISTERED, ("identifier_removed", Told("phone", "a"))) == []
    assert claims(REGISTERED, ("absorbed", Brought([B]))) == [("phone|a", 1), ("phone|b", 2)]


def test_who_was_merged_is_found_again_when_they_part() -> None:
    merged = ("merged", Gone())
    assert claims(REGISTERED, merged) == []
    parted = ("merge_reverted", Reverted("loser", [], [B]))
    assert claims(REGISTERED, merged, parted) == [("phone|b", 2)]
    survivor = ("merge_reverted", Reverted("survivor", [A], [B]))
    assert claims(REGISTERED, survivor) == [("phone|b", 2)]


def test_who_was_erased_is_found_by_nothing_ever_after() -> None:
    added = ("identifier_added", Added(B))
    assert claims(REGISTERED, ("erased", Gone()), added) == []


def test_of_two_who_have_a_claim_the_later_one_owns_it() -> None:
    anna = Holder(id="anna", claims=[Claim("phone|a", 1)])
    boris = Holder(id="boris", claims=[Claim("phone|a", 2), Claim("phone|b", 1)])
    assert owners_of([boris, anna], {"phone|a"}) == {"phone|a": "boris"}
