"""Rules on messages of campaigns, on real servers: what notify publishes moves members."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from services.customer.main import build as build_customer
from services.interaction.main import InteractionSettings
from services.interaction.main import build as build_interaction
from services.segment.main import SegmentSettings
from services.segment.main import build as build_segment
from shared.decider import NewEvent
from shared.events.notification import MessageClicked, MessageOpened, MessageSent
from shared.execute import Writer
from shared.process import Kernel
from shared.settings import Settings
from shared.testing import LocalChain, eventually
from shared.testing.facts import tell

Json = Any
NOON = datetime(2018, 1, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
FROZEN = {"clock_frozen_at": NOON}


def messages(op: str, value: int, **more: object) -> Json:
    compare = {"op": op, "value": value}
    return {"kind": "notifications", "aggregate": "count", "compare": compare, **more}


def opened(within: str) -> Json:
    return messages(">=", 1, within=within, where={"state": ["opened"], "campaign": ["spring"]})


async def done(asked: Any) -> Json:  # noqa: ANN401 - an answer that is awaited
    answer = await asked
    assert answer.is_success, answer.text
    return answer.json()


async def define(segments: httpx2.AsyncClient, name: str, rule: Json) -> None:
    await done(segments.put(f"/v1/segments/{name}", json={"title": name, "rule": rule}))


async def is_in(segments: httpx2.AsyncClient, customer: str, *wanted: str) -> None:
    """Wait until the customer is in these segments and in no others."""
    path = f"/v1/customers/{customer}/memberships"

    async def so() -> bool | None:
        found = (await done(segments.get(path)))["items"]
        inside = {each["segment"] for each in found if each["current"]}
        return True if inside == set(wanted) else None

    await eventually(so)


async def test_what_becomes_of_messages_moves_members_once_its_relay_runs(
    chain: LocalChain,
) -> None:
    settings = chain.settings(Settings, **FROZEN)
    tills = chain.settings(InteractionSettings, **FROZEN)
    segmenting = chain.settings(SegmentSettings, **FROZEN)
    async with (
        chain.running(build_customer, settings) as customers,
        chain.running(build_interaction, tills),
        chain.running(build_segment, segmenting) as segments,
    ):
        anna = (await done(customers.post("/v1/customers", json={"surname": "Anna"})))["id"]
        # Nobody asks for messages yet, so that nothing waits for a notify that never ran.
        known = {"kind": "attribute", "field": "surname", "test": {"op": "known"}}
        await define(segments, "known", known)
        await is_in(segments, anna, "known")
        await define(segments, "opened", opened("P7D"))
        await define(segments, "long-ago", opened("P2D"))
        await define(segments, "never", messages("==", 0))
        await define(segments, "twice", messages(">=", 2, within="P30D"))
        async with notifying(settings) as notify:
            await is_in(segments, anna, "known", "never")
            await publish(notify, anna)
            await is_in(segments, anna, "known", "opened", "twice")
        said = await done(segments.get(f"/v1/customers/{anna}/explanations/opened"))
        assert said["sentence"] == "opened a message of a campaign within 7 days of campaign spring"
        assert [each["event"] for each in said["rule"]["behind"]] == ["message-m1@2"]
        asked = {"rule": messages("==", 1, within="P7D", where={"state": ["clicked"]})}
        answer = await segments.post("/v1/segments/preview", json=asked)
        assert '"count":1' in answer.text.splitlines()[-1]


@asynccontextmanager
async def notifying(settings: Settings) -> AsyncIterator[Writer]:
    """The writer of notify, whose relay runs; of the service itself nothing else is needed."""
    kernel = await Kernel.build(settings, "notify")
    relay = asyncio.create_task(kernel.relay().run())
    try:
        yield kernel.writer
    finally:
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)
        await kernel.close()


async def publish(notify: Writer, customer: str) -> None:
    """What a dispatcher and its provider would write of two messages of three days ago."""
    at = NOON - 3 * DAY
    spring = {"message": "m1", "campaign": "spring"}
    autumn = {"message": "m2", "campaign": "autumn"}
    told = {
        "message-m1": (MessageSent.model_validate(spring), MessageOpened.model_validate(spring)),
        "message-m2": (
            MessageSent.model_validate(autumn),
            MessageClicked.model_validate({**autumn, "link": "shop"}),
        ),
    }
    for stream, events in told.items():
        await tell(notify, stream, customer, [NewEvent(each, at) for each in events])
