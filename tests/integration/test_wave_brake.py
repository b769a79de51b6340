"""The wave brake on real servers: a rule that is true of everybody moves nobody before a yes."""

from datetime import UTC, datetime
from typing import Any

from services.customer.main import build as build_customer
from services.interaction.main import InteractionSettings
from services.interaction.main import build as build_interaction
from services.segment.main import SegmentSettings
from services.segment.main import build as build_segment
from shared.settings import Settings
from shared.testing import LocalChain, eventually

Json = Any
NOW = datetime(2018, 1, 2, tzinfo=UTC)
CUSTOMERS = 30
EVERYBODY = {"kind": "attribute", "field": "home_branch", "test": {"op": "known"}}
NOBODY = {"kind": "not", "clause": EVERYBODY}


async def test_a_definition_waits_for_a_yes_and_a_stop_moves_everybody_back(
    chain: LocalChain,
) -> None:
    customers = chain.settings(Settings, clock_frozen_at=NOW)
    own = chain.settings(SegmentSettings, clock_frozen_at=NOW, wave_minimum=10)
    async with (
        chain.running(build_customer, customers) as customer,
        chain.running(build_interaction, chain.settings(InteractionSettings, clock_frozen_at=NOW)),
        chain.running(build_segment, own) as segment,
    ):

        async def segment_once(**wanted: Json) -> Json:
            """The segment, once it is so."""

            async def so() -> Json:
                found = (await segment.get("/v1/segments/all")).json()
                return found if {name: found[name] for name in wanted} == wanted else None

            return await eventually(so)

        async def progress() -> Json:
            found = (await segment.get("/v1/progress")).json()
            return found if found["caught_up"] else None

        for number in range(CUSTOMERS):
            person = {"surname": f"Ivanova {number}", "home_branch": "12"}
            assert (await customer.post("/v1/customers", json=person)).status_code == 201
        customer_done = (await customer.get("/v1/progress")).json()
        assert customer_done["commits"] >= CUSTOMERS
        await eventually(progress)
        body: Json = {"title": "All", "rule": EVERYBODY}
        assert (await segment.put("/v1/segments/all", json=body)).is_success
        found = await segment_once(stands=None, trial=1, evaluation=None)
        assert found["held"]["why"] == "definition"
        assert found["held"]["entering"] == found["held"]["base"] <= CUSTOMERS
        assert found["members"] == 0
        assert (await segment.post("/v1/segments/all/release")).is_success
        found = await segment_once(stands=1, members=CUSTOMERS)
        again = {"title": "None", "rule": NOBODY}
        answer = await segment.put("/v1/segments/all", json=again, headers={"If-Match": f'"{3}"'})
        assert answer.is_success, answer.text
        found = await segment_once(trial=2, evaluation=None)
        assert found["held"]["leaving"] == CUSTOMERS
        assert (await segment.post("/v1/segments/all/evaluation/stop")).is_success
        found = await segment_once(trial=None, stands=1, members=CUSTOMERS)
        assert found["title"] == "All"
        versions = (await segment.get("/v1/segments/all/versions")).json()["items"]
        assert [each["definition"] for each in versions] == [2, 1]
