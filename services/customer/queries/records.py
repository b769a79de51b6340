"""One customer whole, from the customer's own stream: what was just written is already there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.customer.domain.customer import CUSTOMER
from services.customer.domain.state import Customer, stream_of
from shared.decider import not_found
from shared.events.care import DocumentAttached
from shared.events.customer import ConsentGiven, ConsentWithdrawn
from shared.events.merging import CustomerAbsorbed, CustomerMerged
from shared.eventstore import Head
from shared.execute import Writer

MAX_MERGES = 50
"""A chain of merges this long is a loop, which merges never form."""


@dataclass(frozen=True, slots=True)
class Record:
    """A customer: the id that was asked for may have been merged into this one.

    `others` were merged into it, in any number of steps: what a merge leaves where it was written
    is read there.
    """

    id: str
    state: Customer
    others: Mapping[str, Customer] = field(default_factory=dict)

    @property
    def people(self) -> Mapping[str, Customer]:
        """All who are this person, this customer first."""
        return {self.id: self.state, **self.others}

    def document(self, name: str) -> DocumentAttached | None:
        """The document of this id, whoever of them it was attached to."""
        states = self.people.values()
        return next((found for each in states if (found := each.documents.get(name))), None)

    def holder_of_document(self, name: str) -> str:
        """Whom it was attached to; this customer where nobody has it."""
        return next((who for who, each in self.people.items() if name in each.documents), self.id)

    def holder_of_note(self, name: str) -> str:
        """Whom it was written of; this customer where nobody has it."""
        return next((who for who, each in self.people.items() if name in each.notes), self.id)


async def tree_of(writer: Writer, customer: str, *, sealed: bool = False) -> dict[str, Customer]:
    """Every customer who is one person with this one, this one first."""
    found: dict[str, Customer] = {}
    wanted = [customer]
    while wanted:
        histories = await writer.histories([stream_of(each) for each in wanted], sealed=sealed)
        for each in wanted:
            events, _head = histories.get(stream_of(each), ((), Head()))
            found[each] = CUSTOMER.fold(events)
        relatives = {other for each in wanted for other in found[each].relatives}
        wanted = sorted(relatives - found.keys())
    return found


async def once_related(writer: Writer, customers: Iterable[str]) -> set[str]:
    """Everybody who ever was one person with one of the customers, one step away."""
    histories = await writer.histories([stream_of(each) for each in customers], sealed=True)
    found = set()
    for events, _head in histories.values():
        for event in events:
            match event:
                case CustomerMerged(survivor=other) | CustomerAbsorbed(other=other):
                    found.add(other)
    return found


@dataclass(frozen=True, slots=True)
class Records:
    """Questions to the streams of customers."""

    writer: Writer

    async def get(self, customer: str) -> Record:
        """The customer, or the one that they were merged into. Raises `Refused` (404)."""
        current = customer
        for _ in range(MAX_MERGES):
            state, _version = await self.writer.state(CUSTOMER, stream_of(current))
            if not state.registered:
                break
            if state.merged is None:
                return Record(current, state, await self._others(current, state))
            current = state.merged.survivor
        kind = "customer"
        raise not_found(kind, customer)

    async def _others(self, survivor: str, state: Customer) -> Mapping[str, Customer]:
        if not state.absorbed:
            return {}
        tree = await tree_of(self.writer, survivor)
        return {name: each for name, each in tree.items() if name != survivor}

    async def consents(self, found: Record) -> Sequence[ConsentGiven | ConsentWithdrawn]:
        """Every word that was said about consents, by whichever record of them, oldest first."""
        streams = [stream_of(each) for each in (found.id, *found.others)]
        histories = await self.writer.histories(streams)
        said: list[tuple[datetime, ConsentGiven | ConsentWithdrawn]] = []
        for stream in streams:
            events, _head = histories.get(stream, ((), Head()))
            # A word without a moment was said after the one before it.
            moment = datetime.min.replace(tzinfo=UTC)
            for each in events:
                if isinstance(each, ConsentGiven | ConsentWithdrawn):
                    moment = max(moment, each.evidence.at or moment)
                    said.append((moment, each))
        return [word for _moment, word in sorted(said, key=lambda each: each[0])]
