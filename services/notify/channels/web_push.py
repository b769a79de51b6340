"""Push to browsers by Web Push (RFC 8030), sealed by RFC 8291, signed by VAPID (RFC 8292).

| what happens | receipt |
| --- | --- |
| 201, also 200 and 202 | accepted, by the last part of `Location` |
| 404, 410: the subscription is gone; an address that is no subscription | rejected: bad address |
| 401, 403: this push service does not take our key for this subscription | refused |
| this push service cannot be reached | refused |
| the push service has an address of the own network, and that is not allowed | rejected |
| anything else | as `channels/asking.py` has it |

It deduplicates nothing that was shown; of messages that still wait at the push service, one with
the same id takes the place of the other (`Topic`). The address is the JSON that the browser gave
out: it names a server, so the same guard stands before it as before webhooks. A message that nobody
fetches within a day is dropped.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

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
from services.notify.channels.push_sealing import (
    LARGEST,
    SALT_BYTES,
    Subscription,
    Vapid,
    sealed,
    to_base64url,
)
from services.notify.channels.turns import Turns
from shared.calling import AddressRefused, place_of

KEPT_SECONDS = 24 * 60 * 60
SIGNED_SECONDS = 12 * 60 * 60
TOPIC_LETTERS = 32
AT_ONCE = 20
LONGEST = 2000
_GONE = frozenset({404, 410})
_NOT_LET_IN = frozenset({401, 403})


@dataclass(slots=True)
class WebPush:
    """Pushes to browsers; addresses are subscriptions. `now` gives unix seconds."""

    vapid: Vapid
    now: Callable[[], float] = field(repr=False)
    private_addresses: bool = False
    name: ClassVar[str] = "webpush"
    serves: ClassVar[Way] = "push"
    reaches: ClassVar[Contact] = "push"
    deduplicates: ClassVar[timedelta | None] = None
    longest: ClassVar[int | None] = LONGEST
    at_once: ClassVar[int] = AT_ONCE
    per_second: ClassVar[float | None] = None
    _asking: Asking = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._asking = Asking(Turns(self.at_once, self.per_second))

    async def send(self, message: Outgoing) -> Receipt:
        """Hand one message over."""
        try:
            subscription = Subscription.of(message.address)
        except ValueError:
            return Rejected("unwritable", address=True)
        text = msgspec.json.encode(
            {"id": message.id, "title": message.subject, "body": message.text}
        )
        if len(message.text) > LONGEST or len(text) > LARGEST:
            return Rejected("too-long")
        try:
            async with asyncio.timeout_at(message.deadline):
                request = await self._request(message, subscription, text)
        except TimeoutError:
            return NotTaken("late")
        except AddressRefused:
            return Rejected("address")
        except (OSError, ValueError):
            return NotTaken("refused")
        outcome = await self._asking.ask(request, message.deadline, receipt)
        # One push service that is not there says nothing of the others.
        return NotTaken("refused") if outcome == NotTaken("away") else outcome

    async def close(self) -> None:
        """Let go of connections."""
        await self._asking.close()

    async def _request(self, message: Outgoing, to: Subscription, text: bytes) -> Request:
        place = await place_of(to.endpoint, private_addresses=self.private_addresses)
        own = ec.generate_private_key(ec.SECP256R1())
        topic = hashlib.sha256(message.id.encode()).digest()
        headers = {
            "Host": place.host,
            "Content-Type": "application/octet-stream",
            "Content-Encoding": "aes128gcm",
            "TTL": str(KEPT_SECONDS),
            "Topic": to_base64url(topic)[:TOPIC_LETTERS],
            "Authorization": self.vapid.authorization(
                to.endpoint, int(self.now()) + SIGNED_SECONDS
            ),
        }
        content = sealed(text, to, own, os.urandom(SALT_BYTES))
        return Request(place.url, content, headers, server_name=place.server_name)


def receipt(answer: Answer) -> Receipt:
    """What an answer says."""
    code = str(answer.status)
    if answer.well:
        place = answer.headers.get("location", "").rstrip("/")
        return Accepted(place.rpartition("/")[2] or None)
    if answer.status in _GONE:
        return Rejected(code, address=True)
    if answer.status in _NOT_LET_IN:
        return NotTaken("refused", code, answer.retry_after)
    return undocumented(answer)
