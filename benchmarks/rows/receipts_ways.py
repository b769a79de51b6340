"""Receipts from the inbox topic and from a file, until they are in Kafka.

Here the parts of the service that take receipts in run in this process, whose CPU time counts: the
subscription of the inbox or the job of an import, the writer, and the relay. What they read was
written before. Measured from when a quarter of the receipts has arrived, since connections, caches
and the first assignment are no receipts.
"""

import asyncio
import csv
import io
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import msgspec
from aiokafka import AIOKafkaProducer
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from faststream.kafka import KafkaBroker

from benchmarks.bare import bare_database
from benchmarks.figures import Figure
from benchmarks.kafka_log import PARTITIONS
from benchmarks.measuring import Cost, Side, Stopwatch, as_a_service
from benchmarks.place import Place
from benchmarks.sample import ReceiptLog
from benchmarks.taking import Arrivals, Ledger, arrivals, bare_writing, figure_of, known_by_cards
from services.interaction.consumers.inbox import subscription
from services.interaction.consumers.reacting import Reactions
from services.interaction.handlers.facts import Recorder
from services.interaction.handlers.importing import FactFiles, FactImport, Source
from services.interaction.handlers.inbox import Inbox
from services.interaction.handlers.inbox_sealing import Sealer
from services.interaction.handlers.intake import Intake
from services.interaction.handlers.lines import no_snapshots
from services.interaction.handlers.returns import Returns
from services.interaction.projections.identifiers import IDENTIFIERS
from services.interaction.queries.customers import Customers
from shared.access import Principal, Role
from shared.clock import SystemClock
from shared.execute import Writer
from shared.files import Files
from shared.identifiers import IdentifierRules
from shared.importing import Imports
from shared.jobs import Checkpoint, Jobs
from shared.jobs.job import taken
from shared.kafka import (
    DEAD_LETTERS,
    INBOX,
    KafkaDeadLetters,
    KafkaPublisher,
    KafkaUrl,
    ensure_topics,
    partition_of,
)
from shared.keyring import Keyring
from shared.mongo import (
    Database,
    MongoCommitLog,
    MongoDocuments,
    MongoEventStore,
    MongoFeed,
    MongoFiles,
    MongoJobs,
    MongoKeyStore,
    MongoLeases,
    MongoWaitingPlace,
    connect,
)
from shared.relay import Relay
from shared.relay.records import Router

SERVICE = "interaction"
CUSTOMERS = 2_500
INBOX_RECEIPTS = 16_000
FILE_RECEIPTS = 8_000
PART = 1_000
WARM = 4
"""A part of the receipts that does not count."""
SECRET = b"benchmark-secret"
MASTER = AESGCM(bytes(32))
OWNER = Principal("key:bench", frozenset({Role.OWNER}))
DEADLINE = timedelta(seconds=20)
COLUMNS = ("source_id", "branch", "time", "card", "product", "quantity", "amount", "discount")
COLUMNS_MORE = ("coupon",)


@dataclass(frozen=True, slots=True)
class Taking:
    """The parts of the service that take receipts in."""

    place: Place
    url: KafkaUrl
    database: Database
    intake: Intake

    @property
    def writer(self) -> Writer:
        """What records them."""
        return self.intake.recorder.writer

    @property
    def store(self) -> MongoEventStore:
        """Where they are recorded."""
        return MongoEventStore(self.database, DEADLINE)

    async def inbox(self, log: ReceiptLog) -> Callable[[], Awaitable[None]]:
        """Fill the inbox; gives what reads it."""
        producer = AIOKafkaProducer(bootstrap_servers=self.place.kafka_url)
        await producer.start()
        topic = self.url.topic(INBOX)
        sent = [
            await producer.send(topic, b'{"kind":"receipt",' + item[1:], key=b"%d" % (number % 400))
            for number, item in enumerate(log.items(INBOX_RECEIPTS))
        ]
        await asyncio.gather(*sent)
        await producer.stop()
        waiting = MongoWaitingPlace(self.database, "inbox_waiting")
        await waiting.create_indexes()
        inbox = Inbox(
            self.intake,
            self.writer.store.known,
            self.intake.recorder.owners,
            waiting,
            KafkaDeadLetters(self.url, INBOX, DEAD_LETTERS),
            Sealer(MASTER),
        )
        broker = KafkaBroker(self.url.bootstrap, logger=None)
        return Reactions(broker, self.url, [subscription(inbox)]).run

    async def file(self, log: ReceiptLog) -> Callable[[], Awaitable[None]]:
        """Upload a file; gives what imports it."""
        kept, store = MongoFiles(self.database), MongoJobs(self.database)
        for each in (kept, store):
            await each.create_indexes()
        clock = SystemClock()
        files, jobs = Files(kept, MASTER, SECRET, clock), Jobs(store, clock)
        drafts = MongoDocuments(self.database, "file_imports")
        imports = Imports(drafts, files, jobs, clock, FactFiles())
        content = pieces(log, FILE_RECEIPTS)
        await imports.upload("bench", OWNER, content, "r.csv", "text/csv", "receipts")
        columns = {name: name for name in (*COLUMNS, *COLUMNS_MORE)}
        await imports.read_as("bench", OWNER, columns, money="minor")
        job = taken(await imports.start("bench", OWNER), 1, clock.system_now())
        if job is None or not await store.write(job):
            raise AssertionError
        source = Source(drafts, files, self.intake.recorder, self.intake.rules, clock)
        running = job

        async def work() -> None:
            await FactImport(source).run(running, Checkpoint(store, running))

        return work

    def relay(self) -> Relay:
        """What publishes them."""
        return Relay(
            router=Router(SERVICE, self.url.prefix, PARTITIONS, partition_of(PARTITIONS)),
            owner="benchmark",
            feed=MongoFeed(self.database),
            commits=MongoCommitLog(self.database),
            publisher=KafkaPublisher(self.url, SERVICE, PARTITIONS),
            leases=MongoLeases(self.database),
            clock=SystemClock(),
            append_deadline=DEADLINE,
        )


async def pieces(log: ReceiptLog, count: int) -> AsyncIterator[bytes]:
    """Receipts as the lines of a file."""
    yield ",".join((*COLUMNS, *COLUMNS_MORE)).encode() + b"\n"
    for _ in range(count // PART):
        text = io.StringIO()
        rows = csv.writer(text)
        for item in log.items(PART):
            receipt = msgspec.json.decode(item)
            head = [receipt["source_id"], receipt["branch"], receipt["time"]]
            for line in receipt["lines"]:
                cells = [line["product"], line["quantity"], line["amount"]]
                more = [line.get("discount", ""), line.get("coupon", "")]
                rows.writerow([*head, receipt["identifier"]["value"], *cells, *more])
        yield text.getvalue().encode()


@asynccontextmanager
async def taking(place: Place, way: str) -> AsyncIterator[Taking]:
    """The parts, on a database and topics of their own."""
    url = KafkaUrl(place.kafka_url, f"{place.prefix}{way}-")
    await ensure_topics(url, PARTITIONS)
    client = connect(place.mongo_url)
    try:
        database = Database(client, f"{place.prefix}{way}")
        store = MongoEventStore(database, DEADLINE)
        await store.create_indexes()
        await known_by_cards(database, SECRET, CUSTOMERS)
        clock, rules = SystemClock(), IdentifierRules(SECRET)
        keyring = Keyring(MongoKeyStore(Database(client, f"{place.prefix}{way}-keys")), MASTER)
        writer = Writer(store, keyring, clock, SERVICE, DEADLINE)
        owners = Customers(MongoDocuments(database, IDENTIFIERS.name).collection).owners
        recorder = Recorder(writer, owners, no_snapshots)
        yield Taking(place, url, database, Intake(recorder, Returns(writer), rules, clock))
    finally:
        client.close()


async def run(
    arrived: Arrivals, tasks: Sequence[Callable[[], Awaitable[None]]], count: int
) -> Cost:
    """Let them run until all receipts are in Kafka; the first part of them does not count."""
    running = [asyncio.ensure_future(task()) for task in tasks]
    try:
        await arrived.until(count // WARM)
        watch, begun = Stopwatch(), await arrived.count()
        await arrived.until(count)
        return watch.cost(count - begun)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def measured(place: Place, way: str, count: int, part: int) -> Figure:
    """The row of one way in."""
    async with (
        taking(place, way) as parts,
        arrivals(parts.url) as arrived,
        bare_writing(place, way) as bare,
    ):
        log = ReceiptLog(CUSTOMERS, 1)
        work = await (parts.inbox(log) if way == "inbox" else parts.file(log))
        begun = time.time()  # noqa: TID251 - commits are told apart by the system's time
        as_a_service()
        # That an import has begun is one record more.
        records = count + (way == "file")
        ours = await run(arrived, [parts.relay().run, work], records)
        ledger = bare_database(place.mongo_url, parts.database.name)
        written = await Ledger(ledger).since(begun)
        ledger.client.close()
        if written.receipts != count:
            raise RuntimeError(f"{written.receipts} of {count} receipts were recorded")
        costs = await bare.write(list(written.parts(part)))
    return figure_of(Side([ours]), [costs], f"read from the {way} and in Kafka", place)


async def measure(place: Place) -> dict[str, Figure]:
    """Measure the rows."""
    return {
        # A batch of the inbox has at most 500 records.
        "receipts_inbox": await measured(place, "inbox", INBOX_RECEIPTS, 500),
        "receipts_file": await measured(place, "file", FILE_RECEIPTS, PART),
    }
