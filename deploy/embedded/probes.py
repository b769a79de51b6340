"""Questions that only a server that is ready answers, one per protocol.

An open port is not enough: Kafka listens before its broker may serve, MongoDB before it is
primary. Each probe is True or False and never raises; the supervisor asks again.
"""

import asyncio
import contextlib
import struct
from collections.abc import Awaitable, Callable
from typing import Final

from deploy.embedded.ports import LOOPBACK

ANSWER_SECONDS: Final = 2.0
KAFKA_API_VERSIONS: Final = 18

Probe = Callable[[], Awaitable[bool]]
Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bool]]


def speaks_kafka(port: int) -> Probe:
    """The broker answers a request, which it does once it is unfenced."""
    correlation = 7
    header = struct.pack(">hhih", KAFKA_API_VERSIONS, 0, correlation, -1)

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Ask, and judge the answer."""
        writer.write(struct.pack(">i", len(header)) + header)
        _, echoed, error = struct.unpack(">iih", await reader.readexactly(10))
        return bool(echoed == correlation and error == 0)

    return probe(port, ask)


def greets_smtp(port: int) -> Probe:
    """The mail server says 220."""

    async def ask(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> bool:
        """Listen: the server speaks first."""
        return (await reader.readline()).startswith(b"220")

    return probe(port, ask)


def answers_http(port: int, path: str = "/") -> Probe:
    """A GET of the path is answered with 200."""
    request = f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nConnection: close\r\n\r\n".encode()

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Ask, and judge the answer."""
        writer.write(request)
        return b" 200" in (await reader.readline())[:13]

    return probe(port, ask)


def probe(port: int, ask: Conversation) -> Probe:
    """A probe that connects and asks; no connection, no answer in time or a broken one is False."""

    async def attempt() -> bool:
        """Ask once."""
        with contextlib.suppress(OSError, EOFError, ValueError, struct.error):
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await asyncio.open_connection(LOOPBACK, port)
                try:
                    return await ask(reader, writer)
                finally:
                    writer.close()
        return False

    return attempt
