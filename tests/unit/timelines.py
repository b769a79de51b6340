"""A timeline on memory: events of every service are told, and read as a test wants them to be."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.interaction.domain.streams import stream_of
from services.interaction.domain.timeline import Group
from services.interaction.projections.identifiers import IDENTIFIERS
from services.interaction.projections.timeline import TIMELINE, TimelineEntry
from services.interaction.queries.timeline import Asked, Timeline
from services.interaction.queries.trees import Trees
from shared.access import Kind, Scope
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.care import NoteAdded
from shared.events.contract import EventData
from shared.events.customer import CustomerRegistered
from shared.events.deal import DealOpened, DealWon, Terms
from shared.events.interaction import ReceiptLine, ReceiptRecorded, SurveyAnswered
from shared.events.moving import FactsMoved, MovedFact, MoveEnded
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import MemoryDocuments, MemoryEventStore, MemoryKeyStore, MemoryParking
from shared.projector import Folder
from shared.testing import DAY, Log, logs_of
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import tell

MoveReason = Literal["adopted", "merged", "reverted", "by_hand"]
CHAIN = Scope(Kind.FACT, None)
EVERYTHING = Asked(frozenset(Group))
HOUR = timedelta(hours=1)


def receipt(fact: str, total: int = 100) -> ReceiptRecorded:
    line = ReceiptLine(product="bread", quantity=Decimal(1), amount=total)
    return ReceiptRecorded(
        fact=fact, source="pos", source_id=fact, total=total, coupon_lines=0, lines=(line,)
    )


@dataclass(slots=True)
class Shop:
    """Events of every service, told as they come, and read as a test wants them to be."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    keyring: Keyring = field(default_factory=lambda: Keyring(MemoryKeyStore(), AESGCM(bytes(32))))
    writer: Writer = field(init=False)
    entries: MemoryDocuments = field(default_factory=MemoryDocuments)
    identifiers: MemoryDocuments = field(default_factory=MemoryDocuments)
    parking: MemoryParking = field(default_factory=MemoryParking)
    timeline: Timeline = field(init=False)
    trees: Trees = field(init=False)

    def __post_init__(self) -> None:
        """One writer tells for all services."""
        self.writer = Writer(self.store, self.keyring, ManualClock(DAY), "interaction")
        self.timeline = Timeline(MemoryQuestions(self.entries), self.keyring, ManualClock(DAY))
        self.trees = Trees(MemoryQuestions(self.identifiers))

    async def tell(
        self,
        stream: str,
        customer: str,
        data: EventData,
        hours: int = 0,
        branch: str | None = None,
    ) -> None:
        """An event that concerns a customer."""
        await tell(self.writer, stream, customer, [NewEvent(data, DAY + hours * HOUR, branch)])

    async def record(self, customer: str, data: EventData, hours: int = 0) -> None:
        """A fact of a customer, at branch 12."""
        await self.tell(stream_of(customer), customer, data, hours, "12")

    async def read(self, batches: Sequence[Log] | None = None) -> None:
        """Read all that was told, straight or in these batches. Fails when something is parked."""
        for batch in logs_of(self.store.commits) if batches is None else batches:
            await Folder(TIMELINE, self.entries, self.parking, self.keyring).fold(batch)
            await Folder(IDENTIFIERS, self.identifiers, self.parking, self.keyring).fold(batch)
        assert await self.parking.count() == 0

    async def page(
        self,
        customer: str,
        asked: Asked = EVERYTHING,
        narrow: Scope = CHAIN,
        after: str | None = None,
        limit: int = 100,
    ) -> Sequence[TimelineEntry]:
        """A page of a customer's tree."""
        tree = await self.trees.of(customer)
        assert tree is not None
        return await self.timeline.page(tree, asked, narrow, after, limit)

    async def types(self, customer: str, asked: Asked = EVERYTHING) -> list[str]:
        """The types on a page, without `v1`."""
        page = await self.page(customer, asked)
        return [entry.type.removesuffix(".v1") for entry in page]

    def owners(self) -> dict[str, str]:
        """Fact → whose entry it is."""
        return {
            raw["_id"].partition("|")[2]: raw["customer"]
            for raw in self.entries.everything()
            if raw["_id"].startswith("fact|")
        }


async def busy_shop() -> Shop:
    """Anna with a little of everything."""
    shop = Shop()
    registered = CustomerRegistered(surname="Ivanova", home_branch="12")
    await shop.tell("customer-anna", "anna", registered, 0, "12")
    await shop.tell("customer-anna", "anna", NoteAdded(note="n", text="Likes tea"), 1, "12")
    await shop.record("anna", receipt("r1", 12_345), 2)
    opened = DealOpened(deal="d", pipeline="wedding", stage="new", terms=Terms(amount=5_000))
    await shop.tell("deal-d", "anna", opened, 3)
    await shop.tell("deal-d", "anna", DealWon(deal="d", pipeline="p", stage="s", amount=7), 4, "13")
    await shop.record(
        "anna",
        SurveyAnswered(
            fact="s1", source="web", source_id="s1", survey="spring", text="Good", channel="web"
        ),
        5,
    )
    return shop


def moved(fact: str, hops: int, home: str, hours: int = 0, total: int = 100) -> MovedFact:
    data = receipt(fact, total)
    return MovedFact(
        fact=fact,
        type=data.type,
        time=DAY + hours * HOUR,
        recordedtime=DAY,
        branch="12",
        home=home,
        hops=hops,
        data=data.model_dump(mode="json", exclude_none=True),
    )


async def move(
    shop: Shop, source: str, target: str, facts: Sequence[MovedFact], reason: MoveReason = "merged"
) -> None:
    """As the interaction service tells a move, both of its sides."""
    for stream, customer, direction, other in (
        (stream_of(target), target, "in", source),
        (source, source.removeprefix("interaction-"), "out", stream_of(target)),
    ):
        if stream.startswith("unknown-") and direction == "out":
            continue
        about: dict[str, Any] = {"move": f"{source}>{target}", "direction": direction}
        if facts:
            await shop.tell(stream, customer, FactsMoved(**about, facts=tuple(facts)))
        await shop.tell(stream, customer, MoveEnded(**about, reason=reason, other=other))
