"""The services' HTTP, as a caller of the public API sees it: no short cuts inside."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import msgspec

Json = Any
TIMEOUT_SECONDS = 60.0
TRIES = 60
AGAIN = frozenset({429, 502, 503, 504})
BATCH = 1000
PIECE_BYTES = 256 * 1024


class CallError(Exception):
    """A service refused, or did not answer in time; the text is for people."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The four services of one installation; `urls` are by service name."""

    http: httpx2.AsyncClient
    urls: Mapping[str, str]
    key: str

    async def get(self, service: str, path: str, **query: object) -> Json:
        """The JSON of a resource."""
        return await self._call("GET", service, path, None, query)

    async def all(self, service: str, path: str) -> list[Json]:
        """Every item of a list, whatever the number of its pages."""
        found: list[Json] = []
        cursor = None
        while True:
            page = await self.get(service, path, limit=BATCH, cursor=cursor)
            found += page["items"]
            if (cursor := page["next_cursor"]) is None:
                return found

    async def put(self, service: str, path: str, body: Json) -> Json:
        """Define something."""
        return await self._call("PUT", service, path, body, {})

    async def post(
        self, service: str, path: str, body: Json, once: str | None = None, **query: object
    ) -> Json:
        """Do something; `once` is the idempotency key that makes doing it again harmless."""
        return await self._call("POST", service, path, body, query, once)

    async def upload(self, service: str, path: str, file: Path, **query: object) -> Json:
        """Send a file as it is; once, since whether it came in is told by the answer alone."""

        async def content() -> AsyncIterator[bytes]:
            with file.open("rb") as stream:
                while piece := await asyncio.to_thread(stream.read, PIECE_BYTES):
                    yield piece

        response = await self.http.post(
            self.urls[service] + path,
            content=content(),
            params={name: str(value) for name, value in query.items()},
            headers={"Authorization": f"Bearer {self.key}"},
        )
        if not response.is_success:
            raise CallError(f"{file.name}: {response.status_code} {response.text[:500]}")
        return msgspec.json.decode(response.content)

    async def follow(self, service: str, path: str) -> AsyncIterator[tuple[str, Json]]:
        """Server-sent events, each with its name; connected anew where the connection breaks."""
        for attempt in range(TRIES):
            try:
                async for name, data in self._events(service, path):
                    yield name, data
                    if name == "end":
                        return
            except httpx2.TransportError:
                await asyncio.sleep(min(2.0, 0.1 * 2**attempt))
        raise CallError(f"GET {service}{path}: no answer")

    async def _events(self, service: str, path: str) -> AsyncIterator[tuple[str, Json]]:
        headers = {"Authorization": f"Bearer {self.key}"}
        url = self.urls[service] + path
        async with self.http.stream("GET", url, headers=headers, timeout=TIMEOUT_SECONDS) as answer:
            if not answer.is_success:
                raise CallError(f"GET {service}{path}: {answer.status_code}")
            name = ""
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    yield name, msgspec.json.decode(line.removeprefix("data: "))

    async def batch(
        self, service: str, path: str, items: Sequence[Json], **query: object
    ) -> list[Json]:
        """Send up to 1,000 items, each with its own id; raises for the first that is refused."""
        answer = await self._call("POST", service, path, {"items": items}, query)
        found: list[Json] = answer["items"]
        for item in found:
            if item["status"] != httpx2.codes.OK:
                raise CallError(f"{service} refused item {item['index']}: {item.get('problem')}")
        return found

    async def _call(  # noqa: PLR0917 - the parts of a request
        self,
        method: str,
        service: str,
        path: str,
        body: Json,
        query: Mapping[str, object],
        once: str | None = None,
    ) -> Json:
        """Call, and again while the service is away: every request here may be repeated."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        if once is not None:
            headers["Idempotency-Key"] = once
        content = None if body is None else msgspec.json.encode(body)
        params = {name: str(value) for name, value in query.items() if value is not None}
        trouble = "no answer"
        for attempt in range(TRIES):
            try:
                response = await self.http.request(
                    method,
                    self.urls[service] + path,
                    content=content,
                    params=params,
                    headers=headers,
                )
            except httpx2.TransportError as failure:
                trouble = type(failure).__name__
            else:
                if response.is_success:
                    return msgspec.json.decode(response.content)
                trouble = f"{response.status_code} {response.text[:500]}"
                if response.status_code not in AGAIN:
                    break
            await asyncio.sleep(min(2.0, 0.1 * 2**attempt))
        raise CallError(f"{method} {service}{path}: {trouble}")


@asynccontextmanager
async def connect(urls: Mapping[str, str], key: str) -> AsyncIterator[Chain]:
    """A client of the services at these URLs."""
    async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS) as http:
        yield Chain(http, urls, key)
