"""What the children of fault tests do: the kernel's own parts, with traps between their steps.

A trap sends a signal to its own process right before or right after a step, or a moment after the
step has begun. The same parts without a trap are a plain relay or worker.
"""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from signal import SIGKILL, Signals, pthread_kill
from typing import Any, Literal, TypeVar, cast

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.clock import SystemClock
from shared.execute import Writer
from shared.kafka import KafkaPublisher, KafkaUrl, partition_of
from shared.keyring import Keyring
from shared.mongo import (
    Database,
    MongoCommitLog,
    MongoDocuments,
    MongoEventStore,
    MongoFeed,
    MongoKeyStore,
    MongoLeases,
    MongoParking,
    connect,
)
from shared.projector import Folder, Projector, SteppedFolder
from shared.relay import Relay
from shared.relay.records import Router
from shared.testing import diary, note
from shared.testing.diaries import Habit, HabitSource, diaries, habits

PARTITIONS = 3
SERVICE = "customer"
MASTER = AESGCM(bytes(32))
LEASE_SECONDS = 2.0
SESSION_MS = 6_000
"""The shortest that brokers allow: after it a dead worker's partitions go to another."""
DURING_SECONDS = 0.002
WRITTEN_AT_ONCE = 40

When = Literal["before", "during", "after"]
PortT = TypeVar("PortT")


@dataclass(frozen=True, slots=True)
class Plan:
    """Send `signal` at a step, when it is reached for the `count`-th time."""

    step: str
    when: When
    count: int = 1
    signal: Signals = SIGKILL

    def __str__(self) -> str:
        return f"{self.when} {self.step} {self.count}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the children of one scenario work: servers, and prefixes of its own."""

    kafka_url: str
    mongo_url: str
    topics: str
    databases: str
    read_model: str = "diaries_v1"

    @property
    def kafka(self) -> KafkaUrl:
        """The brokers, with the prefix of the topics."""
        return KafkaUrl(self.kafka_url, self.topics)


@dataclass(slots=True)
class Trap:
    """Carries out a plan, if there is one."""

    plan: Plan | None
    count: int = 0
    _soon: "set[asyncio.Task[None]]" = field(default_factory=set)

    def reach(self, step: str, when: When) -> None:
        """Say that a step is about to be done, or was done."""
        plan = self.plan
        if plan is None or plan.step != step:
            return
        if plan.when == when or (plan.when == "during" and when == "before"):
            self.count += 1
            if self.count == plan.count:
                if plan.when == "during":
                    self._soon.add(asyncio.create_task(self._strike_soon(plan)))
                else:
                    _strike(plan)

    async def _strike_soon(self, plan: Plan) -> None:
        await asyncio.sleep(DURING_SECONDS)
        _strike(plan)


def _strike(plan: Plan) -> None:
    # To this very thread, so that nothing more of it runs.
    pthread_kill(threading.get_ident(), plan.signal)


class _Trapped:
    """A port whose named methods pass a trap before and after."""

    def __init__(self, port: object, trap: Trap, steps: Mapping[str, str]) -> None:
        self._port = port
        self._trap = trap
        self._steps = steps

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the port has
        method = getattr(self._port, name)
        step = self._steps.get(name)
        if step is None:
            return method

        async def pass_trap(*args: object, **kwargs: object) -> object:
            self._trap.reach(step, "before")
            result = await method(*args, **kwargs)
            self._trap.reach(step, "after")
            return result

        return pass_trap


def trapped(port: PortT, trap: Trap, **steps: str) -> PortT:
    """The port with traps: method name = step."""
    return cast("PortT", _Trapped(port, trap, steps))


class TrappedProjector(Projector):
    """The loop with traps around its commits; its group notices a dead member soon."""

    trap: Trap

    def _consumer(self) -> AIOKafkaConsumer:
        consumer = super()._consumer()
        # Read when it starts; the product leaves it at aiokafka's ten seconds.
        consumer._session_timeout_ms = SESSION_MS  # noqa: SLF001 - there is no other way in
        return consumer

    async def _commit(
        self, consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]
    ) -> None:
        self.trap.reach("commit", "before")
        await super()._commit(consumer, offsets)
        self.trap.reach("commit", "after")


def keyring_of(place: Place, client: Any) -> Keyring:  # noqa: ANN401 - motor is not named here
    """The keyring of a scenario."""
    return Keyring(MongoKeyStore(Database(client, place.databases + "keyring")), MASTER)


def writer_of(place: Place, client: Any, trap: Trap | None = None) -> Writer:  # noqa: ANN401 - as above
    """A writer into the scenario's store."""
    store = MongoEventStore(Database(client, place.databases + SERVICE))
    return Writer(
        trapped(store, trap or Trap(None), append="append"),
        keyring_of(place, client),
        SystemClock(),
        SERVICE,
    )


def relay_of(place: Place, client: Any, owner: str, trap: Trap, batch_size: int) -> Relay:  # noqa: ANN401 - as above
    """A relay of the scenario."""
    database = Database(client, place.databases + SERVICE)
    publisher = KafkaPublisher(place.kafka, SERVICE, PARTITIONS)
    return Relay(
        router=Router(SERVICE, place.topics, PARTITIONS, partition_of(PARTITIONS)),
        owner=owner,
        feed=trapped(MongoFeed(database, batch_size), trap, next="read"),
        commits=MongoCommitLog(database, batch_size),
        publisher=trapped(publisher, trap, publish="publish", progress="progress"),
        leases=trapped(MongoLeases(database), trap, acquire="acquire", renew="renew", save="save"),
        clock=SystemClock(),
        append_deadline=timedelta(seconds=2),
        lease_seconds=LEASE_SECONDS,
    )


def plain_of(place: Place, client: Any, trap: Trap) -> Folder[Any]:  # noqa: ANN401 - as above
    """A folder of diaries."""
    database = Database(client, place.databases + place.read_model)
    projection = diaries(place.read_model, opens=True)
    documents = MongoDocuments(database, place.read_model)
    return Folder(
        projection,
        trapped(documents, trap, load="load", write="write"),
        trapped(MongoParking(database, place.read_model), trap, park="park"),
        keyring_of(place, client),
    )


def stepped_of(place: Place, client: Any, trap: Trap) -> SteppedFolder[Habit]:  # noqa: ANN401 - as above
    """A folder of habits, whose commits are in its own database."""
    database = Database(client, place.databases + place.read_model)
    documents = trapped(
        MongoDocuments(database, place.read_model), trap, load="load", write_stepped="write"
    )
    source = HabitSource(make=lambda rules: habits(rules, place.read_model))
    return SteppedFolder(
        source.stepped.projection,
        documents,
        trapped(MongoParking(database, place.read_model), trap, park="park"),
        None,
        source=source,
        stepped_documents=documents,
        clock=SystemClock(),
        service="segment",
        append_deadline=timedelta(seconds=2),
    )


def run_relay(place: Place, owner: str, plan: Plan | None, batch_size: int = 20) -> None:
    """Relay until killed."""

    async def relay() -> None:
        await relay_of(place, connect(place.mongo_url), owner, Trap(plan), batch_size).run()

    uvloop.run(relay())


def run_worker(
    place: Place, kind: Literal["plain", "stepped"], plan: Plan | None, max_records: int = 60
) -> None:
    """Keep a read model until killed."""

    async def work() -> None:
        trap = Trap(plan)
        client = connect(place.mongo_url)
        folder: Folder[Any]
        if kind == "plain":
            folder = plain_of(place, client, trap)
        else:
            folder = stepped_of(place, client, trap)
        projector = TrappedProjector(folder, place.kafka, SERVICE, max_records=max_records)
        projector.trap = trap
        await projector.run()

    uvloop.run(work())


def run_writer(place: Place, plan: Plan | None, lines: Mapping[str, tuple[str, str]]) -> None:
    """Write lines (command id → owner, text) in batches, then end."""

    async def write() -> None:
        writer = writer_of(place, connect(place.mongo_url), Trap(plan))
        commands = [note(name, owner, text) for name, (owner, text) in lines.items()]
        for start in range(0, len(commands), WRITTEN_AT_ONCE):
            await writer.many(diary, commands[start : start + WRITTEN_AT_ONCE])

    uvloop.run(write())
