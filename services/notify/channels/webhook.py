"""Messages posted to a system of the chain, which brings them to people as it likes.

The body is JSON: `id`, `to`, `subject`, `text`, `html` and `unsubscribe` where there are any, `at`.

| what happens | receipt |
| --- | --- |
| 2xx, whatever the body | accepted |
| the host has an address of the own network, and that is not allowed | away |
| anything else | as `channels/asking.py` has it |

Signed twice with one key, which belongs to the address: by Standard Webhooks 1.0.0 (`webhook-id`,
`webhook-timestamp`, `webhook-signature: v1,<base64>` over `<id>.<seconds>.<body>`; a library is
given `whsec_<base64 of the key's text>`), and as the webhooks of deals are
(`X-Regulars-Signature`, over `<seconds>.<body>`). Who repeats an id is to pass over it: for how
long the other system does so is declared.
"""

import asyncio
import base64
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, Literal

import msgspec

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
    BadSignature,
    Heard,
    Reply,
    Report,
    Unreadable,
    header,
    moment,
    shaped,
)
from services.notify.channels.turns import Turns
from shared.calling import (
    REQUEST,
    SIGNATURE,
    AddressRefused,
    place_of,
    signature,
    signed,
    signing_key,
)

AT_ONCE = 20
LONGEST = 100_000
TOLERANCE_SECONDS = 300.0
"""How far a callback's time may be from ours: an old one is not to be played again."""


@dataclass(slots=True)
class Webhook:
    """Posts to one address; `secret` is the chain's, `now` gives unix seconds."""

    url: str
    secret: bytes = field(repr=False)
    now: Callable[[], float] = field(repr=False)
    private_addresses: bool = False
    deduplicates: timedelta | None = None
    name: ClassVar[str] = "webhook"
    serves: ClassVar[Way] = "webhook"
    reaches: ClassVar[Contact] = "external"
    longest: ClassVar[int | None] = LONGEST
    at_once: ClassVar[int] = AT_ONCE
    per_second: ClassVar[float | None] = None
    _asking: Asking = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._asking = Asking(Turns(self.at_once, self.per_second))

    async def send(self, message: Outgoing) -> Receipt:
        """Hand one message over."""
        if len(message.text) > LONGEST:
            return Rejected("too-long")
        try:
            async with asyncio.timeout_at(message.deadline):
                place = await place_of(self.url, private_addresses=self.private_addresses)
        except TimeoutError:
            return NotTaken("late")
        except AddressRefused:
            return NotTaken("away", "address")
        except (OSError, ValueError):
            # Of a name that no resolver takes a `ValueError` tells.
            return NotTaken("away")
        body = _body(message)
        headers = {
            **standard_headers(self._key, message.id, int(self.now()), body),
            "Host": place.host,
            "Content-Type": "application/json",
            SIGNATURE: signature(self._key, int(self.now()), body),
            REQUEST: message.id,
        }
        request = Request(place.url, body.encode(), headers, server_name=place.server_name)
        return await self._asking.ask(request, message.deadline, receipt)

    async def close(self) -> None:
        """Let go of connections."""
        await self._asking.close()

    @property
    def _key(self) -> str:
        return signing_key(self.secret, self.url)


def receipt(answer: Answer) -> Receipt:
    """What an answer says."""
    return Accepted() if answer.well else undocumented(answer)


def standard_headers(key: str, message: str, seconds: int, body: str) -> Mapping[str, str]:
    """The headers of Standard Webhooks."""
    parts = (message.encode(), str(seconds).encode(), body.encode())
    made = base64.b64encode(signed(key.encode(), *parts)).decode()
    return {
        "webhook-id": message,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{made}",
    }


def _body(message: Outgoing) -> str:
    said = {
        "id": message.id,
        "to": message.address,
        "subject": message.subject,
        "text": message.text,
        "html": message.html,
        "unsubscribe": message.unsubscribe,
        "sender": message.sender,
        "at": message.at.isoformat(),
    }
    there = {name: value for name, value in said.items() if value is not None}
    return msgspec.json.encode(there).decode()


class _Callback(msgspec.Struct):
    """What the other system says later, of a message or from a person."""

    what: Literal["delivered", "read", "bounced", "complained", "failed", "unsubscribed", "reply"]
    message: str
    at: float | None = None
    code: str | None = None
    permanent: bool = False
    sender: str | None = msgspec.field(default=None, name="from")
    text: str | None = None


def heard(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> Sequence[Heard]:
    """What a callback says, signed by Standard Webhooks with the key of the address.

    `{"what": "delivered", "message": "<our id>", "at": <unix seconds>, "code": …}`; an answer of a
    person is `{"what": "reply", "from": …, "text": …, "message": …}`. `now` is unix seconds.
    Raises `BadSignature`, also for one that is older or newer than five minutes, `Unreadable`.
    """
    callback, seconds = header(headers, "webhook-id"), header(headers, "webhook-timestamp")
    if not (secret and seconds.isascii() and seconds.isdecimal()):
        raise BadSignature
    if abs(int(seconds[:12]) - now) > TOLERANCE_SECONDS:
        raise BadSignature
    made = signed(secret.encode(), callback.encode(), seconds.encode(), body)
    expected = f"v1,{base64.b64encode(made).decode()}".encode()
    said = header(headers, "webhook-signature").encode().split()
    # Several where a key is being changed.
    if not any(hmac.compare_digest(each, expected) for each in said):
        raise BadSignature
    found = shaped(body, _Callback)
    at = None if found.at is None else moment(found.at)
    if found.what != "reply":
        return (
            Report(
                what=found.what,
                message=found.message,
                permanent=found.permanent,
                code=found.code,
                at=at,
            ),
        )
    if found.sender is None or found.text is None:
        raise Unreadable("a reply without from or text")
    return (
        Reply(address=found.sender, text=found.text, id=callback, at=at, answers=found.message),
    )
