"""Who was in a segment, how it grew, how long people stay and where they go: over HTTP, on memory.

Figures over many are held against a plain count, day by day and customer by customer.
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from services.segment.api.history import HistoryApi
from services.segment.api.members import MemberApi
from services.segment.projections.activity import Activity, BranchActivity
from services.segment.projections.members import (
    FOREVER,
    Because,
    Interval,
    Member,
    member_id,
    since_key,
)
from services.segment.queries.activity import Activities
from services.segment.queries.calendar import Period
from services.segment.queries.definitions import Definitions
from services.segment.queries.history import History, Within, median
from services.segment.queries.members import Members
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.segment import SegmentDefined
from shared.execute import Writer
from shared.http import build_app, cursor_of
from shared.keyring import Keyring
from shared.memory import MemoryApiKeys, MemoryDocuments, MemoryEventStore, MemoryKeyStore
from shared.moments import milliseconds, with_moment
from shared.testing import client_of
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import tell

SECRET = bytes(32)
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")
LONDON = ZoneInfo("Europe/London")
SEGMENTS = ("lapsed", "new", "regular")
Stay = tuple[datetime, datetime]
Json = Any


def member(segment: str, customer: str, stays: Sequence[Stay]) -> Member:
    """A customer who was in a segment for these times."""
    intervals = [
        Interval(begin, end, 2 * number + 1, Because("time"), number + 1)
        for number, (begin, end) in enumerate(stays)
    ]
    current = stays[-1][1] == FOREVER
    return Member(
        id=member_id(segment, customer), rev=1, segment=segment, customer=customer,
        current=current, intervals=intervals,
        since=since_key(segment, stays[-1][0], customer) if current else None,
    )  # fmt: skip


def stored(document: Member | Activity) -> dict[str, Any]:
    raw: dict[str, Any] = msgspec.to_builtins(document, builtin_types=(datetime, bytes))
    return raw


@dataclass(slots=True)
class Chain:
    """The segment service's questions on memory."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    keys: MemoryApiKeys = field(default_factory=MemoryApiKeys)
    members: MemoryDocuments = field(default_factory=MemoryDocuments)
    activity: MemoryDocuments = field(default_factory=MemoryDocuments)

    async def caller(self, *branches: str) -> httpx2.AsyncClient:
        keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
        clock = ManualClock(NOW)
        writer = Writer(self.store, keyring, clock, "segment")
        for name in SEGMENTS:
            defined = SegmentDefined(
                segment=name, definition=1, title=name, rule={"kind": "all", "clauses": []}
            )
            await tell(writer, f"segment-{name}", f"segment-{name}", [NewEvent(defined, NOW)])
        text, key = issue(SECRET, title="test", roles=[Role.READER], branches=branches or None)
        await self.keys.add(key)
        definitions, questions = Definitions(writer), MemoryQuestions(self.members)
        app = build_app(
            title="test",
            service="segment",
            routers=[
                MemberApi(
                    definitions,
                    Members(questions),  # type: ignore[arg-type] # asked for no sums here
                    Activities(MemoryQuestions(self.activity)),
                    clock,
                ).router(),
                HistoryApi(definitions, History(questions), clock, ZoneInfo("UTC")).router(),
            ],
            authenticator=Authenticator(self.keys, SECRET),
            readiness=_readiness,
        )
        return client_of(app, text)

    async def put(self, *documents: Member) -> None:
        await self.members.write([stored(each) for each in documents])


async def _readiness() -> Json:
    return {}


@pytest.fixture
def chain() -> Chain:
    """Nobody is in any segment."""
    return Chain()


@pytest.fixture
async def reader(chain: Chain) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who may read."""
    async with await chain.caller() as client:
        yield client


async def get(client: httpx2.AsyncClient, path: str, **asked: str | int | list[str]) -> Json:
    answer = await client.get(f"/v1/{path}", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def three_members(chain: Chain) -> None:
    """Anna came first and once before, Clara last; Dora is there no longer."""
    await chain.put(
        member("new", "anna", [(MIDNIGHT - 9 * HOUR, MIDNIGHT), (MIDNIGHT + HOUR, FOREVER)]),
        member("new", "boris", [(MIDNIGHT + 2 * HOUR, FOREVER)]),
        member("new", "clara", [(MIDNIGHT + 3 * HOUR, FOREVER)]),
        member("new", "dora", [(MIDNIGHT, MIDNIGHT + HOUR)]),
        member("newer", "emma", [(MIDNIGHT, FOREVER)]),
    )
    bought = with_moment(with_moment(b"", milliseconds(MIDNIGHT)), milliseconds(MIDNIGHT + HOUR))
    activity = Activity(
        id="anna", rev=1, home_branch="12", city="=Riga",
        branches=[BranchActivity("12", bought, spent=700), BranchActivity("13", spent=-100)],
    )  # fmt: skip
    await chain.activity.write([stored(activity)])


async def test_members_come_with_what_they_bought(chain: Chain, reader: httpx2.AsyncClient) -> None:
    await three_members(chain)
    page = await get(reader, "segments/new/members", limit=1)
    assert (page["count"], page["items"][0]["customer"]) == (3, "anna")
    assert page["items"][0]["definition"] == 2  # she was let in for the second time by it
    assert page["items"][0]["profile"] == {
        "receipts": 2, "spent_minor": 600,  # 700 - 100
        "first_receipt": "2026-03-01T00:00:00.000Z", "last_receipt": "2026-03-01T01:00:00.000Z",
        "home_branch": "12", "city": "=Riga",
    }  # fmt: skip
    more = await get(reader, "segments/new/members", limit=1, cursor=page["next_cursor"])
    assert more["items"][0]["profile"]["receipts"] == 0


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("customer", ["anna", "boris", "clara"]),
        ("since", ["anna", "boris", "clara"]),
        ("-since", ["clara", "boris", "anna"]),
    ],
)
async def test_pages_go_on_in_their_order(
    chain: Chain, reader: httpx2.AsyncClient, order: str, expected: list[str]
) -> None:
    await three_members(chain)
    found: list[str] = []
    cursor: str | None = None
    for _ in expected:
        asked: dict[str, Any] = {"order": order, "limit": 1} | (
            {"cursor": cursor} if cursor else {}
        )
        page = await get(reader, "segments/new/members", **asked)
        found += [each["customer"] for each in page["items"]]
        cursor = page["next_cursor"]
    assert (found, cursor) == (expected, None)


@pytest.mark.parametrize(
    ("order", "position"), [("since", "a"), ("-since", "newest"), ("since", 5)]
)
async def test_the_cursor_of_another_list_is_refused_and_shows_nobody_of_it(
    chain: Chain, reader: httpx2.AsyncClient, order: str, position: object
) -> None:
    await three_members(chain)
    asked = {"order": order, "cursor": cursor_of(position)}
    answer = await reader.get("/v1/segments/new/members", params=asked)
    assert answer.status_code == 422, answer.text
    assert [each["field"] for each in answer.json()["errors"]] == ["cursor"]


async def test_the_past_has_one_order(reader: httpx2.AsyncClient) -> None:
    asked = {"order": "since", "at": "2026-03-01T00:00:00Z"}
    answer = await reader.get("/v1/segments/new/members", params=asked)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == ["order"]


async def test_all_members_are_one_table(chain: Chain, reader: httpx2.AsyncClient) -> None:
    await three_members(chain)
    answer = await reader.get("/v1/segments/new/members/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="new.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["customer"] for row in rows] == ["anna", "boris", "clara"]
    # A spreadsheet would run what begins with =.
    assert (rows[0]["city"], rows[0]["spent_minor"], rows[0]["exited"]) == ("'=Riga", "600", "")
    at = (MIDNIGHT - HOUR).isoformat()
    lines = await reader.get(
        "/v1/segments/new/members/export", params={"format": "jsonl", "at": at}
    )
    (line,) = lines.content.splitlines()
    # She is there now by another interval; then it was the first one.
    assert msgspec.json.decode(line)["exited"] == "2026-03-01T00:00:00.000Z"


async def test_a_customer_was_in_these_segments_then(
    chain: Chain, reader: httpx2.AsyncClient
) -> None:
    await three_members(chain)
    now = await get(reader, "customers/anna/memberships")
    assert len(now["items"][0]["intervals"]) == 2
    then = await get(reader, "customers/anna/memberships", at=(MIDNIGHT - HOUR).isoformat())
    (interval,) = then["items"][0]["intervals"]
    assert interval["exited"] == "2026-03-01T00:00:00.000Z"
    # At midnight she had left, since an interval ends just before its end.
    assert (await get(reader, "customers/anna/memberships", at=MIDNIGHT.isoformat()))["items"] == []


async def test_growth_counts_every_day_of_the_zone(
    chain: Chain, reader: httpx2.AsyncClient
) -> None:
    await three_members(chain)
    asked = {"from": "2026-02-28", "to": "2026-03-02"}
    grown = await get(reader, "segments/new/growth", **asked)
    assert grown["items"] == [
        {"day": "2026-02-28", "members": 0, "entered": 1, "exited": 0},  # Anna, at 15:00
        # Anna leaves at midnight and comes again, Boris, Clara and Dora come, Dora leaves.
        {"day": "2026-03-01", "members": 1, "entered": 4, "exited": 2},
        {"day": "2026-03-02", "members": 3, "entered": 0, "exited": 0},
    ]
    # In New York it is the evening before.
    there = await get(reader, "segments/new/growth", zone="America/New_York", **asked)
    assert [each["entered"] for each in there["items"]] == [5, 0, 0]


async def test_what_came_and_went_in_one_moment_entered_and_left_and_was_no_member(
    chain: Chain, reader: httpx2.AsyncClient
) -> None:
    await chain.put(member("new", "anna", [(MIDNIGHT, MIDNIGHT)]))
    grown = await get(reader, "segments/new/growth", **{"from": "2026-03-01", "to": "2026-03-02"})
    assert [tuple(each.values())[1:] for each in grown["items"]] == [(0, 1, 1), (0, 0, 0)]


async def test_stays_are_those_that_ended_and_those_that_last(
    chain: Chain, reader: httpx2.AsyncClient
) -> None:
    await three_members(chain)
    stays = await get(reader, "segments/new/stays", **{"from": "2026-03-01", "to": "2026-03-01"})
    assert stays == {
        "segment": "new",
        "ended": 2,
        "median_seconds": 5 * 3600,  # of 9 hours and 1 hour
        "open": 3,
        "median_age_seconds": (9 * 24 + 12 - 2) * 3600,  # Boris, since 2:00 nine days ago
    }
    nobody = await get(reader, "segments/regular/stays")
    assert (nobody["median_seconds"], nobody["median_age_seconds"]) == (None, None)


async def test_flows_say_where_those_went_who_left(
    chain: Chain, reader: httpx2.AsyncClient
) -> None:
    left = MIDNIGHT + 12 * HOUR
    await chain.put(
        member("new", "anna", [(MIDNIGHT, left)]),
        member("regular", "anna", [(left, FOREVER)]),
        member("new", "boris", [(MIDNIGHT, left), (left + HOUR, FOREVER)]),
        member("lapsed", "boris", [(left + 12 * HOUR, FOREVER)]),
        member("new", "clara", [(MIDNIGHT, left)]),
        member("regular", "clara", [(MIDNIGHT, FOREVER)]),
    )
    asked: dict[str, Any] = {"segment": list(SEGMENTS), "from": "2026-03-01", "to": "2026-03-01"}
    flows = await get(reader, "segment-flows", **asked)
    lapsed, new, regular = flows["items"]
    # Anna at once; Boris came back after an hour and lapsed the next day; Clara was there before.
    assert (new["exited"], new["nowhere"]) == (3, 1)
    assert new["to"] == {"regular": 1, "new": 1}
    assert (lapsed["exited"], regular["exited"]) == (0, 0)
    later = await get(reader, "segment-flows", within="PT13H", **asked)
    assert later["items"][1]["to"] == {"regular": 1, "new": 1, "lapsed": 1}
    # Just before 12 hours have passed is before 12 hours.
    twelve = await get(reader, "segment-flows", within="PT12H", **asked)
    assert twelve["items"][1]["to"] == {"regular": 1, "new": 1}


@pytest.mark.parametrize(
    ("path", "asked", "field_named"),
    [
        ("segments/new/growth", {"from": "2026-03-02", "to": "2026-03-01"}, "from"),
        ("segments/new/growth", {"from": "2020-03-02", "to": "2026-03-01"}, "from"),
        ("segments/new/growth", {"to": "9999-12-31"}, "to"),
        ("segments/new/growth", {"zone": "Moon/Base"}, "zone"),
        ("segment-flows", {"segment": "new", "within": "-P1D"}, "within"),
        ("segment-flows", {"segment": ["new"] * 21}, "segment"),
    ],
)
async def test_what_cannot_be_asked_is_named(
    reader: httpx2.AsyncClient, path: str, asked: Mapping[str, Any], field_named: str
) -> None:
    answer = await reader.get(f"/v1/{path}", params=asked)
    assert answer.status_code == 422, answer.text
    assert field_named in answer.json()["errors"][0]["field"]


@pytest.mark.parametrize(
    "path",
    ["segments/new/members/export", "segments/new/growth", "segments/new/stays",
     "segment-flows?segment=new", "customers/anna/memberships"],
)  # fmt: skip
async def test_a_key_of_some_branches_sees_no_segment(chain: Chain, path: str) -> None:
    async with await chain.caller("12") as client:
        assert (await client.get(f"/v1/{path}")).status_code == 403


async def test_a_segment_that_is_not_there_is_not_found(reader: httpx2.AsyncClient) -> None:
    for path in ("segments/none/members/export", "segments/none/growth", "segments/none/stays"):
        assert (await reader.get(f"/v1/{path}")).status_code == 404
    answer = await reader.get("/v1/segment-flows", params={"segment": ["new", "none"]})
    assert answer.status_code == 404


# Held against a plain count


@st.composite
def histories(draw: st.DrawFn) -> Mapping[tuple[str, str], Sequence[Stay]]:
    """Stays that take turns, around two days on which London changes its clocks."""
    begin = datetime(2026, 3, 27, tzinfo=UTC)
    found: dict[tuple[str, str], Sequence[Stay]] = {}
    for segment in SEGMENTS:
        for customer in ("anna", "boris"):
            halves = sorted(draw(st.lists(st.integers(0, 200), max_size=6)))
            moments = [begin + half * HOUR / 2 for half in halves]
            if len(moments) % 2:
                moments.append(FOREVER)
            stays = list(zip(moments[::2], moments[1::2], strict=True))
            if stays:
                found[segment, customer] = stays
    return found


def questions_of(stays: Mapping[tuple[str, str], Sequence[Stay]]) -> History:
    documents = MemoryDocuments()
    members = [stored(member(*place, each)) for place, each in stays.items()]
    asyncio.run(_written(documents, members))
    return History(MemoryQuestions(documents))


async def _written(documents: MemoryDocuments, members: Sequence[dict[str, Any]]) -> None:
    await documents.write(members)


@settings(max_examples=60, deadline=None)
@given(histories(), st.integers(0, 3), st.integers(0, 3), st.sampled_from([LONDON, BERLIN]))
def test_growth_is_what_a_count_of_each_day_gives(
    stays: Mapping[tuple[str, str], Sequence[Stay]], first: int, more: int, zone: ZoneInfo
) -> None:
    begin = date(2026, 3, 27) + timedelta(days=first)
    period = Period(begin, begin + timedelta(days=more), zone)
    grown = asyncio.run(questions_of(stays).growth("new", period))
    mine = [stay for (segment, _), each in stays.items() if segment == "new" for stay in each]
    for row in grown:
        entered = [one for one, _ in mine if str(one.astimezone(zone).date()) == row.day]
        exited = [
            one for _, one in mine if one != FOREVER and str(one.astimezone(zone).date()) == row.day
        ]
        before = [
            1
            for one, end in mine
            if str(one.astimezone(zone).date()) < row.day
            and (end == FOREVER or str(end.astimezone(zone).date()) >= row.day)
        ]
        assert (row.members, row.entered, row.exited) == (
            len(before), len(entered), len(exited)
        )  # fmt: skip
    for today, tomorrow in pairwise(grown):
        assert tomorrow.members == today.members + today.entered - today.exited


@settings(max_examples=60, deadline=None)
@given(histories(), st.sampled_from([None, HOUR, 24 * HOUR]))
def test_flows_are_what_a_look_at_each_exit_gives(
    stays: Mapping[tuple[str, str], Sequence[Stay]], span: timedelta | None
) -> None:
    period = Period(date(2026, 3, 28), date(2026, 3, 29), LONDON)
    flows = asyncio.run(questions_of(stays).flows(SEGMENTS, period, Within(LONDON, span)))
    rows = {row.segment: row for row in flows}
    for segment in SEGMENTS:
        exits, nowhere, to = 0, 0, dict.fromkeys(SEGMENTS, 0)
        for (own, customer), mine in stays.items():
            for place, (_, left) in enumerate(mine):
                day = left.astimezone(LONDON).date() if left != FOREVER else None
                if own != segment or day not in set(period.days):
                    continue
                exits += 1
                went = {
                    other
                    for other in SEGMENTS
                    for number, (came, _) in enumerate(stays.get((other, customer), []))
                    if (other != segment or number > place) and came >= left
                    if (came < left + span if span else came.astimezone(LONDON).date() == day)
                }
                nowhere += not went
                for other in went:
                    to[other] += 1
        assert (rows[segment].exited, rows[segment].nowhere) == (exits, nowhere)
        assert {other: rows[segment].to.get(other, 0) for other in SEGMENTS} == to


def test_the_median_of_an_even_number_is_the_mean_of_the_two_in_the_middle() -> None:
    assert median([]) is None
    assert median([3 * HOUR, HOUR, 2 * HOUR]) == 2 * HOUR
    assert median([4 * HOUR, HOUR, 2 * HOUR, 9 * HOUR]) == 3 * HOUR
