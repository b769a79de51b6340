"""Tables of cut points and segments inside segments on real servers: from receipts to scores."""

from datetime import UTC, datetime, timedelta
from typing import Any

from services.customer.main import build as build_customer
from services.interaction.main import InteractionSettings
from services.interaction.main import build as build_interaction
from services.segment.main import SegmentSettings
from services.segment.main import build as build_segment
from shared.events.contract import show_moment
from shared.settings import Settings
from shared.testing import LocalChain, eventually
from tests.integration.buying import bought, registered

Json = Any
NOW = datetime(2018, 1, 2, 12, tzinfo=UTC)
DAYS_AGO = {"anna": (1, 2, 3), "boris": (20, 21), "clara": (50,)}


async def test_a_base_is_divided_and_a_change_carries_through_to_who_names_it(
    chain: LocalChain,
) -> None:
    moment = {"clock_frozen_at": show_moment(NOW)}
    async with (
        chain.running(build_customer, chain.settings(Settings, **moment)) as customers,
        chain.running(build_interaction, chain.settings(InteractionSettings, **moment)) as facts,
        chain.running(build_segment, chain.settings(SegmentSettings, **moment)) as segments,
    ):
        who = {name: await registered(customers, name) for name in DAYS_AGO}
        for name, days in DAYS_AGO.items():
            for number in days:
                await bought(facts, name, NOW - timedelta(days=number))

        async def put(path: str, body: Json) -> None:
            answer = await segments.put(f"/v1/{path}", json=body)
            assert answer.is_success, answer.text

        async def folded() -> Json:
            asked = {"compare": {"op": ">=", "value": 1}, "aggregate": "count"}
            answer = await segments.get("/v1/segments/buyers/members")
            if answer.status_code == 404:
                await put("segments/buyers", {"title": "b", "rule": {"kind": "receipts", **asked}})
                return None
            return answer.json()["count"] == 3

        await eventually(folded)
        await put("rfm/chain", {"title": "Chain", "look_back": "P90D"})
        frequent = {"kind": "rfm", "table": "chain", "score": "frequency"}
        best = {**frequent, "compare": {"op": ">=", "value": 4}}
        await put("segments/frequent", {"title": "f", "rule": best})
        other = {"kind": "segment", "segment": "frequent", "inside": False}
        await put("segments/others", {"title": "o", "rule": other})
        refused = await segments.post("/v1/segments/frequent/archive")
        assert (refused.status_code, refused.json()["detail"]) == (
            409,
            "change or archive them first: others",
        )

        async def scored() -> Json:
            answer = await segments.get("/v1/rfm/chain")
            view = answer.json()
            if view["base"] != len(DAYS_AGO):
                await segments.post("/v1/rfm/chain/recompute")
            return view if view["base"] == len(DAYS_AGO) else None

        # Three customers with 3, 2 and 1 receipts: ⌈3·i/5⌉ = 1, 2, 2, 3 of (1, 2, 3).
        assert (await eventually(scored))["cuts"]["frequency"] == [2, 3, 3, 4]

        async def members(segment: str) -> set[str]:
            page = (await segments.get(f"/v1/segments/{segment}/members")).json()
            return {each["customer"] for each in page["items"]}

        async def parted() -> bool:
            # Anna alone reaches the third cut: 3 of (2, 3, 3, 4), so score 4.
            return await members("frequent") == {who["anna"]} and await members("others") == {
                who["boris"],
                who["clara"],
            }

        await eventually(parted)
        table = (await segments.get("/v1/rfm/chain/table")).json()
        assert (table["customers"], table["turnover"]) == (3, 6_000)
        (standing,) = (await segments.get(f"/v1/customers/{who['anna']}/rfm")).json()["items"]
        assert (standing["frequency"], standing["receipts"], standing["spent"]) == (4, 3, 3_000)
