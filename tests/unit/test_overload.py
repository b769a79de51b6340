"""Too much at once is refused before it is read, and the noisy one before the others."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx2
import pytest
from fastapi import APIRouter, Request
from prometheus_client import REGISTRY

from shared.access import Authenticator, Principal, Role, issue
from shared.http import build_app
from shared.http.overload import UNIT_BYTES, Bounds, Shares, TooBusy, share_of
from shared.memory import MemoryApiKeys

SECRET = b"s" * 32


def most_of(shares: Shares, caller: str, exits: ExitStack) -> int:
    """How many single units the caller gets before it is refused."""
    for count in range(1000):
        try:
            exits.enter_context(shares.holding(caller, 1))
        except TooBusy:
            return count
    raise AssertionError


def test_a_noisy_caller_alone_gets_half_and_who_comes_then_finds_room() -> None:
    shares = Shares(12)
    with ExitStack() as exits:
        # 12 / (1 + 1); then, of two, 12 / (2 + 1); then, of three, what is left of 12 / (3 + 1).
        assert most_of(shares, "noisy", exits) == 6
        assert most_of(shares, "second", exits) == 4
        assert most_of(shares, "third", exits) == 2
        assert most_of(shares, "noisy", exits) == 0
        assert shares.total == 12
    assert (shares.total, shares.held) == (0, {})


def test_something_larger_than_a_share_is_taken_on_by_itself() -> None:
    shares = Shares(4)
    with shares.holding("a", 100):
        with pytest.raises(TooBusy), shares.holding("b", 1):
            raise AssertionError
        with pytest.raises(TooBusy), shares.holding("a", 1):
            raise AssertionError
    with shares.holding("b", 1):
        assert shares.held == {"b": 1}


def test_what_fails_gives_its_share_back() -> None:
    shares = Shares(4)
    with pytest.raises(KeyError), shares.holding("a", 1):
        raise KeyError
    assert (shares.total, shares.held) == (0, {})


def test_callers_of_a_branch_share_and_callers_of_the_chain_do_not() -> None:
    roles = frozenset({Role.CASHIER})
    first, second = (Principal(name, roles, frozenset({"12"})) for name in ("key:a", "key:b"))
    assert share_of(first) == share_of(second) == "12"
    assert share_of(Principal("key:c", roles)) == "key:c"
    assert share_of(Principal("key:d", roles, frozenset({"b", "a"}))) == "a|b"


@dataclass(slots=True)
class Shop:
    """An app whose work takes as long as the test says."""

    clients: Mapping[str, httpx2.AsyncClient]
    go: asyncio.Event = field(default_factory=asyncio.Event)
    begun: int = 0
    done: int = 0

    async def under_way(self, count: int) -> None:
        while self.begun < count:
            await asyncio.sleep(0)


@asynccontextmanager
async def a_shop(limit: int) -> AsyncIterator[Shop]:
    keys, router = MemoryApiKeys(), APIRouter(prefix="/v1/receipts")
    texts = {}
    for branch in ("12", "13"):
        texts[branch], stored = issue(SECRET, title=branch, roles=[Role.CASHIER], branches=[branch])
        await keys.add(stored)
    shop = Shop({})

    @router.post("")
    async def record(request: Request) -> int:
        shop.begun += 1
        size = len(await request.body())
        await shop.go.wait()
        shop.done += 1
        return size

    @router.get("")
    async def listed() -> list[int]:
        return []

    async def ready() -> Mapping[str, bool | str]:
        return {}

    app = build_app(
        title="Receipts",
        service="receipts",
        routers=[router],
        authenticator=Authenticator(keys, SECRET),
        readiness=ready,
        bounds=Bounds([router], limit),
    )
    transport = httpx2.ASGITransport(app=app)
    shop.clients = {
        branch: httpx2.AsyncClient(
            transport=transport,
            base_url="http://shop.example",
            headers={"Authorization": f"Bearer {text}"},
        )
        for branch, text in texts.items()
    }
    yield shop
    for client in shop.clients.values():
        await client.aclose()


def refused(why: str) -> float:
    return REGISTRY.get_sample_value("regulars_http_too_busy_total", {"why": why}) or 0.0


async def test_beyond_its_share_a_branch_is_asked_to_wait_and_another_is_served() -> None:
    before = refused("caller")
    async with a_shop(4) as shop:
        noisy, other = shop.clients["12"], shop.clients["13"]
        taken = [asyncio.ensure_future(noisy.post("/v1/receipts")) for _ in range(2)]
        await shop.under_way(2)
        answer = await noisy.post("/v1/receipts")
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "1"
        assert answer.json()["type"] == "urn:regulars:problem:too-busy"
        taken.append(asyncio.ensure_future(other.post("/v1/receipts")))
        await shop.under_way(3)
        # Reading is not bounded.
        assert (await noisy.get("/v1/receipts")).status_code == 200
        shop.go.set()
        assert [each.status_code for each in await asyncio.gather(*taken)] == [200, 200, 200]
        assert (await noisy.post("/v1/receipts")).status_code == 200
    # The refused one never began.
    assert (shop.begun, shop.done) == (4, 4)
    assert refused("caller") - before == 1


async def test_large_bodies_count_for_more() -> None:
    async with a_shop(8) as shop:
        client = shop.clients["12"]
        large = asyncio.ensure_future(client.post("/v1/receipts", content=bytes(3 * UNIT_BYTES)))
        await shop.under_way(1)
        # It holds four of the eight, a share of one caller.
        assert (await client.post("/v1/receipts")).status_code == 429
        shop.go.set()
        assert (await large).json() == 3 * UNIT_BYTES


async def test_whoever_has_no_key_is_told_so_and_holds_nothing() -> None:
    async with a_shop(1) as shop:
        client = shop.clients["12"]
        shop.go.set()
        del client.headers["Authorization"]
        assert (await client.post("/v1/receipts")).status_code == 200
        assert (await client.post("/v1/receipts", headers={"X-API-Key": "x"})).status_code == 200
