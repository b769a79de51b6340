"""A year of a grocery chain from files: totals are exact to the cent, whatever way the files go.

Every 600th household, some thousand lines; all of them with `REGULARS_LONG_TESTS=1`, every eighth
with `REGULARS_LONG_TESTS=8`.
"""

import asyncio
import gc
import io
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from deploy import importing
from deploy.client import Chain
from deploy.importing import Wanted
from services.customer.main import build as build_customer
from services.interaction.main import InteractionSettings
from services.interaction.main import build as build_interaction
from shared.access import Role
from shared.envelope import decode
from shared.events.interaction import ReceiptRecorded
from shared.mongo import Database, MongoEventStore, connect
from shared.settings import Settings
from shared.testing import LocalChain, eventually
from tests.integration.year import MAPPING, Cell, Year, net_of, year

Json = Any
LONG = "REGULARS_LONG_TESTS"
NOW = datetime(2018, 1, 2, tzinfo=UTC)
REGISTERED_AT_ONCE = 200
READ_AT_ONCE = 50
STEP = int(os.environ.get(LONG) or 600)
LONGEST_SECONDS = 2700.0
GC_THRESHOLD = 50_000
if LONG in os.environ:
    # All of the year takes the better part of an hour.
    pytestmark = pytest.mark.timeout(2 * 3600)


@dataclass
class Chains:
    """A chain whose two services run, and how its files are sent."""

    caller: Chain
    chain: LocalChain
    folder: Path
    customers: Mapping[str, str]

    async def import_file(self, lines: Year, name: str) -> Json:
        """Import lines as the command line does; gives the job as it ended."""
        mapping = self.folder / "mapping.json"
        mapping.write_text(json.dumps(MAPPING))
        path = await asyncio.to_thread(lines.write, self.folder / f"{name}.parquet")
        people = Console(file=io.StringIO())
        return await importing.import_file(
            self.caller, Wanted(path, mapping, what="receipts"), people
        )

    async def recorded(self) -> list[tuple[str, str | None, str, dict[str, Any]]]:
        """Household, branch, time and data of every receipt in the log."""
        households = {customer: name for name, customer in self.customers.items()}
        client = connect(self.chain.servers.mongo_url)
        try:
            database = Database(client, f"{self.chain.prefix}interaction")
            store = MongoEventStore(database, timedelta(seconds=20))
            streams = await store.names("interaction-")
            assert await store.names("unknown-") == []
            found = []
            for begin in range(0, len(streams), READ_AT_ONCE):
                commits = await store.read(streams[begin : begin + READ_AT_ONCE])
                found += [
                    (households[each.subject or ""], each.branch, each.time, dict(data))
                    for several in commits.values()
                    for commit in several
                    for each in map(decode, commit.events)
                    if each.type == ReceiptRecorded.type
                    and (data := msgspec.json.decode(each.data)) is not None
                ]
            return found
        finally:
            client.close()

    async def require(self, lines: Year) -> None:
        """Every sum of the log and of the totals is that of the lines."""
        recorded = await self.recorded()
        assert len(recorded) == len({data["fact"] for *_, data in recorded}) == lines.receipts
        net = await asyncio.to_thread(lines.net)
        assert net_of(recorded) == net
        stores, households = by(net, 1), by(net, 0)
        branches = await eventually(lambda: self._settled(lines.receipts), LONGEST_SECONDS)
        assert {each["branch"]: each["turnover_minor"] for each in branches} == stores
        for household in lines.households[:: max(1, len(lines.households) // 25)]:
            customer = self.customers[household]
            totals = await self.caller.get("interaction", f"/v1/customers/{customer}/totals")
            assert totals["spent_minor"] == households[household]

    async def _settled(self, receipts: int) -> Sequence[Json] | None:
        """The sums of all branches, once they have all receipts."""
        found = (await self.caller.get("interaction", "/v1/totals/branches"))["items"]
        branches: list[Json] = found
        return branches if sum(each["receipts"] for each in branches) >= receipts else None


def by(net: Counter[Cell], place: int) -> Counter[str]:
    """The sums of a part of the cells."""
    sums: Counter[str] = Counter()
    for cell, cents in net.items():
        sums[cell[place]] += cents
    return sums


@pytest.fixture(scope="module", autouse=True)
def collected_as_in_a_service() -> Iterator[None]:
    """A year makes many objects: the tests' own are not looked through again and again."""
    before = gc.get_threshold()
    gc.set_threshold(GC_THRESHOLD)
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.fixture(scope="module")
def lines() -> Year:
    """The lines that are imported."""
    return year(STEP)


@pytest.fixture
async def shops(chain: LocalChain, tmp_path: Path, lines: Year) -> AsyncIterator[Chains]:
    """A chain that knows the households; its clock stands still."""
    customer = chain.settings(Settings, clock_frozen_at=NOW, append_deadline_seconds=10)
    interaction = chain.settings(
        InteractionSettings, clock_frozen_at=NOW, append_deadline_seconds=10, misuse_limit=99
    )
    async with (
        chain.running(build_customer, customer) as customers,
        chain.running(build_interaction, interaction) as interactions,
    ):
        key = await chain.key(Role.OWNER)
        caller = Chain(interactions, {"interaction": ""}, key)
        known = await registered(Chain(customers, {"customer": ""}, key), lines.households)
        await eventually(lambda: _caught_up(caller), LONGEST_SECONDS)
        yield Chains(caller, chain, tmp_path, known)


async def _caught_up(caller: Chain) -> bool | None:
    report = await caller.get("interaction", "/v1/progress")
    return True if report["caught_up"] else None


async def registered(caller: Chain, households: Sequence[str]) -> Mapping[str, str]:
    """The customers of the households, registered."""
    customers: dict[str, str] = {}
    for begin in range(0, len(households), REGISTERED_AT_ONCE):
        names = households[begin : begin + REGISTERED_AT_ONCE]
        items = [
            {"request_id": f"h-{name}", "identifiers": [{"kind": "external", "value": name}]}
            for name in names
        ]
        answers = await caller.batch("customer", "/v1/customers/batch", items)
        customers |= {name: each["id"] for name, each in zip(names, answers, strict=True)}

    return customers


async def test_a_year_of_lines_gives_exact_totals_and_nothing_when_it_comes_again(
    shops: Chains, lines: Year
) -> None:
    job = await shops.import_file(lines, "year")
    assert (job["state"], job["counts"]) == ("done", {"new": lines.receipts})
    await shops.require(lines)
    again = await shops.import_file(lines, "again")
    assert again["counts"] == {"repeated": lines.receipts}
    mixed = await shops.import_file(lines.shuffled(), "mixed")
    assert mixed["counts"] == {"repeated": lines.receipts}
    await shops.require(lines)


async def test_two_importers_with_shuffled_files_that_overlap_give_the_same_totals(
    shops: Chains, lines: Year
) -> None:
    first, second = lines.without(0).shuffled(), lines.without(1).shuffled()
    jobs = await asyncio.gather(
        shops.import_file(first, "first"), shops.import_file(second, "second")
    )
    counts = Counter[str]()
    for job in jobs:
        assert job["state"] == "done"
        counts.update(job["counts"])
    # What is in both files is new to one of them, and repeated to the other.
    twice = first.receipts + second.receipts - lines.receipts
    assert counts == {"new": lines.receipts, "repeated": twice}
    await shops.require(lines)
