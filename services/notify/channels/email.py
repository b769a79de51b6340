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
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Self
from urllib.parse import unquote, urlsplit

from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPResponseException

from services.notify.channels import Accepted, NotTaken, Outgoing, Receipt, Rejected, Unknown

CONNECTIONS = 4
DOMAIN = "regulars.invalid"
"""Of Message-IDs: reserved by RFC 2606, so it is nobody's, and never says where it came from."""
_PORTS: Mapping[str, int] = {"smtp": 25, "smtps": 465}
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\\\"@\x00-\x1f\x7f]+@[^\s<>()\[\],;:\\\"@\x00-\x1f\x7f]+")
_QUEUED = re.compile(r"queued as ([A-Za-z0-9._-]{1,100})|\bid=([A-Za-z0-9._-]{1,100})")
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
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str) -> Self:
        """From `smtp://[user:password@]host[:port]`, or `smtps://…` for TLS from the first byte."""
        parts = urlsplit(url)
        return cls(
            host=parts.hostname or "localhost",
            port=parts.port or _PORTS[parts.scheme],
            tls=parts.scheme == "smtps",
            user=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )


@dataclass(slots=True)
class EmailChannel:
    """Sends plain text mail; `sender` is the From, `Name <address>` or a bare address."""

    server: SmtpServer
    sender: str
    deduplicates: timedelta | None = None
    _idle: list[SMTP] = field(default_factory=list)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONNECTIONS))

    async def send(self, message: Outgoing) -> Receipt:
        """Hand one mail over."""
        try:
            mail = _mail(self.sender, message)
            content = mail.as_bytes()
        except ValueError:
            return Rejected("unwritable")
        try:
            async with asyncio.timeout_at(message.deadline):
                await self._slots.acquire()
        except TimeoutError:
            return NotTaken("late")
        try:
            if _is_late(message):
                return NotTaken("late")
            return await self._converse(message, content)
        finally:
            self._slots.release()

    async def close(self) -> None:
        """Take leave of the server."""
        while self._idle:
            client = self._idle.pop()
            try:
                await client.quit(timeout=1)
            except _UNREACHABLE:
                client.close()

    async def _converse(self, message: Outgoing, content: bytes) -> Receipt:
        """One mail over one connection, over a second one where the first was stale."""
        while True:
            used_before = bool(self._idle)
            try:
                client = self._idle.pop() if used_before else await self._connect(message.deadline)
            except _UNREACHABLE as failure:
                return NotTaken("away", _code(failure))
            kept = False
            try:
                receipt = await self._envelope(client, message)
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

    async def _envelope(self, client: SMTP, message: Outgoing) -> Receipt | None:
        """Say from whom and to whom; None when the server is ready for the content."""
        options, encoding = [], "ascii"
        if not message.address.isascii():
            if not client.supports_extension("smtputf8"):
                return Rejected("smtputf8")
            options, encoding = ["SMTPUTF8"], "utf-8"
        try:
            async with asyncio.timeout_at(message.deadline):
                await client.mail(parseaddr(self.sender)[1], options=options, encoding=encoding)
                await client.rcpt(message.address, encoding=encoding)
        except SMTPResponseException as refusal:
            return _refusal(refusal.code) or NotTaken("away", str(refusal.code))
        except _UNREACHABLE:
            return NotTaken("away")
        return None


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


def is_sender(text: str) -> bool:
    """Whether it can be the From of mail: an address, alone or after a name."""
    return text.isprintable() and _ADDRESS.fullmatch(parseaddr(text)[1]) is not None


def _mail(sender: str, message: Outgoing) -> EmailMessage:
    """The mail. Raises ValueError for what no header can hold: nothing can be smuggled into one."""
    if _ADDRESS.fullmatch(message.address) is None:
        reason = "no address"
        raise ValueError(reason)
    name, address = parseaddr(sender)
    local, _, domain = message.address.rpartition("@")
    plain = message.address.isascii()
    mail = EmailMessage(policy.SMTP if plain else policy.SMTPUTF8)
    mail["From"] = Address(name, addr_spec=address)
    mail["To"] = Address(username=local, domain=domain)
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(message.at)
    mail["Message-ID"] = f"<{message.id}@{DOMAIN}>"
    mail.set_content(message.text, cte="quoted-printable")
    return mail
