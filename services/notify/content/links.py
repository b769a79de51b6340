"""Links of messages: what a link may do is signed, and where it leads is never read from it.

A token is 34 bytes: the kind, the message, the version of the campaign that it was written by, the
number of the link in that version, the day after which it says nothing any more, and the first 80
bits of HMAC-SHA-256 over them with a key of its own, derived from the chain's secret by HKDF (RFC
5869). As base64url (RFC 4648) these are 46 letters: links stand in SMS, too. There is nothing
personal in it, and nothing of the target: that stands in the stored definition, so nobody can make
our address lead elsewhere.
"""

import base64
import binascii
import hmac
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from hashlib import sha256
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.decider import Refused

PATH = "/m/"
LIFETIME = timedelta(days=400)
"""Longer than anybody keeps a mail to buy by it, and a year of ways out of mailings."""
MOST_LINKS = 250
_FORM = struct.Struct(">B16sIBH")
_SIGNATURE_BYTES = 10
_KEY_BYTES = 32
_FIRST_DAY = date(2000, 1, 1)
_DAYS = 2**16
_BYTES = _FORM.size + _SIGNATURE_BYTES
_LETTERS = -(-_BYTES * 4 // 3)


class LinkKind(IntEnum):
    """What a link does."""

    CLICK = 1
    OPEN = 2
    UNSUBSCRIBE = 3
    PREFERENCES = 4


@dataclass(frozen=True, slots=True)
class Link:
    """What a token says, once it is known to be ours.

    `version` is that of the campaign's stream: the definition that held then has the target under
    `number`, which goes on from one of its templates to the next.
    """

    kind: LinkKind
    message: str
    version: int
    number: int = 0


@dataclass(frozen=True, slots=True)
class LinkTokens:
    """Makes and reads the tokens of links; `secret` is that of the chain."""

    secret: bytes = field(repr=False)
    _key: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Derive the key of this purpose."""
        derived = HKDF(SHA256(), _KEY_BYTES, salt=None, info=b"regulars|message-links")
        object.__setattr__(self, "_key", derived.derive(self.secret))

    def issue(self, link: Link, at: datetime) -> str:
        """The token of a link in a message that is written now (system time)."""
        # The day begins at midnight: one more, so that the last is whole.
        last = (at + LIFETIME).astimezone(UTC).date() + timedelta(days=1)
        said = _FORM.pack(
            link.kind,
            UUID(link.message).bytes,
            link.version,
            link.number,
            min(max((last - _FIRST_DAY).days, 0), _DAYS - 1),
        )
        return base64.urlsafe_b64encode(said + self._signature(said)).rstrip(b"=").decode()

    def read(self, text: str, at: datetime) -> Link:
        """What a token says. Raises `Refused`: `link-invalid` (404) or `link-expired` (410)."""
        if len(text) != _LETTERS or not text.isascii():
            raise _invalid()
        try:
            found = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _invalid() from None
        said, signature = found[: _FORM.size], found[_FORM.size :]
        if not hmac.compare_digest(signature, self._signature(said)) or text != _written(found):
            raise _invalid()
        kind, message, version, number, last = _FORM.unpack(said)
        if at.astimezone(UTC).date() > _FIRST_DAY + timedelta(days=last):
            raise Refused("link-expired", 410, "The link has expired.", "it is of an old message")
        return Link(LinkKind(kind), str(UUID(bytes=message)), version, number)

    def _signature(self, said: bytes) -> bytes:
        return hmac.new(self._key, said, sha256).digest()[:_SIGNATURE_BYTES]


def _written(token: bytes) -> str:
    """The one way in which a token is written: its last letter has bits to spare."""
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def _invalid() -> Refused:
    return Refused("link-invalid", 404, "The link is not valid.", "it was cut, or is of elsewhere")


@dataclass(frozen=True, slots=True)
class Signed:
    """The links of one message: addresses below `public_url`.

    `first` is the number that the first link of its template has among all of the definition.
    """

    tokens: LinkTokens
    public_url: str
    message: str
    version: int
    at: datetime
    first: int = 0

    def tracked(self, number: int) -> str:
        """The address that counts a click and leads to a link of the template."""
        number += self.first
        return self._address(Link(LinkKind.CLICK, self.message, self.version, number))

    def own(self) -> Mapping[str, str]:
        """What templates know as `links`."""
        kinds = {
            "unsubscribe": LinkKind.UNSUBSCRIBE,
            "preferences": LinkKind.PREFERENCES,
            "pixel": LinkKind.OPEN,
        }
        return {
            name: self._address(Link(kind, self.message, self.version))
            for name, kind in kinds.items()
        }

    def _address(self, link: Link) -> str:
        return f"{self.public_url}{PATH}{self.tokens.issue(link, self.at)}"
