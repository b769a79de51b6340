"""Services in processes of their own; workers are watched: memory, CPU time, events applied."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil

from benchmarks.kafka_log import PARTITIONS
from benchmarks.place import Place
from deploy.embedded.home import ensure_keys
from deploy.embedded.ports import LOOPBACK, Ports
from deploy.embedded.probes import answers_http
from deploy.embedded.supervisor import Child, Supervisor
from shared.settings import read_key

REPOSITORY = Path(__file__).resolve().parent.parent
READY_SECONDS = 120.0
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """A process at one moment: events applied so far, megabytes resident, seconds of CPU."""

    applied: int
    megabytes: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Watched:
    """A running worker."""

    process: psutil.Process
    url: str
    projection: str
    http: httpx2.AsyncClient

    async def sample(self) -> Sample:
        """How it is now."""
        metrics = (await self.http.get(f"{self.url}/metrics")).text
        pattern = rf'^regulars_projection_applied_total{{projection="{self.projection}"}} (\S+)$'
        applied = re.search(pattern, metrics, re.MULTILINE)
        times = self.process.cpu_times()
        return Sample(
            applied=int(float(applied[1])) if applied else 0,
            megabytes=self.process.memory_info().rss / MEGABYTE,
            cpu=times.user + times.system,
        )


@dataclass(slots=True)
class Processes:
    """Starts services; all of them end with the supervisor."""

    place: Place
    supervisor: Supervisor
    http: httpx2.AsyncClient
    _count: int = 0
    _ports: Ports = field(init=False)
    _keys: Mapping[str, Path] = field(init=False)

    def __post_init__(self) -> None:
        """Make the keys and choose ports in the row's folder."""
        self._ports = Ports(self.place.folder)
        self._keys = ensure_keys(self.place.folder)

    @property
    def hmac_secret(self) -> bytes:
        """The secret of keyed hashes, API keys among them."""
        return read_key(self._keys["hmac.key"])

    async def worker(self, service: str, projection: str, database_prefix: str) -> Watched:
        """A worker, ready."""
        name, port = await self._start(
            service, "worker", {"REGULARS_DATABASE_PREFIX": database_prefix}
        )
        process = psutil.Process(self.supervisor.pid(name))
        return Watched(process, f"http://{LOOPBACK}:{port}", projection, self.http)

    async def service(self, service: str, **more: str) -> str:
        """A service in all its roles, ready; gives its address."""
        _, port = await self._start(service, "all", more)
        return f"http://{LOOPBACK}:{port}"

    async def role(self, service: str, role: str, **more: str) -> tuple[psutil.Process, str]:
        """A service in one role, ready; gives its process and its address."""
        name, port = await self._start(service, role, more)
        return psutil.Process(self.supervisor.pid(name)), f"http://{LOOPBACK}:{port}"

    async def _start(self, service: str, role: str, more: Mapping[str, str]) -> tuple[str, int]:
        self._count += 1
        name = f"{service}-{self._count}"
        port = self._ports.claim(name, movable=True)
        environment = {
            **{name: value for name, value in os.environ.items() if "REGULARS_" not in name},
            "PYTHONPATH": str(REPOSITORY),
            "REGULARS_KAFKA_URL": self.place.kafka_url,
            "REGULARS_MONGO_URL": self.place.mongo_url,
            "REGULARS_TOPIC_PREFIX": self.place.prefix,
            "REGULARS_DATABASE_PREFIX": self.place.prefix,
            "REGULARS_PARTITIONS": str(PARTITIONS),
            "REGULARS_MASTER_KEY_FILE": str(self._keys["master.key"]),
            "REGULARS_HMAC_KEY_FILE": str(self._keys["hmac.key"]),
            "REGULARS_PORT": str(port),
            **more,
        }
        child = Child(
            name=name,
            command=[sys.executable, "-m", f"services.{service}", "--role", role],
            environment=environment,
            folder=REPOSITORY,
            ready=answers_http(port, "/readyz"),
            ready_seconds=READY_SECONDS,
        )
        await self.supervisor.start(child)
        return name, port
