"""Kafka, MongoDB and mail of one home, as one async context.

Inside the context all three accept work, at the addresses that the attributes give; a killed
one comes back by itself at the same address with everything that it had acknowledged. Outside
of it none of them runs.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from deploy.embedded import kafka, mongo
from deploy.embedded.errors import EmbeddedError
from deploy.embedded.home import HomeLock, ensure_keys
from deploy.embedded.ports import LOOPBACK, Ports
from deploy.embedded.probes import greets_smtp
from deploy.embedded.supervisor import Child, RestartLimit, Supervisor


@dataclass(frozen=True, slots=True)
class StackSettings:
    """The settings of the parts."""

    broker: kafka.KafkaSettings = field(default_factory=kafka.KafkaSettings)
    database: mongo.MongoSettings = field(default_factory=mongo.MongoSettings)
    restarts: RestartLimit = field(default_factory=RestartLimit)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read REGULARS_MONGO_SERVER (mongod, rust or wheel)."""
        text = environment.get(mongo.SETTING, "")
        server = next((kind for kind in mongo.KINDS if kind == text), None)
        if text and server is None:
            message = f"{mongo.SETTING}={text} is none of {', '.join(mongo.KINDS)}."
            raise EmbeddedError(message)
        return cls(database=mongo.MongoSettings(server=server))


class EmbeddedStack:
    """`async with EmbeddedStack(home) as stack:`; enter it in the main thread.

    More children may be started with `stack.supervisor` on `stack.ports`: they end before
    Kafka and MongoDB do. Raises an EmbeddedError that says what to do.
    """

    kafka_url: str
    mongo_url: str
    smtp_url: str
    mail_page_url: str
    mongo_server: str
    supervisor: Supervisor
    ports: Ports

    def __init__(self, home: Path, settings: StackSettings | None = None) -> None:
        """Name the home folder; nothing is touched before the context is entered."""
        self.home = home.absolute()
        self._settings = settings or StackSettings.from_environment()
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Lock the home, make its keys, start all three at once, and wait until all are ready."""
        try:
            lock = self._exit.enter_context(HomeLock(self.home))
            ensure_keys(self.home)
            self.ports = Ports(self.home)
            self.supervisor = Supervisor(
                self.home, self._settings.restarts, keep_open=(lock.descriptor,)
            )
            await self._exit.enter_async_context(self.supervisor)
            await self._start()
        except BaseException:
            await self._exit.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything, what was started on top of it first, and unlock the home."""
        await self._exit.aclose()

    def caught_mail(self) -> list[Path]:
        """The files of all mail that was caught in this home, in no order."""
        return list((self.home / "mail").glob("*.eml"))

    def addresses(self) -> dict[str, str]:
        """All addresses by name, and the name of the database server."""
        return {
            "home": str(self.home),
            "kafka_url": self.kafka_url,
            "mongo_url": self.mongo_url,
            "mongo_server": self.mongo_server,
            "smtp_url": self.smtp_url,
            "mail_page_url": self.mail_page_url,
        }

    async def _start(self) -> None:
        tasks = [asyncio.create_task(part()) for part in (self._kafka, self._mongo, self._mail)]
        try:
            await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def _kafka(self) -> None:
        port = await kafka.start(self.supervisor, self.home, self.ports, self._settings.broker)
        self.kafka_url = f"{LOOPBACK}:{port}"

    async def _mongo(self) -> None:
        port, server = await mongo.start(
            self.supervisor, self.home, self.ports, self._settings.database
        )
        self.mongo_url = mongo.url(port)
        self.mongo_server = server.name

    async def _mail(self) -> None:
        smtp = self.ports.claim("smtp", movable=True)
        # People keep it open in a browser.
        page = self.ports.claim("mail-page", movable=False)
        # By name, not imported: an SMTP server takes time to load, and runs in that process only.
        command = [sys.executable, "-m", "deploy.embedded.mail"]
        command += ["--folder", str(self.home / "mail")]
        command += ["--smtp-port", str(smtp), "--page-port", str(page)]
        child = Child(
            name="mail",
            command=command,
            folder=Path(__file__).parents[2],
            ready=greets_smtp(smtp),
            stop_seconds=5,
            layer=0,
        )
        await self.supervisor.start(child)
        self.smtp_url = f"smtp://{LOOPBACK}:{smtp}"
        self.mail_page_url = f"http://{LOOPBACK}:{page}/"
