"""What the demo defines before anything happens: six segments and two campaigns."""

from typing import Any, Final

AS_OF: Final = "2018-01-02T00:00:00Z"
WE_MISS_YOU: Final = "we-miss-you"
COUPON_BROADCAST: Final = "coupon-broadcast"
TOPIC: Final = "marketing"
HOLDOUT_PERCENT: Final = 10


def receipts(op: str, value: int, **more: object) -> dict[str, Any]:
    """A clause that counts receipts."""
    compare = {"op": op, "value": value}
    return {"kind": "receipts", "aggregate": "count", "compare": compare, **more}


FIELDS: Final[dict[str, dict[str, Any]]] = {
    name: {"titles": {"en": title}, "kind": "text", "purpose": "demographics"}
    for name, title in (
        ("age", "Age"),
        ("income", "Income"),
        ("home_ownership", "Home"),
        ("marital_status", "Marital status"),
        ("household_size", "People in the household"),
        ("household_comp", "Household"),
        ("kids_count", "Children"),
    )
}
"""What is known of some households beside their receipts, as custom fields."""

SEGMENTS: Final[dict[str, dict[str, Any]]] = {
    "lapsed-30": {
        "title": "Has bought, and not within 30 days",
        "rule": {
            "kind": "all",
            "clauses": [receipts(">=", 1), receipts("==", 0, within="P30D")],
        },
    },
    "frequent": {
        "title": "8 receipts or more within 30 days",
        "rule": receipts(">=", 8, within="P30D"),
    },
    "big-spender": {
        "title": "1,000.00 or more within 90 days",
        "rule": {
            "kind": "receipts",
            "aggregate": "sum",
            "compare": {"op": ">=", "value": 100_000},
            "within": "P90D",
        },
    },
    "bought-once": {"title": "Exactly one receipt ever", "rule": receipts("==", 1)},
    "new": {
        "title": "First receipt within 14 days",
        "rule": {"kind": "receipts", "aggregate": "first", "within": "P14D"},
    },
    "coupon": {
        "title": "Used a coupon within 60 days",
        "rule": receipts(">=", 1, within="P60D", where={"coupon": True}),
    },
}

CAMPAIGNS: Final[dict[str, dict[str, Any]]] = {
    WE_MISS_YOU: {
        "title": "We miss you",
        "trigger": {"kind": "on_entering", "segment": "lapsed-30"},
        "channel": "email",
        "topic": TOPIC,
        "template": {
            "subject": "We miss you",
            "text": "It has been a while. Your shop is looking forward to seeing you again.",
        },
        "start": "2017-12-01T00:00:00Z",
        "holdout_percent": HOLDOUT_PERCENT,
    },
    COUPON_BROADCAST: {
        "title": "New coupons",
        "trigger": {"kind": "broadcast", "segment": "coupon"},
        "channel": "email",
        "topic": TOPIC,
        "template": {
            "subject": "New coupons are here",
            "text": "You like coupons, and we have new ones. They wait for you at the till.",
        },
        "start": AS_OF,
        "holdout_percent": HOLDOUT_PERCENT,
    },
}
