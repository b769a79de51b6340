"""Verdicts of clauses about deals.

Time alone makes a deal count when it has been in its stage for long enough, and makes it count no
more when its beginning or end leaves a window. The earliest of that over all deals is the next
instant.
"""

from collections.abc import Iterator

from services.segment.rules.dealings import GONE, Deal, DealStand
from services.segment.rules.evaluating.lasting import Lasting, counted, until, within
from services.segment.rules.evaluating.verdict import Verdict
from services.segment.rules.language.deals import Deals, DealWhere
from services.segment.rules.view import View


def deals(rule: Deals, view: View, at: int) -> Verdict:
    """How many deals there are."""
    return counted(
        rule.compare.bounds,
        (
            Lasting(value=True, next=None) if rule.where is None else passes(deal, rule.where, at)
            for deal in deals_of(view)
        ),
    )


def deals_of(view: View) -> Iterator[Deal]:
    """The deals that are the customer's."""
    for deal in view.known.every(Deal).values():
        if deal.opened is not None and deal.stand is not None and deal.stand.state != GONE:
            yield deal


def passes(deal: Deal, where: DealWhere, at: int) -> Lasting:
    """Whether a deal satisfies every filter, and until when time leaves it so."""
    stand = deal.stand
    if stand is None or not _stands(stand, where) or not _is_about(deal, where):
        return Lasting(value=False, next=None)
    parts = []
    if where.staying is not None:
        if stand.state != "open":
            return Lasting(value=False, next=None)
        parts.append(until(stand.since + where.staying, at))
    if where.opening is not None:
        parts.append(within(deal.opened, where.opening, at))
    if where.closing is not None:
        parts.append(within(stand.closed, where.closing, at))
    return Lasting.all_of(parts)


def _stands(stand: DealStand, where: DealWhere) -> bool:
    return (
        (where.state is None or stand.state == where.state)
        and (where.pipeline is None or stand.pipeline in where.pipeline)
        and (where.stage is None or stand.stage in where.stage)
    )


def _is_about(deal: Deal, where: DealWhere) -> bool:
    if where.responsible is not None:
        responsible = None if deal.holder is None else deal.holder.responsible
        if responsible not in where.responsible:
            return False
    if not where.of_terms:
        return True
    terms = deal.terms
    if terms is None:
        return False
    low, high = (0, 0) if where.amount is None else where.amount.bounds
    return (
        (where.deal_type is None or terms.deal_type in where.deal_type)
        and (where.source is None or terms.source in where.source)
        and (where.branch is None or terms.branch in where.branch)
        and (where.amount is None or low <= terms.amount <= high)
    )
