"""What an employee writes to one customer: a message like any other, with all its questions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from services.notify.api.letters import LetterApi
from services.notify.content import LinkTokens
from services.notify.domain import Stage
from services.notify.handlers.letters.desk import LetterDesk
from services.notify.handlers.letters.writing import Stationery
from services.notify.projections import QueuedMessage
from services.notify.queries import Recipients
from shared.access import Authenticator, Role, issue
from shared.events.customer import CustomerChanged
from shared.events.merging import CustomerErased, CustomerMerged
from shared.events.sending import Cap, QuietHours
from shared.http import build_app
from shared.memory import MemoryApiKeys
from shared.testing import client_of
from shared.testing.collections import MemoryQuestions
from tests.unit.test_notify_dispatcher import GIVEN, KEYRING, NOW, SECRET, Desk
from tests.unit.test_sending_policy import policy, until, work

Json = dict[str, Any]
PATH = "/v1/customers/anna/messages"
READY: Json = {
    "channel": "email",
    "subject": "Your order",
    "text": "Dear {{ customer.name }}, it is ready.",
    "purpose": "service",
}
NEWS = READY | {"purpose": "advertising", "topic": "marketing"}
NIGHT = QuietHours(begin="21:00", end="09:00")
"""NOW is a midnight."""


async def _ready() -> Json:
    return {}


TEXT, STORED = issue(SECRET, title="owner", roles=[Role.OWNER])


@asynccontextmanager
async def client(
    desk: Desk,
    *roles: Role,
    branches: tuple[str, ...] | None = None,
    scheduled: list[QueuedMessage] | None = None,
) -> AsyncIterator[httpx2.AsyncClient]:
    keys = MemoryApiKeys()
    text, stored = TEXT, STORED
    if roles:
        text, stored = issue(SECRET, title="t", roles=roles, branches=branches)
    await keys.add(stored)
    letters = LetterDesk(
        desk.writer(),
        Recipients(MemoryQuestions(desk.people), MemoryQuestions(desk.parked)),
        {"email", "sms"},
        SECRET,
        ([] if scheduled is None else scheduled).extend,
    )
    app = build_app(
        title="test",
        service="notify",
        routers=[LetterApi(letters).router()],
        authenticator=Authenticator(keys, SECRET),
        readiness=_ready,
    )
    async with client_of(app, text) as found:
        yield found


async def anna(*, consents: bool = False) -> Desk:
    desk = await Desk.opened()
    await desk.customer("anna", *([GIVEN] if consents else []))
    return desk


async def write(desk: Desk, letter: Json = READY, key: str = "k1") -> httpx2.Response:
    async with client(desk) as owner:
        answer = await owner.post(PATH, json=letter, headers={"Idempotency-Key": key})
    await desk.fold()
    return answer


async def outcome(desk: Desk, message: str) -> tuple[str, str | None]:
    await desk.fold()
    (found,) = [raw for raw in desk.queue.everything() if raw["_id"] == message]
    return found["stage"], found.get("reason")


async def test_a_service_message_goes_out_without_consent_and_says_the_words() -> None:
    desk = await anna()
    answer = await write(desk)
    assert (answer.status_code, answer.json()["repeated"]) == (200, False)
    desk.know_all()
    await work(desk)
    assert await outcome(desk, answer.json()["message"]) == (Stage.SENT, None)
    (sent,) = desk.channel.taken
    assert (sent.subject, sent.text) == ("Your order", "Dear Anna, it is ready.")


async def test_the_same_key_is_one_message_and_other_words_are_refused() -> None:
    desk = await anna()
    first = await write(desk)
    again = await write(desk)
    assert again.json() == first.json() | {"repeated": True}
    other = await write(desk, READY | {"text": "Never mind."})
    assert (other.status_code, other.json()["type"]) == (
        422,
        "urn:regulars:problem:command-differs",
    )
    second = await write(desk, key="k2")
    assert second.json()["message"] != first.json()["message"]
    desk.know_all()
    await work(desk)
    assert len(desk.channel.taken) == 2


async def test_it_is_handed_to_the_dispatcher_of_the_process_at_once() -> None:
    desk, scheduled = await anna(), list[QueuedMessage]()
    async with client(desk, scheduled=scheduled) as owner:
        await owner.post(PATH, json=READY)
    desk.know_all()
    dispatcher = await desk.dispatcher()
    dispatcher.offer(scheduled)
    await dispatcher.step()
    assert len(desk.channel.taken) == 1


async def test_words_are_sealed_and_gone_with_the_person() -> None:
    desk = await anna()
    await write(desk)
    recorded = "".join(text for commit in desk.store.commits for text in commit.events)
    assert "it is ready" not in recorded
    assert "Your order" not in recorded
    assert "it is ready" not in str(list(desk.queue.everything()))
    await desk.customer("anna", CustomerErased(erase="e", reason="request"))
    desk.know_all()
    await work(desk)
    assert await desk.reasons() == ["erased"]
    assert desk.channel.taken == []


async def test_of_whoever_has_lost_the_key_there_are_no_words_and_nothing_is_sent() -> None:
    desk = await Desk.opened()
    await desk.customer("forgotten", GIVEN)
    async with client(desk) as owner:
        await owner.post("/v1/customers/forgotten/messages", json=READY)
    await desk.fold()
    await KEYRING.erase(["forgotten"], "e")
    desk.know_all()
    await work(desk)
    assert (desk.channel.taken, await desk.reasons()) == ([], ["template_error"])


async def test_advertising_needs_consent_and_keeps_to_caps() -> None:
    desk = await anna()
    await write(desk, NEWS)
    desk.know_all()
    await work(desk)
    assert await desk.reasons() == ["no_consent"]
    agreed = await anna(consents=True)
    await policy(agreed, caps=(Cap(most=1, within="P1D"),))
    for key in ("k1", "k2"):
        await write(agreed, NEWS, key)
    agreed.know_all()
    await work(agreed)
    assert sorted(map(str, await agreed.reasons())) == ["None", "cap"]


async def test_the_night_is_waited_for_unless_it_is_to_go_out_now() -> None:
    desk = await anna()
    await policy(desk, quiet=(NIGHT,))
    waiting = (await write(desk)).json()["message"]
    urgent = (await write(desk, READY | {"now": True}, "k2")).json()["message"]
    desk.know_all()
    await work(desk)
    assert await outcome(desk, waiting) == (Stage.SCHEDULED, "quiet_hours")
    assert await outcome(desk, urgent) == (Stage.SENT, None)
    until(desk, NOW + timedelta(hours=9))
    await work(desk)
    assert await outcome(desk, waiting) == (Stage.SENT, None)


async def test_its_links_are_not_counted_and_its_way_out_leads_out() -> None:
    desk = await anna(consents=True)
    text = "See https://shop.example/x or leave: {{ links.unsubscribe }}"
    await write(desk, NEWS | {"text": text})
    desk.know_all()
    stationery = Stationery(LinkTokens(SECRET), "https://chain.example")
    await work(desk, await desk.dispatcher(stationery=stationery))
    (sent,) = desk.channel.taken
    assert "https://shop.example/x" in sent.text
    assert str(sent.unsubscribe) in sent.text
    assert str(sent.unsubscribe).startswith("https://chain.example/m/")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"channel": "push"}, "channel"),
        ({"text": "Dear {{ customer.shoe_size }}"}, "text"),
        ({"text": "{% for"}, "text"),
        ({"text": "{{ coupon.code }}"}, "text"),
        ({"subject": "{% for"}, "subject"),
        ({"text": ""}, "text"),
        ({"subject": " "}, "subject"),
        ({"purpose": "advertising", "now": True}, "now"),
        ({"purpose": "fun"}, "purpose"),
        ({"topic": "No Topic"}, "topic"),
    ],
)
async def test_what_cannot_be_sent_is_named(change: Json, field: str) -> None:
    desk = await anna()
    answer = await write(desk, READY | change)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert list(await desk.store.names("message-")) == []


async def test_nobody_and_who_was_merged_is_not_written_to() -> None:
    desk = await anna()
    async with client(desk) as owner:
        assert (await owner.post("/v1/customers/boris/messages", json=READY)).status_code == 404
        await desk.customer("anna", CustomerMerged(merge="m", survivor="clara"))
        answer = await owner.post(PATH, json=READY)
        assert (answer.status_code, answer.json()["survivor"]) == (409, "clara")


async def test_who_works_at_a_branch_writes_to_its_customers() -> None:
    desk = await anna()
    await desk.customer("anna", CustomerChanged(home_branch="center"))
    for roles, branches, status in (
        ((Role.CASHIER,), ("center",), 200),
        ((Role.CASHIER,), ("harbour",), 403),
        ((Role.READER,), None, 403),
    ):
        async with client(desk, *roles, branches=branches) as found:
            assert (await found.post(PATH, json=READY)).status_code == status


async def test_by_sms_there_is_no_subject_and_its_length_is_measured() -> None:
    desk = await anna()
    sms = READY | {"channel": "sms", "subject": "", "text": "It is ready."}
    assert (await write(desk, sms)).status_code == 200
    long = await write(desk, sms | {"text": "я" * 1_000}, "k2")
    assert long.json()["errors"][0]["field"] == "text"
