"""The log of messages: what is looked for is found page by page, and each tells its life."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from services.notify.api import MessageApi
from services.notify.domain import message_id
from services.notify.domain.telling import SENTENCES
from services.notify.main import LOCALES
from services.notify.queries import Queue
from shared.access import Authenticator, Role, issue
from shared.events import reports, single
from shared.events.notification import EVENTS
from shared.http import build_app
from shared.memory import MemoryApiKeys
from shared.testing import client_of
from shared.testing.collections import MemoryQuestions
from shared.wording import Languages, read_catalogue
from tests.unit.test_notify_dispatcher import CAMPAIGN, GIVEN, NOW, SECRET, Desk

Json = Any


@pytest.fixture
async def desk() -> Desk:
    """Anna's first message went out on 2 January, Boris's was not sent, then Anna had another."""
    desk = await Desk.opened()
    await desk.customer("anna", GIVEN)
    await desk.customer("boris")
    await desk.schedule("anna", "boris")
    desk.know_all()
    await (await desk.dispatcher()).step()
    desk.clock.advance(timedelta(days=1))
    await desk.schedule("anna", version=2)
    return desk


async def _ready() -> Json:
    return {}


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[httpx2.AsyncClient]:
    """The owner's client."""
    keys = MemoryApiKeys()
    text, stored = issue(SECRET, title="test", roles=[Role.OWNER], branches=None)
    await keys.add(stored)
    queue = Queue(MemoryQuestions(desk.queue))
    app = build_app(
        title="test",
        service="notify",
        routers=[MessageApi(queue, desk.store, Languages.read(LOCALES)).router()],
        authenticator=Authenticator(keys, SECRET),
        readiness=_ready,
    )
    async with client_of(app, text) as found:
        yield found


async def found(client: httpx2.AsyncClient, **asked: str) -> list[tuple[str, str]]:
    answer = await client.get("/v1/messages", params=asked)
    assert answer.is_success, answer.text
    return [(each["customer"], each["occurrence"]) for each in answer.json()["items"]]


FIRST, OTHERS, SECOND = ("anna", "lapsed@1"), ("boris", "lapsed@1"), ("anna", "lapsed@2")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, {FIRST, OTHERS, SECOND}),
        ({"customer": "anna"}, {FIRST, SECOND}),
        ({"customer": "anna", "state": "sent"}, {FIRST}),
        ({"campaign": CAMPAIGN, "reason": "no_consent"}, {OTHERS}),
        ({"reason": "cap"}, set()),
        ({"channel": "sms"}, set()),
        ({"channel": "email", "state": "scheduled"}, {SECOND}),
        # The second one was scheduled a day later.
        ({"since": "2018-01-02T12:00:00Z"}, {SECOND}),
        ({"until": "2018-01-02T12:00:00Z"}, {FIRST, OTHERS}),
        ({"since": "2018-01-02T00:00:00Z", "until": "2018-01-02T00:00:00Z"}, set()),
    ],
)
async def test_messages_are_found_by_all_that_is_said(
    client: httpx2.AsyncClient, asked: Json, expected: Json
) -> None:
    assert set(await found(client, **asked)) == expected


async def test_pages_of_a_search_go_on_from_each_other(client: httpx2.AsyncClient) -> None:
    first = (await client.get("/v1/messages", params={"customer": "anna", "limit": 1})).json()
    assert [each["occurrence"] for each in first["items"]] == ["lapsed@2"]
    more = {"customer": "anna", "limit": 1, "cursor": first["next_cursor"]}
    second = (await client.get("/v1/messages", params=more)).json()
    assert [each["occurrence"] for each in second["items"]] == ["lapsed@1"]
    assert second["next_cursor"] is None


async def test_a_moment_without_a_zone_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/v1/messages", params={"since": "2018-01-02T12:00:00"})
    assert answer.status_code == 422
    assert "since" in answer.json()["errors"][0]["field"]


async def test_a_message_tells_its_life(client: httpx2.AsyncClient) -> None:
    message = message_id(CAMPAIGN, "anna", "lapsed@1")
    told = (await client.get(f"/v1/messages/{message}")).json()
    assert (told["customer"], told["campaign"], told["version"]) == ("anna", CAMPAIGN, 3)
    assert [each["sentence"] for each in told["life"]] == [
        "Its occasion came.",
        "It was handed to the channel.",
        "The channel took it over.",
    ]
    # Each names what it follows from: the membership, and the scheduling.
    causes = [each["cause"] for each in told["life"]]
    assert causes == ["membership@1", f"message-{message}@1", f"message-{message}@1"]
    assert told["life"][0]["time"] == NOW.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    # Neither where it went nor what it said.
    assert "h-anna" not in str(told)
    assert "x.example" not in str(told)


async def test_why_it_was_not_sent_is_a_sentence_in_both_languages(
    client: httpx2.AsyncClient,
) -> None:
    path = f"/v1/messages/{message_id(CAMPAIGN, 'boris', 'lapsed@1')}"
    for language in ("en", "ru"):
        last = (await client.get(path, params={"language": language})).json()["life"][-1]
        assert last["reason"] == "no_consent"
        catalogue = read_catalogue(LOCALES / "ru.po")
        for said, source in (
            (last["sentence"], SENTENCES["message.suppressed.v1"]),
            (last["explanation"], "The customer has not agreed to this topic on this channel."),
        ):
            translated = catalogue.get(source)
            assert translated is not None
            assert said == (translated.string if language == "ru" else source)


async def test_a_message_that_there_is_not_has_no_life(client: httpx2.AsyncClient) -> None:
    unknown = message_id(CAMPAIGN, "nobody", "lapsed@1")
    assert (await client.get(f"/v1/messages/{unknown}")).status_code == 404
    assert (await client.get("/v1/messages/none")).status_code == 422


def test_every_event_of_a_message_has_a_sentence_in_both_languages() -> None:
    types = {
        each.type
        for each in (*EVENTS, *reports.EVENTS, *single.EVENTS)
        if each.type.startswith("message.")
    }
    assert types == set(SENTENCES)
    catalogue = read_catalogue(LOCALES / "ru.po")
    for sentence in SENTENCES.values():
        message = catalogue.get(sentence)
        assert message is not None
        assert message.string
