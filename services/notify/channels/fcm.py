"""Push to apps by Firebase Cloud Messaging, HTTP v1 (firebase.google.com/docs/cloud-messaging).

| what happens | receipt |
| --- | --- |
| 200 with `name` | accepted, by it |
| `UNREGISTERED`, `SENDER_ID_MISMATCH`; `INVALID_ARGUMENT` of `message.token` | rejected: bad address |
| `INVALID_ARGUMENT`, other | rejected |
| `QUOTA_EXCEEDED`, `UNAVAILABLE` | away, for as long as `Retry-After` says |
| `THIRD_PARTY_AUTH_ERROR`, 401; no access token | away |
| `INTERNAL`, `UNSPECIFIED_ERROR`; 200 without `name` | unknown |
| anything else | as `channels/asking.py` has it |

The chain is let in by a service account: a JWT signed by its key (RFC 7523) is exchanged for an
access token, which is kept until a minute before its end. It deduplicates nothing. A message holds
at most 4,096 bytes.
"""  # noqa: E501 - a row of a table is one line

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import urlencode

import msgspec
from joserfc import jwt
from joserfc.jwk import RSAKey

from services.notify.channels import (
    Accepted,
    Contact,
    NotTaken,
    Outgoing,
    Receipt,
    Rejected,
    Unknown,
    Way,
)
from services.notify.channels.asking import Answer, Asking, Request, undocumented
from services.notify.channels.turns import Turns

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFE_SECONDS = 3600
EARLY_SECONDS = 60
MOST_BYTES = 4096
LONGEST = 2000
AT_ONCE = 20
_BAD_ADDRESS = frozenset({"UNREGISTERED", "SENDER_ID_MISMATCH"})
_REJECTED = frozenset({"INVALID_ARGUMENT"})
_AWAY = frozenset({"QUOTA_EXCEEDED", "UNAVAILABLE", "THIRD_PARTY_AUTH_ERROR"})
_UNKNOWN = frozenset({"INTERNAL", "UNSPECIFIED_ERROR"})
_NOT_LET_IN = 401
TOKEN_FIELD = "message.token"  # noqa: S105 - the name of a field


class _KeyFile(msgspec.Struct):
    project_id: str
    client_email: str
    private_key: str
    token_uri: str


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float


class _Violation(msgspec.Struct):
    field: str = ""


class _Detail(msgspec.Struct, rename="camel"):
    error_code: str = ""
    field_violations: list[_Violation] = []


class _Error(msgspec.Struct):
    status: str = ""
    details: list[_Detail] = []


class _Said(msgspec.Struct):
    """An answer of the API."""

    name: str | None = None
    error: _Error | None = None


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """Who the chain is for Google."""

    project: str
    email: str
    token_url: str
    key: RSAKey = field(repr=False)

    @classmethod
    def of(cls, path: Path) -> Self:
        """From the key file. Raises ValueError that says nothing of what is in it."""
        try:
            found = msgspec.json.decode(path.read_bytes(), type=_KeyFile)
            return cls.with_key(
                found.project_id, found.client_email, found.token_uri, found.private_key
            )
        except (OSError, ValueError) as failure:
            message = f"{path.name} is no key file of a service account"
            raise ValueError(message) from failure

    @classmethod
    def with_key(cls, project: str, email: str, token_url: str, pem: str) -> Self:
        """From its parts; `pem` is the private key. Raises ValueError."""
        return cls(project, email, token_url, RSAKey.import_key(pem))

    def assertion(self, now: float) -> str:
        """What is exchanged for an access token."""
        claims = {
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.token_url,
            "iat": int(now),
            "exp": int(now) + LIFE_SECONDS,
        }
        return jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, self.key)


@dataclass(slots=True)
class Fcm:
    """Pushes to apps; addresses are registration tokens. `now` gives unix seconds."""

    url: str
    account: ServiceAccount
    now: Callable[[], float] = field(repr=False)
    name: ClassVar[str] = "fcm"
    serves: ClassVar[Way] = "push"
    reaches: ClassVar[Contact] = "push"
    deduplicates: ClassVar[timedelta | None] = None
    longest: ClassVar[int | None] = LONGEST
    at_once: ClassVar[int] = AT_ONCE
    per_second: ClassVar[float | None] = None
    _asking: Asking = field(init=False, repr=False)
    _token: str | None = field(default=None, repr=False)
    _until: float = 0.0
    _renewing: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    def __post_init__(self) -> None:
        self._asking = Asking(Turns(self.at_once, self.per_second))

    async def send(self, message: Outgoing) -> Receipt:
        """Hand one message over."""
        content = msgspec.json.encode(
            {
                "message": {
                    "token": message.address,
                    "notification": {"title": message.subject, "body": message.text},
                    "data": {"message": message.id},
                }
            }
        )
        if len(message.text) > LONGEST or len(content) > MOST_BYTES:
            return Rejected("too-long")
        token = await self._access(message.deadline)
        if not isinstance(token, str):
            return token
        request = Request(
            url=f"{self.url}/v1/projects/{self.account.project}/messages:send",
            content=content,
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
        )
        return await self._asking.ask(request, message.deadline, self._receipt)

    async def close(self) -> None:
        """Let go of connections."""
        await self._asking.close()

    def _receipt(self, answer: Answer) -> Receipt:
        if answer.status == _NOT_LET_IN:
            self._token = None
        return receipt(answer)

    async def _access(self, deadline: float) -> str | NotTaken:
        """An access token, which one hand-over gets for all that wait."""
        try:
            async with asyncio.timeout_at(deadline), self._renewing:
                if self._token is None or self.now() >= self._until - EARLY_SECONDS:
                    failed = await self._renew(deadline)
                    if failed is not None:
                        return failed
        except TimeoutError:
            return NotTaken("late")
        return self._token or NotTaken("away", "token")

    async def _renew(self, deadline: float) -> NotTaken | None:
        self._token = None
        asked = self.now()

        def taken(answer: Answer) -> Receipt:
            found = answer.of(_Token) if answer.well else None
            if found is None:
                return NotTaken("away", "token", answer.retry_after)
            self._token, self._until = found.access_token, asked + found.expires_in
            return Accepted()

        form = urlencode({"grant_type": GRANT, "assertion": self.account.assertion(asked)})
        request = Request(
            url=self.account.token_url,
            content=form.encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        outcome = await self._asking.ask(request, deadline, taken)
        # No message was shown to anybody yet, whatever became of the question.
        match outcome:
            case Accepted():
                return None
            case NotTaken():
                return outcome
            case _:
                return NotTaken("away", "token")


def receipt(answer: Answer) -> Receipt:
    """What an answer says."""
    said = answer.of(_Said)
    if said is None or (said.name is None and said.error is None):
        return undocumented(answer)
    if said.error is None:
        return Accepted(said.name)
    details = said.error.details
    code = next((each.error_code for each in details if each.error_code), said.error.status)
    if code in _BAD_ADDRESS:
        return Rejected(code, address=True)
    if code in _REJECTED:
        wrong = {violation.field for each in details for violation in each.field_violations}
        return Rejected(code, address=TOKEN_FIELD in wrong)
    if code in _AWAY:
        return NotTaken("away", code, answer.retry_after)
    return Unknown() if code in _UNKNOWN else undocumented(answer)
