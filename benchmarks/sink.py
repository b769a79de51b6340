"""When what was waited for had come: mails, to a server that keeps nothing of them, and others.

`python -m benchmarks.sink` is such a server in a process of its own, for rows that count the CPU
time of theirs: it prints its address, and ends with its standard input.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.embedded.ports import LOOPBACK


@dataclass(slots=True)
class Arrivals:
    """`arrived` holds, by recipient, the seconds of `time.perf_counter` at the first arrival."""

    arrived: dict[str, float] = field(default_factory=dict)
    _waiting: dict[str, asyncio.Event] = field(default_factory=dict)

    def note(self, recipient: str) -> None:
        """It has come."""
        self.arrived.setdefault(recipient, time.perf_counter())
        self.expect(recipient).set()

    def expect(self, recipient: str) -> asyncio.Event:
        """What is set once something for the recipient has come."""
        return self._waiting.setdefault(recipient, asyncio.Event())


@dataclass(slots=True)
class Sink(Arrivals):
    """Mails, as the mail server at `url` takes them."""

    url: str = ""

    async def handle_DATA(  # noqa: N802 - the name that aiosmtpd calls
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Note the moment."""
        for recipient in envelope.rcpt_tos:
            self.note(recipient)
        return "250 noted"


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


@asynccontextmanager
async def apart() -> AsyncIterator[str]:
    """The address of a sink in another process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.sink"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if process.stdin is None or process.stdout is None:
        raise AssertionError
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.stdin.close()
        await process.wait()


async def _main() -> None:
    async with listening() as sink:
        sys.stdout.write(f"{sink.url}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
