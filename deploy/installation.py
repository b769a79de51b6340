"""One home folder's whole installation: the embedded servers, the four services, the owner's key.

A home remembers what must not change under its data: the number of partitions, and the frozen
clock of a demo. Whoever starts it again, `up` or `demo`, gets the same.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deploy.embedded.errors import EmbeddedError
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.probes import answers_http
from deploy.embedded.stack import EmbeddedStack
from deploy.embedded.supervisor import Child
from deploy.keys import ensure_owner_key

SERVICES = ("customer", "interaction", "segment", "notify")
PARTITIONS = 12
"""Enough to spread over a few workers; 48, the default, is for chains with a cluster."""
APPEND_DEADLINE_SECONDS = 3
"""The embedded database may need longer than a real one; progress lags by as much."""
REPOSITORY = Path(__file__).resolve().parent.parent
READY_SECONDS = 90.0
LAYER = 3
FOR_EVER = "P36500D"


class HomeMismatchError(EmbeddedError):
    """The home belongs to another installation than the one that is asked for."""


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """What a home remembers; `clock_frozen_at` is set for a demo, `households` its size."""

    partitions: int = PARTITIONS
    clock_frozen_at: str | None = None
    households: str | None = None

    @property
    def frozen_at(self) -> datetime | None:
        """The moment at which the chain's clock stands."""
        return (
            None if self.clock_frozen_at is None else datetime.fromisoformat(self.clock_frozen_at)
        )


def remembered(home: Path) -> ChainSettings | None:
    """What the home remembers; None for a new one."""
    try:
        raw: dict[str, Any] = json.loads(_settings_file(home).read_text())
    except FileNotFoundError:
        return None
    return ChainSettings(**raw)


def chosen_settings(home: Path, wanted: ChainSettings | None) -> ChainSettings:
    """What the home is to run with: what it remembers, if any. Raises `HomeMismatchError`."""
    known = remembered(home)
    if known is None:
        return wanted or ChainSettings()
    if wanted is not None and wanted != known:
        raise HomeMismatchError(
            f"{home} was begun as {_describe(known)}; asked for is {_describe(wanted)}. "
            "Use another folder (REGULARS_HOME=…), or remove this one: make clean."
        )
    return known


def remember(home: Path, settings: ChainSettings) -> None:
    """Write what the home is to run with from now on; what it remembers already stays."""
    if remembered(home) is None:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = _settings_file(home).with_suffix(".tmp")
        draft.write_text(
            json.dumps({name: getattr(settings, name) for name in ChainSettings.__slots__})
        )
        draft.replace(_settings_file(home))


def _describe(settings: ChainSettings) -> str:
    if settings.households is None:
        return "an empty chain"
    return f"a demo of HOUSEHOLDS={settings.households}"


def _settings_file(home: Path) -> Path:
    return home / "chain.json"


class Installation:
    """`async with Installation(home) as it:`; inside, all services are ready."""

    stack: EmbeddedStack
    urls: Mapping[str, str]
    owner_key: str

    def __init__(self, home: Path, wanted: ChainSettings | None = None) -> None:
        """Name the home, and what it must be; nothing is touched before the context is entered."""
        self.home = home.absolute()
        self._wanted = wanted
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start everything. Raises `EmbeddedError` that says what to do."""
        try:
            self.chain = chosen_settings(self.home, self._wanted)
            self.stack = await self._exit.enter_async_context(EmbeddedStack(self.home))
            # Asked again under the home's lock: somebody may have begun it in between.
            self.chain = chosen_settings(self.home, self._wanted)
            remember(self.home, self.chain)
            self.first_start = not (self.home / "owner.key").exists()
            self.owner_key = await ensure_owner_key(self.home, self.stack.mongo_url)
            await self._start_services()
            self._announce()
        except BaseException:
            await self._exit.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop everything."""
        _running_file(self.home).unlink(missing_ok=True)
        await self._exit.aclose()

    async def _start_services(self) -> None:
        ports = {name: self.stack.ports.claim(name, movable=False) for name in SERVICES}
        self.urls = {name: f"http://{LOOPBACK}:{port}" for name, port in ports.items()}
        async with asyncio.TaskGroup() as group:
            for name, port in ports.items():
                group.create_task(self.stack.supervisor.start(self._child(name, port)))

    def _child(self, service: str, port: int) -> Child:
        return Child(
            name=service,
            command=[sys.executable, "-m", f"services.{service}"],
            environment=self._environment(port),
            folder=REPOSITORY,
            ready=answers_http(port, "/readyz"),
            ready_seconds=READY_SECONDS,
            stop_seconds=20.0,
            layer=LAYER,
        )

    def _environment(self, port: int) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not _is_ours(name)}
        mine = {
            "PYTHONPATH": str(REPOSITORY),
            "REGULARS_KAFKA_URL": self.stack.kafka_url,
            "REGULARS_MONGO_URL": self.stack.mongo_url,
            "REGULARS_SMTP_URL": self.stack.smtp_url,
            "REGULARS_SMTP_DEDUPLICATES": FOR_EVER,
            "REGULARS_MASTER_KEY_FILE": str(self.home / "master.key"),
            "REGULARS_HMAC_KEY_FILE": str(self.home / "hmac.key"),
            "REGULARS_PARTITIONS": str(self.chain.partitions),
            "REGULARS_APPEND_DEADLINE_SECONDS": str(APPEND_DEADLINE_SECONDS),
            "REGULARS_PORT": str(port),
        }
        if self.chain.clock_frozen_at is not None:
            mine["REGULARS_CLOCK_FROZEN_AT"] = self.chain.clock_frozen_at
        return kept | mine

    def _announce(self) -> None:
        """Tell other commands where the services are, for as long as they run."""
        draft = _running_file(self.home).with_suffix(".tmp")
        draft.write_text(
            json.dumps(
                {
                    "pid": os.getpid(),
                    "urls": dict(self.urls),
                    "mongo_url": self.stack.mongo_url,
                }
            )
        )
        draft.replace(_running_file(self.home))


def _is_ours(name: str) -> bool:
    """Settings of the caller's own environment must not leak into the installation."""
    return name.startswith("REGULARS_") and name != "REGULARS_LOG_LEVEL"


def _running_file(home: Path) -> Path:
    return home / "running.json"


@dataclass(frozen=True, slots=True)
class Running:
    """Where an installation that runs now is to be found."""

    urls: Mapping[str, str]
    mongo_url: str


def running(home: Path) -> Running | None:
    """What runs in the home; None when nothing does."""
    try:
        raw = json.loads(_running_file(home).read_text())
        os.kill(raw["pid"], 0)
    except (FileNotFoundError, ProcessLookupError, PermissionError, ValueError):
        return None
    return Running(raw["urls"], raw["mongo_url"])
