"""What a receipt must be to be recorded."""

from collections.abc import Sequence
from datetime import datetime

from services.interaction.domain.facts import RecordFact, fact_id
from shared.decider import invalid
from shared.events.hot import HotLine
from shared.events.interaction import FactIdentifier, ReceiptLine, ReceiptRecorded


def record_receipt(  # noqa: PLR0913 - what a till says of a receipt
    *,
    source: str,
    source_id: str,
    branch: str,
    time: datetime,
    now: datetime,
    lines: tuple[ReceiptLine, ...],
    total: int | None = None,
    identified_by: FactIdentifier | None = None,
    till: str | None = None,
    cashier: str | None = None,
) -> RecordFact:
    """The command that records a basket of at least one line.

    `total` is what the source says, in minor units. Raises `Refused` where it is not that of the
    lines.
    """
    data = ReceiptRecorded(
        fact=fact_id(source, branch, source_id),
        source=source,
        source_id=source_id,
        identified_by=identified_by,
        total=total_of(lines, total),
        coupon_lines=coupon_lines_of(lines),
        lines=lines,
        till=till,
        cashier=cashier,
    )
    return RecordFact(data=data, branch=branch, time=time, now=now)


def total_of(lines: Sequence[ReceiptLine | HotLine], said: int | None) -> int:
    """The sum of the lines; raises `Refused` where the source says something else."""
    total = sum(line.amount for line in lines)
    if said not in (None, total):
        raise invalid("total", "should be the sum of the lines' amounts, or be left out")
    return total


def coupon_lines_of(lines: Sequence[ReceiptLine | HotLine]) -> int:
    """How many lines have a coupon discount other than 0."""
    return sum(1 for line in lines if line.coupon)
