"""A batch of commands carried out beside the bare insert of the commits that it gives.

Ours is the kernel's `Writer.many`: known commands, remembered heads, decide, encode, insert. Bare
is the driver's `insert_many` of the very documents that ours writes, into a collection with the
same indexes. The streams are there before it begins. Beside it stands the part of ours that is the
store's, which gets its commits ready-made, as bare gets its documents.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace as changed

from benchmarks.bare import BareDatabase, bare_database
from benchmarks.counting import CommandCount, counted_database
from benchmarks.figures import Figure
from benchmarks.measuring import Cost, Side, Stopwatch, as_a_service, in_turn
from benchmarks.place import Place
from benchmarks.sample import ReceiptLog
from services.interaction.domain.facts import FACTS, RecordFact
from shared.clock import ManualClock
from shared.decider import Refused
from shared.eventstore import Append, Commit, EventStore
from shared.execute import Command, Writer
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.mongo import Database, MongoEventStore, MongoKeyStore, connect
from shared.mongo.events import COMMITS, commit_document
from shared.readmodel import RawDocument

RECEIPTS_OF_A_BATCH = 200
STREAMS_OF_A_BATCH = 50
CUSTOMERS = 400
BATCHES = 8
ROUNDS = 7
TIMES = 2.0
TRIPS = 3
NOON = datetime(2018, 1, 2, 12, tzinfo=UTC)
SERVICE = "interaction"
WRITTEN, STORED = "written", "stored"


def memory_writer() -> tuple[Writer, MemoryEventStore]:
    """A writer on a store in memory, and the store."""
    store = MemoryEventStore()
    keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
    return Writer(store, keyring, ManualClock(NOON), SERVICE), store


def mongo_writer(database: Database, keys: Database) -> Writer:
    """A writer as a service has it, but for the clock: both sides write the same moments."""
    keyring = Keyring(MongoKeyStore(keys), AESGCM(bytes(32)))
    return Writer(MongoEventStore(database), keyring, ManualClock(NOON), SERVICE)


async def carry_out(writer: Writer, commands: Sequence[Command[RecordFact]]) -> None:
    """Record the receipts. Raises the first refusal: none is expected."""
    for outcome in await writer.many(FACTS, commands, stateless=True):
        if isinstance(outcome, Refused):
            raise outcome


@dataclass(frozen=True, slots=True)
class Batch:
    """Commands, and the commits that they become."""

    commands: Sequence[Command[RecordFact]]
    commits: Sequence[Commit]

    @property
    def documents(self) -> list[RawDocument]:
        """The commits as they are stored."""
        return [commit_document(commit) for commit in self.commits]


async def batches_of(per_customer: int, count: int) -> list[Batch]:
    """Batches of receipts, `per_customer` of each customer in a batch."""
    writer, store = memory_writer()
    log = ReceiptLog(CUSTOMERS, per_customer)
    batches = []
    for _ in range(count):
        commands = log.commands(RECEIPTS_OF_A_BATCH)
        begin = len(store.commits)
        await carry_out(writer, commands)
        # They are written later than by whoever decided them just now.
        commits = [changed(commit, expires=None) for commit in store.commits[begin:]]
        batches.append(Batch(commands, commits))
    return batches


Take = Callable[[Batch], Awaitable[None]]


async def carried_out(writer: Writer, batch: Batch) -> None:
    """All that the kernel does of a batch of commands."""
    await carry_out(writer, batch.commands)


async def stored(store: EventStore, batch: Batch) -> None:
    """What the kernel asks of its store for a batch, its commits being made already.

    Where their streams end is remembered.
    """
    await store.known([command.id for command in batch.commands])
    await store.append([Append(commit) for commit in batch.commits])


async def inserted(database: BareDatabase, documents: Sequence[RawDocument]) -> None:
    """The bare insert."""
    await database[COMMITS].insert_many(documents, ordered=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Batches of ours and of the bare insert, `per_customer` receipts to a commit."""

    place: Place
    per_customer: int
    rounds: int

    def name(self, side: str) -> str:
        """The database of a side."""
        return f"{self.place.prefix}append-{self.per_customer}-{side}"

    async def run(self, side: str) -> tuple[Side, Side]:
        """The costs of both sides, per receipt; ours is `written` or `stored`."""
        client = connect(self.place.mongo_url)
        bare = bare_database(self.place.mongo_url, self.name(f"{side}-bare"))
        try:
            database = Database(client, self.name(side))
            for each in (database, Database(client, self.name(f"{side}-bare"))):
                await MongoEventStore(each).create_indexes()
            writer = mongo_writer(database, Database(client, self.name("keys")))
            take = (
                partial(carried_out, writer) if side == WRITTEN else partial(stored, writer.store)
            )
            return await self._run(take, bare)
        finally:
            client.close()
            bare.client.close()

    async def _run(self, take: Take, bare: BareDatabase) -> tuple[Side, Side]:
        first = CUSTOMERS * self.per_customer // RECEIPTS_OF_A_BATCH
        batches = await batches_of(self.per_customer, first + BATCHES * (self.rounds + 1))
        documents = [batch.documents for batch in batches]
        for number in range(first):
            await take(batches[number])
            await inserted(bare, documents[number])
        as_a_service()

        def numbers(of_round: int) -> range:
            return range(first + of_round * BATCHES, first + (of_round + 1) * BATCHES)

        async def ours_round(of_round: int) -> Cost:
            watch = Stopwatch()
            for number in numbers(of_round):
                await take(batches[number])
            return watch.cost(BATCHES * RECEIPTS_OF_A_BATCH)

        async def bare_round(of_round: int) -> Cost:
            watch = Stopwatch()
            for number in numbers(of_round):
                await inserted(bare, documents[number])
            return watch.cost(BATCHES * RECEIPTS_OF_A_BATCH)

        return await in_turn(self.rounds, ours_round, bare_round)

    async def same_documents(self) -> bool:
        """Whether both sides have written the same."""
        found: list[list[Any]] = []
        for side in (WRITTEN, f"{WRITTEN}-bare"):
            database = bare_database(self.place.mongo_url, self.name(side))
            try:
                found.append(await database[COMMITS].find().sort("_id", 1).to_list(None))
            finally:
                database.client.close()
        return found[0] == found[1]


async def commands_of_a_batch(url: str, name: str) -> list[str]:
    """The commands that a batch costs a writer that has never seen its streams' keys."""
    count = CommandCount()
    database = counted_database(url, name, count)
    keys = Database(database.client, name + "-keys")
    try:
        await MongoEventStore(database).create_indexes()
        first, second = await batches_of(RECEIPTS_OF_A_BATCH // STREAMS_OF_A_BATCH, 2)
        await carry_out(mongo_writer(database, keys), first.commands)
        count.clear()
        await carry_out(mongo_writer(database, keys), second.commands)
        return list(count.names)
    finally:
        database.client.close()


async def measure(place: Place) -> Figure:
    """Measure the row."""
    per_customer = RECEIPTS_OF_A_BATCH // STREAMS_OF_A_BATCH
    together = Comparison(place, per_customer, ROUNDS)
    ours, bare = await together.run(WRITTEN)
    store, bare_store = await together.run(STORED)
    apart, bare_apart = await Comparison(place, 1, ROUNDS - 2).run(WRITTEN)
    if not await together.same_documents():
        message = "the two sides did not write the same documents"
        raise AssertionError(message)
    commands = await commands_of_a_batch(place.mongo_url, place.prefix + "append-trips")
    ratio = ours.cpu_each / bare.cpu_each
    return Figure(
        value=ours.cpu_each,
        unit="µs of client CPU per receipt",
        bare=bare.cpu_each,
        goal=f"≤ {TIMES:g} × bare; ≤ {TRIPS} round trips per batch",
        met=ratio <= TIMES and len(commands) <= TRIPS,
        server=place.mongo_server,
        beside={
            "ratio": ratio,
            "ratio_of_the_store_alone": store.cpu_each / bare_store.cpu_each,
            "ratio_one_receipt_per_commit": apart.cpu_each / bare_apart.cpu_each,
            "round_trips": len(commands),
            "receipts_per_batch": RECEIPTS_OF_A_BATCH,
            "commits_per_batch": STREAMS_OF_A_BATCH,
            "receipts_per_second": ours.per_wall_second,
            "bare_receipts_per_second": bare.per_wall_second,
        },
    )
