"""What a rule may ask of each kind of fact: numbers, filters, and things that differ.

The order of kinds is stored: a new one is added at the end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

RECEIPTS = "receipts"
NOTIFICATIONS = "notifications"
FactsName = Literal[
    "receipts",
    "visits",
    "orders",
    "calls",
    "meetings",
    "messages",
    "complaints",
    "surveys",
    "page_views",
    "referrals",
    "notifications",
]


@dataclass(frozen=True, slots=True)
class FactKind:
    """One kind of fact.

    `numbers` can be summed up; the first is meant where none is named. `filters` are the fields of
    a `where`, `things` what can be counted as distinct, `states` what it can come to. Where a
    `where` does not name a state, those in `counted` count. `totals` says whether all of them are
    counted for ever.
    """

    numbers: tuple[str, ...]
    filters: tuple[str, ...]
    things: tuple[str, ...]
    states: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()
    totals: bool = True


_EVERYWHERE = ("branch", "source", "extra")
_THINGS = ("day", "branch", "source")

FACT_KINDS: Mapping[str, FactKind] = {
    RECEIPTS: FactKind(
        ("total", "amount", "quantity"),
        (*_EVERYWHERE, "total", "coupon", "product", "category", "channel", "employee", "till"),
        (*_THINGS, "product", "channel", "employee", "till"),
    ),
    "visits": FactKind(
        ("minutes",),
        (*_EVERYWHERE, "state", "minutes", "service", "employee"),
        (*_THINGS, "visit", "state", "service", "employee"),
        states=("booked", "kept", "missed", "cancelled", "walked_in"),
        counted=("kept", "walked_in"),
    ),
    "orders": FactKind(
        ("total", "amount", "quantity"),
        (*_EVERYWHERE, "state", "total", "product", "category", "channel", "carrier"),
        (*_THINGS, "order", "state", "product", "channel", "carrier"),
        states=(
            "placed", "paid", "packed", "shipped", "ready", "delivered", "not_delivered",
            "cancelled", "sent_back",
        ),
        counted=("placed",),
    ),
    "calls": FactKind(
        ("seconds",),
        (*_EVERYWHERE, "direction", "answered", "seconds", "employee"),
        (*_THINGS, "employee"),
    ),
    "meetings": FactKind(
        ("minutes",), (*_EVERYWHERE, "minutes", "employee"), (*_THINGS, "employee")
    ),
    "messages": FactKind(
        (), (*_EVERYWHERE, "direction", "channel", "employee"), (*_THINGS, "channel", "employee")
    ),
    "complaints": FactKind(
        (), (*_EVERYWHERE, "about", "department", "channel"),
        (*_THINGS, "about", "department", "channel"),
    ),
    "surveys": FactKind(
        ("score",),
        (*_EVERYWHERE, "survey", "score", "answer", "channel", "employee"),
        (*_THINGS, "survey", "channel", "employee"),
    ),
    "page_views": FactKind(
        ("seconds", "scroll"),
        (*_EVERYWHERE, "page", "product", "seconds", "scroll", "session"),
        (*_THINGS, "page", "product", "session"),
        totals=False,
    ),
    "referrals": FactKind((), (*_EVERYWHERE, "direction", "code"), _THINGS),
    NOTIFICATIONS: FactKind(
        (), ("state", "campaign", "link"), ("day", "message", "campaign", "link"),
        states=("sent", "delivered", "opened", "clicked"),
        counted=("sent",),
    ),
}  # fmt: skip
FACT_NAMES = tuple(FACT_KINDS)
NUMBER_OF_KIND = {name: number for number, name in enumerate(FACT_NAMES)}
LINES = ("amount", "quantity")
"""Numbers of lines: of those that pass the filters on product and category."""
