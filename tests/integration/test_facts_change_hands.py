"""Facts that change hands on real servers, while tills go on sending what people buy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from services.customer.main import build as build_customer
from services.interaction.main import InteractionSettings
from services.interaction.main import build as build_interaction
from shared.process import Kernel
from shared.settings import Settings
from shared.testing import LocalChain, eventually

Json = Any
LINE = {"product": "bread", "quantity": 2, "amount": 500}


@dataclass(slots=True)
class Town:
    """A chain with customers and what they do."""

    customers: httpx2.AsyncClient
    interactions: httpx2.AsyncClient
    sent: list[str] = field(default_factory=list)

    async def register(self, *identifiers: tuple[str, str]) -> str:
        named = [{"kind": kind, "value": value} for kind, value in identifiers]
        answer = await self.customers.post("/v1/customers", json={"identifiers": named})
        assert answer.status_code == 201, answer.text
        customer: str = answer.json()["id"]
        return customer

    async def buy(self, *identifiers: tuple[str, str]) -> Json:
        """A receipt of 500 from whoever has one of these, sent until it is taken."""
        number = str(len(self.sent))
        self.sent.append(number)
        receipt = {
            "source_id": number,
            "branch": "12",
            "time": "2017-12-01T09:00:00Z",
            "identifiers": [{"kind": kind, "value": value} for kind, value in identifiers],
            "lines": [LINE],
        }

        async def taken() -> Json | None:
            answer = await self.interactions.post("/v1/receipts", json=receipt)
            assert answer.status_code in {201, 409, 429, 503}, answer.text
            return answer.json() if answer.status_code == 201 else None

        return await eventually(taken)

    async def call(self, card: str, text: str) -> None:
        """Who has the card says something."""
        self.sent.append(text)
        call = {
            "source_id": str(len(self.sent)),
            "time": "2017-12-01T09:00:00Z",
            "identifier": {"kind": "card", "value": card},
            "direction": "in",
            "text": text,
            "extra": {"mood": text},
        }
        answer = await self.interactions.post("/v1/calls", json=call)
        assert answer.status_code == 201, answer.text

    async def figures(self, customer: str) -> tuple[int, int]:
        """Receipts, and what was spent."""
        answer = await self.interactions.get(f"/v1/customers/{customer}/totals")
        if answer.status_code == 404:
            return 0, 0
        totals = answer.json()
        return totals["receipts"], totals["spent_minor"]

    async def comes_to(self, customer: str, receipts: int) -> None:
        async def there() -> bool | None:
            return True if await self.figures(customer) == (receipts, 500 * receipts) else None

        try:
            await eventually(there)
        except TimeoutError:
            assert await self.figures(customer) == (receipts, 500 * receipts)

    async def tells(self, customer: str, receipts: int) -> list[str]:
        """The facts on the timeline once they are so many: it is read apart from the totals."""

        async def all_of_them() -> list[str] | None:
            found = await self.told(customer)
            return found if len(found) == receipts else None

        return await eventually(all_of_them)

    async def told(self, customer: str) -> list[str]:
        """The facts on the customer's timeline, by the ids of their entries."""
        found: list[str] = []
        cursor = None
        while True:
            params: dict[str, str] = {"kind": "interaction.receipt_recorded", "limit": "200"}
            params |= {} if cursor is None else {"cursor": cursor}
            answer = await self.interactions.get(
                f"/v1/customers/{customer}/timeline", params=params
            )
            assert answer.is_success, answer.text
            page = answer.json()
            found += [entry["id"] for entry in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    async def merge(self, loser: str, survivor: str) -> None:
        answer = await self.customers.post(f"/v1/customers/{loser}/merge", json={"into": survivor})
        assert answer.is_success, answer.text

    async def revert(self, loser: str) -> None:
        answer = await self.customers.post(f"/v1/customers/{loser}/merge/revert")
        assert answer.is_success, answer.text


@pytest.fixture
async def town(chain: LocalChain) -> AsyncIterator[Town]:
    async with AsyncExitStack() as exits:
        customers = await exits.enter_async_context(
            chain.running(build_customer, chain.settings(Settings))
        )
        interactions = await exits.enter_async_context(
            chain.running(build_interaction, chain.settings(InteractionSettings))
        )
        yield Town(customers, interactions)


async def test_receipts_of_somebody_unknown_are_adopted_by_any_of_their_identifiers(
    town: Town,
) -> None:
    first = await town.buy(("card", "A1"), ("phone", "+4930901820771"))
    assert first["customer"] is None
    await town.buy(("card", "A1"))
    anna = await town.register(("phone", "+4930901820771"))
    await town.comes_to(anna, 2)
    await town.tells(anna, 2)


async def test_a_merge_brings_receipts_along_and_its_revert_takes_them_back(town: Town) -> None:
    anna, ann = await town.register(("card", "A1")), await town.register(("card", "A2"))
    for card in ("A1", "A2", "A2"):
        await town.buy(("card", card))
    await town.comes_to(ann, 2)
    await town.merge(ann, anna)
    await town.comes_to(anna, 3)
    await town.comes_to(ann, 0)
    await town.tells(ann, 3)  # whoever asks for her is told of both
    await town.revert(ann)
    await town.comes_to(anna, 1)
    await town.comes_to(ann, 2)
    await town.tells(anna, 1)
    await town.tells(ann, 2)


async def test_tills_that_send_all_the_while_lose_nothing_and_nothing_is_counted_twice(
    town: Town,
) -> None:
    """While two people register, become one, and two again, twice over."""
    stop = asyncio.Event()

    async def till(*identifiers: tuple[str, str]) -> None:
        while not stop.is_set():
            await town.buy(*identifiers)

    cards = [("card", "A1"), ("card", "A2")]
    tills = [asyncio.ensure_future(till(card)) for card in cards for _ in range(2)]
    try:
        await asyncio.sleep(0.5)
        anna, ann = await town.register(cards[0]), await town.register(cards[1])
        for _ in range(2):
            await asyncio.sleep(0.5)
            await town.merge(ann, anna)
            await asyncio.sleep(0.5)
            await town.revert(ann)
    finally:
        stop.set()
        await asyncio.gather(*tills)
    await town.merge(ann, anna)
    everything = len(town.sent)
    assert everything > 20
    await town.comes_to(anna, everything)
    await town.comes_to(ann, 0)
    assert len(set(await town.tells(anna, everything))) == everything
    await town.revert(ann)

    async def apart() -> bool | None:
        (his, _), (hers, _) = await town.figures(anna), await town.figures(ann)
        return True if his + hers == everything and hers else None

    await eventually(apart)


async def test_somebody_unknown_becomes_a_customer_at_once_where_the_chain_says_so(
    town: Town,
) -> None:
    await town.buy(("card", "EARLY1"))
    decided = {"facts": ["receipt_recorded"], "identifiers": ["phone"]}
    answer = await town.customers.put("/v1/configuration/registration", json=decided)
    assert answer.is_success, answer.text
    phone = ("phone", "+4930901820773")
    for _ in range(2):
        await town.buy(phone, ("card", "NEW1"))
    await town.buy(("card", "LATER1"))  # a card alone is not enough

    async def found() -> str | None:
        asked = {"kind": phone[0], "value": phone[1]}
        answer = await town.customers.post("/v1/customers/find", json=asked)
        return str(answer.json()["id"]) if answer.is_success else None

    customer = await eventually(found)
    await town.comes_to(customer, 2)
    record = (await town.customers.get(f"/v1/customers/{customer}")).json()
    assert record["record"]["home_branch"] == "12"
    assert {each["kind"] for each in record["identifiers"]} == {"phone", "card"}
    totals = (await town.interactions.get("/v1/totals")).json()
    assert (totals["customers"], totals["receipts"]) == (1, 4)


async def test_a_person_is_told_all_that_they_did_and_nothing_is_left_after_an_erase(
    town: Town, chain: LocalChain
) -> None:
    """Also what they said while nobody knew them, and what came along from a duplicate."""
    said = ("a-squirrel-ate-my-receipt", "the-squirrel-came-back", "there-are-two-squirrels-now")
    await town.call("A1", said[0])
    await town.call("A2", said[1])
    ann = await town.register(("card", "A2"))
    await eventually(lambda: _adopted(town, ann, said[1]))
    await town.call("A2", said[2])
    anna = await town.register(("card", "A1"))
    await town.merge(ann, anna)

    async def all_told() -> Json | None:
        answer = await town.interactions.get(f"/v1/customers/{ann}/facts/access")
        return answer.json() if all(text in answer.text for text in said) else None

    told = await eventually(all_told)
    assert set(told["customers"]) == {anna, ann}
    wish = {"confirm": "erase", "reason": "request"}
    answer = await town.customers.post(f"/v1/customers/{anna}/erase", json=wish)
    assert answer.is_success, answer.text

    async def forgotten() -> bool | None:
        answer = await town.interactions.get(f"/v1/customers/{anna}/facts/access")
        return True if answer.status_code in {404, 410} else None

    await eventually(forgotten)
    kernel = Kernel.unconnected(chain.settings(Settings), "interaction")
    keys = {key for event in told["events"] for key in _sealers(event)}
    # Hers, her duplicate's, and those of the two streams in which she waited.

    async def erased() -> bool | None:
        gone = await kernel.keyring.erased([anna, ann, *keys])
        return True if {anna, ann, *keys} <= gone.keys() else None

    assert len(keys) == 2
    try:
        await eventually(erased)
    finally:
        await kernel.close()


async def _adopted(town: Town, customer: str, text: str) -> bool | None:
    answer = await town.interactions.get(f"/v1/customers/{customer}/facts/access")
    return True if text in answer.text else None


def _sealers(event: Json) -> list[str]:
    """The unknown stream that an adoption tells of."""
    other = event["data"].get("other", "")
    return [other] if other.startswith("unknown-") else []
