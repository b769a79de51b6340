"""Campaigns over HTTP, on memory: definitions, their versions, and how they stand."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import httpx2
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.notify.api import CampaignApi, SteeringApi
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.campaigns.confirming import Audience
from services.notify.queries import Figures, Outcomes
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.execute import Writer
from shared.http import build_app
from shared.keyring import Keyring
from shared.memory import MemoryApiKeys, MemoryEventStore, MemoryKeyStore
from shared.testing import client_of

SECRET = bytes(32)
NOW = datetime(2018, 1, 2, tzinfo=UTC)
PATH = "/v1/campaigns/we-miss-you"
MISS_YOU: dict[str, Any] = {
    "title": "We miss you",
    "trigger": {"kind": "on_entering", "segment": "lapsed-30"},
    "channel": "email",
    "topic": "marketing",
    "template": {"subject": "Hello", "text": "Come back"},
    "start": "2018-01-01T00:00:00Z",
}


MONDAYS = {"kind": "on_calendar", "segment": "s", "every": "week", "days": [1], "at": "10:00"}
Json = Any


class NoFigures:
    """Nothing was sent yet."""

    async def of(self, _campaigns: object) -> dict[str, Outcomes]:
        return {}


class ManyMembers:
    """Segments with as many members as their names say."""

    async def count_members(self, segment: str) -> int:
        return int(segment.removeprefix("segment-"))

    async def count_listed(self, name: str) -> int:
        return int(name.removeprefix("list-"))


async def _ready() -> Json:
    return {}


@pytest.fixture
async def owner() -> AsyncIterator[httpx2.AsyncClient]:
    """The owner's client of a service without campaigns."""
    store, clock = MemoryEventStore(), ManualClock(NOW)
    writer = Writer(store, Keyring(MemoryKeyStore(), AESGCM(bytes(32))), clock, "notify")
    keys = MemoryApiKeys()
    text, stored = issue(SECRET, title="test", roles=[Role.OWNER], branches=None)
    await keys.add(stored)
    figures = cast("Figures", NoFigures())
    campaigns = CampaignApi(writer, CampaignBook(store), figures, clock, frozenset({"email"}))
    audience = Audience(campaigns.book, ManyMembers(), 100)
    app = build_app(
        title="test",
        service="notify",
        routers=[campaigns.router(), SteeringApi(writer, clock, audience).router()],
        authenticator=Authenticator(keys, SECRET),
        readiness=_ready,
    )
    async with client_of(app, text) as client:
        yield client


async def define(client: httpx2.AsyncClient, **change: Json) -> httpx2.Response:
    return await client.put(PATH, json=MISS_YOU | change, headers={"If-Match": "*"})


async def steer(owner: httpx2.AsyncClient, what: str) -> tuple[int, str]:
    """Status, and the state of the campaign or the kind of problem."""
    answer = await owner.post(f"{PATH}/{what}")
    if answer.is_success:
        return answer.status_code, (await owner.get(PATH)).json()["state"]
    return answer.status_code, answer.json()["type"].removeprefix("urn:regulars:problem:")


async def test_a_campaign_goes_through_its_states(owner: httpx2.AsyncClient) -> None:
    await define(owner)
    assert (await owner.get(PATH)).json()["state"] == "draft"
    assert await steer(owner, "pause") == (409, "campaign-not-running")
    assert await steer(owner, "start") == (200, "running")
    assert await steer(owner, "pause") == (200, "paused")
    assert await steer(owner, "start") == (409, "campaign-paused")
    assert await steer(owner, "resume") == (200, "running")
    assert await steer(owner, "stop") == (200, "stopped")
    assert await steer(owner, "resume") == (409, "campaign-not-running")


async def test_what_was_defined_before_stays_readable(owner: httpx2.AsyncClient) -> None:
    await define(owner, owner="e-anna", branch="center", end="2018-03-01T00:00:00Z")
    await define(owner)
    await define(owner)
    answer = await owner.get(f"{PATH}/versions")
    shown = answer.json()
    assert answer.headers["ETag"] == '"2"'
    assert [each["version"] for each in shown["items"]] == [2, 1]
    first = shown["items"][1]
    assert (first["owner"], first["branch"], first["end"], first["defined_at"]) == (
        "e-anna",
        "center",
        "2018-03-01T00:00:00.000Z",
        "2018-01-02T00:00:00.000Z",
    )
    assert shown["items"][0]["end"] is None
    assert (await owner.get("/v1/campaigns/nobody/versions")).status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"end": "2018-01-01T00:00:00Z"}, "end"),
        ({"owner": "no name"}, "owner"),
        ({"channel": "pigeon"}, "channel"),
        ({"trigger": {"kind": "on_whim"}}, "trigger"),
        ({"trigger": {"kind": "broadcast", "segment": "No"}}, "trigger.segment"),
        ({"trigger": {"kind": "on_event", "event": "task.planned.v1"}}, "trigger.event"),
        ({"trigger": {"kind": "on_date", "field": "shoe", "at": "10:00"}}, "trigger.field"),
        ({"trigger": MONDAYS | {"days": [8]}}, "trigger.days"),
        ({"trigger": MONDAYS | {"days": []}}, "trigger.days"),
        ({"trigger": MONDAYS | {"every": "day"}}, "trigger.days"),
        ({"trigger": MONDAYS | {"every": "month", "days": [0]}}, "trigger.days"),
        ({"trigger": MONDAYS | {"at": "24:00"}}, "trigger.on_calendar.at"),
    ],
)
async def test_what_is_wrong_is_named(owner: httpx2.AsyncClient, change: Json, field: str) -> None:
    answer = await define(owner, **change)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    "trigger",
    [
        {"kind": "on_leaving", "segment": "lapsed-30"},
        MONDAYS,
        {"kind": "on_date", "field": "birth_date", "days": -7, "at": "10:00", "yearly": True},
        {"kind": "broadcast", "segment": "coupon", "follow": True},
        {
            "kind": "on_event",
            "event": "interaction.receipt_recorded.v1",
            "where": [{"field": "total", "test": "at_least", "value": 100_000}],
        },
    ],
)
async def test_every_kind_of_occasion_is_shown_as_it_was_defined(
    owner: httpx2.AsyncClient, trigger: Json
) -> None:
    assert (await define(owner, trigger=trigger)).status_code == 200
    assert (await owner.get(PATH)).json()["trigger"] == trigger


async def started(client: httpx2.AsyncClient, confirm: int | None = None) -> tuple[int, Json]:
    body = {} if confirm is None else {"confirm": confirm}
    answer = await client.post(f"{PATH}/start", json=body)
    return answer.status_code, answer.json().get("recipients")


async def test_a_broadcast_to_many_is_started_by_who_has_seen_how_many(
    owner: httpx2.AsyncClient,
) -> None:
    await define(owner, trigger={"kind": "broadcast", "segment": "segment-101"})
    assert await started(owner) == (409, "101")
    assert await started(owner, 100) == (409, "101")
    assert (await owner.get(PATH)).json()["state"] == "draft"
    assert await started(owner, 101) == (200, None)


async def test_who_asks_again_whether_a_broadcast_was_started_confirms_nothing_again(
    owner: httpx2.AsyncClient,
) -> None:
    await define(owner, trigger={"kind": "broadcast", "segment": "segment-101"})
    key = {"Idempotency-Key": "k1"}
    first = await owner.post(f"{PATH}/start", json={"confirm": 101}, headers=key)
    again = await owner.post(f"{PATH}/start", json={}, headers=key)
    assert (again.status_code, again.json()) == (200, first.json() | {"repeated": True})


async def test_a_broadcast_to_few_or_to_fewer_than_confirmed_is_started_at_once(
    owner: httpx2.AsyncClient,
) -> None:
    await define(owner, trigger={"kind": "broadcast", "segment": "segment-100"})
    assert await started(owner) == (200, None)
    await owner.post(f"{PATH}/stop")
    other = await owner.put(
        f"{PATH}-more", json=MISS_YOU | {"trigger": {"kind": "broadcast", "segment": "segment-101"}}
    )
    assert other.is_success
    answer = await owner.post(f"{PATH}-more/start", json={"confirm": 150})
    assert answer.is_success


async def test_a_broadcast_to_a_long_list_is_confirmed_like_one_to_a_segment(
    owner: httpx2.AsyncClient,
) -> None:
    to_a_list = {"kind": "broadcast_list", "list": "list-101", "follow": False}
    await define(owner, trigger=to_a_list)
    assert (await owner.get(PATH)).json()["trigger"] == to_a_list
    assert await steer(owner, "start") == (409, "confirmation-needed")
    answer = await owner.post(f"{PATH}/start", json={"confirm": 101})
    assert answer.status_code == 200
    wrong = await define(owner, trigger=to_a_list | {"list": "No List"})
    assert wrong.json()["errors"][0]["field"] == "trigger.list"


async def test_what_is_no_broadcast_needs_no_confirmation(owner: httpx2.AsyncClient) -> None:
    await define(owner, trigger={"kind": "on_entering", "segment": "segment-101"})
    assert await started(owner) == (200, None)
    assert (await owner.post("/v1/campaigns/nobody/start")).status_code == 404


async def test_variants_come_in_place_of_the_one_template(owner: httpx2.AsyncClient) -> None:
    first, second = {"subject": "A", "text": "Hello"}, {"subject": "B", "text": "Hello"}
    variants = [{"name": "a", "template": first}, {"name": "b", "weight": 3, "template": second}]
    said = {name: value for name, value in MISS_YOU.items() if name != "template"}
    without = await owner.put(PATH, json=said)
    assert without.status_code == 422
    assert without.json()["errors"][0]["field"] == "template"
    body = said | {"variants": variants, "attribution_days": 14}
    assert (await owner.put(PATH, json=body)).is_success
    shown = (await owner.get(PATH)).json()
    # A weight that is not said is 1; the template is that of the first.
    assert [(each["name"], each["weight"]) for each in shown["variants"]] == [("a", 1), ("b", 3)]
    assert (shown["template"]["subject"], shown["attribution_days"]) == ("A", 14)
    (version,) = (await owner.get(f"{PATH}/versions")).json()["items"]
    assert version["variants"] == shown["variants"]


async def test_who_waits_for_a_delivery_has_a_channel_that_tells_of_it(
    owner: httpx2.AsyncClient,
) -> None:
    answer = await define(owner, fallback_after="PT6H")
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == ["fallback_after"]
