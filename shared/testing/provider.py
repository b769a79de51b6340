"""An HTTP server in a test's own event loop, which answers as it is told and misbehaves on demand.

It takes what it is asked before it answers, as a provider does whose answer is lost: `taken` holds
every request that came whole.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Asked:
    """A request; names of headers in small letters."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON of any shape
        """The body, as JSON."""
        return json.loads(self.body)

    @property
    def form(self) -> Mapping[str, str]:
        """The body, as a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def query(self) -> Mapping[str, str]:
        """The query."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Says:
    """An answer. `body` is JSON unless it is bytes; `cut` gives half of it and hangs up."""

    status: int = 200
    body: object = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False

    def written(self) -> bytes:
        """As it goes over the wire."""
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        lines = [f"HTTP/1.1 {self.status} Said", f"Content-Length: {len(body) + self.cut}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        sent = body[: len(body) // 2] if self.cut else body
        return "\r\n".join([*lines, "", ""]).encode() + sent


@dataclass(frozen=True, slots=True)
class HangsUp:
    """Closes the connection instead of answering, after `said`."""

    said: bytes = b""


@dataclass(frozen=True, slots=True)
class Silent:
    """Never answers."""


Manner = Says | HangsUp | Silent


@dataclass(slots=True)
class Provider:
    """Answers each request by `answer`; `doors` are requests to other paths, answered apart."""

    answer: Manner = field(default_factory=Says)
    doors: dict[str, Callable[[Asked], Says]] = field(default_factory=dict)
    port: int = 0
    taken: list[Asked] = field(default_factory=list)
    connections: int = 0
    under_way: int = 0
    most_at_once: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def hang_up(self) -> None:
        """Close every connection that is open."""
        for writer in self._writers:
            writer.close()

    def end(self) -> None:
        """Keep nobody waiting any more."""
        self._over.set()
        self.hang_up()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        self._writers.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass  # whoever asked has gone
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        asked = await _read(reader)
        door = self.doors.get(urlsplit(asked.target).path)
        if door is not None:
            writer.write(door(asked).written())
            await writer.drain()
            return True
        self.taken.append(asked)
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            return await self._answered(writer)
        finally:
            self.under_way -= 1

    async def _answered(self, writer: asyncio.StreamWriter) -> bool:
        """Answer; False when the connection is of no use any more."""
        match self.answer:
            case Says(cut=cut) as says:
                writer.write(says.written())
                await writer.drain()
                return not cut
            case HangsUp(said=said):
                writer.write(said)
                await writer.drain()
            case Silent():
                await self._over.wait()
        return False


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    method, target, _ = head[0].split(" ")
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, target, headers, body)


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    """A provider that is up within the context."""
    found = Provider()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            tasks.add(task)
        await found.serve(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        found.end()
        await asyncio.gather(*tasks)
