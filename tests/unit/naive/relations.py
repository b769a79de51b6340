"""The naive room of what relates a customer to others: shares, and where it stands among all.

It follows the definition of each form word by word, and shares no code with the engine.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from tests.unit.naive.record import HOUR

TABLES: dict[str, dict[str, Any]] = {
    "chain": {
        "look_back": 5 * HOUR, "branch": None,
        "recency": (HOUR // 2, HOUR, HOUR * 3 // 2, 2 * HOUR),
        "frequency": (2, 2, 3, 4), "monetary": (100, 200, 300, 500),
        "spent": (50, 100, 150, 400), "receipts": (1, 2, 3), "average": (50, 100, 200),
    },
    "branch": {
        "look_back": 2 * HOUR, "branch": "1",
        "recency": (HOUR, HOUR, 3 * HOUR, 4 * HOUR),
        "frequency": (1, 2, 3, 4), "monetary": (-50, 0, 1, 100),
        "spent": (0,), "receipts": (2,), "average": (-100, 0, 100),
    },
}  # fmt: skip
"""Cut points as they are meant: `recency` takes one from 5 for each, the others add one to 1."""

Bought = tuple[int, int, str | None]
"""When, for how much, where."""


def drawn(rule: dict[str, Any]) -> bool:
    """By the formula: the first 64 bits of BLAKE2b of seed, line feed and customer."""
    digest = hashlib.blake2b(f"{rule.get('seed', '')}\nc1".encode(), digest_size=8).hexdigest()
    return bool(int(digest, 16) / 2**64 < rule["percent"] / 100)


def standing(rule: dict[str, Any], receipts: Sequence[Bought], at: int) -> dict[str, Any] | None:
    """The scores, the cell and the percentiles; None without a receipt or a table."""
    table = TABLES.get(rule["table"])
    if table is None:
        return None
    seen = [
        (time, total)
        for time, total, branch in receipts
        if at - table["look_back"] < time <= at and table["branch"] in {None, branch}
    ]
    if not seen:
        return None
    spent, last = sum(total for _, total in seen), max(time for time, _ in seen)
    recency = 5 - sum(at - last >= cut for cut in table["recency"])
    frequency = 1 + sum(len(seen) >= cut for cut in table["frequency"])
    monetary = 1 + sum(spent >= cut for cut in table["monetary"])
    average = spent / len(seen)
    return {
        "recency": recency,
        "frequency": frequency,
        "monetary": monetary,
        "cell": f"{recency}{frequency}{monetary}",
        "spent": sum(spent >= cut for cut in table["spent"]),
        "receipts": sum(len(seen) >= cut for cut in table["receipts"]),
        "average": sum(average >= cut for cut in table["average"]),
    }


def edges(written: str) -> set[int]:
    """How long after a receipt anything of the tables that are written may change."""
    return {
        span
        for name, table in TABLES.items()
        if f"'table': '{name}'" in written
        for span in (table["look_back"], *table["recency"])
    }


def compared_to(low: int, high: int) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"op": st.sampled_from([">=", ">", "<=", "<", "=="]), "value": st.integers(low, high)}
    )


RANDOM = st.fixed_dictionaries(
    {"kind": st.just("random"), "percent": st.sampled_from([1, 20, 50, 80, 99])},
    optional={"seed": st.sampled_from(["x", "y"])},
)
TABLE = st.sampled_from([*TABLES, "gone"])
CELL = st.tuples(*[st.sampled_from("12345")] * 3).map("".join)
STANDING = st.one_of(
    st.fixed_dictionaries(
        {
            "kind": st.just("rfm"), "table": TABLE, "compare": compared_to(1, 5),
            "score": st.sampled_from(["recency", "frequency", "monetary"]),
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("rfm_cell"), "table": TABLE,
            "cells": st.lists(CELL, min_size=20, max_size=60),
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("percentile"), "table": TABLE, "compare": compared_to(0, 4),
            "of": st.sampled_from(["spent", "receipts", "average"]),
        }
    ),
)  # fmt: skip
