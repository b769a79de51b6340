"""The kernel of one service's process, built once by its `main`.

Everything that a service needs of the outside is constructed here from its settings, and handed
on by name; nothing is made at import.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from shared.access import Authenticator
from shared.clock import SystemClock
from shared.eventstore import StoreUnavailable
from shared.execute import Writer
from shared.files import Files
from shared.ids import new_id
from shared.jobs import AnyKind, JobRunner, Jobs, kinds_by_name
from shared.kafka import (
    KafkaPublisher,
    KafkaUrl,
    KeptDays,
    ProgressReader,
    ensure_topics,
    partition_of,
)
from shared.keyring import Keyring
from shared.mongo import (
    Database,
    MongoApiKeys,
    MongoCommitLog,
    MongoDocuments,
    MongoEventStore,
    MongoFeed,
    MongoFiles,
    MongoJobs,
    MongoKeyStore,
    MongoLeases,
    MongoParking,
    MongoReveals,
    connect,
)
from shared.mongo.documents import STEPPED_INDEXES
from shared.projection import Document, Projection, SteppedDocument, SteppedSource
from shared.projector import Folder, Projector, SteppedFolder
from shared.projector.errands import Beside, Errands
from shared.relay import Relay
from shared.relay.records import Router
from shared.settings import Settings
from shared.sweeping import Settle, Sweeper

DocumentT = TypeVar("DocumentT", bound=Document)
WAIT_SECONDS = 60

SteppedT = TypeVar("SteppedT", bound=SteppedDocument)


@dataclass(slots=True)
class Kernel:
    """One service's connections and what stands on them."""

    settings: Settings
    service: str
    clock: SystemClock
    kafka: KafkaUrl
    database: Database
    keyring: Keyring
    store: MongoEventStore
    writer: Writer
    progress: ProgressReader
    authenticator: Authenticator
    hmac_secret: bytes
    owner: str

    @classmethod
    async def build(cls, settings: Settings, service: str) -> "Kernel":
        """Construct all of it, once the servers answer: topics and indexes are made sure of.

        Raises `PartitionMismatch`, and what the servers say when they stay away for a minute.
        """
        kernel = cls.unconnected(settings, service)
        await patiently(kernel.store.create_indexes)
        kept = KeptDays(settings.inbox_days, settings.inbox_dead_days)
        await ensure_topics(kernel.kafka, settings.partitions, settings.replicas, kept)
        return kernel

    @classmethod
    def unconnected(cls, settings: Settings, service: str) -> "Kernel":
        """Construct all of it; nothing connects before it is used."""
        client = connect(settings.mongo_url)
        clock = settings.clock()
        secret = settings.hmac_secret()

        def database(name: str) -> Database:
            return Database(client, settings.database_prefix + name)

        store = MongoEventStore(database(service), settings.append_deadline)
        keyring = Keyring(MongoKeyStore(database("keyring")), settings.master_key())
        kafka = KafkaUrl(settings.kafka_url, settings.topic_prefix)
        return cls(
            settings=settings,
            service=service,
            clock=clock,
            kafka=kafka,
            database=database(service),
            keyring=keyring,
            store=store,
            writer=Writer(store, keyring, clock, service, settings.append_deadline),
            progress=ProgressReader(kafka),
            authenticator=Authenticator(MongoApiKeys(database("access")), secret),
            hmac_secret=secret,
            owner=f"{os.getpid()}-{new_id()}",
        )

    async def close(self) -> None:
        """Let go of the database."""
        self.database.client.close()

    def relay(self) -> Relay:
        """The service's relay."""
        partitions = self.settings.partitions
        return Relay(
            router=Router(
                self.service, self.settings.topic_prefix, partitions, partition_of(partitions)
            ),
            owner=self.owner,
            feed=MongoFeed(self.database),
            commits=MongoCommitLog(self.database),
            publisher=KafkaPublisher(self.kafka, self.service, partitions),
            leases=MongoLeases(self.database),
            clock=self.clock,
            append_deadline=self.writer.append_deadline,
        )

    def documents(self, projection: Projection[DocumentT]) -> MongoDocuments:
        """The collection of a read model."""
        return MongoDocuments(self.database, projection.name, self.settings.append_deadline)

    async def projector(self, projection: Projection[DocumentT]) -> Projector:
        """What keeps a read model current."""
        await self.prepare(projection)
        folder = Folder(
            projection,
            self.documents(projection),
            MongoParking(self.database, projection.name),
            self.keyring,
        )
        return self._loop(folder, None)

    async def stepped_projector(
        self,
        source: SteppedSource[SteppedT],
        beside: Callable[[SteppedFolder[SteppedT]], Beside] | None = None,
    ) -> Projector:
        """What keeps a stepped read model current, timers and histories included.

        `beside` makes an errand of the service's own.
        """
        projection = source.stepped.projection
        await self.prepare(projection)
        documents = self.documents(projection)
        await documents.create_indexes(STEPPED_INDEXES)
        folder = SteppedFolder(
            projection,
            documents,
            MongoParking(self.database, projection.name),
            self.keyring,
            source=source,
            stepped_documents=documents,
            clock=self.clock,
            service=self.service,
            append_deadline=self.settings.append_deadline,
        )
        errands = Errands(
            folder,
            topics=[self.kafka.topic(topic) for topic in projection.topics],
            progress=lambda: self.progress.of_topics(projection.topics),
            beside=None if beside is None else beside(folder),
        )
        return self._loop(folder, errands)

    async def jobs(self) -> Jobs:
        """The jobs of the service."""
        store = MongoJobs(self.database)
        await store.create_indexes()
        return Jobs(store, self.clock)

    def job_runner(self, jobs: Jobs, kinds: Sequence[AnyKind]) -> JobRunner:
        """What carries out jobs of the kinds; its `run` is a task of a worker."""
        return JobRunner(
            store=jobs.store,
            leases=MongoLeases(self.database),
            clock=self.clock,
            kinds=kinds_by_name(kinds),
            owner=self.owner,
        )

    def sweeper(self, projection: Projection[DocumentT], settle: Settle) -> Sweeper:
        """What hands over the documents of a read model that are due; `run` is a worker's task."""
        return Sweeper(
            name=f"sweeper-{projection.name}",
            documents=self.documents(projection).collection,
            leases=MongoLeases(self.database),
            owner=self.owner,
            clock=self.clock,
            settle=settle,
        )

    async def files(self) -> Files:
        """The files of the service; its `run` is a task of a worker."""
        store = MongoFiles(self.database)
        await store.create_indexes()
        return Files(store, self.settings.master_key(), self.hmac_secret, self.clock)

    async def reveals(self) -> MongoReveals:
        """Where it is written down who was shown what of whom."""
        reveals = MongoReveals(self.database)
        await reveals.create_indexes()
        return reveals

    async def due_timers(
        self, projection: Projection[DocumentT], spared: Collection[str] = ()
    ) -> int:
        """Documents whose time has come and that no worker has woken yet.

        For the `spared` ones of the projection's topics no worker waits.
        """
        records = self.progress.of_topics([t for t in projection.topics if t not in spared])
        if any(record is None for record in records):
            return 0
        until = min(record.chain for record in records if record is not None)
        return await self.documents(projection).collection.count({"due_at": {"$lt": until}})

    async def prepare(self, projection: Projection[DocumentT]) -> None:
        """Make the indexes that a read model and its parked events need."""
        await self.documents(projection).create_indexes(projection.indexes)
        await MongoParking(self.database, projection.name).create_indexes()

    def _loop(self, folder: Folder[DocumentT], errands: "Errands[SteppedT] | None") -> Projector:
        return Projector(folder, self.kafka, self.service, errands)


async def patiently(work: Callable[[], Awaitable[None]]) -> None:
    """Do it, again each second for a minute while the database is away."""
    for _ in range(WAIT_SECONDS):
        try:
            await work()
        except StoreUnavailable:
            await asyncio.sleep(1)
        else:
            return
    await work()
