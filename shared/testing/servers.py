"""Kafka and MongoDB for tests: named by the environment, else in containers, else embedded.

They are started once, when the first test asks for them, and are gone when the session is over,
however it ends: the embedded stack stops when the pipe to it closes, which the kernel does for a
killed session too, and containers are reaped by testcontainers.
"""

import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.ids import new_id
from shared.mongo import Database, connect

KAFKA_SETTING = "REGULARS_TEST_KAFKA_URL"
MONGO_SETTING = "REGULARS_TEST_MONGO_URL"
KAFKA_IMAGE = "confluentinc/cp-kafka:7.9.0"
MONGO_IMAGE = "mongo:8.0"
START_SECONDS = 180.0
"""A first start downloads Kafka."""
STOP_SECONDS = 60.0
MONGO_PORT = 27017
DOCKER_SECONDS = 3.0
SESSION = f"t{new_id()[-6:]}"
"""Begins every prefix of this session, so that what it left behind can be told apart."""
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Servers:
    """Addresses of servers that are up; `embedded` holds them, when they are our own."""

    kafka_url: str
    mongo_url: str
    embedded: "EmbeddedProcess | None" = None


_numbers = itertools.count(1)


def unique_prefix() -> str:
    """A prefix that no other test has, fit for names of databases, topics and groups."""
    return f"{SESSION}-{next(_numbers)}-"


@dataclass(slots=True)
class MongoSpace:
    """Databases of one test: all begin with its prefix. The client belongs to the test's loop."""

    url: str
    prefix: str = field(default_factory=unique_prefix)
    _client: Any = None

    def database(self, name: str) -> Database:
        """The database of this name; the same each time."""
        if self._client is None:
            self._client = connect(self.url)
        return Database(self._client, self.prefix + name)

    def close(self) -> None:
        """Close the client."""
        if self._client is not None:
            self._client.close()
            self._client = None


@contextmanager
def servers_for_tests(environment: Mapping[str, str] = os.environ) -> Iterator[Servers]:
    """Servers, up within the context: see the module."""
    kafka_url, mongo_url = environment.get(KAFKA_SETTING), environment.get(MONGO_SETTING)
    with ExitStack() as exits:
        stack = None
        if not (kafka_url and mongo_url):
            if docker_answers():
                kafka_url = kafka_url or exits.enter_context(kafka_container())
                mongo_url = mongo_url or exits.enter_context(mongo_container())
            else:
                stack = exits.enter_context(embedded_stack())
                kafka_url = kafka_url or stack.addresses["kafka_url"]
                mongo_url = mongo_url or stack.addresses["mongo_url"]
        yield Servers(kafka_url, mongo_url, stack)


async def drop_databases(url: str) -> None:
    """Drop what this session made, on a server that outlives it."""
    client = connect(url)
    try:
        for name in await client.list_database_names():
            if name.startswith(SESSION):
                await client.drop_database(name)
    finally:
        client.close()


def docker_answers() -> bool:
    """Whether a Docker engine answers within some seconds: a client alone is not enough."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    command = [docker, "version", "--format", "{{.Server.Version}}"]
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed command
            command, capture_output=True, check=False, timeout=DOCKER_SECONDS
        )
    except subprocess.TimeoutExpired:
        return False
    return answer.returncode == 0


@contextmanager
def kafka_container() -> Iterator[str]:
    """Kafka in a container; gives its address."""
    from testcontainers.community.kafka import KafkaContainer  # noqa: PLC0415 - only with Docker

    with KafkaContainer(KAFKA_IMAGE).with_kraft() as container:
        address: str = container.get_bootstrap_server()
        yield address


@contextmanager
def mongo_container() -> Iterator[str]:
    """MongoDB in a container, as a replica set of one; gives its address."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - only with Docker

    container = DockerContainer(MONGO_IMAGE).with_exposed_ports(MONGO_PORT)
    # As the product's own: what a killed worker had begun to write is soon free again.
    short = ["--setParameter", "transactionLifetimeLimitSeconds=10"]
    with container.with_command(["--replSet", "regulars", "--bind_ip_all", *short]):
        _await_primary(lambda script: container.exec(["mongosh", "--quiet", "--eval", script]))
        host, port = container.get_container_host_ip(), container.get_exposed_port(MONGO_PORT)
        yield f"mongodb://{host}:{port}/?directConnection=true"


def _await_primary(run: Callable[[str], Any]) -> None:
    """Make the server the only member of its set, and wait until it takes writes."""
    deadline = time.monotonic() + START_SECONDS
    member = f"{{_id: 0, host: 'localhost:{MONGO_PORT}'}}"
    while run("quit(db.hello().isWritablePrimary ? 0 : 1)").exit_code != 0:
        if time.monotonic() > deadline:
            raise TimeoutError(f"MongoDB took no writes within {START_SECONDS} s")
        run(f"try {{ rs.initiate({{_id: 'regulars', members: [{member}]}}) }} catch {{ }}")
        time.sleep(0.5)


@dataclass(frozen=True, slots=True)
class EmbeddedProcess:
    """The process that holds the embedded servers, its home, and the addresses it announced."""

    process: "subprocess.Popen[str]"
    home: Path
    addresses: Mapping[str, str]


@contextmanager
def embedded_stack() -> Iterator[EmbeddedProcess]:
    """Kafka and MongoDB as children of a process of their own, in a home that is then removed.

    A session of its own keeps Ctrl-C away from it, so that tests end before their servers do.
    """
    with tempfile.TemporaryDirectory(prefix="regulars-tests-") as folder:
        home = Path(folder) / "home"
        command = [sys.executable, "-m", "deploy.embedded", "--until-stdin-closes", "--home"]
        process = subprocess.Popen(  # noqa: S603 - our own module
            [*command, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )
        try:
            yield EmbeddedProcess(process, home, _announced(process))
        finally:
            _stop(process)


def _announced(process: "subprocess.Popen[str]") -> Mapping[str, str]:
    """The addresses, once everything answers. Raises RuntimeError when it does not come up."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    line = process.stdout.readline() if ready else ""
    if not line:
        raise RuntimeError("the embedded servers did not start; standard error says why")
    addresses: dict[str, str] = json.loads(line)
    return addresses


def _stop(process: "subprocess.Popen[str]") -> None:
    """Close the pipe and wait; a process that hangs is killed, and its children die with it."""
    with process:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
