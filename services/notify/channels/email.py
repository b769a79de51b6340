"""E-mail by SMTP (RFC 5321).

| what happens | receipt |
| --- | --- |
| 250 after the content | accepted |
| 5yz to MAIL, RCPT, DATA or the content; an address that cannot be written | rejected |
| 4yz to one of them | not taken: refused |
| before DATA: no connection, greeting, TLS, login or answer in time, connection lost | away |
| 421 to any of them | away |
| the deadline passed before a connection was free, or just before DATA | late |
| anything else once DATA was sent: connection lost, no answer, an answer that is none | unknown |

A refusal of RCPT whose enhanced status (RFC 3463) is 5.1.x, or 5.2.1, is of the address itself.
TLS is taken where it is offered, or required, by setting; a certificate that does not hold is no
connection.

SMTP itself deduplicates nothing. The Message-ID is made of the message's id, so a server that is
known to deduplicate by it can be declared to (`REGULARS_SMTP_DEDUPLICATES`).

Connections are kept and used again; one that the server has let go meanwhile is noticed before
DATA, and replaced.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, Literal, Self
from urllib.parse import unquote, urlsplit

from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPResponseException

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
from services.notify.channels.email_writing import envelope_sender, is_written, written
from services.notify.channels.turns import Turns

CONNECTIONS = 4
StartTls = Literal["offered", "required", "never"]
_START_TLS: Mapping[StartTls, bool | None] = {"offered": None, "required": True, "never": False}
_PORTS: Mapping[str, int] = {"smtp": 25, "smtps": 465}
_BAD_ADDRESS = re.compile(r"5\.(1\.\d{1,3}|2\.1)\b")
_QUEUED = re.compile(r"queued as ([A-Za-z0-9._-]{1,100})|\bid=([A-Za-z0-9._-]{1,100})")
_DONE = 250
_TAKEN = (250, 251)
_UNAVAILABLE = 421
_TEMPORARY = range(400, 500)
_PERMANENT = range(500, 600)
_UNREACHABLE = (SMTPException, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail goes, and how one gets in."""

    host: str
    port: int
    tls: bool = False
    start_tls: StartTls = "offered"
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str, start_tls: StartTls = "offered") -> Self:
        """From `smtp://[user:password@]host[:port]`, or `smtps://…` for TLS from the first byte."""
        parts = urlsplit(url)
        return cls(
            host=parts.hostname or "localhost",
            port=parts.port or _PORTS[parts.scheme],
            tls=parts.scheme == "smtps",
            start_tls=start_tls,
            user=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )


@dataclass(slots=True)
class EmailChannel:
    """Sends mail; `sender` is the From of what names none, `Name <address>` or a bare address."""

    server: SmtpServer
    sender: str
    deduplicates: timedelta | None = None
    per_second: float | None = None
    name: ClassVar[str] = "email"
    serves: ClassVar[Way] = "email"
    reaches: ClassVar[Contact] = "email"
    longest: ClassVar[int | None] = None
    at_once: ClassVar[int] = CONNECTIONS
    _idle: list[SMTP] = field(default_factory=list)
    _turns: Turns = field(init=False)

    def __post_init__(self) -> None:
        self._turns = Turns(self.at_once, self.per_second)

    async def send(self, message: Outgoing) -> Receipt:
        """Hand one mail over."""
        sender = message.sender or self.sender
        try:
            content = written(sender, message)
        except ValueError:
            return Rejected("unwritable", address=not is_written(message.address))
        try:
            async with self._turns.turn(message.deadline):
                return await self._converse(message, envelope_sender(sender), content)
        except TimeoutError:
            return NotTaken("late")

    async def close(self) -> None:
        """Take leave of the server."""
        while self._idle:
            client = self._idle.pop()
            try:
                await client.quit(timeout=1)
            except _UNREACHABLE:
                client.close()

    async def _converse(self, message: Outgoing, sender: str, content: bytes) -> Receipt:
        """One mail over one connection, over a second one where the first was stale."""
        while True:
            used_before = bool(self._idle)
            try:
                client = self._idle.pop() if used_before else await self._connect(message.deadline)
            except _UNREACHABLE as failure:
                return NotTaken("away", _code(failure))
            kept = False
            try:
                receipt = await _envelope(client, message, sender)
                if receipt is None:
                    receipt = await _content(client, message, content)
                kept = await _reset(client, receipt)
            finally:
                if kept:
                    self._idle.append(client)
                else:
                    client.close()
            stale = used_before and receipt == NotTaken("away")
            if not stale:
                return receipt

    async def _connect(self, deadline: float) -> SMTP:
        client = SMTP(
            hostname=self.server.host,
            port=self.server.port,
            username=self.server.user,
            password=self.server.password,
            use_tls=self.server.tls,
            # On a connection that is TLS already there is nothing to be started.
            start_tls=False if self.server.tls else _START_TLS[self.server.start_tls],
            local_hostname="localhost",
            timeout=None,
        )
        try:
            async with asyncio.timeout_at(deadline):
                await client.connect()
                await client.ehlo()
        except BaseException:
            client.close()
            raise
        return client


async def _envelope(client: SMTP, message: Outgoing, sender: str) -> Receipt | None:
    """Say from whom and to whom; None when the server is ready for the content.

    Both are addresses as `is_written` has them, so neither needs to be taken apart once more.
    """
    options: tuple[bytes, ...] = ()
    if not (message.address.isascii() and sender.isascii()):
        if not client.supports_extension("smtputf8"):
            return Rejected("smtputf8")
        options = (b"SMTPUTF8",)
    try:
        async with asyncio.timeout_at(message.deadline):
            begun = f"FROM:<{sender}>".encode()
            answer = await client.execute_command(b"MAIL", begun, *options)
            if answer.code != _DONE:
                return _refusal(answer.code) or NotTaken("away", str(answer.code))
            answer = await client.execute_command(b"RCPT", f"TO:<{message.address}>".encode())
    except SMTPResponseException as no_answer:
        return NotTaken("away", str(no_answer.code))
    except _UNREACHABLE:
        return NotTaken("away")
    if answer.code in _TAKEN:
        return None
    receipt = _refusal(answer.code) or NotTaken("away", str(answer.code))
    bad = isinstance(receipt, Rejected) and _BAD_ADDRESS.match(answer.message)
    return Rejected(str(answer.code), address=True) if bad else receipt


async def _content(client: SMTP, message: Outgoing, content: bytes) -> Receipt:
    """Hand over the mail itself: from here on, what is not said is unknown."""
    if _is_late(message):
        return NotTaken("late")
    try:
        async with asyncio.timeout_at(message.deadline):
            response = await client.data(content)
    except SMTPDataError as refusal:
        return _refusal(refusal.code) or Unknown()
    except _UNREACHABLE:
        return Unknown()
    found = _QUEUED.search(response.message)
    return Accepted(None if found is None else found[1] or found[2])


async def _reset(client: SMTP, receipt: Receipt) -> bool:
    """Make the connection ready for another mail; False when it is of no use any more."""
    match receipt:
        case Accepted():
            return client.is_connected
        case Unknown() | NotTaken(reason="away" | "late"):
            # An answer may still be under way, and would be taken for that to the next command.
            return False
        case Rejected() | NotTaken():
            pass
    try:
        await client.rset(timeout=1)
    except _UNREACHABLE:
        return False
    return client.is_connected


def _is_late(message: Outgoing) -> bool:
    """Whether the deadline has come: a process that was frozen must not go on where it was."""
    return asyncio.get_running_loop().time() >= message.deadline


def _refusal(code: int) -> Receipt | None:
    """What an answer says that is not the one hoped for; None for one that says nothing."""
    if code == _UNAVAILABLE:
        return NotTaken("away", str(code))
    if code in _TEMPORARY:
        return NotTaken("refused", str(code))
    return Rejected(str(code)) if code in _PERMANENT else None


def _code(failure: BaseException) -> str | None:
    return str(failure.code) if isinstance(failure, SMTPResponseException) else None
