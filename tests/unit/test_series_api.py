"""Series over HTTP, on memory: definitions, how they stand, and where customers stand in them."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.notify.api import SeriesApi
from services.notify.domain.series import JOURNEY, JourneyCommand, Note, NoteSign, journey_stream
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.books.series import SeriesBook
from services.notify.handlers.campaigns.requests import Request, define, start
from services.notify.projections.journeys import JOURNEYS
from services.notify.queries import Journeys
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.envelope import Causation
from shared.events.campaign import CampaignDefined, OnEntering, OnStep, Template
from shared.execute import Command, Writer
from shared.http import build_app
from shared.keyring import Keyring
from shared.memory import (
    MemoryApiKeys,
    MemoryDocuments,
    MemoryEventStore,
    MemoryKeyStore,
    MemoryParking,
)
from shared.projector import Folder
from shared.testing import client_of
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import records_of

Json = Any
SECRET = bytes(32)
NOW = datetime(2018, 1, 2, tzinfo=UTC)
PATH = "/v1/series/welcome"
KEYRING = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
HELLO = CampaignDefined(
    campaign="hello",
    title="Hello",
    trigger=OnStep(),
    channel="email",
    topic="marketing",
    template=Template(subject="s", text="t"),
    start=NOW,
    holdout_percent=0,
)
WELCOME: dict[str, Any] = {
    "title": "Welcome",
    "entry": {"kind": "on_entering", "segment": "new"},
    "steps": [
        {"kind": "send", "id": "hello", "campaign": "hello"},
        {
            "kind": "wait_event",
            "id": "visit",
            "event": "interaction.visit_recorded.v1",
            "at_most": "P7D",
            "next": "done",
        },
        {
            "kind": "branch",
            "id": "known",
            "question": {"kind": "field", "field": "language", "values": ["en"]},
            "otherwise": "late",
        },
        {"kind": "wait_until", "id": "morning", "at": "10:00", "weekday": 1},
        {"kind": "wait", "id": "late", "length": "PT1H"},
        {"kind": "end", "id": "done"},
    ],
    "exits": [{"kind": "on_leaving", "segment": "new"}],
    "reentry": "ended",
    "reentry_after": "P30D",
}


async def _ready() -> Json:
    return {}


@dataclass(slots=True)
class Office:
    """The service with the campaign `hello`, and the owner's client of it."""

    writer: Writer
    store: MemoryEventStore
    documents: MemoryDocuments
    clock: ManualClock
    client: httpx2.AsyncClient

    async def journeys_of(self, *customers: str) -> None:
        """Each has entered, now."""
        entry = await SeriesBook(self.store).require("welcome")
        now = self.clock.now()
        commands: list[Command[JourneyCommand]] = [
            Command(
                id=f"note-{customer}",
                hash="h",
                stream=journey_stream("welcome", customer),
                key=customer,
                body=NoteSign(entry.course, "welcome", Note(now, now, "m@1", enters=True)),
                causation=Causation("c"),
                subject=customer,
            )
            for customer in customers
        ]
        await self.writer.many(JOURNEY, commands)
        folder = Folder(JOURNEYS, self.documents, MemoryParking(), KEYRING)
        await folder.fold(list(records_of(self.store.commits, NOW)))


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    store, clock, documents = MemoryEventStore(), ManualClock(NOW), MemoryDocuments()
    writer = Writer(store, KEYRING, clock, "notify")
    await define(writer, Request("d", "d", NOW), HELLO, lambda _version: None)
    keys = MemoryApiKeys()
    text, stored = issue(SECRET, title="test", roles=[Role.OWNER], branches=None)
    await keys.add(stored)
    journeys = Journeys(MemoryQuestions(documents))
    api = SeriesApi(writer, SeriesBook(store), CampaignBook(store), journeys, clock)
    app = build_app(
        title="test",
        service="notify",
        routers=[api.router()],
        authenticator=Authenticator(keys, SECRET),
        readiness=_ready,
    )
    async with client_of(app, text) as client:
        yield Office(writer, store, documents, clock, client)


async def put(office: Office, **change: Json) -> httpx2.Response:
    headers = {"If-Match": "*"}
    return await office.client.put(PATH, json=WELCOME | change, headers=headers)


async def steer(office: Office, what: str) -> tuple[int, str]:
    """Status, and the state of the series or the kind of problem."""
    answer = await office.client.post(f"{PATH}/{what}")
    if answer.is_success:
        return answer.status_code, (await office.client.get(PATH)).json()["state"]
    return answer.status_code, answer.json()["type"].removeprefix("urn:regulars:problem:")


async def running(office: Office) -> None:
    await put(office)
    await start(office.writer, Request("s", "s", NOW), "hello")
    assert await steer(office, "start") == (200, "running")
    office.clock.advance(timedelta(hours=1))


async def test_a_series_is_shown_as_it_was_defined(office: Office) -> None:
    assert (await put(office)).status_code == 200
    answer = await office.client.get(PATH)
    shown = answer.json()
    assert answer.headers["ETag"] == '"1"'
    for name in ("title", "entry", "exits", "reentry", "reentry_after"):
        assert shown[name] == WELCOME[name]
    steps = [{k: v for k, v in step.items() if v not in (None, [])} for step in shown["steps"]]
    assert steps == WELCOME["steps"]
    assert (shown["state"], shown["open_journeys"]) == ("draft", 0)
    page = (await office.client.get("/v1/series")).json()
    assert [each["name"] for each in page["items"]] == ["welcome"]
    assert (await office.client.get("/v1/series/nobody")).status_code == 404


async def test_a_series_goes_through_its_states(office: Office) -> None:
    assert await steer(office, "start") == (404, "not-found")
    await put(office)
    assert await steer(office, "start") == (409, "campaign-not-running")
    await start(office.writer, Request("s", "s", NOW), "hello")
    assert await steer(office, "pause") == (409, "series-not-running")
    assert await steer(office, "start") == (200, "running")
    assert await steer(office, "pause") == (200, "paused")
    assert await steer(office, "start") == (409, "series-paused")
    assert await steer(office, "resume") == (200, "running")
    assert await steer(office, "stop") == (200, "stopped")


async def test_a_change_rests_on_the_version_that_was_seen(office: Office) -> None:
    await put(office)
    changed = WELCOME | {"title": "Other"}
    assert (await office.client.put(PATH, json=changed)).status_code == 428
    stale = await office.client.put(PATH, json=changed, headers={"If-Match": '"7"'})
    assert stale.status_code == 412
    seen = await office.client.put(PATH, json=changed, headers={"If-Match": '"1"'})
    assert (seen.status_code, seen.json()["version"]) == (200, 2)
    versions = (await office.client.get(f"{PATH}/versions")).json()["items"]
    assert [(each["version"], each["title"]) for each in versions] == [(2, "Other"), (1, "Welcome")]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"entry": {"kind": "on_whim"}}, "entry"),
        ({"steps": [{"kind": "send", "id": "a", "campaign": "other"}]}, "steps.0.campaign"),
        ({"steps": [{"kind": "wait", "id": "a", "length": "P1M"}]}, "steps.0.length"),
        ({"steps": [{"kind": "wait_until", "id": "a", "at": "25:00"}]}, "steps.0.wait_until.at"),
        ({"steps": []}, "steps"),
        ({"reentry": "always"}, "reentry"),
        ({"owner": "no name"}, "owner"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_is_wrong_is_named(office: Office, change: Json, field: str) -> None:
    answer = await put(office, **change)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": "\ud800"}, "title"),
        ({"steps": [{"kind": "end", "id": "\udfff"}]}, "steps.0.id"),
        (
            {
                "steps": [
                    {
                        "kind": "branch",
                        "id": "ask",
                        "question": {
                            "kind": "field",
                            "field": "city",
                            "values": ["Riga", "\ud800"],
                        },
                    }
                ]
            },
            "steps.0.question.values.1",
        ),
    ],
)
async def test_half_a_character_is_no_text(office: Office, change: Json, field: str) -> None:
    """JSON can spell it, and nobody could write it down."""
    headers = {"If-Match": "*", "Content-Type": "application/json"}
    body = json.dumps(WELCOME | change)
    answer = await office.client.put(PATH, content=body, headers=headers)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_step_names_a_campaign_that_waits_for_steps(office: Office) -> None:
    other = HELLO.model_copy(update={"campaign": "other", "trigger": OnEntering(segment="s")})
    await define(office.writer, Request("o", "o", NOW), other, lambda _version: None)
    answer = await put(office, steps=[{"kind": "send", "id": "a", "campaign": "other"}])
    assert [error["field"] for error in answer.json()["errors"]] == ["steps.0.campaign"]


async def test_where_customers_stand_is_shown_page_by_page(office: Office) -> None:
    await running(office)
    await office.journeys_of("anna", "boris", "clara")
    first = (await office.client.get(f"{PATH}/journeys?limit=2&state=open")).json()
    assert [each["customer"] for each in first["items"]] == ["anna", "boris"]
    rest = await office.client.get(
        f"{PATH}/journeys?limit=2&state=open&cursor={first['next_cursor']}"
    )
    assert [each["customer"] for each in rest.json()["items"]] == ["clara"]
    assert rest.json()["next_cursor"] is None
    assert (await office.client.get(f"{PATH}/journeys?state=finished")).json()["items"] == []
    assert (await office.client.get(PATH)).json()["open_journeys"] == 3


async def test_one_customer_is_shown_with_the_step_and_the_moment_it_goes_on(
    office: Office,
) -> None:
    await running(office)
    await office.journeys_of("anna")
    shown = (await office.client.get(f"{PATH}/journeys/anna")).json()
    assert shown == {
        "series": "welcome",
        "customer": "anna",
        "number": 1,
        "version": 1,
        "state": "open",
        "step": "visit",
        "outcome": None,
        "entered_at": "2018-01-02T01:00:00.000Z",
        "since": "2018-01-02T01:00:00.000Z",
        "until": "2018-01-09T01:00:00.000Z",
        "ended_at": None,
    }
    assert (await office.client.get(f"{PATH}/journeys/boris")).status_code == 404
