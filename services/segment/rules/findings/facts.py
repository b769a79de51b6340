"""Findings of clauses about what happened."""

from services.segment.rules.findings.finding import Finding
from services.segment.rules.language.facts import FirstReceipt, Receipts
from services.segment.rules.view import View, passes


def receipts(rule: Receipts, view: View, at: int) -> Finding:
    """How many there are, or what they sum to; ever includes those that are no longer kept."""
    key = None if rule.where is None else rule.where.key
    begin = None if rule.span is None else at - rule.span
    inside = [
        receipt
        for receipt in view.receipts
        if (begin is None or receipt.time > begin) and (key is None or passes(receipt, key))
    ]
    if begin is None:
        value = view.count if rule.aggregate == "count" else view.total
    elif rule.aggregate == "count":
        value = len(inside)
    else:
        value = sum(receipt.total for receipt in inside)
    return Finding(value, inside)


def first_receipt(_rule: FirstReceipt, view: View, _at: int) -> Finding:
    """The first of all, where it is still kept."""
    first = [receipt for receipt in view.receipts[:1] if receipt.time == view.first]
    return Finding(None if view.first is None else 1, first)
