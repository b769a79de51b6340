"""What customers have spent: one document per customer, sums over many are made by queries."""

from datetime import datetime

import msgspec

from shared.events.interaction import ReceiptRecorded
from shared.projection import Document, Event, Projection


class BranchTotals(msgspec.Struct):
    """What a customer has done at one branch; `spent` in minor units."""

    branch: str
    receipts: int
    spent: int
    first: datetime
    last: datetime


class CustomerTotals(Document, kw_only=True):
    """What a customer has done; `spent` in minor units, `branches` in the order of first sight.

    Moments are those of the receipts, which may come in any order.
    """

    receipts: int
    spent: int
    first: datetime
    last: datetime
    branches: list[BranchTotals]


def _subject(event: Event) -> str | None:
    return event.light.subject


class Receipt(msgspec.Struct, gc=False):
    """What is read of `interaction.receipt_recorded`."""

    total: int


def apply_total(totals: CustomerTotals | None, event: Event) -> CustomerTotals:
    """The totals after a receipt."""
    receipt: Receipt = event.data
    time, branch = event.time, event.light.branch
    if branch is None:
        message = "a receipt has a branch"
        raise ValueError(message)
    if totals is None:
        totals = CustomerTotals(
            id=event.light.subject or "", receipts=0, spent=0, first=time, last=time, branches=[]
        )
    at_branch = next((each for each in totals.branches if each.branch == branch), None)
    if at_branch is None:
        at_branch = BranchTotals(branch, receipts=0, spent=0, first=time, last=time)
        totals.branches.append(at_branch)
    for each in (totals, at_branch):
        each.receipts += 1
        each.spent += receipt.total
        each.first = min(each.first, time)
        each.last = max(each.last, time)
    return totals


TOTALS: Projection[CustomerTotals] = Projection(
    name="totals_v1",
    topics=("interaction.events.v1",),
    reads={ReceiptRecorded.type: Receipt},
    document=CustomerTotals,
    target=_subject,
    apply=apply_total,
    gapless=True,
)
