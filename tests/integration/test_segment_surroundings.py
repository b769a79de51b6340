"""What segments are told by others, on real servers: zones of branches, deals and tasks."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from services.customer.main import build as build_customer
from services.interaction.main import InteractionSettings
from services.interaction.main import build as build_interaction
from services.segment.main import SegmentSettings
from services.segment.main import build as build_segment
from shared.events.contract import show_moment
from shared.settings import Settings
from shared.testing import LocalChain, eventually

Json = Any
NOON = datetime(2018, 1, 2, 12, tzinfo=UTC)
ANY: Json = {"headers": {"If-Match": "*"}}
TODAY = {"kind": "date", "field": "birth_date", "yearly": True, "test": {"op": "today"}}
SOME = {"compare": {"op": ">=", "value": 1}}
STAGE = {"titles": {"en": "Offer"}, "probability": 5000}
SALES = {
    "titles": {"en": "Sales"},
    "stages": [{"stage": "new", **STAGE}, {"stage": "offer", **STAGE}],
    "won": {"en": "Won"},
    "lost": {"en": "Lost"},
    "lost_reasons": [{"reason": "price", "titles": {"en": "Price"}}],
}


@dataclass(frozen=True, slots=True)
class Shops:
    """Three services at one frozen moment."""

    customers: httpx2.AsyncClient
    tasks: httpx2.AsyncClient
    segments: httpx2.AsyncClient

    async def registered(self, name: str, **said: str) -> str:
        answer = await done(self.customers.post("/v1/customers", json={"surname": name, **said}))
        customer: str = answer["id"]
        return customer

    async def define(self, **rules: Json) -> None:
        for name, rule in rules.items():
            await done(
                self.segments.put(f"/v1/segments/{name}", json={"title": name, "rule": rule})
            )

    async def members(self, segment: str, *wanted: str) -> list[str]:
        """When the members entered, once they are these."""

        async def so() -> list[str] | None:
            found = (await done(self.segments.get(f"/v1/segments/{segment}/members")))["items"]
            there = {each["customer"]: each["interval"]["entered"] for each in found}
            return [there[each] for each in wanted] if there.keys() == set(wanted) else None

        return await eventually(so)


async def done(asked: Any) -> Json:  # noqa: ANN401 - an answer that is awaited
    answer = await asked
    assert answer.is_success, answer.text
    return answer.json()


@asynccontextmanager
async def opened(chain: LocalChain, at: datetime) -> AsyncIterator[Shops]:
    async with AsyncExitStack() as exits:
        settings = chain.settings(InteractionSettings, clock_frozen_at=at)
        customers, tasks, segments = [
            await exits.enter_async_context(running)
            for running in (
                chain.running(build_customer, chain.settings(Settings, clock_frozen_at=at)),
                chain.running(build_interaction, settings),
                chain.running(build_segment, chain.settings(SegmentSettings, clock_frozen_at=at)),
            )
        ]
        yield Shops(customers, tasks, segments)


async def test_the_days_of_a_branch_are_those_of_the_place_where_it_is(chain: LocalChain) -> None:
    async with opened(chain, NOON) as shops:
        for branch, zone in (("far", "Pacific/Auckland"), ("near", "Europe/Berlin")):
            body = {"titles": {"en": branch}, "place": {"zone": zone, "city": branch}}
            await done(shops.customers.put(f"/v1/branches/{branch}", json=body))
        # It is one o'clock on 3 January in Auckland.
        anna = await shops.registered("Anna", birth_date="1990-01-03", home_branch="far")
        boris = await shops.registered("Boris", birth_date="1990-01-02", home_branch="near")
        clara = await shops.registered("Clara", birth_date="1990-01-02", home_branch="far")
        await shops.define(here=TODAY | {"zone": "branch"}, chain=TODAY)
        await shops.members("here", anna, boris)
        await shops.members("chain", boris, clara)
        place = {"place": {"zone": "Europe/Berlin", "city": "Berlin"}}
        await done(shops.customers.post("/v1/branches/far/move", json=place, **ANY))
        await shops.members("here", boris, clara)


async def test_deals_and_tasks_move_members_by_events_by_time_and_with_merges(
    chain: LocalChain,
) -> None:
    async with opened(chain, NOON) as shops:
        await done(shops.customers.put("/v1/pipelines/sales", json=SALES))
        anna, boris = [await shops.registered(name) for name in ("Anna", "Boris")]
        await shops.define(
            open={"kind": "deals", "where": {"state": "open"}, **SOME},
            won={"kind": "deals", "where": {"state": "won", "closed": "P30D"}, **SOME},
            stuck={"kind": "deals", "where": {"stage": ["offer"], "in_stage": "P3D"}, **SOME},
            overdue={"kind": "tasks", "where": {"state": "overdue", "kind": ["call"]}, **SOME},
        )
        await shops.define(idle={"kind": "segment", "segment": "open", "inside": False})
        body = {"pipeline": "sales", "amount": 500}
        stays, ends = [
            (await done(shops.customers.post("/v1/deals", json={"customer": who, **body})))["id"]
            for who in (anna, boris)
        ]
        await shops.members("open", anna, boris)
        await done(shops.customers.post(f"/v1/deals/{stays}/stage", json={"stage": "offer"}))
        await done(shops.customers.post(f"/v1/deals/{ends}/win", json={}))
        await shops.members("won", boris)
        await shops.members("idle", boris)
        due = show_moment(NOON + timedelta(days=1))
        call = {"title": "Call", "customer": boris, "kind": "call", "due": due}

        async def planned() -> str | None:
            answer = await shops.tasks.post("/v1/tasks", json=call)
            return answer.json()["id"] if answer.is_success else None

        task = await eventually(planned)
        merging = f"/v1/customers/{anna}/merge"
        await done(shops.customers.post(merging, json={"into": boris}, **ANY))
        await shops.members("open", boris)
        await done(shops.customers.post(f"{merging}/revert", json={}, **ANY))
        await shops.members("open", anna)
    async with opened(chain, NOON + timedelta(days=4)) as shops:
        assert await shops.members("stuck", anna) == [show_moment(NOON + timedelta(days=3))]
        assert await shops.members("overdue", boris) == [due]
        await done(shops.tasks.post(f"/v1/tasks/{task}/complete", json={}))
        await shops.members("overdue")
        erase = {"reason": "request", "confirm": "erase"}
        await done(shops.customers.post(f"/v1/customers/{anna}/erase", json=erase))
        await shops.members("open")
