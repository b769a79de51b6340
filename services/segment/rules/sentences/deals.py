"""Sentences of clauses about deals."""

from services.segment.rules.language.deals import Deals, DealWhere
from services.segment.rules.sentences.words import amount, either, how_many, span, within
from shared.wording import Wording

_STATES = {"open": " that are open", "won": " that are won", "lost": " that are lost"}


def deals(rule: Deals, wording: Wording) -> str:
    """How many deals of which kind."""
    which = "" if rule.where is None else _which(rule.where, wording)
    low, high = rule.compare.bounds
    if high == 0:
        return wording.text("no deals{which}").format(which=which)
    if low == 1 and high > 1:
        return wording.text("deals{which}").format(which=which)
    return wording.text("number of deals{which}: {compare}").format(
        which=which, compare=how_many(rule.compare, wording)
    )


def _which(where: DealWhere, wording: Wording) -> str:
    parts = [] if where.state is None else [wording.text(_STATES[where.state])]
    for text, named in (
        (" in pipeline {names}", where.pipeline),
        (" in stage {names}", where.stage),
        (" of type {names}", where.deal_type),
        (" from source {names}", where.source),
        (" in branch {names}", where.branch),
        (" of the employee {names}", where.responsible),
    ):
        if named is not None:
            parts.append(wording.text(text).format(names=either(named, wording)))
    if where.amount is not None:
        parts.append(wording.text(" of {amount} each").format(amount=amount(where.amount, wording)))
    if where.staying is not None:
        one = where.stage is not None and len(where.stage) == 1
        text = " for at least {span}" if one else " open in one stage for at least {span}"
        parts.append(wording.text(text).format(span=span(where.staying, wording)))
    for text, length in ((" opened{within}", where.opening), (" closed{within}", where.closing)):
        if length is not None:
            parts.append(wording.text(text).format(within=within(length, wording)))
    return "".join(parts)
