"""A page of the timeline of a customer with 5,000 entries, among many others.

Ours is what the endpoint does: who belongs to the customer's tree, the entries, their texts opened,
their sentences. Bare is the driver's own `find` of the same page by the same index. Entries are
written past the runner, through its own port, as the fold makes them.
"""

import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import services.interaction
from benchmarks.bare import BareDatabase, bare_database
from benchmarks.figures import Figure
from benchmarks.measuring import as_a_service
from benchmarks.place import Place
from benchmarks.rows.listing import times_of
from services.interaction.domain.timeline import Group
from services.interaction.projections.identifiers import IDENTIFIERS, Entry, Identifiers, own_id
from services.interaction.projections.timeline import TIMELINE, apply_entry
from services.interaction.queries.sentences import sentence_of
from services.interaction.queries.timeline import Asked, Timeline
from services.interaction.queries.trees import Trees
from shared.access import Kind, Scope
from shared.clock import ManualClock
from shared.envelope import Light
from shared.events.care import NoteAdded
from shared.events.contract import EventData
from shared.events.deal import DealWon
from shared.events.interaction import ReceiptRecorded
from shared.events.notification import MessageSent
from shared.keyring import Keyring, seal
from shared.mongo import Database, MongoDocuments, MongoKeyStore, connect
from shared.projection import Document, Event
from shared.projector.folder import raw_document
from shared.wording import Languages, Wording

REGULAR = "regular"
ENTRIES = 5_000
OTHERS, EACH = 400, 50
PAGE, PAGES, PARTS = 50, 200, 1_000
GOAL_MS = 30.0
SEED = 5
BEGIN = datetime(2017, 1, 1, tzinfo=UTC)
CHAIN = Scope(Kind.FACT, None)
ANY = Asked(frozenset(Group))
FEW = Asked(frozenset({Group.DEAL}))
CLOCK = ManualClock(BEGIN + timedelta(days=3 * 365))
KINDS: Sequence[tuple[type[EventData], int]] = (
    (ReceiptRecorded, 70), (NoteAdded, 15), (MessageSent, 14), (DealWon, 1),
)  # fmt: skip
"""What happens, and how often."""


def data_of(kind: type[EventData], number: int, customer: str, key: AESGCM) -> dict[str, object]:
    """What is read of an event of the kind."""
    if kind is ReceiptRecorded:
        return {"fact": f"{customer}-{number}", "total": number, "lines": [{}] * (number % 9)}
    if kind is NoteAdded:
        data: dict[str, object] = {"text": f"Asked for tea number {number}, and for more of it"}
        seal(data, [("text",)], customer, key, f"customer-{customer}")
        return data
    if kind is MessageSent:
        return {"campaign": "spring"}
    return {"deal": f"d{number}", "amount": number}


def entries_of(customer: str, count: int, key: AESGCM, chance: random.Random) -> Iterator[Document]:
    """Entries of a customer over some years."""
    types, weights = zip(*KINDS, strict=True)
    for number in range(count):
        (kind,) = chance.choices(types, weights)
        light = Light(
            type=kind.type,
            stream=f"stream-{customer}",
            streamversion=number + 1,
            time=BEGIN + timedelta(minutes=chance.randrange(3 * 365 * 24 * 60)),
            recordedtime=BEGIN,
            data=msgspec.Raw(),
            subject=customer,
            branch=str(chance.randrange(20)),
        )
        read = TIMELINE.reads[kind.type]
        data = msgspec.json.decode(
            msgspec.json.encode(data_of(kind, number, customer, key)), type=read
        )
        yield apply_entry(None, Event(light, data, 0))


async def fill(documents: MongoDocuments, entries: Iterator[Document]) -> None:
    """Write them."""
    part = []
    for entry in entries:
        part.append(raw_document(entry))
        if len(part) == PARTS:
            await documents.write(part)
            part = []
    await documents.write(part)


async def measure(place: Place) -> dict[str, Figure]:
    """Measure the row."""
    name = f"{place.prefix}timeline"
    client = connect(place.mongo_url)
    bare = bare_database(place.mongo_url, name)
    try:
        database = Database(client, name)
        keyring = Keyring(MongoKeyStore(database), AESGCM(bytes(32)))
        entries = MongoDocuments(database, TIMELINE.name)
        await entries.create_indexes(TIMELINE.indexes)
        people = MongoDocuments(database, IDENTIFIERS.name)
        await people.create_indexes(IDENTIFIERS.indexes)
        chance = random.Random(SEED)
        for customer, count in [(REGULAR, ENTRIES), *((f"c{n}", EACH) for n in range(OTHERS))]:
            keys = await keyring.ensure([customer])
            key = keys[customer]
            if not isinstance(key, AESGCM):
                raise TypeError
            await fill(entries, entries_of(customer, count, key, chance))
            known = Identifiers(id=customer, entries=[Entry(own_id(customer), 1)])
            await people.write([raw_document(known)])
        trees = Trees(people.collection)
        reading = Reading(trees, Timeline(entries.collection, keyring, CLOCK))
        return {"timeline_page": await _measured(place, reading, bare)}
    finally:
        client.close()
        bare.client.close()


class Reading:
    """Asks as the endpoint does."""

    def __init__(self, trees: Trees, timeline: Timeline) -> None:
        self.trees, self.timeline = trees, timeline
        languages = Languages.read(Path(services.interaction.__file__).parent / "locales")
        self.wording: Wording = languages.wording("ru", "RUB")

    async def page(self, asked: Asked, after: str | None) -> Sequence[str]:
        """The sentences and texts of a page."""
        tree = await self.trees.of(REGULAR)
        if tree is None:
            raise LookupError(REGULAR)
        found = await self.timeline.page(tree, asked, CHAIN, after, PAGE + 1)
        texts = await self.timeline.texts(found)
        return [
            sentence_of(entry.type, entry.said, self.wording) + texts.get(entry.id, "")
            for entry in found
        ]


def bare_page(database: BareDatabase, after: str) -> Callable[[], Awaitable[object]]:
    """The documents of a page."""
    where = {"customer": REGULAR, "place": {"$gte": "0", "$lt": after}}
    collection = database[TIMELINE.name]
    return lambda: collection.find(where).sort("place", -1).limit(PAGE + 1).to_list(None)


async def _measured(place: Place, reading: Reading, bare: BareDatabase) -> Figure:
    chance = random.Random(SEED)
    places = [
        raw["place"] async for raw in bare[TIMELINE.name].find({"customer": REGULAR}, {"place": 1})
    ]
    # Half of the pages are first ones, the others lie anywhere.
    afters = [*chance.choices(places, k=PAGES // 2), *["~"] * (PAGES // 2)]
    chance.shuffle(afters)
    as_a_service()
    ours = await times_of([partial(reading.page, ANY, after) for after in afters])
    few = await times_of([partial(reading.page, FEW, after) for after in afters[: PAGES // 4]])
    plain = await times_of([bare_page(bare, after) for after in afters])
    p95 = ours[int(PAGES * 0.95)]
    return Figure(
        value=p95,
        unit="ms, the 95th of 100",
        bare=plain[int(PAGES * 0.95)],
        goal=f"≤ {GOAL_MS:g} ms for a customer with {ENTRIES:,} entries",
        met=p95 <= GOAL_MS,
        server=place.mongo_server,
        beside={
            "entries": ENTRIES + OTHERS * EACH,
            "p50": ours[PAGES // 2],
            "slowest": ours[-1],
            "bare_p50": plain[PAGES // 2],
            "one_in_a_hundred_p95": few[int(len(few) * 0.95)],
        },
    )
