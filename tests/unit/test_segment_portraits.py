"""Portraits of segments: shares beside the base, the surest difference first."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.segment.api.portraits import PortraitApi
from services.segment.projections.activity import Activity, BranchActivity
from services.segment.queries.definitions import Definitions
from services.segment.queries.portraits import Portraits, apart
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.segment import SegmentDefined
from shared.execute import Writer
from shared.http import build_app
from shared.keyring import Keyring
from shared.memory import MemoryApiKeys, MemoryDocuments, MemoryEventStore, MemoryKeyStore
from shared.moments import milliseconds, with_moment
from shared.testing import client_of
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import tell

SECRET = bytes(32)
NOW = datetime(2026, 6, 30, tzinfo=UTC)
DAY = timedelta(days=1)
Json = Any


def customer(number: int, receipts: int, **more: Json) -> dict[str, Any]:
    """A stored customer who bought on each of the last days, for as many units each time."""
    packed = b""
    for days in range(receipts, 0, -1):
        packed = with_moment(packed, milliseconds(NOW - days * DAY))
    branches = [BranchActivity("12", packed, spent=receipts * number)] if receipts else []
    activity = Activity(id=f"c{number}", rev=1, branches=branches, **more)
    raw: dict[str, Any] = msgspec.to_builtins(activity, builtin_types=(datetime, bytes))
    return raw


def words(number: int, *said: list[Any]) -> dict[str, Any]:
    """A stored profile, as far as portraits look at it."""
    return {"_id": f"c{number}", "rev": 1, "words": list(said)}


async def questions_of(*raws: dict[str, Any]) -> MemoryQuestions:
    documents = MemoryDocuments()
    await documents.write(raws)
    return MemoryQuestions(documents)


async def caller(*branches: str) -> httpx2.AsyncClient:
    """Ten of forty are members: all of these from Riga, as two others are."""
    clock = ManualClock(NOW)
    writer = Writer(
        MemoryEventStore(), Keyring(MemoryKeyStore(), AESGCM(bytes(32))), clock, "segment"
    )
    defined = SegmentDefined(segment="new", definition=1, title="new", rule={})
    await tell(writer, "segment-new", "segment-new", [NewEvent(defined, NOW)])
    people = [
        customer(n, 2 if n < 10 else n % 3, city="Riga" if n < 12 else "Tartu") for n in range(40)
    ]
    people += [
        customer(90, 9, internal=True, city="Riga"),
        customer(91, 9, away=True, city="Riga"),
        customer(92, 9, erased=True),
    ]
    members = [
        {"_id": f"new|c{n}", "rev": 1, "segment": "new", "customer": f"c{n}", "current": True}
        for n in [*range(10), 90, 91]
    ]
    profiles = [
        words(
            n,
            ["field", "custom.pet", "cat" if n % 2 else "dog", 1],
            ["field", "surname", "Smith", 1],
            ["field", "custom.gone", None, 2],
            ["item", "tags", "t1", "vip", 3] if n < 12 else ["item", "tags", "t1", None, 3],
            ["field", "custom.seldom", "once", 1] if n < 4 else ["consent", "news", "sms", True, 1],
        )
        for n in range(40)
    ]
    keys = MemoryApiKeys()
    text, key = issue(SECRET, title="test", roles=[Role.READER], branches=branches or None)
    await keys.add(key)
    portraits = Portraits(
        await questions_of(*people), await questions_of(*members), await questions_of(*profiles)
    )
    app = build_app(
        title="test",
        service="segment",
        routers=[PortraitApi(Definitions(writer), portraits, clock).router()],
        authenticator=Authenticator(keys, SECRET),
        readiness=_readiness,
    )
    return client_of(app, text)


async def _readiness() -> Json:
    return {}


async def test_a_portrait_counts_each_value_in_the_segment_and_in_the_base() -> None:
    async with await caller() as client:
        answer = await client.get("/v1/segments/new/portrait")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    # Without staff, the merged one and the erased one.
    assert (body["members"], body["base"]) == (10, 40)
    found = {(each["attribute"], each["value"]): each for each in body["items"]}
    riga = found["city", "Riga"]
    assert (riga["members"], riga["base"]) == (10, 12)
    assert (riga["member_share"], riga["base_share"]) == (1.0, 0.3)  # 10 of 10, 12 of 40
    assert riga["lift"] == pytest.approx(1 / 0.3)
    assert found["tags", "vip"]["score"] == riga["score"]
    assert found["custom.pet", "cat"]["lift"] == 1.0  # every second, inside as outside
    assert found["receipts", "2"]["members"] == 10
    assert found["city", "Tartu"]["lift"] == 0.0
    named = {attribute for attribute, _ in found}
    # One has no value, the other is somebody's name, and one only four customers have.
    assert not named & {"custom.gone", "surname", "custom.seldom"}
    fifths = [found["spent", f"fifth {place} of 5"]["base"] for place in range(1, 6)]
    # Those with a receipt: the ten members, and two thirds of the other thirty.
    assert sum(fifths) == 30
    # Six in each, but those who spent alike are in one.
    assert max(fifths) - min(fifths) <= 2


async def test_what_sets_members_apart_the_most_comes_first() -> None:
    async with await caller() as client:
        items = (await client.get("/v1/segments/new/portrait")).json()["items"]
        three = (await client.get("/v1/segments/new/portrait?limit=3")).json()["items"]
    assert [abs(each["score"]) for each in items] == sorted(
        (abs(each["score"]) for each in items), reverse=True
    )
    assert three == items[:3]
    cities = {(each["attribute"], each["value"]) for each in items[:3]}
    assert cities == {("city", "Riga"), ("city", "Tartu"), ("tags", "vip")}


def test_the_score_is_the_log_odds_ratio_by_its_deviation() -> None:
    # 10 of 10 inside and 2 of 30 outside; the prior is of 3 who have it and 7 who have not.
    ratio = math.log(13 / 7) - math.log(5 / 35)
    deviation = math.sqrt(1 / 13 + 1 / 7 + 1 / 5 + 1 / 35)
    assert apart(10, 10, 12, 40) == pytest.approx(ratio / deviation)
    assert apart(5, 10, 20, 40) == 0.0
    # Nobody is left to be apart from, nobody is inside, everybody has it.
    assert [apart(5, 10, 5, 10), apart(0, 0, 5, 10), apart(10, 10, 40, 40)] == [0.0, 0.0, 0.0]


async def test_a_portrait_is_of_a_segment_that_is_there_and_for_the_chain() -> None:
    async with await caller() as client:
        assert (await client.get("/v1/segments/none/portrait")).status_code == 404
    async with await caller("12") as client:
        assert (await client.get("/v1/segments/new/portrait")).status_code == 403
