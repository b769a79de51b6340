"""What providers say later: what became of a message, and what people answered.

Each channel turns a callback of its provider into these. A callback whose signature is wrong is
refused before anything of it is read; one that cannot be read says where, and never what stood
there. Callbacks come twice and in any order: who takes them in has to see to that.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeVar

import msgspec

What = Literal["delivered", "read", "bounced", "complained", "failed", "unsubscribed"]
ShapeT = TypeVar("ShapeT")
_QUOTING = "Invalid enum value"
"""The one fault whose text repeats what stood there."""


class BadSignature(Exception):  # noqa: N818 - it is not from the provider, nothing went wrong
    """Whoever sent it does not have the secret."""


class Unreadable(Exception):  # noqa: N818 - what was sent is wrong, nothing of ours
    """It is not what the provider's documents say; the text names the place, never a value."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a message.

    It is named by our id (`message`), the provider's (`reference`), or, where neither is said, by
    its `address` alone. `permanent`: the address is bad for good. `at` is the provider's time.
    """

    what: What
    message: str | None = None
    reference: str | None = None
    permanent: bool = False
    code: str | None = None
    at: datetime | None = None
    address: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a person wrote; `id` is the provider's, the same when it tells again.

    `answers` is our id or the provider's of the message that it answers, where that is said.
    """

    address: str = field(repr=False)
    text: str = field(repr=False)
    id: str
    at: datetime | None = None
    answers: str | None = None


Heard = Report | Reply


def header(headers: Mapping[str, str], name: str) -> str:
    """A header by its name in any case; empty where there is none."""
    wanted = name.lower()
    return next((text for key, text in headers.items() if key.lower() == wanted), "")


def check(said: str, expected: str) -> None:
    """Compare in constant time. Raises `BadSignature`; nothing equals an empty expectation."""
    if not expected or not hmac.compare_digest(said.encode(), expected.encode()):
        raise BadSignature


def shaped(body: bytes, kind: type[ShapeT]) -> ShapeT:
    """The body as a shape. Raises `Unreadable`."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as failure:
        # A validation says the place and the kind of value; a decoding only the place.
        text = str(failure)
        if text.startswith(_QUOTING):
            text = f"{_QUOTING} - at {text.rpartition(' - at ')[2]}"
        raise Unreadable(text) from failure


def moment(seconds: float) -> datetime:
    """A time from unix seconds. Raises `Unreadable`."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as failure:
        raise Unreadable("a time out of range") from failure
