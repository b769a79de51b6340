"""Deals without servers: a pipeline, customers, and what becomes of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.customer.domain.deal import Deal
from services.customer.domain.deal_terms import Ground
from services.customer.domain.dealing import DEAL
from services.customer.domain.pipeline import PIPELINES
from services.customer.handlers.deals import Deals, Opening, Request
from services.customer.projections.deals import DEALS, DealDocument
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.envelope import Causation
from shared.events.customer import CustomerRegistered
from shared.events.deal import PipelineDefined, Stage, Words
from shared.execute import Command, Writer
from shared.keyring import Keyring
from shared.memory import MemoryDocuments, MemoryEventStore, MemoryKeyStore, MemoryParking
from shared.projector import Folder
from shared.testing import DAY, logs_of
from shared.testing.facts import TOLD, tell
from shared.testing.reading import Log

SALES = PipelineDefined(
    pipeline="sales",
    titles={"en": "Sales"},
    stages=(
        Stage(stage="new", titles={}, probability=1000),
        Stage(stage="offer", titles={}, probability=3333),
    ),
    won={"en": "Won"},
    lost={"en": "Lost"},
)
GROUND = Ground(pipelines=PIPELINES.fold([SALES]))


async def ground() -> Ground:
    return GROUND


@dataclass(slots=True)
class Office:
    """Deals without servers."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    clock: ManualClock = field(default_factory=lambda: ManualClock(DAY))
    keyring: Keyring = field(default_factory=lambda: Keyring(MemoryKeyStore(), AESGCM(bytes(32))))
    deals: Deals = field(init=False)
    writer: Writer = field(init=False)
    asked: int = 0

    def __post_init__(self) -> None:
        self.writer = Writer(self.store, self.keyring, self.clock, "customer")
        self.deals = Deals(self.writer, ground)

    def request(self) -> Request:
        self.asked += 1
        return Request(f"r{self.asked}", "", self.clock.now())

    async def in_the_clear(self, stream: str) -> tuple[Deal, int]:
        """A stream's state with its texts in the clear."""
        return await self.writer.state(DEAL, stream)

    async def customer(self, name: str) -> None:
        await tell(self.writer, f"customer-{name}", name, [NewEvent(CustomerRegistered(), DAY)])

    async def company(self, name: str) -> None:
        told: Command[Sequence[NewEvent]] = Command(
            id=f"company|{name}",
            hash="",
            stream=f"company-{name}",
            key=f"company-{name}",
            body=[NewEvent(CustomerRegistered(), DAY)],
            causation=Causation("told"),
        )
        await self.writer.one(TOLD, told)

    async def open(
        self,
        customer: str | None,
        company: str | None = None,
        **terms: Any,  # noqa: ANN401 - any term
    ) -> str:
        words = Words(title="A sofa")
        opening = Opening("sales", terms, customer=customer, company=company, words=words)
        return (await self.deals.open(self.request(), opening)).deal

    async def touch(self, what: str, deal: str, number: int) -> None:
        """One of the other things that can be done with a deal."""
        deals, request = self.deals, self.request()
        match what:
            case "change":
                await deals.change(request, deal, {"amount": number}, Words())
            case "move":
                await deals.move(request, deal, ["new", "offer"][number % 2])
            case "win":
                await deals.win(request, deal)
            case "lose":
                await deals.lose(request, deal, "price")
            case "reopen":
                await deals.reopen(request, deal)
            case "assign":
                await deals.assign(request, deal, f"e{number % 3}")

    def logs(self) -> Sequence[Log]:
        return logs_of(each for each in self.store.commits if each.stream.startswith("deal-"))


async def folded(batches: Sequence[Log]) -> dict[str, DealDocument]:
    """The documents after the batches, all at `rev` 0; fails when an event was parked."""
    documents, parking = MemoryDocuments(), MemoryParking()
    folder: Folder[DealDocument] = Folder(DEALS, documents, parking)
    for batch in batches:
        await folder.fold(batch)
    assert not await parking.parked(range(100))
    return {
        raw["_id"]: msgspec.convert({**raw, "rev": 0}, DealDocument)
        for raw in documents.everything()
    }
