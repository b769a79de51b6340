"""Signed tokens for people without an API key: what a link in a mail, or a form, may do.

JWS (RFC 7515) with HS256 and a key of each purpose's own, derived by HKDF (RFC 5869) from the
chain's secret: a token of one purpose says nothing for another. Claims are the purpose, whom or
what it is about (an id, never a personal value), an id of its own, and when it was issued and ends,
by the system's time: a frozen chain must not make links that never end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from shared.decider import Refused
from shared.ids import new_id

ALGORITHM = "HS256"
KEY_BYTES = 32
LONGEST = 2_000
"""Characters: nothing that we issue is longer."""

Purpose = Literal["preferences", "form", "form-confirm"]


def derived_key(secret: bytes, purpose: str) -> bytes:
    """The chain's key for one purpose."""
    info = f"regulars|{purpose}".encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(secret)


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says, once it is known to be ours."""

    subject: str
    id: str
    issued: datetime


@dataclass(frozen=True, slots=True)
class Tokens:
    """Issues and reads them; `secret` is that of the chain."""

    secret: bytes = field(repr=False)

    def issue(self, purpose: Purpose, subject: str, at: datetime, lifetime: timedelta) -> str:
        """A token about the subject."""
        claims = {
            "sub": subject,
            "purpose": purpose,
            "jti": new_id(),
            "iat": at.timestamp(),
            "exp": (at + lifetime).timestamp(),
        }
        return jwt.encode({"alg": ALGORITHM}, claims, self._key(purpose))

    def read(self, purpose: Purpose, text: str, at: datetime) -> Token:
        """What the token says. Raises `Refused` (401): `token-invalid` or `token-expired`."""
        claims = self._claims(purpose, text)
        match claims:
            case {
                "sub": str(subject),
                "purpose": said,
                "jti": str(token_id),
                "iat": int() | float() as issued,
                "exp": int() | float() as ends,
            } if said == purpose:
                pass
            case _:
                raise _invalid()
        if ends <= at.timestamp():
            raise Refused("token-expired", 401, "The link has expired.", "ask for a new one")
        return Token(subject, token_id, datetime.fromtimestamp(issued, at.tzinfo))

    def _claims(self, purpose: Purpose, text: str) -> Mapping[str, Any]:
        if len(text) > LONGEST:
            raise _invalid()
        try:
            return jwt.decode(text, self._key(purpose), algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError, TypeError) as failure:
            # A header of odd types is a TypeError of the library.
            raise _invalid() from failure

    def _key(self, purpose: Purpose) -> OctKey:
        return OctKey.import_key(derived_key(self.secret, purpose))


def _invalid() -> Refused:
    return Refused("token-invalid", 401, "The link is not valid.", "it was cut, or is of elsewhere")
