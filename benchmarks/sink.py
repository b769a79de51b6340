"""A mail server that keeps nothing but the moment at which each mail had come."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.embedded.ports import LOOPBACK


@dataclass(slots=True)
class Sink:
    """`arrived` holds, by recipient, the seconds of `time.perf_counter` at the first arrival."""

    url: str = ""
    arrived: dict[str, float] = field(default_factory=dict)
    _waiting: dict[str, asyncio.Event] = field(default_factory=dict)

    async def handle_DATA(  # noqa: N802 - the name that aiosmtpd calls
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Note the moment."""
        now = time.perf_counter()
        for recipient in envelope.rcpt_tos:
            self.arrived.setdefault(recipient, now)
            self.expect(recipient).set()
        return "250 noted"

    def expect(self, recipient: str) -> asyncio.Event:
        """What is set once a mail to the recipient has come."""
        return self._waiting.setdefault(recipient, asyncio.Event())


@asynccontextmanager
async def listening() -> AsyncIterator[Sink]:
    """A sink that takes mail at `url`."""
    sink = Sink()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(sink, hostname="localhost", loop=loop), LOOPBACK, 0
    )
    sink.url = f"smtp://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    try:
        yield sink
    finally:
        server.close()
