"""Figures over all customers: over HTTP on memory, and held against a plain look at each."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from services.segment.api.analytics import AnalyticsApi
from services.segment.projections.activity import Activity, BranchActivity
from services.segment.queries.cohorts import Cohorts
from services.segment.queries.definitions import Definitions
from services.segment.queries.value import Values
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
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")
Bought = Mapping[str, Sequence[datetime]]
"""Branch → moments of receipts."""
Json = Any


def packed(moments: Sequence[datetime]) -> bytes:
    found = b""
    for moment in moments:
        found = with_moment(found, milliseconds(moment))
    return found


def customer(name: str, bought: Bought, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    """A stored customer, each of whose receipts was of 10.00."""
    branches = [
        BranchActivity(branch, packed(moments), spent=1000 * len(moments))
        for branch, moments in sorted(bought.items())
    ]
    activity = Activity(id=name, rev=1, branches=branches, **more)
    raw: dict[str, Any] = msgspec.to_builtins(activity, builtin_types=(datetime, bytes))
    return raw


async def questions_of(*people: dict[str, Any]) -> MemoryQuestions:
    documents = MemoryDocuments()
    await documents.write(people)
    return MemoryQuestions(documents)


async def caller(
    people: Sequence[dict[str, Any]],
    members: Sequence[dict[str, Any]] = (),
    branches: Sequence[str] = (),
) -> httpx2.AsyncClient:
    clock = ManualClock(NOW)
    keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
    writer = Writer(MemoryEventStore(), keyring, clock, "segment")
    defined = SegmentDefined(segment="new", definition=1, title="new", rule={})
    await tell(writer, "segment-new", "segment-new", [NewEvent(defined, NOW)])
    keys = MemoryApiKeys()
    text, key = issue(SECRET, title="test", roles=[Role.READER], branches=branches or None)
    await keys.add(key)
    activity = await questions_of(*people)
    api = AnalyticsApi(
        Definitions(writer),
        Cohorts(activity, BERLIN),
        Values(activity, await questions_of(*members)),
        clock,
    )
    app = build_app(
        title="test",
        service="segment",
        routers=[api.router()],
        authenticator=Authenticator(keys, SECRET),
        readiness=_readiness,
    )
    return client_of(app, text)


async def _readiness() -> Json:
    return {}


async def get(client: httpx2.AsyncClient, path: str, **asked: str | int | list[str]) -> Json:
    answer = await client.get(f"/v1/analytics/{path}", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def on(month: int, day: int, hour: int = 12) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


ANNA = customer("anna", {"12": [on(1, 5), on(2, 5)], "13": [on(6, 1)]}, registered=on(1, 1))
BORIS = customer("boris", {"12": [on(2, 20)]}, city="Riga")
CLARA = customer("clara", {}, registered=on(3, 1))
STAFF = customer("staff", {"12": [on(2, 1)]}, internal=True, registered=on(1, 1))
PEOPLE = (ANNA, BORIS, CLARA, STAFF)


async def test_months_say_who_was_active_new_returning_and_lost() -> None:
    async with await caller(PEOPLE) as client:
        asked: dict[str, Any] = {"from": "2026-01", "to": "2026-06", "silence": 2}
        months = (await get(client, "months", **asked))["items"]
    names = ("known", "active", "new", "returning", "lost", "base")
    assert [tuple(each[name] for name in names) for each in months] == [
        (1, 1, 1, 0, 0, 1),  # January: Anna
        (2, 2, 1, 0, 0, 2),  # Anna again, and Boris, who was never registered here
        (3, 0, 0, 0, 0, 2),  # Clara becomes known
        (3, 0, 0, 0, 2, 0),  # March and April without a receipt of Anna or Boris
        (3, 0, 0, 0, 0, 0),
        (3, 1, 0, 1, 0, 1),  # Anna after March, April and May; June is not over
    ]
    assert months[1]["share"] == 1.0
    assert months[5]["share"] == pytest.approx(1 / 3)


async def test_at_one_branch_only_its_receipts_count() -> None:
    async with await caller(PEOPLE, branches=["13"]) as client:
        asked = {"from": "2026-06", "branch": "13"}
        (june,) = (await get(client, "months", **asked))["items"]
        assert (june["known"], june["active"], june["new"]) == (1, 1, 1)
        for path in ("months", "cohorts?branch=12", "value?by=city", "value?by=segment"):
            assert (await client.get(f"/v1/analytics/{path}")).status_code == 403
        (mine,) = (await get(client, "value", by="branch"))["items"]
        assert (mine["group"], mine["receipts"]) == ("13", 1)


async def test_cohorts_follow_those_who_bought_first_in_a_month() -> None:
    async with await caller(PEOPLE) as client:
        found = await get(client, "cohorts", **{"from": "2026-01", "to": "2026-06"})
    january, february, march = found["items"][:3]
    assert (january["size"], january["active"]) == (1, [1, 1, 0, 0, 0, 1])
    assert (february["size"], february["active"]) == (1, [1, 0, 0, 0, 0])
    assert (march["size"], march["share"]) == (0, [])


async def test_groups_are_worth_what_their_customers_spent() -> None:
    members = [
        {"_id": "new|anna", "rev": 1, "segment": "new", "customer": "anna", "current": True},
        {"_id": "new|boris", "rev": 1, "segment": "new", "customer": "boris", "current": False},
    ]
    async with await caller(PEOPLE, members) as client:
        cities = (await get(client, "value", by="city"))["items"]
        branches = (await get(client, "value", by="branch"))["items"]
        segments = (await get(client, "value", by="segment", segment=["new"]))["items"]
    assert [(each["group"], each["spent_minor"]) for each in cities] == [
        (None, 3000),
        ("Riga", 1000),
    ]
    anna = cities[0]
    assert (anna["customers"], anna["lifetime_minor"], anna["average_minor"]) == (1, 3000, 1000)
    # Three receipts since 5 January 12:00, which is 161 days ago.
    assert anna["receipts_in_30_days"] == pytest.approx(3 * 30 / 161)
    twelve, thirteen = branches
    # Anna's two and the one of Boris; 1500 each.
    assert (twelve["customers"], twelve["receipts"], twelve["lifetime_minor"]) == (2, 3, 1500)
    assert (thirteen["customers"], thirteen["receipts"]) == (1, 1)
    assert [(each["group"], each["customers"]) for each in segments] == [("new", 1)]


@pytest.mark.parametrize(
    ("path", "field_named"),
    [
        ("months?from=2026-13", "from"),
        ("months?from=2026-02&to=2026-01", "from"),
        ("months?from=1990-01&to=2026-01", "from"),
        ("months?to=9999-01", "to"),
        ("months?silence=0", "silence"),
        ("value?by=segment", "segment"),
        ("value?by=height", "by"),
    ],
)
async def test_what_cannot_be_asked_is_named(path: str, field_named: str) -> None:
    async with await caller(PEOPLE) as client:
        answer = await client.get(f"/v1/analytics/{path}")
    assert answer.status_code == 422, answer.text
    assert field_named in answer.json()["errors"][0]["field"]


async def test_a_segment_that_is_not_there_is_not_found() -> None:
    async with await caller(PEOPLE) as client:
        answer = await client.get("/v1/analytics/value?by=segment&segment=none")
    assert answer.status_code == 404


# Held against a plain look at each customer

BEGIN = datetime(2025, 12, 1, tzinfo=UTC)
MOMENTS = st.lists(st.integers(0, 190 * 24).map(lambda hours: BEGIN + hours * DAY / 24), max_size=5)
BASES = st.lists(st.tuples(MOMENTS, MOMENTS), min_size=1, max_size=6)


def months_of(moments: Sequence[datetime]) -> set[int]:
    """The months in which somebody bought, December 2025 being 0."""
    local = [moment.astimezone(BERLIN) for moment in moments]
    return {(moment.year - 2025) * 12 + moment.month - 12 for moment in local}


async def ask(base: Sequence[tuple[Sequence[datetime], Sequence[datetime]]]) -> Cohorts:
    people = [
        customer(f"c{number}", {"12": twelve, "13": thirteen})
        for number, (twelve, thirteen) in enumerate(base)
    ]
    return Cohorts(await questions_of(*people), BERLIN)


DECEMBER = (2025 - 1970) * 12 + 11


@settings(max_examples=80, deadline=None)
@given(BASES, st.integers(1, 3), st.sampled_from([None, "12"]))
def test_months_are_what_a_look_at_each_customer_gives(
    base: Sequence[tuple[Sequence[datetime], Sequence[datetime]]], silence: int, branch: str | None
) -> None:
    async def found() -> Sequence[Any]:
        cohorts = await ask(base)
        return await cohorts.months(branch, DECEMBER, DECEMBER + 6, silence, NOW)

    rows = asyncio.run(found())
    each_bought = [months_of(twelve if branch else [*twelve, *more]) for twelve, more in base]
    before = 0
    for month, row in enumerate(rows):
        recent = set(range(month - silence + 1, month + 1))
        earlier = set(range(month - silence, month))
        active = [bought for bought in each_bought if month in bought]
        new = [bought for bought in active if min(bought) == month]
        back = [bought for bought in active if min(bought) < month and not bought & earlier]
        # June 2026 is the sixth month from December on, and not over.
        lost = [
            bought
            for bought in each_bought
            if month < 6 and month - silence in bought and not bought & recent
        ]
        known = [bought for bought in each_bought if bought and min(bought) <= month]
        assert (row.active, row.new, row.returning, row.lost, row.known) == (
            len(active), len(new), len(back), len(lost), len(known)
        )  # fmt: skip
        if month < 6:
            assert row.base == len([bought for bought in each_bought if bought & recent])
        assert row.base == before + row.new + row.returning - row.lost
        before = row.base


@settings(max_examples=80, deadline=None)
@given(BASES)
def test_cohorts_are_what_a_look_at_each_customer_gives(
    base: Sequence[tuple[Sequence[datetime], Sequence[datetime]]],
) -> None:
    async def found() -> Sequence[Any]:
        return await (await ask(base)).retention(None, DECEMBER, DECEMBER + 6)

    rows = asyncio.run(found())
    each_bought = [months_of([*twelve, *more]) for twelve, more in base]
    for first, row in enumerate(rows):
        mine = [bought for bought in each_bought if bought and min(bought) == first]
        expected = [sum(first + later in bought for bought in mine) for later in range(7 - first)]
        assert list(row.active) == expected
