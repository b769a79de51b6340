"""Customers registered, in batches and one at a time, beside the bare insert of what that writes.

Ours is what the HTTP endpoints call: known commands, histories, claims, keys of the customers,
decide, seal, and commits with their claims in a transaction. Bare is the driver inserting the very
commits and claims, in one transaction for as many customers. There is no goal: the row is there to
be compared with itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace as changed

from benchmarks.bare import BareDatabase, bare_database
from benchmarks.figures import Figure
from benchmarks.measuring import Cost, Side, Stopwatch, as_a_service, in_turn
from benchmarks.place import Place
from services.customer.domain.commands import NewIdentifier, Register
from services.customer.handlers.customers import Request, carry_out_all, registration
from shared.clock import ManualClock
from shared.decider import Refused
from shared.events.customer import (
    ConsentGiven,
    CustomerRegistered,
    Evidence,
    IdentifierKind,
)
from shared.execute import Writer
from shared.identifiers import KnownIdentifier
from shared.keyring import Keyring, keyed_hash
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.mongo import Database, MongoEventStore, MongoKeyStore, connect
from shared.mongo.events import CLAIMS, COMMITS, commit_document
from shared.readmodel import RawDocument

BATCH = 200
BATCHES_OF_A_ROUND = 3
SINGLES_OF_A_ROUND = 60
ROUNDS = 5
NOON = datetime(2018, 1, 2, 12, tzinfo=UTC)
SERVICE = "customer"
SECRET = b"benchmark"
Asked = tuple[Request, Register]


def newcomer(number: int) -> Asked:
    """Somebody with a phone, an e-mail address, a name, and a consent."""
    request = Request(f"bench|{number}", str(number), NOON)
    values: tuple[tuple[IdentifierKind, str], ...] = (
        ("phone", f"+4930{number:08}"),
        ("email", f"customer-{number}@example.com"),
    )
    return request, registration(
        request,
        Register(
            customer="",
            at=NOON,
            person=CustomerRegistered(
                surname=f"Surname {number}", name="Anna", birth_date="1980-02-29", city="Kazan"
            ),
            identifiers=tuple(
                NewIdentifier(known=KnownIdentifier(kind, keyed_hash(SECRET, kind, value), value))
                for kind, value in values
            ),
            consents=(
                ConsentGiven(topic="news", channel="email", evidence=Evidence(source="till")),
            ),
        ),
    )


async def register(writer: Writer, asked: Sequence[Asked]) -> None:
    """Register them all. Raises the first refusal: none is expected."""
    for outcome in await carry_out_all(writer, asked):
        if isinstance(outcome, Refused):
            raise outcome


@dataclass(frozen=True, slots=True)
class Written:
    """What registering some customers writes."""

    commits: list[RawDocument]
    claims: list[RawDocument]


async def written_by(parts: Sequence[Sequence[Asked]]) -> list[Written]:
    """The documents of each part, made beforehand."""
    store = MemoryEventStore()
    writer = Writer(store, Keyring(MemoryKeyStore(), AESGCM(bytes(32))), ManualClock(NOON), SERVICE)
    found = []
    for part in parts:
        begin = len(store.commits)
        await register(writer, part)
        commits = [changed(commit, expires=None) for commit in store.commits[begin:]]
        ids = [claim for _, command in part for claim in command.claim_ids]
        claims = await store.claims(ids)
        found.append(
            Written(
                [commit_document(commit) for commit in commits],
                [
                    {"_id": claim.id, "owner": claim.owner, "epoch": claim.epoch}
                    for claim in claims.values()
                ],
            )
        )
    return found


async def inserted(database: BareDatabase, documents: Written) -> None:
    """The bare inserts, in a transaction."""
    async with (
        await database.client.start_session() as session,
        session.start_transaction(),
    ):
        await database[COMMITS].insert_many(documents.commits, session=session)
        await database[CLAIMS].insert_many(documents.claims, session=session)


async def compared(place: Place, size: int, count: int) -> tuple[Side, Side]:
    """The costs of both sides per customer, `size` at a time, `count` times a round."""
    name = f"{place.prefix}registrations-{size}"
    client = connect(place.mongo_url)
    bare = bare_database(place.mongo_url, f"{name}-bare")
    try:
        database = Database(client, name)
        store = MongoEventStore(database)
        await store.create_indexes()
        await MongoEventStore(Database(client, f"{name}-bare")).create_indexes()
        keyring = Keyring(MongoKeyStore(Database(client, f"{name}-keys")), AESGCM(bytes(32)))
        writer = Writer(store, keyring, ManualClock(NOON), SERVICE)
        total = (ROUNDS + 1) * count
        parts = [
            [newcomer(number) for number in range(part * size, (part + 1) * size)]
            for part in range(total)
        ]
        documents = await written_by(parts)
        as_a_service()

        async def ours_round(of_round: int) -> Cost:
            watch = Stopwatch()
            for part in parts[of_round * count : (of_round + 1) * count]:
                await register(writer, part)
            return watch.cost(count * size)

        async def bare_round(of_round: int) -> Cost:
            watch = Stopwatch()
            for part in documents[of_round * count : (of_round + 1) * count]:
                await inserted(bare, part)
            return watch.cost(count * size)

        return await in_turn(ROUNDS, ours_round, bare_round)
    finally:
        client.close()
        bare.client.close()


async def measure(place: Place) -> Figure:
    """Measure the row."""
    ours, bare = await compared(place, BATCH, BATCHES_OF_A_ROUND)
    single, bare_single = await compared(place, 1, SINGLES_OF_A_ROUND)
    beside: dict[str, Any] = {
        "per_second_one_at_a_time": single.per_wall_second,
        "bare_per_second_one_at_a_time": bare_single.per_wall_second,
        "cpu_us_each": ours.cpu_each,
        "bare_cpu_us_each": bare.cpu_each,
        "customers_per_batch": BATCH,
    }
    return Figure(
        value=ours.per_wall_second,
        unit="customers registered per second, in batches",
        bare=bare.per_wall_second,
        goal="none; beside the bare transaction of the same documents",
        met=True,
        server=place.mongo_server,
        beside=beside,
    )
