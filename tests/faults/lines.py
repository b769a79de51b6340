"""A line to a server that can be cut and mended: connections end, and new ones are refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PIECE_BYTES = 65_536
END_SECONDS = 5.0


@dataclass(slots=True)
class Line:
    """Passes on what comes to `port` of this machine to a server, while it is not cut."""

    target: tuple[str, int]
    port: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _passing: "set[asyncio.Task[None]]" = field(default_factory=set)

    async def mend(self) -> None:
        """Let connections through, at the same port as before."""
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """End all connections, and refuse new ones."""
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        self._server = None
        if self._passing:
            await asyncio.wait(self._passing, timeout=END_SECONDS)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:
            # It was taken in just before the line was cut.
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)
        self._writers.add(writer)
        try:
            with suppress(OSError):
                there, here = await asyncio.open_connection(*self.target)
                self._writers.add(here)
                try:
                    await asyncio.gather(_copy(reader, here), _copy(there, writer))
                finally:
                    self._writers.discard(here)
                    here.close()
        finally:
            self._writers.discard(writer)
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def line_to(url: str) -> AsyncIterator[tuple[Line, str]]:
    """A line to the server of a URL, and the URL of its other end."""
    parts = urlsplit(url)
    line = Line((parts.hostname or "127.0.0.1", parts.port or 27017))
    await line.mend()
    try:
        yield line, url.replace(parts.netloc.rpartition("@")[2], f"127.0.0.1:{line.port}")
    finally:
        await line.cut()
