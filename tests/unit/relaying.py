"""A store, Kafka and relays between them, in memory and in virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.execute import Writer
from shared.kafka import partition_of
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore, MemoryLeases
from shared.relay import Relay
from shared.relay.records import Router
from shared.testing import diary, note
from shared.testing.memory_kafka import MemoryCommitLog, MemoryFeed, MemoryKafka, MemoryPublisher
from shared.testing.virtual_time import LoopClock, ended

TOPIC = "customer.events.v1"
TOPICS = (TOPIC, "deal.events.v1")
PARTITIONS = 3
SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class World:
    """A store, Kafka, leases, and relays between them."""

    clock: LoopClock = field(default_factory=LoopClock)
    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    kafka: MemoryKafka = field(init=False)
    leases: MemoryLeases = field(init=False)
    numbers: int = 0

    def __post_init__(self) -> None:
        self.kafka = MemoryKafka(self.clock, PARTITIONS)
        self.leases = MemoryLeases(self.clock)

    def relay(self, owner: str = "a", *, largest: int = 1_000_000, batch_size: int = 500) -> Relay:
        return Relay(
            router=Router("customer", "", PARTITIONS, partition_of(PARTITIONS)),
            owner=owner,
            feed=MemoryFeed(self.store, batch_size),
            commits=MemoryCommitLog(self.store, batch_size),
            publisher=MemoryPublisher(self.kafka, TOPICS, largest),
            leases=self.leases,
            clock=self.clock,
            append_deadline=2 * SECOND,
        )

    async def write(self, *lines: tuple[str, str]) -> None:
        """Write lines (owner, text), a commit each."""
        writer = Writer(
            self.store, Keyring(MemoryKeyStore(), AESGCM(bytes(32))), self.clock, "customer"
        )
        for owner, text in lines:
            self.numbers += 1
            await writer.one(diary, note(f"c|{self.numbers}", owner, text))

    async def token(self) -> object:
        return (await self.leases.state("relay-customer")).get("token")

    def streams(self) -> dict[str, list[int]]:
        """Per stream the versions of its records in Kafka, in their order."""
        versions: dict[str, list[int]] = {}
        for event in self.kafka.ids(TOPIC):
            stream, _, version = event.rpartition("@")
            versions.setdefault(stream, []).append(int(version))
        return versions


@asynccontextmanager
async def running(*relays: Relay) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(relay.run()) for relay in relays]
    try:
        yield
    finally:
        await ended(tasks)


def publisher_of(relay: Relay) -> MemoryPublisher:
    assert isinstance(relay.publisher, MemoryPublisher)
    return relay.publisher


def feed_of(relay: Relay) -> MemoryFeed:
    assert isinstance(relay.feed, MemoryFeed)
    return relay.feed
