"""Commits to Kafka beside the bare drain of the change stream that they come from.

Ours is the kernel's `Relay` as a service has it: lease, feed, publisher, token. The clock runs from
when it opens its feed at the token from before the first commit until the token after the last one
is saved. Bare is a loop of the driver's `aggregate` with `$changeStream` and `getMore`, in batches
of the same size, from the same token until it has seen the same commits.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClientSession

from benchmarks.bare import BareDatabase, bare_database
from benchmarks.figures import Figure
from benchmarks.kafka_log import PARTITIONS
from benchmarks.measuring import Cost, Stopwatch, as_a_service, in_turn
from benchmarks.place import Place
from benchmarks.rows.append import CUSTOMERS, RECEIPTS_OF_A_BATCH, batches_of
from shared.clock import SystemClock
from shared.kafka import KafkaPublisher, KafkaUrl, ensure_topics, partition_of
from shared.mongo import Database, MongoCommitLog, MongoEventStore, MongoFeed, MongoLeases, connect
from shared.mongo.events import COMMITS
from shared.readmodel import Lease, RawDocument
from shared.relay import Relay
from shared.relay.ports import Token
from shared.relay.records import Router

BATCHES_OF_COMMITS = 40
COMMITS_IN_ALL = BATCHES_OF_COMMITS * RECEIPTS_OF_A_BATCH
ROUNDS = 5
PART = 0.5
SERVICE = "interaction"
WAIT_MS = 1_000


async def batch_of_changes(
    database: BareDatabase, command: Mapping[str, Any], session: AsyncIOMotorClientSession
) -> Mapping[str, Any]:
    """One batch of a cursor."""
    reply = await database.command(dict(command), session=session)
    cursor: Mapping[str, Any] = reply["cursor"]
    return cursor


async def drain(database: BareDatabase, token: Mapping[str, Any] | None, count: int) -> RawDocument:
    """Read changes of the commits from the token (or from now) until so many have come.

    Gives the token after them.
    """
    begin = {} if token is None else {"resumeAfter": token}
    size = MongoFeed.__dataclass_fields__["batch_size"].default
    async with await database.client.start_session() as session:
        cursor = await batch_of_changes(
            database,
            {
                "aggregate": COMMITS,
                "pipeline": [{"$changeStream": begin}, {"$match": {"operationType": "insert"}}],
                "cursor": {"batchSize": size},
            },
            session,
        )
        seen = len(cursor["firstBatch"])
        while seen < count:
            more = {"getMore": cursor["id"], "collection": COMMITS, "batchSize": size}
            cursor = await batch_of_changes(database, more | {"maxTimeMS": WAIT_MS}, session)
            seen += len(cursor["nextBatch"])
        found: RawDocument = cursor["postBatchResumeToken"]
        return found


@dataclass(slots=True)
class NotedLeases:
    """Leases of the database that tell when the last token was saved."""

    leases: MongoLeases
    last: Mapping[str, Any]
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def acquire(self, name: str, owner: str, seconds: float) -> Lease | None:
        """Ask the database."""
        return await self.leases.acquire(name, owner, seconds)

    async def renew(self, lease: Lease, seconds: float) -> Lease | None:
        """Ask the database."""
        return await self.leases.renew(lease, seconds)

    async def release(self, lease: Lease) -> None:
        """Ask the database."""
        await self.leases.release(lease)

    async def holders(self, prefix: str) -> Mapping[str, str]:
        """Ask the database."""
        return await self.leases.holders(prefix)

    async def state(self, name: str) -> RawDocument:
        """Ask the database."""
        return await self.leases.state(name)

    async def save(self, lease: Lease, state: RawDocument) -> bool:
        """Save, and tell if it was the token after the last commit."""
        saved = await self.leases.save(lease, state)
        if state["token"] == self.last:
            self.done.set()
        return saved


@dataclass(slots=True)
class NotedFeed(MongoFeed):
    """The feed of the database with a stopwatch that starts when it is opened."""

    watch: Stopwatch = field(default_factory=Stopwatch)

    async def open(self, token: Token | None) -> None:
        """Start the stopwatch, and open."""
        self.watch = Stopwatch()
        await super(NotedFeed, self).open(token)


@dataclass(slots=True)
class Relaying:
    """A service's relay, from the first token to the last."""

    database: Database
    url: KafkaUrl
    first: Mapping[str, Any]
    last: Mapping[str, Any]

    async def prepare(self) -> None:
        """Give the relay the first token to go on from."""
        leases = MongoLeases(self.database)
        lease = await leases.acquire(f"relay-{SERVICE}", "benchmark", 5)
        assert lease is not None  # noqa: S101 - the round before has let it go
        await leases.save(lease, {"token": self.first, "refused": []})
        await leases.release(lease)

    async def run(self) -> Cost:
        """Publish everything."""
        feed = NotedFeed(self.database)
        leases = NotedLeases(MongoLeases(self.database), self.last)
        relay = Relay(
            router=Router(SERVICE, self.url.prefix, PARTITIONS, partition_of(PARTITIONS)),
            owner="benchmark",
            feed=feed,
            commits=MongoCommitLog(self.database),
            publisher=KafkaPublisher(self.url, SERVICE, PARTITIONS),
            leases=leases,
            clock=SystemClock(),
            append_deadline=timedelta(seconds=2),
        )
        relaying = asyncio.create_task(relay.run())
        done = asyncio.create_task(leases.done.wait())
        await asyncio.wait({relaying, done}, return_when=asyncio.FIRST_COMPLETED)
        cost = feed.watch.cost(COMMITS_IN_ALL)
        relaying.cancel()
        await asyncio.gather(relaying, return_exceptions=True)
        if not done.done():
            message = "the relay ended before it was done"
            raise RuntimeError(message)
        return cost


async def measure(place: Place) -> Figure:
    """Measure the row."""
    url = KafkaUrl(place.kafka_url, place.prefix)
    await ensure_topics(url, PARTITIONS)
    client = connect(place.mongo_url)
    name = place.prefix + "relay"
    database, bare = Database(client, name), bare_database(place.mongo_url, name)
    try:
        await MongoEventStore(database).create_indexes()
        first = await drain(bare, None, 0)
        for batch in await batches_of(1, BATCHES_OF_COMMITS):
            await bare[COMMITS].insert_many(batch.documents, ordered=False)
        last = await drain(bare, first, COMMITS_IN_ALL)
        relaying = Relaying(database, url, first, last)
        as_a_service()

        async def ours_round(_number: int) -> Cost:
            await relaying.prepare()
            return await relaying.run()

        async def bare_round(_number: int) -> Cost:
            watch = Stopwatch()
            await drain(bare, first, COMMITS_IN_ALL)
            return watch.cost(COMMITS_IN_ALL)

        ours, plain = await in_turn(ROUNDS, ours_round, bare_round)
    finally:
        client.close()
        bare.client.close()
    ratio = ours.per_wall_second / plain.per_wall_second
    return Figure(
        value=ours.per_wall_second,
        unit="commits per second",
        bare=plain.per_wall_second,
        goal=f"≥ {PART:g} × bare",
        met=ratio >= PART,
        server=f"{place.mongo_server}, {place.kafka_server}",
        beside={
            "ratio": ratio,
            "commits": COMMITS_IN_ALL,
            "streams": CUSTOMERS,
            "cpu_us_per_commit": ours.cpu_each,
            "bare_cpu_us_per_commit": plain.cpu_each,
        },
    )
