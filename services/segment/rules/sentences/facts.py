"""Sentences of clauses about what happened."""

from services.segment.rules.language.facts import FirstReceipt, Receipts, Where
from services.segment.rules.sentences.words import amount, either, sign, span
from shared.wording import Wording


def receipts(rule: Receipts, wording: Wording) -> str:
    """How many, or worth how much."""
    which = "" if rule.where is None else _where(rule.where, wording)
    when = wording.text("ever")
    if rule.span is not None:
        when = wording.text("within {span}").format(span=span(rule.span, wording))
    if rule.aggregate == "sum":
        text = wording.text("receipts{which} {when} sum to {amount}")
        return text.format(which=which, when=when, amount=amount(rule.compare, wording))
    low, high = rule.compare.bounds
    if high == 0:
        return wording.text("no receipt{which} {when}").format(which=which, when=when)
    if low == 1 and high > 1:
        return wording.text("a receipt{which} {when}").format(which=which, when=when)
    number = rule.compare.value
    text = wording.plural(
        "{sign} {number} receipt{which} {when}", "{sign} {number} receipts{which} {when}", number
    )
    return text.format(sign=sign(rule.compare, wording), number=number, which=which, when=when)


def first_receipt(rule: FirstReceipt, wording: Wording) -> str:
    """When the first one was."""
    return wording.text("first receipt within {span}").format(span=span(rule.span, wording))


def _where(where: Where, wording: Wording) -> str:
    parts = []
    if where.branch is not None:
        parts.append(wording.text(" in branch {names}").format(names=either(where.branch, wording)))
    if where.coupon is not None:
        text = " with a coupon" if where.coupon else " without a coupon"
        parts.append(wording.text(text))
    if where.total is not None:
        parts.append(wording.text(" of {amount} each").format(amount=amount(where.total, wording)))
    return "".join(parts)
