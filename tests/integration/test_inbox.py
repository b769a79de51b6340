"""Tills that write to the inbox of a service on real servers, and an operator who looks at it."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from services.customer.main import build as build_customer
from services.interaction.main import InteractionSettings
from services.interaction.main import build as build_interaction
from shared.kafka import INBOX
from shared.settings import Settings
from shared.testing import LocalChain, eventually
from shared.testing.kafka_log import producing

Json = Any
NOW = datetime(2018, 1, 2, tzinfo=UTC)


@pytest.fixture
async def services(
    chain: LocalChain,
) -> AsyncIterator[tuple[httpx2.AsyncClient, httpx2.AsyncClient]]:
    """The customer and the interaction service; the chain's clock stands still."""
    interaction = chain.settings(InteractionSettings, clock_frozen_at=NOW)
    async with (
        chain.running(build_customer, chain.settings(Settings, clock_frozen_at=NOW)) as customers,
        chain.running(build_interaction, interaction) as interactions,
    ):
        yield customers, interactions


def fact(kind: str, source_id: str, **more: Json) -> Json:
    about = {"kind": kind, "source_id": source_id, "branch": "12", "time": "2018-01-01T09:30:00Z"}
    return about | more


def receipt(source_id: str, amount: int, **more: Json) -> Json:
    lines = [{"product": "bread", "quantity": 1, "amount": amount}]
    return fact("receipt", source_id, lines=lines, **more)


async def test_facts_of_the_inbox_count_once_and_wait_for_receipts_and_customers(
    chain: LocalChain, services: tuple[httpx2.AsyncClient, httpx2.AsyncClient]
) -> None:
    customers, interactions = services

    async def write(*values: Json) -> None:
        async with producing(chain.servers.kafka_url) as producer:
            for value in values:
                raw = value if isinstance(value, bytes) else json.dumps(value).encode()
                await producer.send_and_wait(chain.prefix + INBOX, raw, key=b"12")

    card = {"kind": "card", "value": "77"}
    body = {"surname": "Ivanova", "identifiers": [card]}
    anna = (await customers.post("/v1/customers", json=body)).json()["id"]
    back = fact("return", "b1", receipt={"source_id": "r1"})
    await write(back, b"no JSON", receipt("r2", 7, customer=anna), receipt("r3", 5, total=6))

    async def waits() -> bool | None:
        answer = (await interactions.get("/v1/inbox/waiting")).json()
        return True if answer["waiting"] else None

    await eventually(waits)
    known = receipt("r1", 100, identifier=card)
    await write(known, known)

    async def all_counted() -> bool | None:
        answer = await interactions.get(f"/v1/customers/{anna}/totals")
        found = answer.json() if answer.is_success else {}
        # 100 - 100 + 7; what is given back is no receipt.
        return (found.get("receipts"), found.get("spent_minor")) == (2, 7) or None

    assert await eventually(all_counted)
    assert (await interactions.get("/v1/inbox/waiting")).json() == {"waiting": 0}

    async def told() -> Json:
        items = (await interactions.get("/v1/inbox/dead")).json()["items"]
        return items if len(items) == 2 else None

    reasons = [each["type"].rpartition(":")[2] for each in await eventually(told)]
    assert reasons == ["unreadable", "invalid"]
    assert (await interactions.post("/v1/inbox/dead/replay")).json() == {"replayed": 2}

    async def still_wrong() -> Json:
        items = (await interactions.get("/v1/inbox/dead")).json()["items"]
        return [each["place"] for each in items] == [2, 3] or None

    assert await eventually(still_wrong)

    async def caught_up() -> Json:
        report = (await interactions.get("/v1/progress")).json()
        return report["lag"]["interaction.inbox"] == 0 or None

    assert await eventually(caught_up)
