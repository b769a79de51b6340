"""What channels are made of: segments of SMS, turns, routes by address, settings, push sealing."""

import asyncio
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from services.notify.channels import (
    Accepted,
    Contact,
    NotTaken,
    Outgoing,
    Receipt,
    Rejected,
    Way,
)
from services.notify.channels.asking import Answer, undocumented
from services.notify.channels.email import EmailChannel, SmtpServer
from services.notify.channels.hearing import hearers
from services.notify.channels.push_sealing import (
    LARGEST,
    Subscription,
    Vapid,
    from_base64url,
    sealed,
    to_base64url,
)
from services.notify.channels.registry import MAKERS, Ground, built
from services.notify.channels.reports import BadSignature, Report
from services.notify.channels.several import Several, provider_of
from services.notify.channels.sms_segments import BASIC, EXTENSION, Segments, segments_of
from services.notify.channels.telegram import Telegram
from services.notify.channels.turns import Turns
from services.notify.channels.webhook import standard_headers
from services.notify.settings import ChannelSettings, SmsGateway
from shared.calling import signing_key
from shared.settings import Settings, complaints
from shared.testing.virtual_time import in_virtual_time
from tests.contract.channel_cases import key_file
from tests.contract.shown_channel import shown_line

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architecture" / "channels.md"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Segments("gsm-7", 0, 1)),
        ("a" * 160, Segments("gsm-7", 160, 1)),
        # 153 and 8: the header of a joined message takes the room of seven.
        ("a" * 161, Segments("gsm-7", 161, 2)),
        ("a" * 306, Segments("gsm-7", 306, 2)),
        ("a" * 307, Segments("gsm-7", 307, 3)),
        # A sign of the extension table takes two.
        ("€" * 80, Segments("gsm-7", 160, 1)),
        ("€" * 81, Segments("gsm-7", 162, 2)),
        # The pair does not fit behind 152, and goes to the next: 152, then 2 + 152 = 154 > 153.
        ("a" * 152 + "€" + "a" * 152, Segments("gsm-7", 306, 3)),
        ("я" * 70, Segments("ucs-2", 70, 1)),
        ("я" * 71, Segments("ucs-2", 71, 2)),
        ("я" * 134, Segments("ucs-2", 134, 2)),
        ("я" * 135, Segments("ucs-2", 135, 3)),
        # A sign beyond the basic plane takes two units.
        ("😀" * 35, Segments("ucs-2", 70, 1)),
        ("😀" * 36, Segments("ucs-2", 72, 2)),
        # 66 of 67 are used, since a pair stays together: 33 signs in each.
        ("😀" * 67, Segments("ucs-2", 134, 3)),
        # One sign makes the whole text UCS-2: `ç` is no sign of the default alphabet, `Ç` is.
        ("ç", Segments("ucs-2", 1, 1)),
        ("Ç", Segments("gsm-7", 1, 1)),
        ("a" * 70 + "ç", Segments("ucs-2", 71, 2)),
        ("`", Segments("ucs-2", 1, 1)),
    ],
)
def test_segments_are_those_of_the_network(text: str, expected: Segments) -> None:
    assert segments_of(text) == expected


def test_the_alphabet_is_that_of_the_standard() -> None:
    # 128 places, of which one is the escape to the extension table; that has ten with letters.
    assert (len(BASIC), len(EXTENSION), BASIC & EXTENSION) == (127, 10, frozenset())


@given(st.text(alphabet=[*sorted(BASIC | EXTENSION), "я", "😀"], max_size=700))
@settings(deadline=None, max_examples=200)
def test_segments_are_as_few_as_can_be_and_hold_everything(text: str) -> None:
    found = segments_of(text)
    alone, joined = (160, 153) if found.alphabet == "gsm-7" else (70, 67)
    encoded = len(text.encode("utf-16-le")) // 2
    escaped = len(text) + sum(sign in EXTENSION for sign in text)
    assert found.units == (escaped if found.alphabet == "gsm-7" else encoded)
    if found.units <= alone:
        assert found.count == 1
        return
    # All but the last are full but for one unit that a pair did not fit into.
    assert (found.count - 1) * (joined - 1) < found.units <= found.count * joined


@in_virtual_time
async def test_turns_are_spread_over_the_second_and_end_with_the_deadline() -> None:
    loop = asyncio.get_running_loop()
    turns, began = Turns(5, 4.0), loop.time()
    taken: list[float] = []

    async def take() -> None:
        async with turns.turn(began + 2.1):
            taken.append(round(loop.time() - began, 3))

    outcomes = await asyncio.gather(*(take() for _ in range(10)), return_exceptions=True)
    # Four a second are a quarter of a second apart; the tenth would be at 2.25, after the deadline.
    assert taken == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]
    assert [type(each) for each in outcomes if each is not None] == [TimeoutError]


@in_virtual_time
async def test_a_turn_that_was_given_up_leaves_its_place_to_the_next() -> None:
    loop = asyncio.get_running_loop()
    turns = Turns(1)
    async with turns.turn(loop.time() + 1):
        with pytest.raises(TimeoutError):
            async with turns.turn(loop.time() + 1):
                pass
    async with turns.turn(loop.time() + 1):
        pass


@pytest.mark.parametrize(
    ("status", "headers", "receipt"),
    [
        (429, {"retry-after": "120"}, NotTaken("away", "429", 120.0)),
        (
            503,
            {
                "retry-after": "Fri, 31 Dec 1999 23:59:59 GMT",
                "date": "Fri, 31 Dec 1999 23:59:29 GMT",
            },
            NotTaken("away", "503", 30.0),
        ),
        # A moment without the other's own clock says nothing.
        (503, {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, NotTaken("away", "503")),
        (503, {"retry-after": "soon"}, NotTaken("away", "503")),
        (503, {"retry-after": "-3"}, NotTaken("away", "503")),
        (400, {}, Rejected("400")),
        (403, {"retry-after": "120"}, NotTaken("away", "403")),
    ],
)
def test_a_status_is_read_as_the_standard_has_it(
    status: int, headers: Mapping[str, str], receipt: Receipt
) -> None:
    assert undocumented(Answer(status, headers, b"")) == receipt


def from_vector(text: str) -> bytes:
    return from_base64url(re.sub(r"\s", "", text))


def test_the_example_of_rfc_8291_is_sealed_to_the_letter() -> None:
    # RFC 8291, appendix A.
    own = ec.derive_private_key(
        int.from_bytes(from_vector("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big"),
        ec.SECP256R1(),
    )
    text = """{"endpoint": "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV",
        "keys": {"auth": "BTBZMqHH6r4Tts7J_aSIgg", "p256dh":
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
    }}"""
    found = sealed(
        b"When I grow up, I want to be a watermelon",
        Subscription.of(text),
        own,
        from_vector("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert to_base64url(found) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
        "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
        "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_the_largest_push_is_what_every_push_service_takes() -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    browser = ec.generate_private_key(ec.SECP256R1())
    to = Subscription("https://x.example", browser.public_key(), bytes(16))
    # RFC 8291, section 4: of 4096 the header has 86, the tag 16, the mark of the end 1.
    assert (LARGEST, len(sealed(bytes(LARGEST), to, own, bytes(16)))) == (3993, 4096)


def settings_of(tmp_path: Path, **more: object) -> ChannelSettings:
    key = tmp_path / "key"
    key.write_text("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", encoding="ascii")
    wanted: dict[str, object] = {
        "kafka_url": "127.0.0.1:9092",
        "mongo_url": "mongodb://127.0.0.1",
        "master_key_file": key,
        "hmac_key_file": key,
        **more,
    }
    return ChannelSettings.model_validate(wanted)


GROUND = Ground(lambda: 0.0, b"k" * 32)
SECRETS: dict[str, object] = {
    "smtp_url": "smtp://user:s3cr3t@mail.example",
    "sms_gateway": {"url": "https://sms.example/", "fields": {"to": "{to}"}},
    "sms_secret": "s3cr3t",
    "webhook_url": "https://crm.example/messages",
    "telegram_token": "s3cr3t",
    "telegram_webhook_secret": "s3cr3t",
    "whatsapp_token": "s3cr3t",
    "whatsapp_phone_number_id": "1066",
    "whatsapp_app_secret": "s3cr3t",
    "vapid_private_key": to_base64url(b"s3cr3t" + bytes(26)),
    "vapid_subject": "mailto:ops@shop.example",
}


def test_nothing_is_there_that_is_not_set(tmp_path: Path) -> None:
    assert built(settings_of(tmp_path), GROUND) == {}


def test_what_is_set_is_there_and_shows_no_secret(tmp_path: Path) -> None:
    found = settings_of(tmp_path, **SECRETS)
    channels = built(found, GROUND)
    assert sorted(channels) == ["email", "messenger", "push", "sms", "webhook"]
    shown = repr(found) + repr(channels)
    assert "s3cr3t" not in shown
    assert str(SECRETS["vapid_private_key"]) not in shown
    assert repr(GROUND.secret) not in shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sms_gateway", {"url": "s3cr3t", "fields": {}}),
        ("webhook_url", "ftp://s3cr3t"),
        ("vapid_subject", "s3cr3t"),
        ("smtp_starttls", "s3cr3t"),
        ("whatsapp_phone_number_id", "s3cr3t"),
    ],
)
def test_a_wrong_setting_is_refused_without_its_value(
    tmp_path: Path, name: str, value: object
) -> None:
    with pytest.raises(ValidationError) as refused:
        settings_of(tmp_path, **{name: value})
    (said,) = complaints(refused.value)
    assert said.startswith(f"REGULARS_{name.upper()}")
    assert "s3cr3t" not in said


def test_a_wrong_key_for_push_is_refused_without_its_value() -> None:
    for wrong in ("s3cr3t", "", "%%%"):
        with pytest.raises(ValueError, match="32 bytes") as refused:
            Vapid.of(wrong, "mailto:ops@shop.example")
        assert "s3cr3t" not in str(refused.value)


class OtherMail(EmailChannel):
    name = "other"


def test_two_channels_for_one_way_are_refused_unless_addresses_tell_them_apart(
    tmp_path: Path,
) -> None:
    other = OtherMail(SmtpServer("127.0.0.1", 9), "news@example.com")
    with pytest.raises(ValueError, match="email has several channels: email, other"):
        built(settings_of(tmp_path, **SECRETS), GROUND, (*MAKERS, lambda *_: other))


async def test_an_address_says_which_channel_it_is_for(tmp_path: Path) -> None:
    messenger = built(settings_of(tmp_path, **SECRETS), GROUND)["messenger"]
    assert isinstance(messenger, Several)
    assert provider_of(messenger, "telegram:42").name == "telegram"
    assert provider_of(messenger, "whatsapp:+49").name == "whatsapp"
    assert provider_of(messenger, "viber:1") is messenger
    telegram = Telegram("http://127.0.0.1:9", SecretStr("x"))
    assert provider_of(telegram, "whatsapp:+49") is telegram
    # The least of what each of them keeps to.
    assert (messenger.deduplicates, messenger.longest, messenger.at_once) == (None, 4096, 40)
    assert messenger.reaches == "messenger"


@dataclass(slots=True)
class Noting:
    """A channel of which only the address matters."""

    name: str
    deduplicates: timedelta | None
    longest: int | None = None
    serves: ClassVar[Way] = "push"
    reaches: ClassVar[Contact] = "push"
    at_once: ClassVar[int] = 2
    per_second: ClassVar[float | None] = None
    got: list[str] = field(default_factory=list)
    closed: bool = False

    async def send(self, message: Outgoing) -> Receipt:
        self.got.append(message.address)
        return Accepted()

    async def close(self) -> None:
        self.closed = True


async def test_a_message_goes_to_the_channel_of_its_address_and_to_no_other() -> None:
    first, second = Noting("fcm", timedelta(days=2), 300), Noting("webpush", timedelta(days=1))
    push = Several("push", {"fcm": first, "webpush": second})
    message = Outgoing("m", "fcm:a:b", "Hello", "text", datetime(2018, 1, 2, tzinfo=UTC), 0.0)
    assert await push.send(message) == Accepted()
    assert await push.send(replace(message, address='webpush:{"endpoint": 1}')) == Accepted()
    assert await push.send(replace(message, address="apns:x")) == Rejected("no-channel")
    assert (first.got, second.got) == (["a:b"], ['{"endpoint": 1}'])
    assert (push.deduplicates, push.longest, push.at_once) == (timedelta(days=1), 300, 4)
    await push.close()
    assert first.closed
    assert second.closed


def test_every_setting_of_channels_is_named_on_their_page() -> None:
    named = set(re.findall(r"REGULARS_([A-Z_]+[A-Z])", PAGE.read_text("utf-8")))
    own = set(ChannelSettings.model_fields) - set(Settings.model_fields)
    assert {name.upper() for name in own} - named == set()


def test_the_gateway_of_the_page_is_one() -> None:
    (shown,) = re.findall(
        r"^```json\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    gateway = SmsGateway.model_validate_json(shown)
    assert gateway.accepted == frozenset({"queued"})


def test_the_line_that_the_page_adds_to_the_registry_adds_the_channel(tmp_path: Path) -> None:
    found = built(settings_of(tmp_path, **SECRETS), GROUND, (*MAKERS, shown_line()))
    messenger = found["messenger"]
    assert provider_of(messenger, "pigeon:loft-7").name == "pigeon"
    assert provider_of(messenger, "telegram:42").name == "telegram"


def test_apps_are_reached_by_the_key_file_of_a_service_account(tmp_path: Path) -> None:
    path = key_file(tmp_path, "https://oauth2.example/token")
    push = built(settings_of(tmp_path, **SECRETS, fcm_credentials_file=path), GROUND)["push"]
    assert provider_of(push, "fcm:token").name == "fcm"
    assert provider_of(push, "webpush:{}").name == "webpush"
    path.write_text("s3cr3t", encoding="utf-8")
    with pytest.raises(ValueError, match="no key file of a service account"):
        built(settings_of(tmp_path, fcm_credentials_file=path), GROUND)
    with pytest.raises(ValidationError):
        settings_of(tmp_path, fcm_credentials_file=tmp_path / "gone")


def test_callbacks_are_heard_of_channels_whose_secret_is_set(tmp_path: Path) -> None:
    assert hearers(settings_of(tmp_path), GROUND) == {}
    told = {**SECRETS, "sms_gateway": {"url": "https://x.example", "fields": {}, "reports": {}}}
    found = hearers(settings_of(tmp_path, **told), GROUND)
    assert sorted(found) == ["sms", "telegram", "webhook", "whatsapp"]
    for heard in found.values():
        with pytest.raises(BadSignature):
            heard({}, b"{}")
    body = b'{"update_id": 1}'
    assert found["telegram"]({"X-Telegram-Bot-Api-Secret-Token": "s3cr3t"}, body) == ()
    body = b'{"id": "g-1", "status": "delivered"}'
    signed = {"X-Signature": hmac.new(b"s3cr3t", body, hashlib.sha256).hexdigest()}
    assert found["sms"](signed, body) == (Report("delivered", reference="g-1"),)
    signed = {
        "X-Hub-Signature-256": "sha256="
        + hmac.new(b"s3cr3t", b'{"entry": []}', hashlib.sha256).hexdigest()
    }
    assert found["whatsapp"](signed, b'{"entry": []}') == []
    key = signing_key(GROUND.secret, str(SECRETS["webhook_url"]))
    body = b'{"what": "read", "message": "m1"}'
    headers = standard_headers(key, "cb-1", 0, body.decode())
    assert found["webhook"](headers, body) == (Report("read", "m1"),)
