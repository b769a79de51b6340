"""What was sent by a public form and is not a customer's yet: sealed, and gone in half an hour.

Until the code is confirmed nobody knows who sent it, so there is no customer whose key could seal
it: it is sealed with a key that is derived for such entries alone, and bound to its id.
"""

import hmac
import os
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.customer.domain.filling import Answers
from services.customer.handlers.tokens import derived_key
from shared.decider import Refused
from shared.expiring import Expiring
from shared.keyring import keyed_hash

LIFETIME = timedelta(minutes=30)
MOST_ATTEMPTS = 5
MOST_MAILS = 3
MAILS_IN = timedelta(hours=1)
NONCE_BYTES = 12
DIGITS = 6


class Submission(msgspec.Struct, frozen=True):
    """A filled form; `code` is the keyed hash of what was mailed."""

    id: str
    form: str
    answers: Answers
    code: str


_DECODER = msgspec.json.Decoder(Submission)


@dataclass(frozen=True, slots=True)
class FormEntries:
    """Submissions that wait for their code, tokens that were used, attempts and mails counted."""

    entries: Expiring
    secret: bytes = field(repr=False)

    async def use(self, token_id: str, now: datetime, until: datetime) -> None:
        """Use a form's token. Raises `Refused` (409) the second time."""
        if not await self.entries.add(f"token|{token_id}", b"", now, until):
            raise Refused("sent-already", 409, "This was sent already.", "open the form again")

    async def keep(self, submission: Submission, now: datetime) -> None:
        """Keep a submission until it is confirmed or forgotten."""
        nonce = os.urandom(NONCE_BYTES)
        text = msgspec.json.encode(submission)
        sealed = nonce + self._cipher().encrypt(nonce, text, submission.id.encode())
        await self.entries.add(f"submission|{submission.id}", sealed, now, now + LIFETIME)

    async def confirmed(self, submission: str, code: str, now: datetime) -> Submission:
        """The submission that the code belongs to.

        Raises `Refused`: 410 `code-gone` for one that is forgotten, or asked for too often; 422 for
        another code.
        """
        attempts = await self.entries.count(f"code|{submission}", now, now + LIFETIME)
        sealed = await self.entries.get(f"submission|{submission}", now)
        if sealed is None or attempts > MOST_ATTEMPTS:
            raise Refused("code-gone", 410, "The code counts no more.", "send the form again")
        nonce, text = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        found = _DECODER.decode(self._cipher().decrypt(nonce, text, submission.encode()))
        if not hmac.compare_digest(found.code, self.hash_of(submission, code)):
            raise Refused("code-wrong", 422, "This is not the code.", "look at the mail again")
        return found

    async def may_mail(self, address: str, now: datetime) -> bool:
        """Whether one more mail may go to the address (its hash)."""
        return await self.entries.count(f"mail|{address}", now, now + MAILS_IN) <= MOST_MAILS

    def hash_of(self, submission: str, code: str) -> str:
        """What is kept of a code."""
        return keyed_hash(self.secret, "form-code", f"{submission}|{code}")

    def _cipher(self) -> AESGCM:
        return AESGCM(derived_key(self.secret, "form-submission"))


def new_code() -> str:
    """A code that nobody guesses in five attempts."""
    return f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
