"""One node of real Apache Kafka, broker and controller in one process.

The data folder is formatted once, beside its final place, so that a start that is killed half
way leaves nothing that looks formatted. All paths given to the JVM are relative to the broker's
folder: homes with spaces, commas or foreign letters need no quoting rules.

Both ports may change between runs: clients are told the address at each start, and a single
controller rewrites its own.
"""

import asyncio
import base64
import contextlib
import hashlib
import os
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.artifacts import cache_folder, ensure_jars
from deploy.embedded.java import Java, find_java
from deploy.embedded.ports import LOOPBACK, Ports
from deploy.embedded.probes import speaks_kafka
from deploy.embedded.supervisor import Child, Supervisor


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """What may differ between machines; sizes in bytes where not said otherwise.

    `message_max_bytes`: Kafka refuses a larger batch *or record*. A commit is at most some
    hundred kilobytes of JSON; 4 MiB leaves room for the largest import chunk and still bounds
    what a reader must hold per partition.
    """

    heap_start_mb: int = 256
    heap_limit_mb: int = 512
    message_max_bytes: int = 4 * 1024 * 1024
    aot_cache: bool = True


_ONE_NODE = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "CLIENTS",
    "controller.listener.names": "CONTROLLER",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Nobody else will join within the usual three seconds.
    "group.initial.rebalance.delay.ms": "0",
    # A killed broker is let in again only when its old session has run out. Here the session
    # protects nothing, since there is no other broker; the default is nine seconds.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
}
_LIMITS = {
    # Topics are declared with their settings; one made by a misspelt name would hide it.
    "auto.create.topics.enable": "false",
    # The events are the truth that every read model is rebuilt from.
    "log.retention.ms": "-1",
    "log.retention.bytes": "-1",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.num.partitions": "4",
    # The default of 128 MB would be half of this heap.
    "log.cleaner.dedupe.buffer.size": "16777216",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "4",
}
_STALE_SECONDS = {"*.draft*": 3600, "*.aot": 30 * 86_400}


async def start(supervisor: Supervisor, home: Path, ports: Ports, settings: KafkaSettings) -> int:
    """Fetch and format what is missing, start the broker, and return its port once it serves."""
    jars = await asyncio.to_thread(ensure_jars)
    java = await asyncio.to_thread(find_java)
    class_path = os.pathsep.join(str(jar) for jar in jars)
    folder = home / "kafka"
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    port = ports.claim("kafka", movable=True)
    controller = ports.claim("kafka-controller", movable=True)
    properties = _Properties(port, controller, settings)
    if not (folder / "data").exists():
        await _format(supervisor, java, class_path, folder, properties)
    properties.write(folder / "server.properties", data="data")
    flags = _jvm_flags(java, settings)
    cache = _AotCache.choose(java, class_path, flags) if settings.aot_cache else None
    command = [str(java.path), *flags, *(cache.flags if cache else ())]
    command += ["-cp", class_path, "kafka.Kafka", "server.properties"]
    child = Child(
        name="kafka",
        layer=0,
        command=command,
        environment=_environment(),
        folder=folder,
        ready=speaks_kafka(port),
        # The first stop also writes the AOT cache, some seconds of work.
        stop_seconds=60 if cache and cache.records else 15,
        stopped=cache.keep if cache else None,
    )
    await supervisor.start(child)
    return port


@dataclass(frozen=True, slots=True)
class _Properties:
    """The broker's settings; `data` alone differs between formatting and running."""

    port: int
    controller: int
    settings: KafkaSettings

    def write(self, path: Path, data: str) -> None:
        values = {**self._addresses(), "log.dirs": data, **_LIMITS, **_ONE_NODE}
        for name in ("message.max.bytes", "replica.fetch.max.bytes"):
            values[name] = str(self.settings.message_max_bytes)
        path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))

    def _addresses(self) -> dict[str, str]:
        listeners = f"CLIENTS://{LOOPBACK}:{self.port},CONTROLLER://{LOOPBACK}:{self.controller}"
        return {
            "listeners": listeners,
            "advertised.listeners": listeners,
            "controller.quorum.bootstrap.servers": f"{LOOPBACK}:{self.controller}",
        }


def _jvm_flags(java: Java, settings: KafkaSettings) -> list[str]:
    """C1 and the serial collector: a second less to start, and half the memory."""
    flags = [
        f"-Xms{settings.heap_start_mb}m",
        f"-Xmx{settings.heap_limit_mb}m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        # A cache that no longer fits is not used; that is all there is to know of it.
        "-Xlog:disable",
        "-Xlog:all=error",
        "-Djava.awt.headless=true",
        "-Djava.io.tmpdir=tmp",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
    ]
    if java.has_aot_cache:
        flags += ["--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"]
    return flags


def _environment() -> dict[str, str]:
    """Without what would change the JVM behind our back; with file names in UTF-8."""
    strangers = {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"}
    kept = {key: value for key, value in os.environ.items() if key not in strangers}
    return {**kept, "LC_ALL": "C.UTF-8"}


async def _format(
    supervisor: Supervisor, java: Java, class_path: str, folder: Path, properties: _Properties
) -> None:
    shutil.rmtree(folder / "data.new", ignore_errors=True)
    properties.write(folder / "format.properties", data="data.new")
    flags = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
    tool = ("kafka.tools.StorageTool", "format", "--standalone")
    options = ("--config", "format.properties", "--cluster-id", _cluster_id())
    child = Child(
        name="kafka-format",
        command=(str(java.path), *flags, "-cp", class_path, *tool, *options),
        environment=_environment(),
        folder=folder,
    )
    await supervisor.run_to_end(child)
    (folder / "data.new").replace(folder / "data")


def _cluster_id() -> str:
    # A leading dash would read as an option on the command line.
    while (text := base64.urlsafe_b64encode(secrets.token_bytes(16)).decode()[:22]).startswith("-"):
        pass
    return text


@dataclass(frozen=True, slots=True)
class _AotCache:
    """A file of loaded and linked classes, made by the JVM as it ends, shared by all homes.

    It belongs to one Java, one class path and one set of flags: the name is a hash of these. A
    JVM that finds it unfit warns and starts without it. It is written to a draft and renamed
    after a wanted stop, so a killed run leaves none.
    """

    path: Path
    draft: Path
    records: bool

    @classmethod
    def choose(cls, java: Java, class_path: str, flags: list[str]) -> "_AotCache | None":
        if not java.has_aot_cache:
            return None
        folder = cache_folder() / "aot"
        folder.mkdir(parents=True, exist_ok=True)
        _remove_stale(folder)
        key = "\n".join([str(java.path), java.version, class_path, *flags])
        name = f"kafka-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        path = folder / f"{name}.aot"
        draft = folder / f"{name}.{secrets.token_hex(8)}.draft"
        return cls(path, draft, records=not path.exists())

    @property
    def flags(self) -> tuple[str, ...]:
        if self.records:
            return (f"-XX:AOTCacheOutput={self.draft}",)
        return (f"-XX:AOTCache={self.path}",)

    def keep(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.draft.replace(self.path)


def _remove_stale(folder: Path) -> None:
    """Drop what killed runs and older versions left; a cache is made again in seconds."""
    now = time.time()  # noqa: TID251 - compared with file times
    for pattern, seconds in _STALE_SECONDS.items():
        for path in folder.glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < now - seconds:
                    path.unlink()
