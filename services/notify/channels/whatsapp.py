"""WhatsApp by Meta's Cloud API (developers.facebook.com/docs/whatsapp/cloud-api, "Error codes").

| what happens | receipt |
| --- | --- |
| `messages[0].id` | accepted, by its hash |
| 4, 80007, 130429, 131048: too much; 2, 131016, 131057, 133004: not there | away |
| 0, 3, 10, 190, 200–299, 368, 131005, 131031, 131042, 133010: the chain is not let in | away |
| 131056: too much to this person; 131000: failed without a reason | refused |
| 131026: cannot be delivered there | rejected: bad address |
| 400 with any other `error.code`: a wrong template or parameter, 131047 (no open conversation), 131050 (this person stopped offers) | rejected, by that code |
| anything else | as `channels/asking.py` has it |

It deduplicates nothing. A text has at most 4,096 letters, and is only taken within 24 hours after
the person wrote; a template is taken at any time. 80 messages a second. Its ids (`wamid.…`) are
base64 and hold the number of whoever is written to: none of them is kept, only their hashes.
"""  # noqa: E501 - a row of a table is one line

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

import msgspec
from pydantic import SecretStr

from services.notify.channels import (
    Accepted,
    Contact,
    NotTaken,
    Outgoing,
    Receipt,
    Rejected,
    Way,
)
from services.notify.channels.asking import Answer, Asking, Request, undocumented
from services.notify.channels.reports import (
    Heard,
    Reply,
    Report,
    Unreadable,
    What,
    check,
    header,
    moment,
    shaped,
)
from services.notify.channels.turns import Turns

SIGNATURE_HEADER = "X-Hub-Signature-256"
PER_SECOND = 80.0
AT_ONCE = 20
LONGEST = 4096
_AWAY = frozenset({0, 2, 3, 4, 10, 190, 368, 80007, 130429})
_AWAY_TOO = frozenset({131005, 131016, 131031, 131042, 131048, 131057, 133004, 133010})
_PERMISSIONS = range(200, 300)
_REFUSED = frozenset({131000, 131056})
_BAD_ADDRESS = frozenset({131026})
_STOPPED = frozenset({131050})
_WRONG = 400
_REFERENCE_DIGITS = 32
_WHAT: Mapping[str, What] = {"delivered": "delivered", "read": "read", "failed": "failed"}


class _Taken(msgspec.Struct):
    id: str


class _Error(msgspec.Struct):
    code: int


class _Said(msgspec.Struct):
    """An answer of the API."""

    messages: list[_Taken] = []
    error: _Error | None = None


@dataclass(slots=True)
class WhatsApp:
    """Writes from one number of the chain; addresses are phone numbers."""

    url: str
    token: SecretStr
    number: str
    per_second: float | None = PER_SECOND
    name: ClassVar[str] = "whatsapp"
    serves: ClassVar[Way] = "messenger"
    reaches: ClassVar[Contact] = "messenger"
    deduplicates: ClassVar[timedelta | None] = None
    longest: ClassVar[int | None] = LONGEST
    at_once: ClassVar[int] = AT_ONCE
    _asking: Asking = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._asking = Asking(Turns(self.at_once, self.per_second))

    async def send(self, message: Outgoing) -> Receipt:
        """Hand one message over."""
        if message.template is None and len(message.text) > LONGEST:
            return Rejected("too-long")
        request = Request(
            url=f"{self.url}/{self.number}/messages",
            content=msgspec.json.encode(_body(message)),
            headers={
                "Content-Type": "application/json",
                "Authorization": f"Bearer {self.token.get_secret_value()}",
            },
        )
        return await self._asking.ask(request, message.deadline, receipt)

    async def close(self) -> None:
        """Let go of connections."""
        await self._asking.close()


def _body(message: Outgoing) -> Mapping[str, Any]:
    """The message; our id comes back with what becomes of it."""
    common = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": message.address.removeprefix("+"),
        "biz_opaque_callback_data": message.id,
    }
    approved = message.template
    if approved is None:
        return {**common, "type": "text", "text": {"preview_url": False, "body": message.text}}
    blanks = [{"type": "text", "text": each} for each in approved.parameters]
    return {
        **common,
        "type": "template",
        "template": {
            "name": approved.name,
            "language": {"code": approved.language},
            "components": [{"type": "body", "parameters": blanks}] if blanks else [],
        },
    }


def receipt(answer: Answer) -> Receipt:
    """What an answer says."""
    said = answer.of(_Said)
    if said is None or (said.error is None and not said.messages):
        return undocumented(answer)
    if said.error is None:
        return Accepted(reference_of(said.messages[0].id))
    code = said.error.code
    if code in _AWAY or code in _AWAY_TOO or code in _PERMISSIONS:
        return NotTaken("away", str(code), answer.retry_after)
    if code in _REFUSED:
        return NotTaken("refused", str(code), answer.retry_after)
    if answer.status == _WRONG:
        return Rejected(str(code), address=code in _BAD_ADDRESS)
    return undocumented(answer)


class _Status(msgspec.Struct):
    id: str
    status: str
    timestamp: str
    recipient_id: str | None = None
    biz_opaque_callback_data: str | None = None
    errors: list[_Error] = []


class _Text(msgspec.Struct):
    body: str


class _Context(msgspec.Struct):
    id: str | None = None


class _Message(msgspec.Struct):
    id: str
    timestamp: str
    sender: str = msgspec.field(name="from")
    text: _Text | None = None
    button: dict[str, str] = {}
    context: _Context | None = None


class _Value(msgspec.Struct):
    statuses: list[_Status] = []
    messages: list[_Message] = []


class _Change(msgspec.Struct):
    field: str
    value: msgspec.Raw = msgspec.Raw()


class _Entry(msgspec.Struct):
    changes: list[_Change] = []


class _Notification(msgspec.Struct):
    entry: list[_Entry]


def heard(headers: Mapping[str, str], body: bytes, secret: str) -> Sequence[Heard]:
    """What a notification says (Cloud API, "Webhooks"); `secret` is that of the app.

    A failure by 131026 is a bad address, one by 131050 says that the person wants no offers.
    Raises `BadSignature`, `Unreadable`.
    """
    made = hmac.digest(secret.encode(), body, hashlib.sha256).hex()
    check(header(headers, SIGNATURE_HEADER), f"sha256={made}" if secret else "")
    found = shaped(body, _Notification)
    changes = [change for entry in found.entry for change in entry.changes]
    return [
        each
        for change in changes
        if change.field == "messages"
        for each in _heard(shaped(bytes(change.value), _Value))
    ]


def _heard(value: _Value) -> Iterator[Heard]:
    for status in value.statuses:
        what = _WHAT.get(status.status)
        if what is None:
            continue  # "sent" says no more than the answer did
        code = status.errors[0].code if status.errors else None
        bad = code in _BAD_ADDRESS
        if bad or code in _STOPPED:
            what = "bounced" if bad else "unsubscribed"
        yield Report(
            what=what,
            message=status.biz_opaque_callback_data,
            reference=reference_of(status.id),
            permanent=bad,
            code=None if code is None else str(code),
            at=_at(status.timestamp),
            address=status.recipient_id,
        )
    for message in value.messages:
        yield Reply(
            address=message.sender,
            text=message.text.body if message.text else message.button.get("text", ""),
            id=message.id,
            at=_at(message.timestamp),
            answers=_quoted(message.context),
        )


def reference_of(told: str) -> str:
    """By what a message is known here: its id at WhatsApp holds the number that it went to."""
    return hashlib.sha256(told.encode()).hexdigest()[:_REFERENCE_DIGITS]


def _quoted(context: _Context | None) -> str | None:
    return None if context is None or context.id is None else reference_of(context.id)


def _at(text: str) -> datetime:
    if not (text.isascii() and text.isdecimal()):
        raise Unreadable("a timestamp that is no number")
    return moment(int(text[:12]))
