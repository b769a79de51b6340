"""Segments that most chains begin with, as rules to take over and to change.

They are starting points and nothing more: whoever takes one over defines a segment of that rule.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

_COUNT = {"kind": "receipts", "aggregate": "count"}


def _receipts(op: str, value: int, within: str | None = None) -> Json:
    window = {} if within is None else {"within": within}
    return {**_COUNT, **window, "compare": {"op": op, "value": value}}


def _all(*clauses: Json) -> Json:
    return {"kind": "all", "clauses": list(clauses)}


def _any(*clauses: Json) -> Json:
    return {"kind": "any", "clauses": list(clauses)}


def _known(identifier: str) -> Json:
    return {"kind": "identifier", "identifier": identifier, "test": {"op": "known"}}


_BOUGHT = _receipts(">=", 1)


@dataclass(frozen=True, slots=True)
class Ready:
    """A ready segment: its name, its title in English (to be translated), and its rule."""

    name: str
    title: str
    rule: Json


READY: Sequence[Ready] = (
    Ready("bought-once", "Bought once", _receipts("==", 1)),
    Ready("bought-often", "Bought five times or more", _receipts(">=", 5)),
    Ready(
        "never-bought",
        "Left a phone or e-mail and never bought",
        _all(_any(_known("phone"), _known("email")), _receipts("==", 0)),
    ),
    Ready(
        "bought-long-ago",
        "Bought, and not within 90 days",
        _all(_BOUGHT, _receipts("==", 0, "P90D")),
    ),
    Ready(
        "birthday-soon",
        "Birthday within a week",
        {
            "kind": "date",
            "field": "birth_date",
            "yearly": True,
            "test": {"op": "next", "within": "P7D"},
        },
    ),
    Ready(
        "at-risk",
        "Bought often, and not within 60 days",
        _all(_receipts(">=", 3, "P365D"), _receipts("==", 0, "P60D")),
    ),
    Ready("lost", "Bought, and not within a year", _all(_BOUGHT, _receipts("==", 0, "P365D"))),
    Ready(
        "new",
        "Bought for the first time within 30 days",
        {**_COUNT, "aggregate": "first", "within": "P30D"},
    ),
    Ready(
        "best",
        "Ten receipts and 1,000.00 within a year",
        _all(
            _receipts(">=", 10, "P365D"),
            {**_receipts(">=", 100_000, "P365D"), "aggregate": "sum"},
        ),
    ),
    Ready(
        "visited-without-buying",
        "Came within 30 days, and did not buy within a week after",
        {
            "kind": "sequence",
            "first": {"facts": "visits"},
            "then": {"facts": "receipts"},
            "direction": "after",
            "gap": "P7D",
            "within": "P30D",
            "compare": {"op": "==", "value": 0},
        },
    ),
)
