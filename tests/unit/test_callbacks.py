"""Callbacks over HTTP, on memory: each provider's form, early, late, twice, forged and broken."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from services.notify.api import CallbackApi
from services.notify.channels import mailbox, whatsapp
from services.notify.channels.hearing import hearers, telling
from services.notify.channels.registry import Ground
from services.notify.channels.reports import Heard, Report
from services.notify.domain import (
    MESSAGE,
    BeginSending,
    MessageCommand,
    RecordSent,
    Schedule,
    message_stream,
)
from services.notify.domain.suppression import Patience
from services.notify.handlers.books.suppression import suppressed
from services.notify.handlers.returns.hearing import Hearing
from services.notify.handlers.returns.replying import Replying
from services.notify.handlers.returns.reporting import PATIENCE_SECONDS, Reporting
from services.notify.projections import QUEUE, QueuedMessage
from services.notify.queries import Queue, Recipients
from services.notify.settings import ChannelSettings, SmsGateway, SmsReports
from shared.access import Authenticator
from shared.calling import signing_key
from shared.clock import ManualClock
from shared.envelope import Causation, decode
from shared.events.customer import Channel, IdentifierKind
from shared.events.reports import MessageBounced
from shared.eventstore import StoreUnavailable, body_hash
from shared.execute import Command, Writer
from shared.http import build_app
from shared.identifiers import IdentifierRules
from shared.keyring import Keyring
from shared.memory import (
    MemoryApiKeys,
    MemoryDocuments,
    MemoryEventStore,
    MemoryKeyStore,
    MemoryParking,
    MemoryWaitingPlace,
)
from shared.projector import Folder
from shared.testing import client_of, logs_of
from shared.testing.collections import MemoryQuestions

NOW = datetime(2018, 1, 2, tzinfo=UTC)
SECONDS = int(NOW.timestamp()) - 60
CHAIN, SECRET = bytes(32), "s3cr3t"
URL = "https://shop.example/messages"
RULES = IdentifierRules(CHAIN)
MESSAGE_ID = "0b6f3c1e-0000-5000-8000-000000000001"
GATEWAY = SmsGateway(
    url="https://gateway.example/v1",
    fields={"ref": "{id}"},
    reports=SmsReports(error_at="error.code"),
)
SETTINGS = ChannelSettings.model_construct(
    telegram_webhook_secret=SecretStr(SECRET),
    whatsapp_app_secret=SecretStr(SECRET),
    sms_gateway=GATEWAY,
    sms_secret=SecretStr(SECRET),
    webhook_url=URL,
)


@dataclass
class Bureau:
    """The service as far as callbacks go."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    people: MemoryDocuments = field(default_factory=MemoryDocuments)

    def __post_init__(self) -> None:
        keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
        self.writer = Writer(self.store, keyring, self.clock, "notify")
        self.place = MemoryWaitingPlace(self.clock)
        self.folder: Folder[QueuedMessage] = Folder(QUEUE, self.documents, MemoryParking(), keyring)
        queue = Queue(MemoryQuestions(self.documents))
        patience = Patience(2, timedelta(days=30))
        self.reporting = Reporting(self.writer, RULES, queue, self.place, patience)
        people = Recipients(MemoryQuestions(self.people), MemoryQuestions(MemoryDocuments()))
        self.hearing = Hearing(self.reporting, Replying(self.writer, RULES, queue, people))

    async def do(self, *commands: MessageCommand) -> None:
        for number, command in enumerate(commands):
            name = f"{len(self.store.commits)}|{number}"
            stream = message_stream(command.message)
            await self.writer.one(
                MESSAGE,
                Command(name, body_hash(name), stream, "anna", command, Causation("test"), "anna"),
            )

    async def send(
        self,
        channel: Channel,
        contact: str,
        *,
        reference: str | None = None,
        message: str = MESSAGE_ID,
        taken: bool = True,
    ) -> None:
        """A message that goes to somebody; the provider has it where it was `taken`."""
        await self.do(
            Schedule(message=message, at=NOW, campaign="c", occurrence="1", channel=channel),
            BeginSending(message=message, at=NOW, contact=contact, attempt="a", channel=channel),
        )
        if taken:
            await self.do(
                RecordSent(message=message, at=NOW, attempt="a", reference=reference),
            )

    async def fold(self) -> None:
        """Let the queue catch up."""
        for log in logs_of(self.store.commits):
            await self.folder.fold(log)

    def told(self, stream: str = message_stream(MESSAGE_ID)) -> list[str]:
        """The types of the events of a stream, without family and version."""
        return [
            decode(text).type.split(".")[1]
            for commit in self.store.commits
            if commit.stream == stream
            for text in commit.events
        ]


@pytest.fixture
async def bureau() -> Bureau:
    return Bureau()


async def _ready() -> dict[str, Any]:
    return {}


@pytest.fixture
async def client(bureau: Bureau) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody whose key opens nothing."""
    ground = Ground(NOW.timestamp, CHAIN)
    api = CallbackApi(hearers(SETTINGS, ground), bureau.hearing, SecretStr("verify-me"))
    app = build_app(
        title="test",
        service="notify",
        routers=[api.router()],
        authenticator=Authenticator(MemoryApiKeys(), CHAIN),
        readiness=_ready,
    )
    async with client_of(app, "nobody") as client:
        yield client


def hashed(kind: IdentifierKind, value: str) -> str:
    return RULES.known(kind, value, "value").hash


PHONE = hashed("phone", "+4930123456")
ON_WHATSAPP = hashed("messenger", "whatsapp:4930123456")
ON_TELEGRAM = hashed("messenger", "telegram:42")


def signed(provider: str, body: bytes) -> dict[str, str]:
    made = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    match provider:
        case "whatsapp":
            return {"X-Hub-Signature-256": f"sha256={made}"}
        case "telegram":
            return {"X-Telegram-Bot-Api-Secret-Token": SECRET}
        case "sms":
            return {"X-Signature": made}
        case _:
            key = signing_key(CHAIN, URL).encode()
            whole = b".".join([b"cb-1", str(SECONDS).encode(), body])
            mark = base64.b64encode(hmac.new(key, whole, hashlib.sha256).digest()).decode()
            return {
                "webhook-id": "cb-1",
                "webhook-timestamp": str(SECONDS),
                "webhook-signature": f"v1,{mark}",
            }


async def call(client: httpx2.AsyncClient, provider: str, said: object) -> httpx2.Response:
    body = json.dumps(said).encode()
    headers = {"Content-Type": "application/json", **signed(provider, body)}
    return await client.post(f"/v1/callbacks/{provider}", content=body, headers=headers)


def on_whatsapp(status: str, **more: object) -> object:
    """As "Webhooks > Components" of the Cloud API shows a status."""
    told = {
        "id": "wamid.1",
        "status": status,
        "timestamp": str(SECONDS),
        "recipient_id": "4930123456",
        **more,
    }
    value = {"messaging_product": "whatsapp", "statuses": [told]}
    return {"entry": [{"id": "W", "changes": [{"field": "messages", "value": value}]}]}


KICKED = {
    "update_id": 10000,
    "my_chat_member": {
        "date": SECONDS,
        "chat": {"id": 42, "type": "private", "first_name": "Anna"},
        "new_chat_member": {"status": "kicked", "user": {}},
    },
}


async def test_a_gateway_tells_by_its_own_id_what_became_of_a_message(
    bureau: Bureau, client: httpx2.AsyncClient
) -> None:
    await bureau.send("sms", PHONE, reference="g-1")
    await bureau.fold()
    told = {"id": "g-1", "status": "delivered"}
    for _ in range(2):
        answer = await call(client, "sms", told)
        assert (answer.status_code, answer.json()) == (200, {"items": 1})
    assert bureau.told() == ["scheduled", "sending", "sent", "delivered"]


async def test_whatsapp_tells_by_our_id_and_that_an_address_is_bad(
    bureau: Bureau, client: httpx2.AsyncClient
) -> None:
    await bureau.send("messenger", ON_WHATSAPP, reference=whatsapp.reference_of("wamid.1"))
    failed = on_whatsapp(
        "failed",
        biz_opaque_callback_data=MESSAGE_ID,
        errors=[{"code": 131026, "title": "Message undeliverable"}],
    )
    await call(client, "whatsapp", failed)
    await call(client, "whatsapp", on_whatsapp("read", biz_opaque_callback_data=MESSAGE_ID))
    assert bureau.told() == ["scheduled", "sending", "sent", "bounced", "opened"]
    assert await suppressed(bureau.store, [ON_WHATSAPP, PHONE]) == {ON_WHATSAPP}


async def test_who_blocks_the_bot_of_telegram_is_on_the_list(
    bureau: Bureau, client: httpx2.AsyncClient
) -> None:
    assert (await call(client, "telegram", KICKED)).status_code == 200
    assert (await call(client, "telegram", KICKED)).status_code == 200
    assert await suppressed(bureau.store, [ON_TELEGRAM]) == {ON_TELEGRAM}
    assert bureau.told(f"address-{ON_TELEGRAM}") == ["suppressed"]


async def test_a_system_of_the_chain_tells_with_its_own_time(
    bureau: Bureau, client: httpx2.AsyncClient
) -> None:
    await bureau.send("webhook", "h-external")
    told = {"what": "complained", "message": MESSAGE_ID, "at": SECONDS}
    assert (await call(client, "webhook", told)).status_code == 200
    assert bureau.told() == ["scheduled", "sending", "sent", "complained"]
    event = decode(bureau.store.commits[-1].events[0])
    # A minute ago, as it says; what is to come, or a year old, would be as of now.
    assert event.time == "2018-01-01T23:59:00.000Z"
    assert await suppressed(bureau.store, ["h-external"]) == {"h-external"}


@pytest.mark.parametrize("at", [SECONDS + 86_400, SECONDS - 86_400 * 365])
async def test_a_clock_that_is_wrong_says_nothing(
    bureau: Bureau, client: httpx2.AsyncClient, at: int
) -> None:
    await bureau.send("webhook", "h-external")
    await call(client, "webhook", {"what": "delivered", "message": MESSAGE_ID, "at": at})
    assert decode(bureau.store.commits[-1].events[0]).time == "2018-01-02T00:00:00.000Z"


async def test_what_is_told_before_we_noted_that_it_was_sent_is_not_lost(
    bureau: Bureau, client: httpx2.AsyncClient
) -> None:
    await bureau.send("webhook", "h-external", taken=False)
    await call(client, "webhook", {"what": "delivered", "message": MESSAGE_ID})
    await bureau.do(RecordSent(message=MESSAGE_ID, at=NOW, attempt="a"))
    assert bureau.told() == ["scheduled", "sending", "sent", "delivered"]


async def test_a_report_by_an_id_that_is_not_known_yet_waits_for_its_message(
    bureau: Bureau, client: httpx2.AsyncClient
) -> None:
    told = {"id": "g-1", "status": "undeliverable", "error": {"code": 27}}
    for _ in range(2):
        assert (await call(client, "sms", told)).status_code == 200
    assert await bureau.place.count() == 1
    await bureau.send("sms", PHONE, reference="g-1")
    assert await bureau.reporting.look_again() == 1
    # The queue has not read it yet.
    assert "bounced" not in bureau.told()
    await bureau.fold()
    bureau.clock.advance(timedelta(seconds=2))
    assert await bureau.reporting.look_again() == 1
    assert bureau.told() == ["scheduled", "sending", "sent", "bounced"]
    assert await suppressed(bureau.store, [PHONE]) == {PHONE}
    assert await bureau.place.count() == 0
    assert b"4930123456" not in json.dumps(bureau.store.commits[-1].events).encode()


async def test_what_is_of_no_message_of_ours_is_let_go(
    bureau: Bureau, client: httpx2.AsyncClient
) -> None:
    await call(client, "sms", {"id": "of-another", "status": "delivered"})
    bureau.clock.advance(timedelta(seconds=PATIENCE_SECONDS - 1))
    await bureau.reporting.look_again()
    assert await bureau.place.count() == 1
    bureau.clock.advance(timedelta(seconds=62))
    await bureau.reporting.look_again()
    assert await bureau.place.count() == 0
    other = {"what": "bounced", "message": "of-another", "permanent": True}
    assert (await call(client, "webhook", other)).status_code == 200
    assert bureau.store.commits == []


async def test_of_messages_with_one_number_that_of_the_conversation_is_meant(
    bureau: Bureau,
) -> None:
    # Telegram counts the messages of each conversation from 1.
    other = "0b6f3c1e-0000-5000-8000-000000000002"
    await bureau.send("messenger", ON_TELEGRAM, reference="17")
    await bureau.send("messenger", "h-other", reference="17", message=other)
    await bureau.fold()
    report = Report("delivered", reference="17", address="42")
    await bureau.reporting.take("telegram", [report])
    assert "delivered" in bureau.told()
    assert "delivered" not in bureau.told(message_stream(other))


async def test_one_that_came_back_says_little_and_several_say_much(
    bureau: Bureau, client: httpx2.AsyncClient
) -> None:
    ids = [f"0b6f3c1e-0000-5000-8000-00000000000{number}" for number in (1, 2)]
    for message in ids:
        await bureau.send("webhook", "h-external", message=message)
    first, second = ({"what": "failed", "message": message} for message in ids)
    for said in (first, first):
        await call(client, "webhook", said)
    assert await suppressed(bureau.store, ["h-external"]) == set()
    await call(client, "webhook", second)
    assert bureau.told("address-h-external") == ["failed", "failed", "suppressed"]
    assert await suppressed(bureau.store, ["h-external"]) == {"h-external"}


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("5.1.1 no such user", "5.1.1 no such user"),
        ("131026", "131026"),
        ("<anna@mail.example> is full", "<…> is full"),
        ("+49 (30) 123-456 does not answer", "… does not answer"),
        ("4930123456", "…"),
    ],
)
async def test_a_code_is_kept_without_what_may_be_somebodys_address(
    bureau: Bureau, client: httpx2.AsyncClient, said: str, kept: str
) -> None:
    await bureau.send("webhook", "h-external")
    await call(client, "webhook", {"what": "failed", "message": MESSAGE_ID, "code": said})
    events, _ = (await bureau.writer.histories([message_stream(MESSAGE_ID)]))[
        message_stream(MESSAGE_ID)
    ]
    assert [each.code for each in events if isinstance(each, MessageBounced)] == [kept]


RETURNED = f"""\
From: mailer-daemon@mx.example
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; somebody-else@example.com
Action: failed
Status: 5.1.1

--b
Content-Type: text/rfc822-headers

Message-ID: <{MESSAGE_ID}@regulars.invalid>

--b--
"""


async def test_a_mail_that_anybody_may_have_written_marks_only_where_its_message_went(
    bureau: Bureau,
) -> None:
    mail = hashed("email", "anna@example.com")
    await bureau.send("email", mail)
    await bureau.hearing.take("email", mailbox.heard(RETURNED.encode()))
    stranger = hashed("email", "boris@example.com")
    alone = Report("complained", address="boris@example.com")
    await bureau.hearing.take("email", [alone])
    other = hashed("email", "somebody-else@example.com")
    assert await suppressed(bureau.store, [mail, stranger, other]) == {mail}


@pytest.mark.parametrize("provider", ["sms", "telegram", "webhook", "whatsapp"])
async def test_who_does_not_sign_is_refused_and_changes_nothing(
    bureau: Bureau, client: httpx2.AsyncClient, provider: str
) -> None:
    answer = await client.post(f"/v1/callbacks/{provider}", content=b"{}")
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:regulars:problem:bad-signature"
    assert bureau.store.commits == []


@pytest.mark.parametrize("provider", ["sms", "telegram", "webhook", "whatsapp"])
async def test_what_cannot_be_read_is_told_by_its_place(
    client: httpx2.AsyncClient, provider: str
) -> None:
    said = {"id": ["anna@example.com"], "entry": "anna", "update_id": "anna", "what": "anna"}
    answer = await call(client, provider, said)
    assert answer.status_code == 400
    assert answer.json()["detail"]
    assert "anna" not in answer.text


async def test_a_channel_that_is_not_heard_has_no_address(client: httpx2.AsyncClient) -> None:
    for provider in ("email", "fcm", "nobody", "UP"):
        answer = await client.post(f"/v1/callbacks/{provider}", content=b"{}")
        assert answer.status_code in (404, 422)


async def test_a_body_without_end_is_refused(client: httpx2.AsyncClient) -> None:
    body = b"x" * (3 * 1024 * 1024 + 1)
    answer = await client.post("/v1/callbacks/sms", content=body, headers=signed("sms", body))
    assert answer.status_code == 413


class Away(MemoryEventStore):
    async def read(self, _streams: Sequence[str]) -> Mapping[str, Any]:
        raise StoreUnavailable


async def test_what_is_not_durable_is_not_acknowledged() -> None:
    away = Bureau(store=Away())
    ground = Ground(NOW.timestamp, CHAIN)
    app = build_app(
        title="test",
        service="notify",
        routers=[CallbackApi(hearers(SETTINGS, ground), away.hearing).router()],
        authenticator=Authenticator(MemoryApiKeys(), CHAIN),
        readiness=_ready,
    )
    async with client_of(app, "nobody") as other:
        told = {"what": "delivered", "message": MESSAGE_ID}
        assert (await call(other, "webhook", told)).status_code == 503
        # Nobody verifies an address whose token is not set.
        asked = {"hub.mode": "subscribe", "hub.verify_token": "", "hub.challenge": "1158201444"}
        assert (await other.get("/v1/callbacks/whatsapp", params=asked)).status_code == 404


async def test_meta_is_given_its_challenge_back_for_the_right_token(
    client: httpx2.AsyncClient,
) -> None:
    asked = {"hub.mode": "subscribe", "hub.verify_token": "verify-me", "hub.challenge": "1158"}
    answer = await client.get("/v1/callbacks/whatsapp", params=asked)
    assert (answer.status_code, answer.text) == (200, "1158")
    for wrong, status in (
        ({"hub.verify_token": "other"}, 403),
        ({"hub.mode": "unsubscribe"}, 403),
        ({"hub.challenge": "<b>"}, 422),
    ):
        answer = await client.get("/v1/callbacks/whatsapp", params=asked | wrong)
        assert answer.status_code == status


def test_only_of_channels_that_tell_of_deliveries_silence_says_something() -> None:
    assert telling(SETTINGS) == {"sms", "whatsapp"}
    more = SETTINGS.model_copy(update={"webhook_tells_deliveries": True})
    assert telling(more) == {"sms", "whatsapp", "webhook"}
    silent = {"sms_gateway": GATEWAY.model_copy(update={"reports": None})}
    assert telling(SETTINGS.model_copy(update=silent)) == {"whatsapp"}


async def test_nothing_is_heard_of_nothing(bureau: Bureau) -> None:
    nothing: Collection[Heard] = ()
    await bureau.hearing.take("sms", list(nothing))
    assert await bureau.reporting.look_again() == 0
