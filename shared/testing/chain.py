"""Services of a chain in the process of a test, on real servers.

All is the product's own but the port: requests go straight into the app. Every chain has topics and
databases of its own.
"""

import asyncio
import base64
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx2
from fastapi import FastAPI

from shared.access import Role, issue
from shared.mongo import Database, MongoApiKeys, connect
from shared.process import Parts
from shared.process import Role as ProcessRole
from shared.settings import KEY_BYTES, Settings, read_key
from shared.testing.servers import Servers, unique_prefix

PARTITIONS = 3
PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.05

SettingsT = TypeVar("SettingsT", bound=Settings)
AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class LocalChain:
    """One chain: its servers, its prefix, and the folder of its key files."""

    servers: Servers
    folder: Path
    prefix: str = field(default_factory=unique_prefix)

    def settings(self, kind: type[SettingsT], **more: object) -> SettingsT:
        """The settings of a service of this chain."""
        return kind.model_validate(
            {
                "kafka_url": self.servers.kafka_url,
                "mongo_url": self.servers.mongo_url,
                "topic_prefix": self.prefix,
                "database_prefix": self.prefix,
                "partitions": PARTITIONS,
                "master_key_file": self._key_file("master.key"),
                "hmac_key_file": self._key_file("hmac.key"),
                **more,
            }
        )

    def _key_file(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            path.write_text(base64.b64encode(os.urandom(KEY_BYTES)).decode(), encoding="ascii")
        return path

    async def key(self, *roles: Role, branches: Sequence[str] | None = None) -> str:
        """A new API key of the chain."""
        secret = read_key(self._key_file("hmac.key"))
        text, stored = issue(secret, title="test", roles=roles, branches=branches)
        client = connect(self.servers.mongo_url)
        try:
            await MongoApiKeys(Database(client, f"{self.prefix}access")).add(stored)
        finally:
            client.close()
        return text

    @asynccontextmanager
    async def running(
        self,
        build: Callable[[SettingsT, ProcessRole], Awaitable[Parts]],
        settings: SettingsT,
        role: ProcessRole = "all",
    ) -> AsyncIterator[httpx2.AsyncClient]:
        """A service, ready; gives a client with an owner's key."""
        parts = await build(settings, role)
        works = [*(projector.run for projector in parts.projectors), *parts.tasks]
        if parts.relay is not None:
            works.append(parts.relay.run)
        tasks = [asyncio.ensure_future(work()) for work in works]
        try:
            async with client_of(parts.app, await self.key(Role.OWNER)) as client:
                await eventually(lambda: _ready(client))
                yield client
        finally:
            await _end(parts, tasks)


def client_of(app: FastAPI, key: str) -> httpx2.AsyncClient:
    """A caller of an app, who holds the key."""
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app),
        base_url="http://test",
        headers={"Authorization": f"Bearer {key}"},
    )


async def eventually(
    ask: Callable[[], Awaitable[AnswerT | None]], seconds: float = PATIENCE_SECONDS
) -> AnswerT:
    """The first answer that is not None. Raises TimeoutError when there is none in time."""
    give_up = asyncio.get_running_loop().time() + seconds
    for pause in itertools.repeat(PAUSE_SECONDS):
        answer = await ask()
        if answer is not None:
            return answer
        if asyncio.get_running_loop().time() > give_up:
            break
        await asyncio.sleep(pause)
    raise TimeoutError(f"no answer within {seconds} s")


async def _ready(client: httpx2.AsyncClient) -> bool | None:
    return True if (await client.get("/readyz")).is_success else None


async def _end(parts: Parts, tasks: Sequence["asyncio.Future[None]"]) -> None:
    """Stop what can be stopped, cancel the rest; raises what one of them died of."""
    for projector in parts.projectors:
        projector.stop()
    stopping = tasks[: len(parts.projectors)]
    if stopping:
        await asyncio.wait(stopping, timeout=PATIENCE_SECONDS)
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    for close in parts.closing:
        await close()
    for end in ends:
        if isinstance(end, Exception):
            raise end
