"""A MongoDB-compatible server with transactions and change streams, whichever is at hand.

`mongod` on PATH, else `secantusd-rs` on PATH, else the SecantusDB wheel. A home stays with the
server that it was begun with: the three do not read each other's resume tokens, and mongod not
even their files, so that a change behind the user's back would show an empty database beside a
full Kafka.

An acknowledged write must survive kill -9 of the server: mongod journals it, SecantusDB needs
`--sync-on-commit`. The change log is kept for 2,000,000 entries and 7 days, because a relay
that was overtaken by SecantusDB's pruning is not told.
"""

import asyncio
import importlib.metadata
import importlib.util
import os
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from deploy.embedded.errors import MongoMissingError
from deploy.embedded.ports import LOOPBACK, Ports
from deploy.embedded.probes import Probe, probe
from deploy.embedded.supervisor import Child, Supervisor

Kind = Literal["mongod", "rust", "wheel"]
KINDS: Final[tuple[Kind, ...]] = ("mongod", "rust", "wheel")
FAMILY: Final[dict[Kind, str]] = {"mongod": "mongod", "rust": "secantus", "wheel": "secantus"}
SETTING: Final = "REGULARS_MONGO_SERVER"
REPLICA_SET: Final = "regulars"
CHANGE_LOG_ENTRIES: Final = 2_000_000
CHANGE_LOG_HOURS: Final = 7 * 24
TRANSACTION_SECONDS: Final = 10
"""As long as what a killed process had begun to write stays locked; no append takes so long."""
OP_MSG: Final = 2013
MEMORY_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")
"""What a container may have of the machine's memory, or `max`."""


def memory_bytes(limit: Path = MEMORY_LIMIT) -> int:
    """The memory that there is for this process and all others."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(limit.read_text()))
    except (OSError, ValueError):
        return machine


def cache_for(memory: int) -> int:
    """Megabytes of cache: an eighth of the memory (bytes), 512 at least, 4,096 at most.

    It is a limit, and filled only by what is there. Behind it every page that is written to is
    compressed and written out, and read in again by the next key that falls on it: inserts then
    cost the server a multiple. mongod's own limit is half of the memory.
    """
    return max(512, min(4_096, memory // 8 // (1024 * 1024)))


@dataclass(frozen=True, slots=True)
class MongoSettings:
    """`server` forces one of the three; None takes the first that is there."""

    server: Kind | None = None
    cache_mb: int = field(default_factory=lambda: cache_for(memory_bytes()))


@dataclass(frozen=True, slots=True)
class MongoServer:
    """A server that can be started here: its kind, the command that begins with it, a name."""

    kind: Kind
    command: tuple[str, ...]
    name: str


async def start(
    supervisor: Supervisor, home: Path, ports: Ports, settings: MongoSettings
) -> tuple[int, MongoServer]:
    """Start the server of this home; return its port, and which it is, once it takes writes."""
    folder = home / "mongo"
    folder.mkdir(parents=True, exist_ok=True)
    server = choose(folder, settings.server)
    data = folder / FAMILY[server.kind]
    data.mkdir(exist_ok=True)
    # mongod keeps its own address in its replica set's configuration.
    port = ports.claim("mongo", movable=server.kind != "mongod")
    if server.kind == "mongod":
        flags = _mongod_flags(data, port, settings)
    else:
        flags = _secantus_flags(data, port, settings)
    child = Child(
        name="mongo",
        layer=0,
        command=(*server.command, *flags),
        environment=_environment(),
        folder=folder,
        ready=accepts_writes(port, initiate=server.kind == "mongod"),
        stop_seconds=20,
    )
    await supervisor.start(child)
    return port, server


def url(port: int) -> str:
    """The address for clients: one node of a replica set, not to be looked for elsewhere."""
    return f"mongodb://{LOOPBACK}:{port}/?directConnection=true"


def choose(folder: Path, forced: Kind | None = None) -> MongoServer:
    """Pick the server for the data in `folder`, and note the choice there."""
    note = folder / "server"
    begun = _read_note(note)
    if forced and begun and FAMILY[forced] != FAMILY[begun]:
        message = (
            f"This home was begun with {begun}, whose files {forced} cannot read. Unset "
            f"{SETTING}, or name another folder with REGULARS_HOME."
        )
        raise MongoMissingError(message)
    wanted = forced or begun
    if wanted:
        server = find(wanted)
        if server is None:
            raise MongoMissingError(_explain_missing(wanted, remembered=forced is None))
    else:
        server = next((found for kind in KINDS if (found := find(kind))), None)
        if server is None:
            raise MongoMissingError(_explain_none())
    note.write_text(f"{server.kind}\n")
    return server


def find(kind: Kind) -> MongoServer | None:
    """Look for one kind of server; None when it is not installed."""
    if kind == "wheel":
        if importlib.util.find_spec("secantus") is None:
            return None
        name = f"secantusd-py {importlib.metadata.version('SecantusDB')}"
        return MongoServer(kind, (sys.executable, "-P", "-m", "secantus"), name)
    program = "mongod" if kind == "mongod" else "secantusd-rs"
    path = shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))
    if path is None:
        return None
    return MongoServer(kind, (path,), f"{program} {_version(path)}".strip())


def accepts_writes(port: int, *, initiate: bool = False) -> Probe:
    """A probe that is True once the server is a writable primary.

    With `initiate` a server without replica set configuration gets one, of itself alone.
    """
    member = {"_id": 0, "host": f"{LOOPBACK}:{port}"}
    configuration = {"_id": REPLICA_SET, "members": [member]}

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Ask who it is; if nobody yet, make it a replica set, and ask again next time."""
        hello = await _command(reader, writer, {"hello": 1})
        if initiate and hello.get("ok") and not hello.get("setName"):
            await _command(reader, writer, {"replSetInitiate": configuration})
        return bool(hello.get("isWritablePrimary"))

    return probe(port, talk)


async def _command(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, command: dict[str, Any]
) -> dict[str, Any]:
    """One OP_MSG and its answer. Two questions at start need no driver with pools and threads."""
    # Here, not above: it is loaded while the servers start.
    import bson

    body = bytes(5) + bson.encode({**command, "$db": "admin"})
    writer.write(struct.pack("<iiii", 16 + len(body), 1, 0, OP_MSG) + body)
    (length,) = struct.unpack("<i", (await reader.readexactly(16))[:4])
    return bson.decode((await reader.readexactly(length - 16))[5:])


def _mongod_flags(data: Path, port: int, settings: MongoSettings) -> list[str]:
    return [
        *("--dbpath", str(data)),
        *("--port", str(port), "--bind_ip", LOOPBACK, "--nounixsocket"),
        *("--replSet", REPLICA_SET),
        # Megabytes, about a kilobyte for an entry; the hours hold even beyond them.
        *("--oplogSize", "2048", "--oplogMinRetentionHours", str(CHANGE_LOG_HOURS)),
        *("--setParameter", f"transactionLifetimeLimitSeconds={TRANSACTION_SECONDS}"),
        *("--wiredTigerCacheSizeGB", f"{settings.cache_mb / 1024:.2f}"),
        "--quiet",
    ]


def _secantus_flags(data: Path, port: int, settings: MongoSettings) -> list[str]:
    # An explicit file, even an empty one, keeps the server from looking for others that might
    # change what is promised here.
    config = data.parent / "secantusd.toml"
    config.touch()
    return [
        *("--config", str(config)),
        *("--storage-path", str(data)),
        *("--host", LOOPBACK, "--port", str(port)),
        *("--cache-size", f"{settings.cache_mb}M"),
        "--sync-on-commit",
        *("--oplog-max-entries", str(CHANGE_LOG_ENTRIES)),
        *("--oplog-retention-seconds", str(CHANGE_LOG_HOURS * 3600)),
        # As mongod does: the token of a quiet stream stays young.
        *("--noop-heartbeat-seconds", "10"),
        *("--log-level", "WARNING"),
    ]


def _environment() -> dict[str, str]:
    """Without SECANTUS_*: some of these switch durability or the change log off."""
    return {key: value for key, value in os.environ.items() if not key.startswith("SECANTUS_")}


def _read_note(note: Path) -> Kind | None:
    if not note.exists():
        return None
    text = note.read_text().strip()
    return next((kind for kind in KINDS if kind == text), None)


def _version(path: str) -> str:
    try:
        answer = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    first = answer.stdout.splitlines()[:1]
    return first[0].split()[-1] if first else ""


def _explain_missing(kind: Kind, *, remembered: bool) -> str:
    why = "This home was begun with it" if remembered else f"{SETTING} asks for it"
    if kind == "wheel":
        return f"The SecantusDB wheel is not installed. {why}. {_wheel_hint()}"
    program = "mongod" if kind == "mongod" else "secantusd-rs"
    other = (
        f" {SETTING}=wheel goes on with the same files." if kind == "rust" and remembered else ""
    )
    return f"{program} is not on PATH. {why}: put it there.{other}"


def _explain_none() -> str:
    return (
        "No MongoDB-compatible server is here: neither `mongod` nor `secantusd-rs` is on PATH, "
        f"and the SecantusDB wheel is not installed. {_wheel_hint()}"
    )


def _wheel_hint() -> str:
    return (
        "It exists as pre-releases only, of which old ones vanish from the index at times. Then: "
        "install MongoDB, build the Rust server with `make fast-mongo`, or set "
        "REGULARS_MONGO_URL to a replica set that runs already."
    )
