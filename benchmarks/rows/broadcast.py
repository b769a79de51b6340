"""Broadcasts, beside bare inserts and bare sends; and to twenty times as many.

Ours is what a worker does from the start of a run to the last result: members are read range by
range and their messages scheduled, the dispatcher takes them, looks at everything, writes *sending*
down, renders, hands over by SMTP and writes the result down. Bare inserts the very commits that
this writes, in batches of the same size, and sends as many mails over as many connections. The
mail server is a process of its own. What follows from the events (read models, Kafka) is in
neither. How it grows is measured without mail. `REGULARS_BENCH_RECIPIENTS` is the large base.
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from aiosmtplib import SMTP
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace as changed

from benchmarks.bare import BareDatabase, bare_database
from benchmarks.counting import CommandCount, counted_database
from benchmarks.figures import Figure
from benchmarks.measuring import MICROSECONDS, Cost, Side, Stopwatch, as_a_service, in_turn
from benchmarks.place import Place
from benchmarks.sink import apart
from services.notify.channels import Accepted, Channel, Outgoing, Receipt
from services.notify.channels.email import EmailChannel, SmtpServer
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.campaigns.audience import Audiences
from services.notify.handlers.campaigns.requests import Request, define, start
from services.notify.handlers.sending.buckets import Buckets
from services.notify.handlers.sending.dispatcher import Dispatcher
from services.notify.projections import QUEUE, RECIPIENTS, Contact, QueuedMessage, Recipient
from services.notify.projections.recipients import Membership, consent_key
from services.notify.queries import Queue, Recipients
from shared.clock import ManualClock
from shared.events.campaign import Broadcast, CampaignDefined, Template
from shared.eventstore import EventStore
from shared.execute import Writer
from shared.ids import derived_id
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.mongo import Database, MongoDocuments, MongoEventStore, MongoKeyStore, MongoLeases
from shared.mongo.events import COMMITS, commit_document
from shared.mongo.parking import PARKED
from shared.projector.folder import raw_document
from shared.readmodel import RawDocument

LARGE = int(os.environ.get("REGULARS_BENCH_RECIPIENTS", "20000"))
TIMES = 20
SMALL = LARGE // TIMES
ROUNDS = 3
SECONDS = 40.0
GOAL, GOAL_GROWTH = 2.5, 1.2
FILLED_AT_ONCE = 1_000
OFFERED = 400
"""As many as a dispatcher takes at the most."""
CONNECTIONS = 20
HAND_OVER_SECONDS = 600.0
NOON = datetime(2018, 1, 2, 12, tzinfo=UTC)
FROM = "news@example.com"
SEGMENT, TOPIC, SERVICE = "all", "news", "notify"
MAIL = Template(
    subject="News for {{ customer.name }}",
    text="Dear {{ customer.name }},\n\nthis week everything of the season is in your shop.",
)


def _customer(number: int) -> str:
    return derived_id("benchmark", str(number))


def _recipient(number: int) -> Recipient:
    address = f"customer-{number}@example.com"
    return Recipient(
        id=_customer(number),
        registered=True,
        contacts=[Contact("email", f"{number:064x}", address)],
        consents={consent_key(TOPIC, "email", ""): True},
        memberships=[Membership(SEGMENT, NOON, 1)],
        name="Anna",
        language="en",
    )


class Counted:
    """A channel that knows what it was handed; implements `Channel`."""

    def __init__(self, channel: Channel) -> None:
        """Begin with nothing."""
        self.handed, self._channel = set[str](), channel
        self.name, self.serves, self.reaches = channel.name, channel.serves, channel.reaches
        self.deduplicates, self.longest = channel.deduplicates, channel.longest
        self.at_once, self.per_second = channel.at_once, channel.per_second

    async def send(self, message: Outgoing) -> Receipt:
        """Hand it over."""
        self.handed.add(message.id)
        return await self._channel.send(message)

    async def close(self) -> None:
        """Let go of connections."""
        await self._channel.close()


class Nowhere(EmailChannel):
    """Takes every mail, and sends none."""

    async def send(self, message: Outgoing) -> Receipt:
        """Take it."""
        return Accepted(message.id)


@dataclass(slots=True)
class Desk:
    """Notify's worker, without what brings it events: on MongoDB, or on memory."""

    store: EventStore
    keyring: Keyring
    database: Database
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))

    async def broadcast(self, channel: Channel, run: str, size: int) -> None:
        """Reach everybody."""
        counted = Counted(channel)
        writer = Writer(self.store, self.keyring, self.clock, SERVICE)
        definition = CampaignDefined(
            campaign=run,
            title="News",
            trigger=Broadcast(segment=SEGMENT),
            channel="email",
            topic=TOPIC,
            template=MAIL,
            start=NOON,
            holdout_percent=0,
        )
        await define(writer, Request(f"d|{run}", run, NOON), definition, lambda _version: None)
        await start(writer, Request(f"s|{run}", run, NOON), run)
        book = CampaignBook(self.store)
        recipients = Recipients(
            MongoDocuments(self.database, RECIPIENTS.name).collection,
            self.database.collection(PARKED),
        )
        leases = MongoLeases(self.database)
        found: list[QueuedMessage] = []
        audiences = Audiences(
            writer, book, leases, "bench", recipients, lambda _moment: True, found.extend
        )
        entry = (await book.fresh())[run]
        await audiences.gather(entry)
        if len(found) != size:
            message = f"{len(found)} of {size} were found"
            raise AssertionError(message)
        buckets = Buckets(leases, "bench")
        await buckets.tend()
        reach = NOON + timedelta(seconds=1)
        dispatcher = Dispatcher(
            writer=writer,
            book=book,
            buckets=buckets,
            queue=Queue(MongoDocuments(self.database, QUEUE.name).collection),
            recipients=recipients,
            channels={"email": counted},
            reached=lambda _customer: reach,
            refused=frozenset,
            secret=b"benchmark",
            # On a busy machine nothing is to be late: there is no queue that would bring it again.
            hand_over_seconds=HAND_OVER_SECONDS,
        )
        for begin in range(0, size, OFFERED):
            while left := [
                each for each in found[begin : begin + OFFERED] if each.id not in counted.handed
            ]:
                await buckets.tend()
                dispatcher.offer(left)
                await dispatcher.step()
        await buckets.leave()


async def fill(database: Database, size: int) -> None:
    """Write those who can be reached."""
    documents = MongoDocuments(database, RECIPIENTS.name)
    await documents.create_indexes(RECIPIENTS.indexes)
    await MongoDocuments(database, QUEUE.name).create_indexes(QUEUE.indexes)
    for begin in range(0, size, FILLED_AT_ONCE):
        end = min(size, begin + FILLED_AT_ONCE)
        await documents.write([raw_document(_recipient(number)) for number in range(begin, end)])


async def opened(database: Database, size: int) -> Desk:
    """A desk on the database, with so many who can be reached."""
    await fill(database, size)
    store = MongoEventStore(database)
    await store.create_indexes()
    keys = MongoKeyStore(Database(database.client, f"{database.name}-keys"))
    return Desk(store, Keyring(keys, AESGCM(bytes(32))), database)


def nowhere() -> Channel:
    """A channel that sends nothing."""
    return Nowhere(SmtpServer.of("smtp://127.0.0.1"), FROM)


async def written_by(database: Database, run: str, size: int) -> list[RawDocument]:
    """The commits that the broadcast writes, made beforehand."""
    store = MemoryEventStore()
    desk = Desk(store, Keyring(MemoryKeyStore(), AESGCM(bytes(32))), database)
    await desk.broadcast(nowhere(), run, size)
    return [commit_document(changed(commit, expires=None)) for commit in store.commits]


@dataclass(slots=True)
class Bare:
    """Bare clients of both servers."""

    database: BareDatabase
    connections: Sequence[SMTP]

    async def broadcast(self, documents: Sequence[RawDocument], size: int) -> None:
        """Insert the commits, and send as many mails between the last two of each message."""
        scheduled = documents[: -2 * size]
        for begin in range(0, len(scheduled), OFFERED):
            await self.database[COMMITS].insert_many(scheduled[begin : begin + OFFERED])
        turns = documents[-2 * size :]
        for begin in range(0, size, OFFERED):
            here = turns[2 * begin : 2 * min(size, begin + OFFERED)]
            half = len(here) // 2
            await self.database[COMMITS].insert_many(here[:half])
            await self._send(range(begin, begin + half))
            await self.database[COMMITS].insert_many(here[half:])

    async def _send(self, numbers: range) -> None:
        left = iter(numbers)

        async def by(connection: SMTP) -> None:
            for number in left:
                text = f"Subject: News for Anna\r\n\r\n{MAIL.text}\r\n"
                await connection.sendmail(FROM, [f"customer-{number}@example.com"], text)

        await asyncio.gather(*(by(connection) for connection in self.connections))


@dataclass(frozen=True, slots=True)
class Compared:
    """Both sides, and what ours sent to the database for a message."""

    ours: Side
    bare: Side
    commands: float


async def compared(place: Place, url: str, size: int) -> Compared:
    """Measure broadcasts beside bare ones."""
    name = f"{place.prefix}broadcast"
    count = CommandCount()
    database = counted_database(place.mongo_url, name, count)
    bare = bare_database(place.mongo_url, f"{name}-bare")
    host, _, port = url.removeprefix("smtp://").rpartition(":")
    connections = [SMTP(hostname=host, port=int(port)) for _ in range(CONNECTIONS)]
    channel = EmailChannel(SmtpServer.of(url), FROM)
    try:
        desk = await opened(database, size)
        await MongoEventStore(Database(bare.client, f"{name}-bare")).create_indexes()
        documents = [await written_by(database, f"new-{n}", size) for n in range(ROUNDS + 1)]
        for connection in connections:
            await connection.connect()
        there = Bare(bare, connections)
        as_a_service()
        sent = []

        async def ours_round(number: int) -> Cost:
            count.clear()
            watch = Stopwatch()
            await desk.broadcast(channel, f"run-{number}", size)
            sent.append(len(count.names) / size)
            return watch.cost(size)

        async def bare_round(number: int) -> Cost:
            watch = Stopwatch()
            await there.broadcast(documents[number], size)
            return watch.cost(size)

        ours, beside = await in_turn(ROUNDS, ours_round, bare_round, seconds=SECONDS)
        return Compared(ours, beside, sent[-1])
    finally:
        await channel.close()
        for connection in connections:
            connection.close()
        database.client.close()
        bare.client.close()


async def without_mail(place: Place, size: int) -> Cost:
    """One broadcast, to a channel that sends nothing: what is left is what can grow."""
    database = counted_database(place.mongo_url, f"{place.prefix}growth-{size}", CommandCount())
    try:
        desk = await opened(database, size)
        as_a_service()
        watch = Stopwatch()
        await desk.broadcast(nowhere(), "run", size)
        return watch.cost(size)
    finally:
        database.client.close()


async def measure(place: Place) -> dict[str, Figure]:
    """Measure the rows."""
    async with apart() as url:
        found = await compared(place, url, SMALL)
    small, large = await without_mail(place, SMALL), await without_mail(place, LARGE)
    ratio = found.ours.cpu_each / found.bare.cpu_each
    growth = large.cpu / large.count / (small.cpu / small.count)
    return {
        "broadcast": Figure(
            value=found.ours.cpu_each,
            unit="µs of client CPU per message",
            bare=found.bare.cpu_each,
            goal=f"≤ {GOAL:g} × bare",
            met=ratio <= GOAL,
            server=place.mongo_server,
            beside={
                "ratio": ratio,
                "recipients": SMALL,
                "per_second": found.ours.per_wall_second,
                "bare_per_second": found.bare.per_wall_second,
                "round_trips_per_message": found.commands,
                "commits_per_message": 3,
            },
        ),
        "broadcast_growth": Figure(
            value=large.cpu / large.count * MICROSECONDS,
            unit=f"µs of client CPU per message, {LARGE:,} recipients, without mail",
            bare=small.cpu / small.count * MICROSECONDS,
            goal=f"≤ {GOAL_GROWTH:g} × as with {SMALL:,}",
            met=growth <= GOAL_GROWTH,
            server=place.mongo_server,
            beside={"growth": growth, "per_second": large.count / large.wall},
        ),
    }
