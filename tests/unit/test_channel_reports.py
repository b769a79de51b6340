"""Callbacks as the providers document them: signed or refused, read or refused with the place."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notify.channels import Accepted, sms, telegram, webhook, whatsapp
from services.notify.channels.asking import Answer
from services.notify.channels.reports import BadSignature, Heard, Reply, Report, Unreadable
from services.notify.settings import SmsReports
from shared.calling import signature

SECRET = "s3cr3t"
MESSAGE = "0b6f3c1e-0000-5000-8000-000000000001"
SECONDS = 1_515_000_000
AT = datetime.fromtimestamp(SECONDS, UTC)
HOW = SmsReports(message_at="ref", error_at="error.code", bounced=frozenset({"undeliverable"}))


def meta(body: bytes, secret: str = SECRET) -> Mapping[str, str]:
    made = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"x-hub-signature-256": f"sha256={made}", "Content-Type": "application/json"}


def changes(**value: object) -> bytes:
    """A notification, as "Webhooks > Components" of the Cloud API shows it."""
    whole = {
        "object": "whatsapp_business_account",
        "entry": [
            {
                "id": "WABA",
                "changes": [
                    {
                        "value": {
                            "messaging_product": "whatsapp",
                            "metadata": {"display_phone_number": "4930", "phone_number_id": "1066"},
                            **value,
                        },
                        "field": "messages",
                    }
                ],
            }
        ],
    }
    return json.dumps(whole).encode()


def status(kind: str, **more: object) -> dict[str, object]:
    return {
        "id": "wamid.1",
        "status": kind,
        "timestamp": str(SECONDS),
        "recipient_id": "4930123456",
        "biz_opaque_callback_data": MESSAGE,
        **more,
    }


def from_whatsapp(body: bytes) -> Sequence[Heard]:
    return whatsapp.heard(meta(body), body, SECRET)


def test_whatsapp_tells_what_became_of_messages() -> None:
    undeliverable = [{"code": 131026, "title": "Message undeliverable"}]
    unwell = [{"code": 131053, "title": "Media upload error"}]
    body = changes(
        statuses=[
            status("sent"),
            status("delivered"),
            status("read"),
            status("failed", errors=undeliverable),
            status("failed", errors=unwell),
            status("failed", errors=[{"code": 131050, "title": "Stopped marketing"}]),
        ]
    )
    delivered, read, bounced, failed, stopped = from_whatsapp(body)
    common: dict[str, Any] = {
        "message": MESSAGE, "reference": whatsapp.reference_of("wamid.1"), "at": AT,
        "address": "4930123456",
    }  # fmt: skip
    assert delivered == Report("delivered", **common)
    assert read == Report("read", **common)
    assert bounced == Report("bounced", permanent=True, code="131026", **common)
    assert failed == Report("failed", code="131053", **common)
    assert stopped == Report("unsubscribed", code="131050", **common)
    assert "4930123456" not in repr(bounced)


def test_whatsapp_brings_what_people_write() -> None:
    body = changes(
        messages=[
            {
                "from": "4930123456", "id": "wamid.2", "timestamp": str(SECONDS), "type": "text",
                "text": {"body": "Yes"}, "context": {"from": "4930", "id": "wamid.1"},
            },
            {
                "from": "4930123456", "id": "wamid.3", "timestamp": str(SECONDS), "type": "button",
                "button": {"text": "Stop", "payload": "stop"},
            },
        ]
    )  # fmt: skip
    assert from_whatsapp(body) == [
        Reply("4930123456", "Yes", "wamid.2", AT, whatsapp.reference_of("wamid.1")),
        Reply("4930123456", "Stop", "wamid.3", AT),
    ]


def test_whatsapp_tells_other_things_too_which_are_passed_over() -> None:
    other = {"entry": [{"id": "W", "changes": [{"field": "account_update", "value": {"x": 1}}]}]}
    assert from_whatsapp(json.dumps(other).encode()) == []


def update(**more: object) -> bytes:
    return json.dumps({"update_id": 10000, **more}).encode()


TOLD = {telegram.SECRET_HEADER: SECRET}
CHAT = {"id": 42, "type": "private", "first_name": "Anna"}


def test_telegram_brings_what_people_write() -> None:
    message = {
        "message_id": 18,
        "date": SECONDS,
        "chat": CHAT,
        "from": {"id": 42, "is_bot": False, "first_name": "Anna"},
        "text": "Yes",
        "reply_to_message": {"message_id": 17, "date": 1, "chat": CHAT},
    }
    found = telegram.heard(TOLD, update(message=message), SECRET)
    assert found == (Reply("42", "Yes", "10000", AT, "17"),)


@pytest.mark.parametrize(("status", "gone"), [("kicked", True), ("left", True), ("member", False)])
def test_who_blocks_the_bot_is_a_bad_address(status: str, *, gone: bool) -> None:
    changed = {"date": SECONDS, "chat": CHAT, "new_chat_member": {"status": status, "user": {}}}
    found = telegram.heard(TOLD, update(my_chat_member=changed), SECRET)
    bounced = Report("bounced", permanent=True, code=status, at=AT, address="42")
    assert found == ((bounced,) if gone else ())


def test_other_updates_of_telegram_are_passed_over() -> None:
    assert telegram.heard(TOLD, update(poll={"id": "1"}), SECRET) == ()


def by_gateway(body: bytes, content_type: str = "application/json") -> Mapping[str, str]:
    made = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest().upper()
    return {"X-Signature": made, "content-type": content_type}


@pytest.mark.parametrize(
    ("said", "what", "permanent"),
    [
        ("delivered", "delivered", False),
        ("undeliverable", "bounced", True),
        ("failed", "failed", False),
        ("expired", "failed", False),
    ],
)
def test_a_gateway_tells_what_became_of_a_message_as_it_is_configured(
    said: str, what: str, *, permanent: bool
) -> None:
    body = json.dumps({"id": "g-1", "status": said, "ref": MESSAGE, "error": {"code": 27}}).encode()
    (report,) = sms.heard(HOW, by_gateway(body), body, SECRET)
    assert isinstance(report, Report)
    assert (report.what, report.permanent) == (what, permanent)
    assert (report.message, report.reference, report.code) == (MESSAGE, "g-1", "27")


def test_a_gateway_may_tell_by_a_form_and_bring_what_people_write() -> None:
    body = urlencode({"id": "g-2", "from": "+4930123456", "text": "Да"}).encode()
    found = sms.heard(HOW, by_gateway(body, "application/x-www-form-urlencoded"), body, SECRET)
    assert found == (Reply("+4930123456", "Да", "g-2"),)


def test_a_message_of_a_gateway_that_is_on_its_way_is_nothing_yet() -> None:
    body = b'{"id": "g-1", "status": "buffered"}'
    assert sms.heard(HOW, by_gateway(body), body, SECRET) == ()


def standard(body: bytes, *, at: int = SECONDS, extra: str = "") -> Mapping[str, str]:
    made = hmac.new(SECRET.encode(), f"cb-1.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "Webhook-Id": "cb-1",
        "Webhook-Timestamp": str(at),
        "Webhook-Signature": f"{extra}v1,{base64.b64encode(made).decode()}",
    }


def from_webhook(body: bytes, headers: Mapping[str, str] | None = None) -> Sequence[Heard]:
    return webhook.heard(headers or standard(body), body, SECRET, SECONDS + 10.0)


def test_a_system_of_the_chain_tells_what_became_of_messages_and_brings_answers() -> None:
    body = json.dumps({"what": "bounced", "message": MESSAGE, "permanent": True, "code": "gone"})
    report = Report("bounced", MESSAGE, permanent=True, code="gone")
    assert from_webhook(body.encode()) == (report,)
    body = json.dumps(
        {"what": "reply", "message": MESSAGE, "from": "anna", "text": "Yes", "at": SECONDS}
    )
    assert from_webhook(body.encode()) == (Reply("anna", "Yes", "cb-1", AT, MESSAGE),)


def test_while_a_key_is_changed_one_of_the_signatures_is_enough() -> None:
    body = json.dumps({"what": "read", "message": MESSAGE}).encode()
    found = from_webhook(body, standard(body, extra="v1,b3RoZXI= "))
    assert found == (Report("read", MESSAGE),)


@pytest.mark.parametrize("at", [SECONDS - 291, SECONDS + 311])
def test_an_old_callback_cannot_be_played_again(at: int) -> None:
    body = json.dumps({"what": "read", "message": MESSAGE}).encode()
    # 291 + 10 and 311 - 10 seconds are more than the 300 that clocks may differ by.
    with pytest.raises(BadSignature):
        from_webhook(body, standard(body, at=at))


Read = Callable[[Mapping[str, str], bytes, str], Sequence[Heard]]
READERS: Mapping[str, tuple[Read, Callable[[bytes], Mapping[str, str]], bytes]] = {
    "whatsapp": (whatsapp.heard, meta, changes(statuses=[status("read")])),
    "telegram": (telegram.heard, lambda _body: TOLD, update(message=None)),
    "sms": (
        lambda headers, body, secret: sms.heard(HOW, headers, body, secret),
        by_gateway,
        b'{"id": "g-1", "status": "delivered"}',
    ),
    "webhook": (
        lambda headers, body, secret: webhook.heard(headers, body, secret, SECONDS),
        standard,
        json.dumps({"what": "read", "message": MESSAGE}).encode(),
    ),
}
each_reader = pytest.mark.parametrize("name", sorted(READERS))


@each_reader
def test_who_does_not_have_the_secret_is_refused_before_anything_is_read(name: str) -> None:
    read, sign, body = READERS[name]
    read(sign(body), body, SECRET)
    # No signature at all, one of something else, and one for another secret.
    wrong: list[tuple[Mapping[str, str], str]] = [({}, SECRET), (sign(body), "other")]
    headers = dict(sign(body))
    if name != "telegram":  # its secret goes with whatever the body is
        wrong.append((sign(body + b" "), SECRET))
    for key in headers:
        wrong.append(({**headers, key: "é"}, SECRET)) if "ype" not in key else None
    for said, secret in wrong:
        with pytest.raises(BadSignature):
            read(said, body, secret)


@each_reader
def test_a_secret_that_is_not_set_lets_nobody_in(name: str) -> None:
    read, _, body = READERS[name]
    empty = hmac.new(b"", body, hashlib.sha256).hexdigest()
    forged = {
        telegram.SECRET_HEADER: "",
        whatsapp.SIGNATURE_HEADER: f"sha256={empty}",
        "X-Signature": empty,
        "webhook-signature": "v1,",
    }
    for headers in ({}, forged):
        with pytest.raises(BadSignature):
            read(headers, body, "")


@each_reader
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"null", b'{"id": {}}', b"[" * 5000])
def test_another_shape_is_refused_by_its_place(name: str, body: bytes) -> None:
    read, sign, _ = READERS[name]
    with pytest.raises(Unreadable):
        read(sign(body), body, SECRET)


@each_reader
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["entry", "changes", "value", "statuses", "messages", "field", "id", "status",
                 "timestamp", "from", "text", "message", "update_id", "chat", "date", "what", "at"]
            ),
            inner,
            max_size=5,
        ),
        max_leaves=12,
    )
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_any_body_is_read_or_refused(name: str, body: object) -> None:
    read, sign, _ = READERS[name]
    raw = json.dumps(body).encode()
    try:
        found = read(sign(raw), raw, SECRET)
    except Unreadable:
        return
    assert all(isinstance(each, Report | Reply) for each in found)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (changes(statuses=[status("read", timestamp="anna@x.example")]), "timestamp"),
        (changes(statuses=[{"id": "anna@x.example"}]), "statuses"),
        (changes(messages=[{"id": 5, "from": "anna@x.example"}]), "messages"),
    ],
)
def test_what_is_wrong_is_told_without_what_stood_there(body: bytes, place: str) -> None:
    with pytest.raises(Unreadable, match=place) as refused:
        from_whatsapp(body)
    assert "anna" not in str(refused.value)


def test_the_webhook_of_messages_is_signed_as_those_of_deals_and_as_the_standard_says() -> None:
    headers = webhook.standard_headers("key", "msg_1", SECONDS, "{}")
    made = hmac.new(b"key", f"msg_1.{SECONDS}.{{}}".encode(), hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(made).decode()}"
    other = hmac.new(b"key", f"{SECONDS}.{{}}".encode(), hashlib.sha256).hexdigest()
    assert signature("key", SECONDS, "{}") == f"t={SECONDS},v1={other}"


def test_an_id_of_whatsapp_says_nothing_of_the_number_in_it() -> None:
    number = "4930123456"
    inside = b"\x1c\x18\x0a" + number.encode() + b"\x15\x02\x00"
    told = "wamid." + base64.b64encode(inside).decode()
    body = json.dumps({"messages": [{"id": told}]}).encode()
    taken = whatsapp.receipt(Answer(200, {}, body))
    (delivered,) = whatsapp.heard(
        meta(callback := changes(statuses=[{**status("delivered"), "id": told}])), callback, SECRET
    )
    assert isinstance(taken, Accepted)
    assert isinstance(delivered, Report)
    # It is found again by the same name, which cannot be read.
    assert taken.reference == delivered.reference
    assert taken.reference is not None
    assert len(taken.reference) == 32
    assert set(taken.reference) <= set("0123456789abcdef")
