"""Random facts of every kind, and random rules about them."""

from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import strategies as st

from services.segment.engine.reported import MOVING_FACTS, NOTIFICATIONS
from tests.unit.naive.facts import SPANS
from tests.unit.naive.record import START

BRANCHES = ("1", "2", "3")
Json = dict[str, Any]
_TYPES = {
    "receipt": "interaction.receipt_recorded.v1",
    "visits": "interaction.visit_recorded.v1",
    "orders": "interaction.order_changed.v1",
    "calls": "interaction.call_recorded.v1",
    "meetings": "interaction.meeting_recorded.v1",
    "messages": "interaction.message_recorded.v1",
    "complaints": "interaction.complaint_recorded.v1",
    "surveys": "interaction.survey_answered.v1",
    "page_views": "interaction.page_viewed.v1",
    "referrals": "interaction.referred.v1",
}


def type_of(kind: str, data: Json) -> str:
    return _TYPES.get(kind) or f"message.{data['state']}.v1"


def told_by(kind: str, fact: str, data: Json) -> object:
    """The data of the event that tells a fact, as the runner reads them."""
    struct = {**MOVING_FACTS, **NOTIFICATIONS}[type_of(kind, data)]
    return msgspec.convert({"fact": fact, **data}, struct)


# What happens

AMOUNTS = st.sampled_from([0, 0, 100, 100, 200, 500, -100])
NAMES = st.sampled_from(["a", "b"])
LINES = st.lists(
    st.fixed_dictionaries(
        {
            "product": st.sampled_from(["p", "q", "r"]),
            "quantity": st.sampled_from(["1", "2", "0.5", "0"]),
            "amount": AMOUNTS,
        },
        optional={"categories": st.sampled_from([["root", "x"], ["root", "y"], ["z"]])},
    ),
    max_size=3,
)
EXTRA = st.fixed_dictionaries({}, optional={"colour": st.sampled_from(["a", 1, True, ["a", "b"]])})
SMALL = st.integers(0, 3)
RECEIPT = st.fixed_dictionaries(
    {"total": AMOUNTS, "coupon_lines": st.sampled_from([0, 2])},
    optional={
        "lines": LINES, "cashier": NAMES, "till": NAMES, "channel": NAMES, "source": NAMES,
        "coupons": st.lists(NAMES, min_size=1, max_size=2), "extra": EXTRA,
    },
)  # fmt: skip
DIRECTION = st.sampled_from(["in", "out"])
CONTENTS: dict[str, st.SearchStrategy[Json]] = {
    "receipt": RECEIPT,
    "visits": st.fixed_dictionaries(
        {"visit": NAMES, "state": st.sampled_from(["kept", "walked_in", "missed", "kept"])},
        optional={"minutes": SMALL, "employee": NAMES, "service": NAMES, "extra": EXTRA},
    ),
    "orders": st.fixed_dictionaries(
        {"order": NAMES, "state": st.sampled_from(["placed", "placed", "paid"])},
        optional={"total": AMOUNTS, "lines": LINES, "channel": NAMES},
    ),
    "calls": st.fixed_dictionaries(
        {"direction": DIRECTION, "answered": st.booleans()},
        optional={"seconds": SMALL, "employee": NAMES},
    ),
    "meetings": st.fixed_dictionaries({}, optional={"minutes": SMALL, "source": NAMES}),
    "messages": st.fixed_dictionaries({"direction": DIRECTION, "channel": NAMES}),
    "complaints": st.fixed_dictionaries({}, optional={"about": NAMES, "department": NAMES}),
    "surveys": st.fixed_dictionaries(
        {"survey": NAMES},
        optional={
            "score": SMALL,
            "answers": st.lists(
                st.fixed_dictionaries({"question": NAMES}, optional={"score": SMALL}), max_size=2
            ),
        },
    ),
    "page_views": st.fixed_dictionaries(
        {"page": NAMES},
        optional={"seconds": SMALL, "scroll": SMALL, "product": NAMES, "session": NAMES},
    ),
    "referrals": st.fixed_dictionaries({"direction": DIRECTION}, optional={"code": NAMES}),
}
NOTIFICATION = st.tuples(
    NAMES,
    st.sampled_from(["sent", "sent", "delivered", "opened", "clicked"]),
    NAMES,
    st.none() | NAMES,
).map(
    lambda told: (
        {"message": told[0], "state": told[1], "campaign": told[2]}
        | ({"link": told[3]} if told[1] == "clicked" and told[3] else {})
    )
)
OTHERS = tuple(kind for kind in CONTENTS if kind != "receipt")

# What is asked


def comparisons(low: int, high: int, times: int = 1) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(
        {
            "op": st.sampled_from([">=", ">", "<=", "<", "=="]),
            "value": st.integers(low, high).map(lambda value: value * times),
        }
    )


ANY_NAMES = st.lists(NAMES, min_size=1, max_size=2)
BRANCHED = st.lists(st.sampled_from(BRANCHES), min_size=1, max_size=2)
OF_LINES = {
    "product": st.lists(st.sampled_from(["p", "q"]), min_size=1, max_size=2),
    "category": st.lists(st.sampled_from(["root", "x", "z"]), min_size=1, max_size=1),
}
EXTRAS = st.fixed_dictionaries(
    {"colour": st.lists(st.sampled_from(["a", "b", 1, True]), min_size=1, max_size=2)}
)
_FILTERS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "receipts": {
        "branch": BRANCHED, "coupon": st.booleans() | ANY_NAMES, "total": comparisons(-1, 3, 100),
        "employee": ANY_NAMES, "till": ANY_NAMES, "channel": ANY_NAMES, "source": ANY_NAMES,
        "extra": EXTRAS, **OF_LINES,
    },
    "visits": {
        "state": st.lists(st.sampled_from(["kept", "missed"]), min_size=1, max_size=2),
        "minutes": comparisons(0, 3), "employee": ANY_NAMES, "service": ANY_NAMES,
        "branch": BRANCHED, "extra": EXTRAS,
    },
    "orders": {
        "state": st.lists(st.sampled_from(["paid", "placed"]), min_size=1, max_size=2),
        "total": comparisons(-1, 3, 100), "channel": ANY_NAMES, **OF_LINES,
    },
    "calls": {
        "direction": DIRECTION, "answered": st.booleans(), "seconds": comparisons(0, 3),
        "employee": ANY_NAMES,
    },
    "meetings": {"minutes": comparisons(0, 3), "source": ANY_NAMES, "branch": BRANCHED},
    "messages": {"direction": DIRECTION, "channel": ANY_NAMES},
    "complaints": {"about": ANY_NAMES, "department": ANY_NAMES},
    "surveys": {
        "survey": ANY_NAMES, "score": comparisons(0, 3),
        "answer": st.fixed_dictionaries({"question": NAMES, "score": comparisons(0, 3)}),
    },
    "page_views": {
        "page": ANY_NAMES, "product": ANY_NAMES, "scroll": comparisons(0, 3),
        "seconds": comparisons(0, 3), "session": ANY_NAMES,
    },
    "referrals": {"direction": DIRECTION, "code": ANY_NAMES},
    "notifications": {
        "state": st.lists(
            st.sampled_from(["delivered", "opened", "clicked", "sent"]), min_size=1, max_size=2
        ),
        "campaign": ANY_NAMES, "link": ANY_NAMES,
    },
}  # fmt: skip
_NUMBERS = {
    "receipts": ["total", "amount", "quantity"], "visits": ["minutes"],
    "orders": ["total", "amount", "quantity"], "calls": ["seconds"], "meetings": ["minutes"],
    "surveys": ["score"], "page_views": ["seconds", "scroll"],
}  # fmt: skip
_THINGS = {
    "receipts": ["day", "branch", "product", "employee", "till", "channel", "source"],
    "visits": ["day", "branch", "visit", "state", "service"],
    "orders": ["order", "state", "product", "channel"],
    "calls": ["day", "employee"], "meetings": ["source"], "messages": ["channel"],
    "complaints": ["about", "department"], "surveys": ["survey"],
    "page_views": ["page", "product", "session"], "referrals": ["day"],
    "notifications": ["message", "campaign", "link"],
}  # fmt: skip
WITHIN = st.sampled_from(sorted(SPANS))


def moment(hours: int) -> str:
    return (START + timedelta(hours=hours)).isoformat()


BETWEEN = st.tuples(st.integers(-4, 12), st.integers(1, 12)).map(
    lambda ends: {"from": moment(ends[0]), "to": moment(ends[0] + ends[1])}
)
WINDOW = st.one_of(
    WITHIN.map(lambda span: {"within": span}),
    WITHIN.map(lambda span: {"within": span}),
    WITHIN.map(lambda span: {"within": span}),
    BETWEEN.map(lambda both: {"between": both}),
)


def where(kind: str) -> st.SearchStrategy[Json]:
    """One filter or two."""
    filters = _FILTERS[kind]
    names = st.lists(st.sampled_from(sorted(filters)), min_size=1, max_size=2, unique=True)
    return names.flatmap(
        lambda chosen: st.fixed_dictionaries({name: filters[name] for name in chosen})
    )


def _maybe_where(kind: str) -> st.SearchStrategy[Json]:
    return st.one_of(st.just({}), where(kind).map(lambda told: {"where": told}))


@st.composite
def facts_rules(draw: st.DrawFn, kind: str) -> Json:
    aggregates = ["count", "distinct", "first", "last"]
    aggregates += ["sum", "average", "min", "max"] if kind in _NUMBERS else []
    rule: Json = {"kind": kind, "aggregate": draw(st.sampled_from(aggregates))}
    rule |= draw(_maybe_where(kind))
    match rule["aggregate"]:
        case "first" | "last":
            rule |= draw(WINDOW)
            if draw(st.booleans()):
                rule["having"] = draw(where(kind))
            return rule
        case "count":
            compare = comparisons(0, 3)
        case "distinct":
            rule["of"] = draw(st.sampled_from(_THINGS[kind]))
            compare = comparisons(0, 3)
        case _:
            rule["of"] = draw(st.sampled_from(_NUMBERS[kind]))
            compare = comparisons(-1, 5, 100 if rule["of"] in {"total", "amount"} else 1)
    return {**rule, "compare": draw(compare)} | draw(st.one_of(WINDOW, WINDOW, st.just({})))


@st.composite
def sequences(draw: st.DrawFn) -> Json:
    kinds = st.sampled_from(["receipts", "visits", "calls", "receipts", "notifications"])
    both = []
    for _ in range(2):
        kind = draw(kinds)
        both.append({"facts": kind} | draw(_maybe_where(kind)))
    gap = draw(st.sampled_from(["PT1H", "PT90M", "PT2H"]))
    rule: Json = {
        "kind": "sequence",
        "first": both[0],
        "then": both[1],
        "direction": draw(st.sampled_from(["after", "before"])),
        "gap": gap,
        "compare": draw(comparisons(0, 2)),
    }
    wider = [span for span in SPANS if SPANS[span] > SPANS[gap]]
    window: st.SearchStrategy[Json] = st.one_of(
        st.sampled_from(wider).map(lambda span: {"within": span}),
        st.sampled_from(wider).map(lambda span: {"within": span}),
        BETWEEN.map(lambda ends: {"between": ends}),
        st.just({}),
    )
    return rule | draw(window)


RULES = st.one_of(
    facts_rules("receipts"),
    facts_rules("receipts"),
    st.sampled_from(sorted(_FILTERS)).flatmap(facts_rules),
    sequences(),
)
