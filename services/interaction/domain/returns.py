"""Taking back: never more than was bought, and a void takes back all that is left.

Both are decided on what the stream holds of the receipt, at a version that the append insists on:
of two who give back the same bottle at the same moment, one reads again and is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from services.interaction.domain.facts import check_clock, command_id, fact_id
from services.interaction.domain.held import Held, Kept
from shared.decider import NewEvent, Refused, invalid
from shared.events.interaction import (
    ReceiptLine,
    ReceiptRecorded,
    ReceiptReturned,
    ReceiptVoided,
    ReturnedLine,
)

VOIDED = Refused("receipt-voided", 409, "The receipt was voided: there is nothing to give back.")
NOTHING_LEFT = Refused("nothing-left", 409, "Everything on the receipt was given back already.")


@dataclass(frozen=True, slots=True)
class WantedLine:
    """What is given back of a line, from 1; without an amount, its part of what was paid."""

    line: int
    quantity: Decimal
    amount: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBack:
    """Give back lines of a receipt, or all that is left of it; `void`: it never happened.

    `receipt` is the id of its fact.
    """

    source: str
    source_id: str
    branch: str
    time: datetime
    now: datetime
    receipt: str
    void: bool = False
    lines: tuple[WantedLine, ...] | None = None
    reason: str | None = None
    till: str | None = None
    cashier: str | None = None

    @property
    def id(self) -> str:
        """The id of the command: the same for all who send this."""
        return command_id(self.source, self.branch, self.source_id)

    @property
    def fact(self) -> str:
        """The id of the fact."""
        return fact_id(self.source, self.branch, self.source_id)


@dataclass(slots=True)
class _Left:
    """What is left of a line."""

    line: ReceiptLine
    quantity: Decimal
    amount: int
    cost: int | None


def decide_taking_back(command: TakeBack, held: Held) -> Sequence[NewEvent]:
    """The event; raises `Refused` for what cannot be given back."""
    check_clock(command.time, command.now)
    kept = held.facts.get(command.receipt)
    if kept is None or kept.type != ReceiptRecorded.type:
        raise invalid("receipt.source_id", "is of something else: of receipts alone is taken back")
    receipt = ReceiptRecorded.model_validate(kept.data | {"extra": None})
    left = _left(receipt, held.of_receipt(kept.fact))
    if left is None:
        raise VOIDED
    if command.void:
        data = _void(command, kept, receipt, left)
        return [NewEvent(data, command.time, command.branch)]
    lines = _everything(left) if command.lines is None else _chosen(command.lines, left)
    if not any(line.quantity or line.amount for line in lines):
        raise NOTHING_LEFT
    returned = ReceiptReturned(
        fact=command.fact,
        source=command.source,
        source_id=command.source_id,
        receipt=kept.fact,
        bought=kept.time,
        total=sum(line.amount for line in lines),
        lines=lines,
        reason=command.reason,
        till=command.till,
        cashier=command.cashier,
    )
    return [NewEvent(returned, command.time, command.branch)]


def _void(
    command: TakeBack, kept: Kept, receipt: ReceiptRecorded, left: Mapping[int, _Left]
) -> ReceiptVoided:
    lines = _everything(left)
    return ReceiptVoided(
        fact=command.fact,
        source=command.source,
        source_id=command.source_id,
        receipt=kept.fact,
        bought=kept.time,
        bought_at=kept.branch or command.branch,
        total=sum(line.amount for line in lines),
        lines=lines,
        tips=receipt.tips,
        reason=command.reason,
        till=command.till,
        cashier=command.cashier,
    )


def _left(receipt: ReceiptRecorded, taken: Sequence[Kept]) -> dict[int, _Left] | None:
    """What is left of each line, from 1; None once the receipt was voided."""
    left = {
        number: _Left(line, line.quantity, line.amount, line.cost)
        for number, line in enumerate(receipt.lines, start=1)
    }
    for kept in taken:
        if kept.type == ReceiptVoided.type:
            return None
        for back in kept.data["lines"]:
            each = left[back["line"]]
            each.quantity -= Decimal(str(back["quantity"]))
            each.amount -= back["amount"]
            if each.cost is not None:
                each.cost -= back.get("cost", 0)
    return left


def _everything(left: Mapping[int, _Left]) -> tuple[ReturnedLine, ...]:
    return tuple(
        _line(number, each, each.quantity, each.amount, each.cost)
        for number, each in left.items()
        if each.quantity or each.amount
    )


def _chosen(wanted: Sequence[WantedLine], left: Mapping[int, _Left]) -> tuple[ReturnedLine, ...]:
    lines = []
    seen: set[int] = set()
    for index, each in enumerate(wanted):
        path = f"lines.{index}"
        found = left.get(each.line)
        if found is None:
            raise invalid(f"{path}.line", f"the receipt has lines 1 to {len(left)}")
        if each.line in seen:
            raise invalid(f"{path}.line", "is named twice")
        seen.add(each.line)
        lines.append(_part(each, found, path))
    return tuple(lines)


def _part(wanted: WantedLine, left: _Left, path: str) -> ReturnedLine:
    """A part of a line, in proportion where no amount is said; the last part takes the rest."""
    if not _within(wanted.quantity, left.quantity):
        raise invalid(f"{path}.quantity", f"at most {left.quantity:f} are left of what was bought")
    if wanted.quantity == left.quantity:
        share, cost = left.amount, left.cost
    else:
        part = wanted.quantity / left.quantity
        share = _rounded(left.amount * part)
        cost = None if left.cost is None else _rounded(left.cost * part)
    amount = share if wanted.amount is None else wanted.amount
    if not _within(Decimal(amount), Decimal(left.amount)):
        raise invalid(f"{path}.amount", f"at most {left.amount} are left of what was paid")
    return _line(wanted.line, left, wanted.quantity, amount, cost)


def _within(part: Decimal, whole: Decimal) -> bool:
    """Whether the part is nothing or more of the whole, whatever sign that has."""
    return 0 <= part <= whole if whole >= 0 else whole <= part <= 0


def _line(
    number: int, left: _Left, quantity: Decimal, amount: int, cost: int | None
) -> ReturnedLine:
    return ReturnedLine(
        line=number,
        product=left.line.product,
        quantity=quantity,
        amount=amount,
        cost=cost,
        categories=left.line.categories,
    )


def _rounded(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_HALF_EVEN))
