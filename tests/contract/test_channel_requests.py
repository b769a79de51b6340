"""What providers are given: as their documents ask for it, signed and sealed so that they can tell.

Signatures and seals are checked here by hand, not by the code that made them.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from pydantic import SecretStr

from services.notify.channels import Accepted, Approved, NotTaken, Outgoing, Rejected
from services.notify.channels.fcm import Fcm, ServiceAccount
from services.notify.channels.push_sealing import Vapid
from services.notify.channels.sms import Sms
from services.notify.channels.telegram import Telegram
from services.notify.channels.web_push import WebPush
from services.notify.channels.webhook import Webhook
from services.notify.channels.whatsapp import WhatsApp
from services.notify.settings import SmsGateway
from shared.calling import signing_key
from shared.testing.provider import Asked, Provider, Says, provider
from tests.contract.channel_cases import (
    BROWSER,
    BROWSER_SECRET,
    GATEWAY,
    RSA,
    SECRET,
    VAPID_KEY,
    account,
    key_file,
    subscription,
)

MESSAGE = "0b6f3c1e-0000-5000-8000-000000000001"
AT = datetime(2018, 1, 2, tzinfo=UTC)


@pytest.fixture
async def server() -> AsyncIterator[Provider]:
    async with provider() as found:
        yield found


def outgoing(address: str, **more: object) -> Outgoing:
    deadline = asyncio.get_running_loop().time() + 10
    message = Outgoing(MESSAGE, address, "Grüße", "Schön, Sie zu sehen.", AT, deadline)
    return replace(message, **more)  # type: ignore[arg-type] # fields of a test's choice


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def test_a_gateway_is_given_what_its_configuration_says(server: Provider) -> None:
    server.answer = Says(200, {"messages": [{"id": "g", "status": "queued"}]})
    gateway = SmsGateway.model_validate({**GATEWAY, "url": server.url})
    channel = Sms(gateway, SecretStr(SECRET))
    # What a text says is never taken for a blank: the secret stays where it belongs.
    await channel.send(outgoing("+4930123456", text="{secret} {to}"))
    await channel.send(outgoing("+4930123456", sender="B12"))
    await channel.close()
    first, second = server.taken
    assert first.json == {
        "ref": MESSAGE, "to": "4930123456", "message": {"body": "{secret} {to}"}, "from": "SHOP",
    }  # fmt: skip
    assert second.json["from"] == "B12"
    assert (first.method, first.headers["authorization"]) == ("POST", f"Key {SECRET}")
    assert first.headers["content-type"] == "application/json"


@pytest.mark.parametrize(("form", "method"), [("form", "POST"), ("query", "GET")])
async def test_a_gateway_may_want_a_form_or_a_query(
    server: Provider, form: str, method: str
) -> None:
    gateway = SmsGateway.model_validate(
        {
            "url": server.url,
            "method": method,
            "form": form,
            "fields": {"to": "{to}", "text": "{text}"},
        }
    )
    channel = Sms(gateway, SecretStr(""))
    assert await channel.send(outgoing("+4930123456", text="a&b=ü")) == Accepted()
    await channel.close()
    (asked,) = server.taken
    sent = asked.form if form == "form" else asked.query
    assert (asked.method, sent) == (method, {"to": "+4930123456", "text": "a&b=ü"})


async def test_telegram_is_given_the_chat_and_the_text(server: Provider) -> None:
    channel = Telegram(server.url, SecretStr("123:abc"))
    await channel.send(outgoing("42"))
    await channel.close()
    (asked,) = server.taken
    assert asked.target == "/bot123:abc/sendMessage"
    assert asked.json == {"chat_id": "42", "text": "Schön, Sie zu sehen."}


async def test_whatsapp_is_given_a_text_or_a_template_with_its_blanks(server: Provider) -> None:
    channel = WhatsApp(f"{server.url}/v23.0", SecretStr(SECRET), "1066")
    await channel.send(outgoing("+4930123456"))
    approved = Approved("order_ready", "de", ("Anna", "17:00"))
    await channel.send(outgoing("+4930123456", template=approved))
    await channel.close()
    plain, templated = server.taken
    assert plain.target == "/v23.0/1066/messages"
    assert plain.headers["authorization"] == f"Bearer {SECRET}"
    assert (plain.json["to"], plain.json["type"]) == ("4930123456", "text")
    assert plain.json["text"]["body"] == "Schön, Sie zu sehen."
    blanks = [{"type": "text", "text": "Anna"}, {"type": "text", "text": "17:00"}]
    assert templated.json["template"] == {
        "name": "order_ready",
        "language": {"code": "de"},
        "components": [{"type": "body", "parameters": blanks}],
    }


async def test_a_webhook_can_be_checked_by_the_standard_and_as_those_of_deals(
    server: Provider,
) -> None:
    url = f"{server.url.replace('127.0.0.1', 'localhost')}/messages?x=1"
    channel = Webhook(url, b"k" * 32, lambda: 1_500_000_000.9, private_addresses=True)
    await channel.send(outgoing("anna", html="<p>"))
    await channel.close()
    (asked,) = server.taken
    key = signing_key(b"k" * 32, url).encode()
    standard = hmac.new(
        key, f"{MESSAGE}.1500000000.".encode() + asked.body, hashlib.sha256
    ).digest()
    ours = hmac.new(key, b"1500000000." + asked.body, hashlib.sha256).hexdigest()
    assert asked.headers["webhook-id"] == asked.headers["x-regulars-request"] == MESSAGE
    assert asked.headers["webhook-timestamp"] == "1500000000"
    assert asked.headers["webhook-signature"] == f"v1,{base64.b64encode(standard).decode()}"
    assert asked.headers["x-regulars-signature"] == f"t=1500000000,v1={ours}"
    assert (asked.target, asked.headers["host"]) == (
        "/messages?x=1",
        f"localhost:{server.port}",
    )
    assert asked.json == {
        "id": MESSAGE, "to": "anna", "subject": "Grüße", "text": "Schön, Sie zu sehen.",
        "html": "<p>", "at": "2018-01-02T00:00:00+00:00",
    }  # fmt: skip


async def test_nothing_goes_into_the_own_network_unless_a_setting_allows_it(
    server: Provider,
) -> None:
    webhook = Webhook(server.url, b"k" * 32, lambda: 0.0)
    assert await webhook.send(outgoing("anna")) == NotTaken("away", "address")
    push = WebPush(Vapid.of(VAPID_KEY, "mailto:ops@example.com"), lambda: 0.0)
    assert await push.send(outgoing(subscription(server.url))) == Rejected("address")
    assert server.connections == 0


@dataclass(slots=True)
class Google:
    """The door where tokens are given out; `now` is the chain's time."""

    given: list[Asked] = field(default_factory=list)
    status: int = 200
    now: float = 1_500_000_000.0

    def give(self, asked: Asked) -> Says:
        self.given.append(asked)
        token = {"access_token": f"t{len(self.given)}", "expires_in": 3600}
        return Says(self.status, token)

    def clock(self) -> float:
        return self.now


@pytest.fixture
def google(server: Provider) -> Google:
    found = Google()
    server.doors["/token"] = found.give
    server.answer = Says(200, {"name": "projects/shop-1/messages/1"})
    return found


@pytest.fixture
async def fcm(server: Provider, google: Google) -> AsyncIterator[Fcm]:
    channel = Fcm(server.url, account(server.url), google.clock)
    yield channel
    await channel.close()


async def test_google_lets_the_chain_in_by_the_signature_of_its_service_account(
    server: Provider, google: Google, fcm: Fcm
) -> None:
    await fcm.send(outgoing("token"))
    form = google.given[0].form
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    head, claims, signed = form["assertion"].split(".")
    # RFC 7523: whoever has the public key can tell.
    RSA.public_key().verify(
        decoded(signed), f"{head}.{claims}".encode(), padding.PKCS1v15(), SHA256()
    )
    assert json.loads(decoded(head))["alg"] == "RS256"
    assert json.loads(decoded(claims)) == {
        "iss": "push@shop-1.example",
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": f"{server.url}/token",
        "iat": 1_500_000_000,
        "exp": 1_500_003_600,
    }
    (asked,) = server.taken
    assert asked.target == "/v1/projects/shop-1/messages:send"
    assert asked.headers["authorization"] == "Bearer t1"
    assert asked.json["message"] == {
        "token": "token",
        "notification": {"title": "Grüße", "body": "Schön, Sie zu sehen."},
        "data": {"message": MESSAGE},
    }


async def test_a_token_serves_all_until_a_minute_before_its_end(
    server: Provider, google: Google, fcm: Fcm
) -> None:
    await asyncio.gather(*(fcm.send(outgoing("token")) for _ in range(5)))
    google.now += 3600 - 61
    await fcm.send(outgoing("token"))
    assert len(google.given) == 1
    google.now += 1
    await fcm.send(outgoing("token"))
    assert len(google.given) == 2
    assert server.taken[-1].headers["authorization"] == "Bearer t2"


async def test_a_token_that_is_not_taken_any_more_is_replaced(
    server: Provider, google: Google, fcm: Fcm
) -> None:
    await fcm.send(outgoing("token"))
    well, server.answer = server.answer, Says(401, {"error": {"status": "UNAUTHENTICATED"}})
    assert await fcm.send(outgoing("token")) == NotTaken("away", "401")
    server.answer = well
    assert isinstance(await fcm.send(outgoing("token")), Accepted)
    assert len(google.given) == 2


@pytest.mark.parametrize("status", [400, 403, 500])
async def test_without_a_token_messages_wait(
    server: Provider, google: Google, fcm: Fcm, status: int
) -> None:
    google.status = status
    assert await fcm.send(outgoing("token")) == NotTaken("away", "token")
    assert server.taken == []


async def test_the_key_file_of_a_service_account_is_read_and_another_is_told_by_its_name(
    tmp_path: Path,
) -> None:
    found = ServiceAccount.of(key_file(tmp_path, "https://oauth2.example/token"))
    assert (found.project, found.token_url) == ("shop-1", "https://oauth2.example/token")
    assert "PRIVATE" not in repr(found)
    wrong = tmp_path / "wrong.json"
    for text in ("{}", "s3cr3t", '{"project_id": 1}'):
        wrong.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=r"wrong\.json is no key file") as refused:
            ServiceAccount.of(wrong)
        assert "s3cr3t" not in str(refused.value)


def hkdf(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, for one block."""
    key = hmac.new(salt, secret, hashlib.sha256).digest()
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()[:length]


def opened(body: bytes) -> bytes:
    """What the browser makes of it (RFC 8291, section 3.4)."""
    salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
    point, sealed = body[21 : 21 + length], body[21 + length :]
    assert (size, length) == (4096, 65)
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    numbers = BROWSER.public_key().public_numbers()
    mine = b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    shared = BROWSER.exchange(ec.ECDH(), theirs)
    material = hkdf(BROWSER_SECRET, shared, b"WebPush: info\x00" + mine + point, 32)
    key = hkdf(salt, material, b"Content-Encoding: aes128gcm\x00", 16)
    nonce = hkdf(salt, material, b"Content-Encoding: nonce\x00", 12)
    text = AESGCM(key).decrypt(nonce, sealed, None)
    assert text.endswith(b"\x02")
    return text[:-1]


async def test_a_push_can_be_opened_by_the_browser_alone_and_shows_who_sent_it(
    server: Provider,
) -> None:
    server.answer = Says(201)
    vapid = Vapid.of(VAPID_KEY, "mailto:ops@example.com")
    channel = WebPush(vapid, lambda: 1_500_000_000.0, private_addresses=True)
    for _ in range(2):
        await channel.send(outgoing(subscription(server.url)))
    await channel.close()
    first, second = server.taken
    expected = {"id": MESSAGE, "title": "Grüße", "body": "Schön, Sie zu sehen."}
    assert json.loads(opened(first.body)) == expected
    # Salt and key are used once.
    assert first.body[:86] != second.body[:86]
    assert first.headers["content-encoding"] == "aes128gcm"
    assert first.headers["ttl"] == "86400"
    # The same message takes its own place; RFC 8030 has 32 letters for that.
    assert first.headers["topic"] == second.headers["topic"]
    assert len(first.headers["topic"]) == 32
    kind, token, key = first.headers["authorization"].replace(",", "").split()
    assert (kind, key) == ("vapid", f"k={vapid.public}")
    head, claims, signed = token.removeprefix("t=").split(".")
    raw = decoded(signed)
    signature = encode_dss_signature(
        int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    )
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decoded(vapid.public))
    public.verify(signature, f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))
    assert json.loads(decoded(claims)) == {
        "aud": server.url,
        "exp": 1_500_043_200,
        "sub": "mailto:ops@example.com",
    }
