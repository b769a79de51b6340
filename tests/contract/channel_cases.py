"""Every channel with a provider of its own kind, which answers as its documents say.

A channel is added by one more case. `receipts` is the table of its docstring: what a misbehaviour
of the provider makes of a hand-over.
"""

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from pydantic import SecretStr

from services.notify.channels import Accepted, Channel, NotTaken, Receipt, Rejected, Unknown
from services.notify.channels.email import EmailChannel, SmtpServer
from services.notify.channels.fcm import Fcm, ServiceAccount
from services.notify.channels.push_sealing import Vapid, to_base64url
from services.notify.channels.sms import Sms
from services.notify.channels.telegram import Telegram
from services.notify.channels.web_push import WebPush
from services.notify.channels.webhook import Webhook
from services.notify.channels.whatsapp import WhatsApp, reference_of
from services.notify.settings import SmsGateway
from shared.testing.mail_server import DROP, SILENT, MailServer, mail_server
from shared.testing.provider import Asked, HangsUp, Manner, Provider, Says, Silent, provider

SECRET = "s3cr3t-of-the-provider"
BUSY_SECONDS = 7.0
MESSAGE_FIELD = "message"


class Gateway(Protocol):
    """A provider of any kind, told how to behave; by the name of a misbehaviour, or None."""

    def behave(self, manner: str | None) -> None: ...

    def taken(self) -> int:
        """How many messages it has been given whole."""
        ...

    def ids(self) -> Sequence[str]:
        """The ids of messages that it was given."""
        ...

    def hang_up(self) -> None: ...


@dataclass(slots=True)
class Mails:
    """SMTP."""

    server: MailServer
    manners: Mapping[str, str]

    def behave(self, manner: str | None) -> None:
        self.server.answers.clear()
        if manner is not None:
            step, _, answer = self.manners[manner].partition(" ")
            self.server.answers[step] = answer  # type: ignore[index] # one of its steps

    def taken(self) -> int:
        return len(self.server.taken)

    def ids(self) -> Sequence[str]:
        return [mail["Message-ID"].strip("<>").partition("@")[0] for mail in self.server.taken]

    def hang_up(self) -> None:
        self.server.hang_up()


@dataclass(slots=True)
class Web:
    """HTTP."""

    server: Provider
    well: Says
    manners: Mapping[str, Manner]
    id_of: Callable[[Asked], str] | None

    def behave(self, manner: str | None) -> None:
        self.server.answer = self.well if manner is None else self.manners[manner]

    def taken(self) -> int:
        return len(self.server.taken)

    def ids(self) -> Sequence[str]:
        return [] if self.id_of is None else [self.id_of(asked) for asked in self.server.taken]

    def hang_up(self) -> None:
        self.server.hang_up()


@dataclass(frozen=True, slots=True)
class Case:
    """A channel, an address of its kind, what is said well, and its table.

    `id_of` finds the message's id in what the provider was given, where it is there.
    """

    name: str
    make: Callable[[str], Channel]
    address: Callable[[str], str]
    well: Says
    accepted: Receipt
    receipts: Mapping[str, Receipt]
    manners: Mapping[str, Manner] = field(default_factory=dict)
    no_addresses: Sequence[str] = ()
    id_of: Callable[[Asked], str] | None = None
    doors: Mapping[str, Callable[[Asked], Says]] = field(default_factory=dict)
    mails: Mapping[str, str] | None = None
    absent: Receipt = NotTaken("away")  # noqa: RUF009 - frozen

    @asynccontextmanager
    async def up(self) -> AsyncIterator[tuple[Channel, Gateway]]:
        """The channel and its provider."""
        if self.mails is not None:
            async with mail_server() as server:
                channel = self.make(server.url)
                yield channel, Mails(server, self.mails)
                await channel.close()
            return
        async with provider() as web:
            web.doors.update(self.doors)
            gateway = Web(web, self.well, {**COMMON, **self.manners}, self.id_of)
            gateway.behave(None)
            channel = self.make(web.url)
            yield channel, gateway
            await channel.close()


COMMON: Mapping[str, Manner] = {
    "slow": Silent(),
    "dropped after accept": HangsUp(),
    "half a status line": HangsUp(b"HTTP/1.1 20"),
    "garbage instead of HTTP": HangsUp(b"\x00\xff garbage\r\n\r\n"),
    "500 with garbage": Says(500, b"<html>oops"),
    "502 of a proxy": Says(502, b"<html>bad gateway"),
    "503 with Retry-After": Says(503, b"", {"Retry-After": "7"}),
    "429 with Retry-After": Says(429, b"", {"Retry-After": "7"}),
    "moved": Says(302, b"", {"Location": "http://127.0.0.1:9/"}),
    "not let in": Says(401, b"{}"),
}
"""What any HTTP server may do."""
MISUNDERSTOOD: Mapping[str, Receipt] = {
    "slow": Unknown(),
    "dropped after accept": Unknown(),
    "half a status line": Unknown(),
    "garbage instead of HTTP": Unknown(),
    "500 with garbage": Unknown(),
    "502 of a proxy": Unknown(),
    "503 with Retry-After": NotTaken("away", "503", BUSY_SECONDS),
    "429 with Retry-After": NotTaken("away", "429", BUSY_SECONDS),
    "moved": NotTaken("away", "302"),
    "not let in": NotTaken("away", "401"),
}
"""What follows from it in every channel over HTTP, unless its table says otherwise."""


def fixed(address: str) -> Callable[[str], str]:
    """An address that does not depend on where the provider is."""
    return lambda _url: address


EMAIL = Case(
    name="email",
    make=lambda url: EmailChannel(SmtpServer.of(url), "Shop <news@example.com>"),
    address=fixed("anna@example.com"),
    well=Says(),
    accepted=Accepted("4F2A"),
    no_addresses=("anna", "a@x.example, b@x.example", "anna@x.example\r\nRCPT TO:<eve@x.example>"),
    mails={
        "slow": f"DATA {SILENT}",
        "dropped after accept": f"DATA {DROP}",
        "dropped before": f"RCPT {DROP}",
        "garbage": "DATA 299 what",
        "never": "DATA 554 never",
        "no such address": "RCPT 550 5.1.1 no such user",
        "full": "RCPT 452 4.2.2 mailbox full",
        "closing": "MAIL 421 closing",
    },
    receipts={
        "slow": Unknown(),
        "dropped after accept": Unknown(),
        "dropped before": NotTaken("away"),
        "never": Rejected("554"),
        "no such address": Rejected("550", address=True),
        "full": NotTaken("refused", "452"),
        "closing": NotTaken("away", "421"),
    },
)

GATEWAY = {
    "method": "POST",
    "form": "json",
    "fields": {"ref": "{id}", "to": "{digits}", "message": {"body": "{text}"}, "from": "{sender}"},
    "headers": {"Authorization": "Key {secret}"},
    "sender": "SHOP",
    "id_at": "messages.0.id",
    "code_at": "messages.0.status",
    "accepted": ["queued"],
    "refused": ["7"],
    "away": ["busy"],
    "rejected": ["spam"],
    "bad_address": ["no-number"],
    "deduplicates": "P1D",
}


def _sms_says(status: object, **more: object) -> Says:
    return Says(200, {"messages": [{"id": "g-1", "status": status, **more}]})


SMS = Case(
    name="sms",
    make=lambda url: Sms(
        SmsGateway.model_validate({**GATEWAY, "url": f"{url}/sms"}), SecretStr(SECRET)
    ),
    address=fixed("+4930123456"),
    well=_sms_says("queued"),
    accepted=Accepted("g-1"),
    no_addresses=("4930123456", "+49 30 1", "anna", "", "+49301234567890123"),
    id_of=lambda asked: str(asked.json["ref"]),
    manners={
        "refused for now": _sms_says(7),
        "busy": _sms_says("busy"),
        "spam": _sms_says("spam"),
        "no such number": Says(400, {"messages": [{"status": "no-number"}]}),
        "a status of its own": _sms_says("perhaps"),
        "no id": Says(200, {"messages": [{"status": "queued"}]}),
        "half an answer": Says(200, {"messages": [{"id": "g-1", "status": "queued"}]}, cut=True),
        "garbage": Says(200, b"\xff{"),
        "another shape": Says(200, {"messages": "queued"}),
        "wrong": Says(422, {"messages": []}),
    },
    receipts={
        **MISUNDERSTOOD,
        "refused for now": NotTaken("refused", "7"),
        "busy": NotTaken("away", "busy"),
        "spam": Rejected("spam"),
        "no such number": Rejected("no-number", address=True),
        "a status of its own": Unknown(),
        "no id": Unknown(),
        "half an answer": Unknown(),
        "garbage": Unknown(),
        "another shape": Unknown(),
        "wrong": Rejected("422"),
    },
)

WEBHOOK = Case(
    name="webhook",
    make=lambda url: Webhook(
        f"{url}/messages?x=1",
        SECRET.encode(),
        lambda: 1_500_000_000.9,
        private_addresses=True,
        deduplicates=timedelta(days=1),
    ),
    address=fixed("anna"),
    well=Says(204),
    accepted=Accepted(),
    id_of=lambda asked: asked.headers["webhook-id"],
    manners={
        "half an answer": Says(200, b"well", cut=True),
        "garbage": Says(200, b"\xff{"),
        "wrong": Says(422, {}),
        "gone": Says(410),
    },
    receipts={
        **MISUNDERSTOOD,
        # What is said beside the status is not read.
        "half an answer": Accepted(),
        "garbage": Accepted(),
        "wrong": Rejected("422"),
        "gone": NotTaken("away", "410"),
    },
)


def _bot_says(code: int, description: str, **more: object) -> Says:
    body = {"ok": False, "error_code": code, "description": description, **more}
    return Says(code, body)


_SENT = {
    "ok": True,
    "result": {"message_id": 17, "date": 1, "chat": {"id": 42000000042, "type": "private"}},
}
TELEGRAM = Case(
    name="telegram",
    make=lambda url: Telegram(url, SecretStr(SECRET), per_second=None),
    address=fixed("42000000042"),
    well=Says(200, _SENT),
    accepted=Accepted("17"),
    manners={
        "too many": _bot_says(
            429, "Too Many Requests: retry after 35", parameters={"retry_after": 35}
        ),
        "blocked": _bot_says(403, "Forbidden: bot was blocked by the user"),
        "no such chat": _bot_says(400, "Bad Request: chat not found"),
        "empty": _bot_says(400, "Bad Request: message text is empty"),
        "wrong token": _bot_says(401, "Unauthorized"),
        "its own 500": _bot_says(500, "Internal Server Error"),
        "half an answer": Says(200, _SENT, cut=True),
        "garbage": Says(200, b"\xff{"),
        "another shape": Says(200, {"ok": "yes"}),
    },
    receipts={
        **MISUNDERSTOOD,
        "too many": NotTaken("away", "429", 35.0),
        "blocked": Rejected("403", address=True),
        "no such chat": Rejected("400", address=True),
        "empty": Rejected("400"),
        "wrong token": NotTaken("away", "401"),
        "its own 500": Unknown(),
        "half an answer": Unknown(),
        "garbage": Unknown(),
        "another shape": Unknown(),
    },
)


def _meta_says(status: int, code: int) -> Says:
    error = {"message": "(#…)", "type": "OAuthException", "code": code, "fbtrace_id": "A1"}
    return Says(status, {"error": error})


_TAKEN = {
    "messaging_product": "whatsapp",
    "contacts": [{"input": "4930123456", "wa_id": "4930123456"}],
    "messages": [{"id": "wamid.HBgL"}],
}
WHATSAPP = Case(
    name="whatsapp",
    make=lambda url: WhatsApp(f"{url}/v23.0", SecretStr(SECRET), "1066", per_second=None),
    address=fixed("+4930123456"),
    well=Says(200, _TAKEN),
    accepted=Accepted(reference_of("wamid.HBgL")),
    id_of=lambda asked: str(asked.json["biz_opaque_callback_data"]),
    manners={
        "too many": _meta_says(400, 130429),
        "too many to one": _meta_says(400, 131056),
        "no reason": _meta_says(500, 131000),
        "undeliverable": _meta_says(400, 131026),
        "no conversation": _meta_says(400, 131047),
        "stopped offers": _meta_says(400, 131050),
        "wrong token": _meta_says(401, 190),
        "no permission": _meta_says(403, 200),
        "its own 500": _meta_says(500, 1),
        "half an answer": Says(200, _TAKEN, cut=True),
        "garbage": Says(200, b"\xff{"),
        "another shape": Says(200, {"messages": {}}),
    },
    receipts={
        **MISUNDERSTOOD,
        "too many": NotTaken("away", "130429"),
        "too many to one": NotTaken("refused", "131056"),
        "no reason": NotTaken("refused", "131000"),
        "undeliverable": Rejected("131026", address=True),
        "no conversation": Rejected("131047"),
        "stopped offers": Rejected("131050"),
        "wrong token": NotTaken("away", "190"),
        "no permission": NotTaken("away", "200"),
        "its own 500": Unknown(),
        "half an answer": Unknown(),
        "garbage": Unknown(),
        "another shape": Unknown(),
    },
)

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_file(folder: Path, token_url: str) -> Path:
    """A key file of a service account, as Google hands it out."""
    pem = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / "service-account.json"
    path.write_text(
        json.dumps(
            {
                "type": "service_account",
                "project_id": "shop-1",
                "private_key_id": "k1",
                "private_key": pem.decode(),
                "client_email": "push@shop-1.iam.gserviceaccount.example",
                "token_uri": token_url,
            }
        ),
        encoding="utf-8",
    )
    return path


def account(url: str) -> ServiceAccount:
    """The same without a file."""
    pem = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return ServiceAccount.with_key("shop-1", "push@shop-1.example", f"{url}/token", pem)


def gives_token(_asked: Asked) -> Says:
    return Says(200, {"access_token": "ya29.x", "expires_in": 3599, "token_type": "Bearer"})


def _fcm_says(status: int, name: str, code: str = "") -> Says:
    kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
    details = [{"@type": kind, "errorCode": code}] if code else []
    error = {"code": status, "message": "…", "status": name, "details": details}
    return Says(status, {"error": error}, {"Retry-After": "7"} if status in (429, 503) else {})


_NO_TOKEN = [
    {
        "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
        "errorCode": "INVALID_ARGUMENT",
    },
    {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [
            {"field": "message.token", "description": "Invalid registration token"}
        ],
    },
]
_PUSHED = {"name": "projects/shop-1/messages/0:1500"}
FCM = Case(
    name="fcm",
    make=lambda url: Fcm(url, account(url), lambda: 1_500_000_000.0),
    address=fixed("registration-token"),
    well=Says(200, _PUSHED),
    accepted=Accepted("projects/shop-1/messages/0:1500"),
    id_of=lambda asked: str(asked.json["message"]["data"][MESSAGE_FIELD]),
    doors={"/token": gives_token},
    manners={
        "unregistered": _fcm_says(404, "NOT_FOUND", "UNREGISTERED"),
        "of another sender": _fcm_says(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"),
        "wrong": _fcm_says(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        "no such token": Says(400, {"error": {"status": "INVALID_ARGUMENT", "details": _NO_TOKEN}}),
        "quota": _fcm_says(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"),
        "unavailable": _fcm_says(503, "UNAVAILABLE", "UNAVAILABLE"),
        "Apple does not let in": _fcm_says(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"),
        "no permission": _fcm_says(403, "PERMISSION_DENIED"),
        "internal": _fcm_says(500, "INTERNAL", "INTERNAL"),
        "half an answer": Says(200, _PUSHED, cut=True),
        "garbage": Says(200, b"\xff{"),
        "another shape": Says(200, {"name": 1}),
    },
    receipts={
        **MISUNDERSTOOD,
        "unregistered": Rejected("UNREGISTERED", address=True),
        "of another sender": Rejected("SENDER_ID_MISMATCH", address=True),
        "wrong": Rejected("INVALID_ARGUMENT"),
        "no such token": Rejected("INVALID_ARGUMENT", address=True),
        "quota": NotTaken("away", "QUOTA_EXCEEDED", BUSY_SECONDS),
        "unavailable": NotTaken("away", "UNAVAILABLE", BUSY_SECONDS),
        "Apple does not let in": NotTaken("away", "THIRD_PARTY_AUTH_ERROR"),
        "no permission": NotTaken("away", "403"),
        "internal": Unknown(),
        "half an answer": Unknown(),
        "garbage": Unknown(),
        "another shape": Unknown(),
    },
)

BROWSER = ec.generate_private_key(ec.SECP256R1())
BROWSER_SECRET = bytes(range(16))
VAPID_KEY = to_base64url(bytes(range(1, 33)))


def subscription(url: str) -> str:
    """What a browser gives out."""
    point = BROWSER.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    keys = {
        "p256dh": base64.urlsafe_b64encode(point).decode(),
        "auth": to_base64url(BROWSER_SECRET),
    }
    return json.dumps({"endpoint": f"{url}/push/abc", "expirationTime": None, "keys": keys})


WEB_PUSH = Case(
    name="web push",
    make=lambda _url: WebPush(
        Vapid.of(VAPID_KEY, "mailto:ops@example.com"),
        lambda: 1_500_000_000.0,
        private_addresses=True,
    ),
    address=subscription,
    well=Says(201, b"", {"Location": "https://push.example/m/xyz"}),
    accepted=Accepted("xyz"),
    no_addresses=("", "token", "{}", '{"endpoint": "https://x.example", "keys": {}}'),
    manners={
        "gone": Says(410),
        "no such subscription": Says(404),
        "another key": Says(403),
        "too large": Says(413),
        "half an answer": Says(201, b"well", cut=True),
        "garbage": Says(201, b"\xff{"),
    },
    receipts={
        **MISUNDERSTOOD,
        "not let in": NotTaken("refused", "401"),
        "gone": Rejected("410", address=True),
        "no such subscription": Rejected("404", address=True),
        "another key": NotTaken("refused", "403"),
        "too large": Rejected("413"),
        "half an answer": Accepted(),
        "garbage": Accepted(),
    },
    absent=NotTaken("refused"),
)

CASES: tuple[Case, ...] = (EMAIL, SMS, WEBHOOK, TELEGRAM, WHATSAPP, FCM, WEB_PUSH)
