"""History and figures over all customers on real servers: from receipts to every answer."""

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
WEEK = timedelta(weeks=1)
HAS_BOUGHT = {"kind": "receipts", "aggregate": "count", "compare": {"op": ">=", "value": 1}}
WEEKS_AGO = {"anna": (1, 2, 3, 4, 5, 6, 7, 8), "boris": (14, 15, 16), "clara": (6,)}


async def test_receipts_become_members_growth_months_portraits_and_predictions(
    chain: LocalChain,
) -> None:
    moment = {"clock_frozen_at": show_moment(NOW)}
    async with (
        chain.running(build_customer, chain.settings(Settings, **moment)) as customers,
        chain.running(build_interaction, chain.settings(InteractionSettings, **moment)) as facts,
        chain.running(build_segment, chain.settings(SegmentSettings, **moment)) as segments,
    ):
        who = {name: await registered(customers, name) for name in WEEKS_AGO}
        for name, weeks in WEEKS_AGO.items():
            for number in weeks:
                await bought(facts, name, NOW - number * WEEK)
        rule = {"title": "has bought", "rule": HAS_BOUGHT}
        defined = await segments.put("/v1/segments/buyers", json=rule)
        assert defined.is_success, defined.text

        async def ask(path: str, **asked: str) -> Json:
            answer = await segments.get(f"/v1/{path}", params=asked)
            assert answer.status_code == 200, answer.text
            return answer.json()

        async def folded() -> Json:
            page = await ask("segments/buyers/members", order="-since")
            receipts = sum(each["profile"]["receipts"] for each in page["items"])
            return page if (page["count"], receipts) == (3, 12) else None

        page = await eventually(folded)
        since = [each["interval"]["entered"] for each in page["items"]]
        assert since == sorted(since, reverse=True)
        pages: list[str] = []
        cursor: dict[str, str] = {}
        for _ in WEEKS_AGO:
            one = await ask("segments/buyers/members", order="-since", limit="1", **cursor)
            pages += [each["customer"] for each in one["items"]]
            cursor = {"cursor": one["next_cursor"]}
        assert pages == [each["customer"] for each in page["items"]]
        held = await ask(f"customers/{pages[0]}/memberships/access")
        assert held["customers"] == [pages[0]]
        assert [each["type"] for each in held["events"]] == ["segment.entered.v1"]
        nobody = await segments.get("/v1/customers/nobody/memberships/access")
        assert nobody.status_code == 404
        table = await segments.get("/v1/segments/buyers/members/export")
        assert len(table.content.splitlines()) == 1 + 3
        (today,) = (
            await ask("segments/buyers/growth", **{"from": "2018-01-02", "to": "2018-01-02"})
        )["items"]
        assert (today["members"], today["entered"], today["exited"]) == (0, 3, 0)
        months = (await ask("analytics/months", **{"from": "2017-09", "to": "2018-01"}))["items"]
        # Boris in September, Anna and Clara in November; the first half of January is not over.
        assert [each["new"] for each in months] == [1, 0, 2, 0, 0]
        assert [each["active"] for each in months] == [1, 0, 2, 1, 0]
        (branch,) = (await ask("analytics/value", by="branch"))["items"]
        assert (branch["customers"], branch["receipts"], branch["spent_minor"]) == (3, 12, 12_000)
        assert (await ask("segments/buyers/portrait"))["members"] == 3
        fit = await segments.post("/v1/predictions/fit", headers={"Idempotency-Key": "once"})
        assert fit.status_code == 202, fit.text

        async def fitted() -> Json:
            answer = await segments.get("/v1/predictions")
            return answer.json() if answer.status_code == 200 else None

        assert (await eventually(fitted))["customers"] == 3
        anna = await ask(f"customers/{who['anna']}/prediction", days="30")
        assert (anna["receipts"], anna["parameters"]) == (8, 1)
        assert 0 < anna["expected_receipts"] < 30
