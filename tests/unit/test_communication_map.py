"""The communication map: lines of campaigns, and segments that none or several speak to."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from services.notify.api.communication_map import MapApi
from services.notify.domain.campaign import Campaign
from services.notify.domain.communication import communications, crowded, unaddressed
from services.notify.domain.series.course import Series
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.books.series import SeriesBook
from services.notify.handlers.campaigns.requests import Request, define, start
from services.notify.projections.segments import SEGMENTS, KnownSegment
from services.notify.queries import Effects
from services.notify.queries.segments import Segments
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.campaign import CampaignDefined
from shared.events.contract import EventData
from shared.events.segment import (
    DefinitionReleased,
    DefinitionWithdrawn,
    SegmentArchived,
    SegmentDefined,
)
from shared.events.series import SeriesDefined
from shared.execute import Writer
from shared.http import build_app
from shared.memory import MemoryApiKeys, MemoryDocuments, MemoryEventStore, MemoryParking
from shared.projector import Folder
from shared.testing import client_of, logs_of
from shared.testing.aggregating import MemorySums
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import tell
from tests.unit.test_notify_figures import DEFINED, KEYRING, NOW, SECRET, SENT, Log, told_of

Json = Any
LAPSED = {"kind": "on_entering", "segment": "lapsed"}


def campaign(name: str, trigger: Json, state: str = "running", **more: object) -> Campaign:
    said = DEFINED | {"campaign": name, "variants": None, "trigger": trigger} | more
    definition = CampaignDefined.model_validate(said)
    return Campaign(definition=definition, state=state)  # type: ignore[arg-type]  # one of the few


def series(name: str, campaigns: Sequence[str], **more: object) -> Series:
    steps = [{"kind": "send", "id": each, "campaign": each} for each in campaigns]
    said = {"series": name, "title": name, "entry": LAPSED, "steps": steps} | more
    return Series(definition=SeriesDefined.model_validate(said), state="running")


def test_a_step_stands_for_the_occasion_of_its_series() -> None:
    lines = communications(
        {"hello": campaign("hello", {"kind": "on_step"}), "alone": campaign("alone", LAPSED)},
        {
            "welcome": series("welcome", ["hello"], start="2018-02-01T00:00:00Z"),
            "others": series("others", ["other"]),
        },
    )
    assert [(each.campaign, each.series, each.segment) for each in lines] == [
        ("alone", None, "lapsed"),
        ("hello", "welcome", "lapsed"),
    ]
    # Both must have begun: the campaign on 1 January, the series on 1 February.
    assert lines[1].start == datetime(2018, 2, 1, tzinfo=UTC)
    (lone,) = communications({"hello": campaign("hello", {"kind": "on_step"})}, {})
    assert (lone.series, lone.segment) == (None, None)


def test_who_is_addressed_by_several_at_the_same_time_is_said() -> None:
    lines = communications(
        {
            "january": campaign("january", LAPSED, end="2018-02-01T00:00:00Z"),
            "february": campaign("february", LAPSED, start="2018-02-01T00:00:00Z"),
            "always": campaign("always", LAPSED | {"kind": "on_leaving"}),
            "draft": campaign("draft", LAPSED, "draft"),
            "coupons": campaign("coupons", {"kind": "broadcast", "segment": "coupon"}),
        },
        {},
    )
    # January and February do not meet, but both meet what has no end.
    assert crowded(lines) == {"lapsed": ["always", "february", "january"]}
    without = [each for each in lines if each.campaign != "always"]
    assert crowded(without) == {}


def test_segments_to_which_nothing_speaks_now_are_named() -> None:
    lines = communications(
        {
            "stopped": campaign("stopped", LAPSED, "stopped"),
            "paused": campaign("paused", {"kind": "broadcast", "segment": "coupon"}, "paused"),
        },
        {},
    )
    assert unaddressed(lines, ["lapsed", "coupon", "new"]) == ["lapsed", "new"]


async def _folded(*events: EventData) -> MemoryDocuments:
    store, documents = MemoryEventStore(), MemoryDocuments()
    writer = Writer(store, KEYRING, ManualClock(NOW), "segment")
    for event in events:
        name = f"segment-{getattr(event, 'segment', '')}"
        await tell(writer, name, name, [NewEvent(event, NOW)])
    folder: Folder[KnownSegment] = Folder(SEGMENTS, documents, MemoryParking(), KEYRING)
    for log in logs_of(store.commits):
        await folder.fold(log)
    return documents


def defined(segment: str, number: int = 1, *, trial: bool | None = None) -> SegmentDefined:
    return SegmentDefined(
        segment=segment, definition=number, title=segment.upper(), rule={}, trial=trial
    )


async def test_a_segment_is_one_while_a_definition_of_it_stands() -> None:
    documents = await _folded(
        defined("a"),
        defined("b"),
        SegmentArchived(segment="b"),
        defined("c", trial=True),
        defined("d", trial=True),
        DefinitionReleased(segment="d", definition=1),
        defined("e"),
        defined("e", 2, trial=True),
        DefinitionWithdrawn(segment="e", definition=2),
        defined("f"),
        DefinitionWithdrawn(segment="f", definition=1),
    )
    standing = await Segments(MemoryQuestions(documents)).standing()
    assert standing == {"a": "A", "d": "D", "e": "E"}


async def _ready() -> Json:
    return {}


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    """The owner's client of a chain with one campaign that runs and one that does not."""
    store, clock = MemoryEventStore(), ManualClock(NOW)
    writer = Writer(store, KEYRING, clock, "notify")
    for name, more in (
        ("we-miss-you", {"owner": "=e-anna", "fallback": ["sms"]}),
        ("coupons", {"trigger": {"kind": "broadcast", "segment": "coupon"}}),
    ):
        definition = CampaignDefined.model_validate(DEFINED | {"campaign": name} | more)
        await define(writer, Request(name, name, NOW), definition, lambda _version: None)
    await start(writer, Request("start", "start", NOW), "we-miss-you")
    log = Log()
    for number in range(3):
        await log.message(f"m{number}", f"c{number}", *told_of(f"m{number}", *SENT))
    await log.buys("c0", 700)
    await log.fold()
    segments = await _folded(defined("lapsed-30"), defined("coupon"))
    keys = MemoryApiKeys()
    text, stored = issue(SECRET, title="test", roles=[Role.OWNER], branches=None)
    await keys.add(stored)
    api = MapApi(
        CampaignBook(store),
        SeriesBook(store),
        log.figures,
        Effects(MemorySums(log.effects)),
        Segments(MemoryQuestions(segments)),
    )
    app = build_app(
        title="test",
        service="notify",
        routers=[api.router()],
        authenticator=Authenticator(keys, SECRET),
        readiness=_ready,
    )
    async with client_of(app, text) as found:
        yield found


async def test_the_map_says_whom_a_chain_speaks_to_and_what_it_brought(
    client: httpx2.AsyncClient,
) -> None:
    found = (await client.get("/v1/communication-map")).json()
    coupons, missed = found["lines"]
    assert (missed["campaign"], missed["segment"], missed["live"]) == (
        "we-miss-you",
        "lapsed-30",
        True,
    )
    assert (missed["occasion"]["kind"], missed["channels"]) == ("on_entering", ["email", "sms"])
    # Three got it, one of whom bought for 700.
    assert (missed["sent"], missed["people"], missed["buyers"]) == (3, 3, 1)
    assert missed["turnover_minor"] == 700
    assert (coupons["live"], coupons["sent"], coupons["buyers"]) == (False, 0, 0)
    assert found["unaddressed"] == [{"segment": "coupon", "title": "COUPON"}]
    assert found["crowded"] == []


async def test_the_lines_are_a_table_that_no_program_calculates_with(
    client: httpx2.AsyncClient,
) -> None:
    answer = await client.get("/v1/communication-map", params={"format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    coupons, missed = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert (coupons["campaign"], coupons["occasion"]) == ("coupons", "broadcast")
    assert (missed["channels"], missed["turnover_minor"]) == ("email sms", "700")
    # What looks like a formula is written so that it is none.
    assert not missed["owner"].startswith("=")


async def test_a_format_that_there_is_not_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/v1/communication-map", params={"format": "xlsx"})
    assert answer.status_code == 422
