"""Places with topics and stores of their own, diaries written there, and waiting for the end."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.events import TOPICS
from shared.kafka import KafkaPublisher, partition_of
from shared.mongo import Database, MongoEventStore, MongoParking
from shared.mongo.leases import LEASES
from shared.progress import progress_topic
from shared.relay.records import Router
from shared.testing import diary, note, receive
from shared.testing.kafka_log import committed_offsets
from tests.faults.invariants import Log, check_commits, check_topics, commits_in, topic_log
from tests.faults.workers import PARTITIONS, SERVICE, Place, writer_of

POLL_SECONDS = 0.5
PATIENCE_SECONDS = 60.0


@dataclass(slots=True)
class Scene:
    """One place, and who writes there."""

    place: Place
    client: Any
    written: int = 0

    def database(self, name: str = SERVICE) -> Database:
        """One of its databases."""
        return Database(self.client, self.place.databases + name)

    async def open(self) -> None:
        """Make the service's topics, and indexes."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.place.kafka_url)
        await admin.start()
        try:
            kafka = self.place.kafka
            topics = [NewTopic(kafka.topic(name), PARTITIONS, 1) for name in TOPICS[SERVICE]]
            topics.append(NewTopic(kafka.topic(progress_topic(SERVICE)), 1, 1))
            await admin.create_topics(topics)
        finally:
            await admin.close()
        await MongoEventStore(self.database()).create_indexes()

    async def write(self, *lines: tuple[str, str], copies: int = 1) -> None:
        """Write lines (owner, text); each owner at most once in a call."""
        first = self.written
        self.written += len(lines)
        commands = [
            note(f"n|{first + number}", owner, text, copies)
            for number, (owner, text) in enumerate(lines)
        ]
        await writer_of(self.place, self.client).many(diary, commands)

    async def begin(self, owners: Sequence[str]) -> None:
        """Begin a diary for each, with a name, which is sealed."""
        commands = [receive(f"r|{owner}", owner, f"{owner} Smith") for owner in owners]
        await writer_of(self.place, self.client).many(diary, commands)

    async def publish(self) -> Log:
        """Put all that was written into the topics, without a relay."""
        commits = await commits_in(self.database())
        router = Router(SERVICE, self.place.topics, PARTITIONS, partition_of(PARTITIONS))
        publisher = KafkaPublisher(self.place.kafka, SERVICE, PARTITIONS)
        try:
            await publisher.publish(list(router.records(commits)))
        finally:
            await publisher.close()
        return await self.log()

    async def log(self) -> Log:
        """What the topics hold."""
        return await topic_log(self.place.kafka)

    async def prepare_read_model(self, name: str) -> Database:
        """Make the indexes that a read model's database needs; gives the database."""
        database = self.database(name)
        await MongoEventStore(database).create_indexes()
        await MongoParking(database, name).create_indexes()
        return database

    async def applied(self, group: str, log: Log) -> bool:
        """Whether a group has committed all of a log."""
        committed = await committed_offsets(self.place.kafka_url, self.place.kafka.topic(group))
        return all(
            committed.get(place, 0) == len(records) for place, records in log.items() if records
        )

    async def forget_token(self) -> None:
        """Have the next relay begin as if there had been none: with an audit."""
        leases = self.database().collection(LEASES).motor
        await leases.update_one({}, {"$unset": {"state": ""}})

    async def check_relayed(self) -> None:
        """Invariants 1, 2 and 3; fails while the relay is on its way."""
        await self._check(whole=True)

    async def check_prefix(self) -> None:
        """The same but for what is not in Kafka yet."""
        await self._check(whole=False)

    async def _check(self, *, whole: bool) -> None:
        # First the topics: what is in them was committed before.
        log = await self.log()
        commits = await commits_in(self.database())
        check_commits(commits)
        check_topics(commits, log, whole=whole)


@dataclass(slots=True)
class Scenes:
    """Makes places on the same servers."""

    kafka_url: str
    mongo_url: str
    client: Any
    prefix: str
    number: int = field(default=0)

    async def new(self) -> Scene:
        """Another place."""
        self.number += 1
        prefix = f"{self.prefix}{self.number}-"
        scene = Scene(Place(self.kafka_url, self.mongo_url, prefix, prefix), self.client)
        await scene.open()
        return scene


async def eventually(
    check: Callable[[], Awaitable[bool | None]], seconds: float = PATIENCE_SECONDS
) -> None:
    """Return once the check neither fails nor says False; in the end raise what it raised."""
    give_up = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            if await check() is not False:
                return
        except AssertionError:
            if asyncio.get_running_loop().time() > give_up:
                raise
        if asyncio.get_running_loop().time() > give_up:
            raise TimeoutError(f"not so within {seconds} s")
        await asyncio.sleep(POLL_SECONDS)


async def all_of(works: dict[str, Awaitable[None]]) -> None:
    """Do them at once; fails with the names of those that fail, and the first one's reason."""
    results = await asyncio.gather(*works.values(), return_exceptions=True)
    failures = {
        name: result
        for name, result in zip(works, results, strict=True)
        if isinstance(result, BaseException)
    }
    if failures:
        raise AssertionError(f"failed: {sorted(failures)}") from next(iter(failures.values()))
