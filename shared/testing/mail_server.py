"""An SMTP server in a test's own event loop, which misbehaves as it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Literal

from aiosmtpd.smtp import MISSING, SMTP, Envelope, Session

from shared.testing.certificates import Certificate

Step = Literal["MAIL", "RCPT", "DATA"]
DROP = "drop"
"""Close the connection instead of answering; for DATA after the mail was taken."""
SILENT = "silent"
"""Never answer; for DATA after the mail was taken."""


@dataclass(slots=True)
class MailServer:
    """`answers` are given instead of 250, `taken` are the mails that it has.

    With a `certificate` it offers TLS; `encrypted` says of each mail whether it came so.
    A mail is taken unless the answer to DATA begins with 4 or 5. `connections` counts them.
    """

    port: int = 0
    answers: dict[Step, str] = field(default_factory=dict)
    taken: list[EmailMessage] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    connections: int = 0
    certificate: Certificate | None = None
    _open: list[SMTP] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"smtp://127.0.0.1:{self.port}"

    def hang_up(self) -> None:
        """Close every connection that is open."""
        for protocol in self._open:
            if protocol.transport is not None:
                protocol.transport.close()
        self._open.clear()

    async def handle_MAIL(  # noqa: N802 - the name that aiosmtpd calls
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> object:
        """Answer MAIL."""
        answer = await self._answer(server, "MAIL")
        if answer is None:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
            self.senders.append(address)
            return "250 OK"
        return answer

    async def handle_RCPT(  # noqa: N802 - the name that aiosmtpd calls
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> object:
        """Answer RCPT."""
        answer = await self._answer(server, "RCPT")
        if answer is None:
            envelope.rcpt_tos.append(address)
            self.recipients.append(address)
            return "250 OK"
        return answer

    async def handle_DATA(  # noqa: N802 - the name that aiosmtpd calls
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> object:
        """Take the mail, unless it is to be refused."""
        if self.answers.get("DATA", "")[:1] not in ("4", "5"):
            self.encrypted.append(session.ssl is not None)
            mail = message_from_bytes(envelope.original_content or b"", policy=policy.default)
            self.taken.append(mail)
        return await self._answer(server, "DATA") or "250 OK: queued as 4F2A"

    async def _answer(self, server: SMTP, step: Step) -> object:
        answer = self.answers.get(step)
        if answer == DROP and server.transport is not None:
            server.transport.close()
            return MISSING
        if answer == SILENT:
            await asyncio.Event().wait()
        return answer

    def connected(self) -> SMTP:
        """A new connection."""
        self.connections += 1
        tls = None if self.certificate is None else self.certificate.context()
        protocol = SMTP(self, enable_SMTPUTF8=True, hostname="localhost", tls_context=tls)
        self._open.append(protocol)
        return protocol


@asynccontextmanager
async def mail_server(certificate: Certificate | None = None) -> AsyncIterator[MailServer]:
    """A server that is up within the context."""
    mails = MailServer(certificate=certificate)
    server = await asyncio.get_running_loop().create_server(mails.connected, "127.0.0.1", 0)
    mails.port = server.sockets[0].getsockname()[1]
    try:
        yield mails
    finally:
        mails.hang_up()
        server.close()
        await server.wait_closed()
