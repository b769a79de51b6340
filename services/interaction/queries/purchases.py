"""What one customer has bought, from the facts that live at the customer now.

It is read off the customer's own stream, so that nothing lags behind: facts that were moved in
count like first ones, those that were moved out do not, and what was voided never happened.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from services.interaction.queries.baskets import Receipt, Voided
from shared.access import Scope
from shared.envelope import Light, decode_light
from shared.events.interaction import ReceiptRecorded, ReceiptVoided
from shared.events.moving import FactsMoved
from shared.eventstore import EventStore

STREAM = "interaction-"


class Moved(msgspec.Struct, gc=False):
    """What is read of a fact that changes hands."""

    fact: str
    type: str
    time: datetime
    data: msgspec.Raw
    branch: str | None = None


class Moving(msgspec.Struct, gc=False):
    """What is read of `interaction.facts_moved`."""

    direction: str
    facts: list[Moved]


@dataclass(frozen=True, slots=True)
class Bought:
    """A receipt: when and where, and the products."""

    at: datetime
    branch: str | None
    products: frozenset[str]


@dataclass(slots=True)
class Purchases:
    """The receipts at a customer, by fact; `voided` are facts that never happened."""

    receipts: dict[str, Bought] = field(default_factory=dict)
    voided: set[str] = field(default_factory=set)

    def take_up(self, light: Light) -> None:
        """Fold an event of the customer's stream."""
        if light.type == FactsMoved.type:
            moving = msgspec.json.decode(light.data, type=Moving)
            for each in moving.facts:
                if moving.direction == "in":
                    self._take(each.type, each.data, each.time, each.branch)
                else:
                    self.receipts.pop(each.fact, None)
        else:
            self._take(light.type, light.data, light.time, light.branch)

    def _take(self, kind: str, data: msgspec.Raw, at: datetime, branch: str | None) -> None:
        if kind == ReceiptRecorded.type:
            receipt = msgspec.json.decode(data, type=Receipt)
            self.receipts[receipt.fact] = Bought(at, branch, frozenset(receipt.products()))
        elif kind == ReceiptVoided.type:
            self.voided.add(msgspec.json.decode(data, type=Voided).receipt)

    def since(self, moment: datetime, scope: Scope) -> Mapping[str, int]:
        """Receipts with each product from a moment on, at branches of the scope; frequent first."""
        counted: Counter[str] = Counter()
        for fact, bought in self.receipts.items():
            if fact not in self.voided and bought.at >= moment and scope.allows(bought.branch):
                counted.update(bought.products)
        return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


async def purchases_of(store: EventStore, customer: str) -> Purchases:
    """The receipts at a customer. Raises `StoreUnavailable`."""
    stream = STREAM + customer
    purchases = Purchases()
    for commit in (await store.read([stream])).get(stream, ()):
        for text in commit.events:
            purchases.take_up(decode_light(text.encode()))
    return purchases
