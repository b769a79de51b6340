"""Every rule as a sentence in English, made from the same tree that is evaluated."""

from collections.abc import Sequence
from typing import assert_never

from services.segment.rules.instants import show_span
from services.segment.rules.language import (
    CUSTOM,
    All,
    AnyOf,
    Attribute,
    Comparison,
    Consent,
    FirstReceipt,
    Is,
    IsAnyOf,
    IsNot,
    Known,
    Not,
    Receipts,
    Rule,
    Value,
    Where,
)
from shared.money import show

_SIGNS = {">=": "≥", ">": ">", "<=": "≤", "<": "<", "==": "exactly"}
_FIELDS = {
    "home_branch": "home branch",
    "language": "language",
    "gender": "gender",
    "acquisition": "source of acquisition",
}


def describe(rule: Rule) -> str:
    """The sentence, without a capital or a full stop: `≥ 8 receipts within 30 days`."""
    match rule:
        case All():
            return " and ".join(_inside(clause) for clause in rule.clauses)
        case AnyOf():
            return " or ".join(_inside(clause) for clause in rule.clauses)
        case Not():
            return f"not ({describe(rule.clause)})"
        case Receipts():
            return _receipts(rule)
        case FirstReceipt():
            return f"first receipt within {show_span(rule.span)}"
        case Attribute():
            return _attribute(rule)
        case Consent():
            return f"agrees to {rule.topic} by {rule.channel}"
        case _:
            assert_never(rule)


def _inside(rule: Rule) -> str:
    joins = isinstance(rule, All | AnyOf) and len(rule.clauses) > 1
    return f"({describe(rule)})" if joins else describe(rule)


def _receipts(rule: Receipts) -> str:
    which = "" if rule.where is None else _where(rule.where)
    when = "ever" if rule.span is None else f"within {show_span(rule.span)}"
    if rule.aggregate == "sum":
        return f"receipts{which} {when} sum to {_amount(rule.compare)}"
    low, high = rule.compare.bounds
    if high == 0:
        return f"no receipt{which} {when}"
    if low == 1 and high > 1:
        return f"a receipt{which} {when}"
    noun = "receipt" if rule.compare.value == 1 else "receipts"
    return f"{_SIGNS[rule.compare.op]} {rule.compare.value} {noun}{which} {when}"


def _where(where: Where) -> str:
    parts = []
    if where.branch is not None:
        parts.append(f" in branch {_either(where.branch)}")
    if where.coupon is not None:
        parts.append(" with a coupon" if where.coupon else " without a coupon")
    if where.total is not None:
        parts.append(f" of {_amount(where.total)} each")
    return "".join(parts)


def _amount(compare: Comparison) -> str:
    return f"{_SIGNS[compare.op]} {show(compare.value)}"


def _attribute(rule: Attribute) -> str:
    custom = rule.field.startswith(CUSTOM)
    name = rule.field.removeprefix(CUSTOM) if custom else _FIELDS[rule.field]
    match rule.test:
        case Is():
            return f"{name} is {_show(rule.test.value)}"
        case IsNot():
            return f"{name} is not {_show(rule.test.value)}"
        case IsAnyOf():
            return f"{name} is {_either(rule.test.values)}"
        case Known():
            return f"{name} is known"
        case _:
            assert_never(rule.test)


def _either(values: Sequence[Value]) -> str:
    return " or ".join(_show(value) for value in values)


def _show(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
