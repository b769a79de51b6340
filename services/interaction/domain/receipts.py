"""What a receipt must be to be recorded, and the life of an import.

A fact's ids, its own and that of the command, are made of its source's id alone: whoever sends it,
by whatever way, it is recorded once. So receipts need no history to be decided.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from shared.decider import Decider, NewEvent, invalid
from shared.events.contract import EventData
from shared.events.interaction import FactIdentifier, ReceiptLine, ReceiptRecorded
from shared.ids import derived_id

AHEAD = timedelta(days=1)
"""A till's clock may be ahead of the chain's by this much."""
CUSTOMER_STREAM = "interaction-"


def stream_of(customer: str) -> str:
    """The stream of what a customer did."""
    return CUSTOMER_STREAM + customer


def customer_of(stream: str) -> str:
    """The customer whose stream it is."""
    return stream.removeprefix(CUSTOMER_STREAM)


@dataclass(frozen=True, kw_only=True)
class RecordReceipt:
    """Record a basket that a customer paid, of at least one line.

    `source` and `branch` hold no `|`; `time` is by the till's clock, `now` by the chain's; `total`
    is what the source says, in minor units.
    """

    source: str
    source_id: str
    branch: str
    time: datetime
    now: datetime
    lines: tuple[ReceiptLine, ...]
    total: int | None = None
    identified_by: FactIdentifier | None = None
    till: str | None = None
    cashier: str | None = None

    @property
    def id(self) -> str:
        """The id of the command: the same for all who send this receipt."""
        return f"{self.source}|{self.branch}|{self.source_id}"

    @cached_property
    def fact(self) -> str:
        """The id of the fact."""
        return derived_id("fact", self.source, self.branch, self.source_id)


def decide_receipt(command: RecordReceipt, _state: None) -> Sequence[NewEvent]:
    """The receipt as an event, or why it cannot be one."""
    if command.time > command.now + AHEAD:
        raise invalid("time", "is more than a day ahead of the chain's clock")
    total = sum(line.amount for line in command.lines)
    if command.total not in (None, total):
        raise invalid("total", "should be the sum of the lines' amounts, or be left out")
    recorded = ReceiptRecorded(
        fact=command.fact,
        source=command.source,
        source_id=command.source_id,
        total=total,
        coupon_lines=sum(1 for line in command.lines if line.coupon),
        lines=command.lines,
        identified_by=command.identified_by,
        till=command.till,
        cashier=command.cashier,
    )
    return [NewEvent(recorded, command.time, command.branch)]


def _nothing() -> None:
    """A customer's stream is never read to decide."""


def _still_nothing(_state: None, _data: EventData) -> None:
    """Whatever was recorded, the next receipt does not ask for it."""


RECEIPTS: Decider[RecordReceipt, None] = Decider(_nothing, decide_receipt, _still_nothing)
