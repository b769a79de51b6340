"""One customer whole, from the customer's own stream: what was just written is already there."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.customer.domain.customer import CUSTOMER
from services.customer.domain.state import Customer, stream_of
from shared.decider import not_found
from shared.events.customer import ConsentGiven, ConsentWithdrawn
from shared.eventstore import Head
from shared.execute import Writer

MAX_MERGES = 50
"""A chain of merges this long is a loop, which merges never form."""


@dataclass(frozen=True, slots=True)
class Record:
    """A customer: the id that was asked for may have been merged into this one."""

    id: str
    state: Customer


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
                return Record(current, state)
            current = state.merged.survivor
        kind = "customer"
        raise not_found(kind, customer)

    async def consents(self, customer: str) -> Sequence[ConsentGiven | ConsentWithdrawn]:
        """Every word that was said about the customer's consents, oldest first."""
        stream = stream_of(customer)
        events, _head = (await self.writer.histories([stream])).get(stream, ((), Head()))
        return [each for each in events if isinstance(each, ConsentGiven | ConsentWithdrawn)]
