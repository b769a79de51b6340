"""Short mails with a code or a link, handed to an SMTP server at once or not at all.

Nobody is advertised to here, so no consent is asked; that is what notify is for. A mail that could
not be handed over is said to whoever waits for it.
"""

from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Self
from urllib.parse import unquote, urlsplit

import aiosmtplib

from shared.clock import Clock
from shared.decider import Refused

TIMEOUT_SECONDS = 10.0
DOMAIN = "regulars.invalid"
"""Of Message-IDs: reserved by RFC 2606, so it is nobody's."""
_PORTS = {"smtp": 25, "smtps": 465}


@dataclass(frozen=True, slots=True)
class Mail:
    """One server, and in whose name."""

    host: str
    port: int
    tls: bool
    sender: str
    clock: Clock
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str, sender: str, clock: Clock) -> Self:
        """From `smtp://[user:password@]host[:port]`, or `smtps://…` for TLS from the first byte."""
        parts = urlsplit(url)
        return cls(
            host=parts.hostname or "localhost",
            port=parts.port or _PORTS[parts.scheme],
            tls=parts.scheme == "smtps",
            sender=sender,
            clock=clock,
            user=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )

    async def send(self, mail_id: str, to: str, subject: str, text: str) -> None:
        """Hand a mail over. Raises `Refused` (503) where the server does not take it."""
        try:
            await aiosmtplib.send(
                self._mail(mail_id, to, subject, text),
                hostname=self.host,
                port=self.port,
                use_tls=self.tls,
                username=self.user,
                password=self.password,
                timeout=TIMEOUT_SECONDS,
                local_hostname="localhost",
            )
        except (aiosmtplib.SMTPException, OSError, ValueError) as failure:
            raise Refused(
                "mail-away", 503, "Mail cannot be sent right now.", "try again later"
            ) from failure

    def _mail(self, mail_id: str, to: str, subject: str, text: str) -> EmailMessage:
        name, address = parseaddr(self.sender)
        local, _, domain = to.rpartition("@")
        mail = EmailMessage()
        mail["From"] = Address(name, addr_spec=address)
        mail["To"] = Address(username=local, domain=domain)
        mail["Subject"] = subject
        mail["Date"] = format_datetime(self.clock.system_now())
        mail["Message-ID"] = f"<{mail_id}@{DOMAIN}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(text)
        return mail
