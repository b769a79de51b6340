"""What time changes in ledgers is told as soon as it is due, with its exact moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from services.interaction.domain.points.commands import Settle
from services.interaction.domain.points.ledger import ledger_stream
from services.interaction.handlers.points.ledgers import Ledgers, Order
from shared.decider import Refused
from shared.envelope import Causation
from shared.readmodel import RawDocument

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TellDue:
    """Settles the ledgers of documents that are due; for a sweeper (`shared.sweeping`).

    A ledger for which nothing is due any more is left as it is, so it does not matter how old a
    document is.
    """

    ledgers: Ledgers

    async def __call__(self, found: Sequence[RawDocument], until: datetime) -> None:
        """Let happen what was due by the moment. Raises `StoreUnavailable`."""
        orders = [_settling(raw, until) for raw in found]
        for order, outcome in zip(orders, await self.ledgers.many(orders), strict=True):
            if isinstance(outcome, Refused):
                log.error("points not settled", command=order.id, refusal=outcome.type)


def _settling(raw: RawDocument, until: datetime) -> Order:
    customer = str(raw["_id"])
    # What the document has seen of the ledger tells one time of being due from the next.
    version = raw.get("versions", {}).get(ledger_stream(customer), 0)
    command_id = f"points|due|{customer}|{version}"
    return Order(command_id, "", customer, Settle(at=until), Causation(command_id))
