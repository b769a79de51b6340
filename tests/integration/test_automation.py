"""Rules of automation on real servers: what happens to customers, and what follows by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from services.customer.domain.customer import CUSTOMER
from services.customer.domain.state import Customer, stream_of
from services.customer.main import build
from shared.decider import NewEvent
from shared.envelope import decode
from shared.events.contract import EventData
from shared.events.interaction import ReceiptRecorded
from shared.events.segment import Cause, SegmentEntered, SegmentExited
from shared.eventstore import Commit
from shared.process import Kernel
from shared.settings import Settings
from shared.testing import LocalChain, eventually
from shared.testing.facts import tell

Json = Any
NOW = datetime(2018, 1, 2, tzinfo=UTC)
GOLD = {"titles": {"en": "Gold"}, "colour": "#ffd700", "discount": 500}
RULE = {
    "titles": {"en": "Gold for 10,000 in 90 days"},
    "when": {"on": "segment_entered", "segment": "big", "while_inside": True},
    "then": {"give_categories": ["gold"], "discount": 300},
}


@dataclass(frozen=True, slots=True)
class Town:
    """A chain whose customer service runs, and somebody who publishes facts of others."""

    client: httpx2.AsyncClient
    kernel: Kernel
    segments: Kernel
    interactions: Kernel

    async def register(self, **body: Json) -> str:
        answer = await self.client.post("/v1/customers", json={"surname": "Ivanova", **body})
        assert answer.status_code == 201, answer.text
        customer: str = answer.json()["id"]
        return customer

    async def define(self, kind: str, name: str, body: Json) -> None:
        answer = await self.client.put(f"/v1/configuration/{kind}/{name}", json=body)
        assert answer.is_success, answer.text

    async def member(self, customer: str, *events: EventData, at: datetime = NOW) -> None:
        await tell(
            self.segments.writer,
            f"membership-{customer}",
            customer,
            [NewEvent(data, at + timedelta(days=n)) for n, data in enumerate(events)],
        )

    async def state(self, customer: str) -> Customer:
        state, _version = await self.kernel.writer.state(CUSTOMER, stream_of(customer))
        return state

    async def log(self, customer: str) -> list[Commit]:
        return list((await self.kernel.store.read([stream_of(customer)]))[stream_of(customer)])


@asynccontextmanager
async def opened(chain: LocalChain, settings: Settings) -> AsyncIterator[Town]:
    async with AsyncExitStack() as exits:
        kernel = Kernel.unconnected(settings, "customer")
        client = await exits.enter_async_context(chain.running(build, settings))
        others = [await Kernel.build(settings, name) for name in ("segment", "interaction")]
        for each in (kernel, *others):
            exits.push_async_callback(each.close)
        for each in others:
            exits.push_async_callback(ended, asyncio.ensure_future(each.relay().run()))
        yield Town(client, kernel, *others)


async def ended(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture
async def town(chain: LocalChain) -> AsyncIterator[Town]:
    async with opened(chain, chain.settings(Settings, clock_frozen_at=NOW)) as town:
        yield town


ENTERED = SegmentEntered(segment="big", definition=1, cause=Cause(kind="time"))
LEFT = SegmentExited(segment="big", definition=1, cause=Cause(kind="time"))


async def test_gold_comes_with_the_segment_and_goes_at_the_exact_moment_of_leaving(
    town: Town,
) -> None:
    await town.define("categories", "gold", GOLD)
    await town.define("automation", "big-spenders", RULE)
    anna, boris = await town.register(), await town.register()
    given = await town.client.post(
        f"/v1/customers/{boris}/categories", json={"give": ["gold"], "withdraw": []}
    )
    assert given.is_success, given.text
    for customer in (anna, boris):
        await town.member(customer, ENTERED, LEFT)

    async def left() -> bool | None:
        logs = [await town.log(anna), await town.log(boris)]
        discounts = [str(log).count("customer.discount_changed.v1") for log in logs]
        return True if discounts == [2, 2] else None

    await eventually(left)
    assert (await town.state(anna)).categories == frozenset()
    # What the person gave stays.
    assert (await town.state(boris)).categories == {("gold", "person")}
    changes = [
        (event.type, event.time, event.causationid, event.causedepth)
        for commit in await town.log(anna)
        for event in map(decode, commit.events)
    ][1:]
    entered, leaving = "2018-01-02T00:00:00.000Z", "2018-01-03T00:00:00.000Z"
    assert changes == [
        ("customer.categories_changed.v1", entered, f"membership-{anna}@1", 1),
        ("customer.discount_changed.v1", entered, f"membership-{anna}@1", 1),
        ("customer.categories_changed.v1", leaving, f"membership-{anna}@2", 1),
        ("customer.discount_changed.v1", leaving, f"membership-{anna}@2", 1),
    ]


async def test_rules_that_cause_each_other_stop_after_eight_causes(town: Town) -> None:
    for status, other in (("active", "contract_signed"), ("contract_signed", "active")):
        rule = {
            "titles": {"en": status},
            "when": {"on": "status_reached", "status": status},
            "then": {"status": other},
        }
        await town.define("automation", f"after-{status.replace('_', '-')}", rule)
    anna = await town.register()
    begun = await town.client.put(f"/v1/customers/{anna}/status", json={"status": "active"})
    assert begun.is_success, begun.text

    async def depths() -> list[int] | None:
        found = [decode(text).causedepth for each in await town.log(anna) for text in each.events]
        return found if 8 in found else None

    # The registration, what the person did, and eight causes.
    assert await eventually(depths) == [0, *range(9)]

    async def alarmed() -> bool | None:
        measured = (await town.client.get("/metrics")).text
        return True if 'regulars_automation_total{outcome="too_deep"}' in measured else None

    assert await eventually(alarmed)
    assert (await town.log(anna))[-1].version == 10


async def test_a_rule_is_read_changed_archived_and_restored(town: Town) -> None:
    await town.define("categories", "gold", GOLD)
    wrong = {**RULE, "then": {"give_categories": ["silver"]}}
    refused = await town.client.put("/v1/configuration/automation/wrong", json=wrong)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "then.give_categories.0"
    await town.define("automation", "big-spenders", RULE)
    path = "/v1/configuration/automation/big-spenders"
    read = await town.client.get(path)
    assert read.json()["definition"]["when"]["segment"] == "big"
    match = {"If-Match": read.headers["ETag"]}
    archived = await town.client.post(f"{path}/archive", headers=match)
    assert archived.is_success, archived.text
    items = (await town.client.get("/v1/configuration/automation")).json()["items"]
    assert [(each["name"], each["archived"]) for each in items] == [("big-spenders", True)]
    match = {"If-Match": archived.headers["ETag"]}
    assert (await town.client.post(f"{path}/restore", headers=match)).is_success


async def test_who_is_silent_is_archived_at_the_exact_moment_and_restored_by_a_receipt(
    chain: LocalChain,
) -> None:
    quiet = {
        "titles": {"en": "Silent for a month"},
        "when": {"on": "inactive", "after": "P30D"},
        "then": {"archive": True},
    }
    settings = chain.settings(Settings, clock_frozen_at=NOW)
    async with opened(chain, settings) as town:
        await town.define("automation", "quiet", quiet)
        rule = {"every": "P14D", "how": "call", "by": "responsible"}
        defined = await town.client.put("/v1/configuration/update-rules/surname", json=rule)
        assert defined.is_success, defined.text
        anna = await town.register()
    later = chain.settings(Settings, clock_frozen_at=NOW + timedelta(days=60))
    async with opened(chain, later) as town:

        async def archived() -> bool | None:
            return True if (await town.state(anna)).archived else None

        await eventually(archived)
        stream = f"care-{anna}"
        said = [
            (event.type, event.time)
            for commit in (await town.kernel.store.read([stream]))[stream]
            for event in map(decode, commit.events)
        ]
        assert said == [
            # Days 14 and 30 after the registration.
            ("customer.confirmation_overdue.v1", "2018-01-16T00:00:00.000Z"),
            ("customer.became_inactive.v1", "2018-02-01T00:00:00.000Z"),
        ]
        last = decode((await town.log(anna))[-1].events[-1])
        assert (last.type, last.time) == ("customer.archived.v1", "2018-02-01T00:00:00.000Z")
        receipt = ReceiptRecorded(
            fact="f1", source="pos", source_id="1", total=100, coupon_lines=0, lines=()
        )
        bought = NewEvent(receipt, NOW + timedelta(days=60), "12")
        await tell(town.interactions.writer, f"interaction-{anna}", anna, [bought])

        async def restored() -> bool | None:
            return None if (await town.state(anna)).archived else True

        await eventually(restored)
