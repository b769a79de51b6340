"""What sets the members of a segment apart from everybody else: shares of every value, beside.

A value is what a customer has or has not: a city, a tag, between 6 and 10 receipts. Of each we
count who has it in the segment and in the base, and order by how sure it is that the segment
differs: the log-odds ratio between the members and the rest of the base, with a prior of `PRIOR`
customers that have the value as often as the base, divided by its standard deviation (Monroe,
Colaresi, Quinn 2008, "Fightin' Words", formulas 15, 16, 22). So a rare value that one member
happens to have does not come first. What fewer than `FEWEST` customers have is left out: it may be
somebody.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np

from services.segment.queries.moments import everybody
from shared.moments import WIDTH, milliseconds, unpacked
from shared.readmodel import RawDocument, Scans

PRIOR = 10.0
FEWEST = 5
DAY = 24 * 3600 * 1000
PERSONAL = frozenset(
    {"birth_date", "surname", "name", "patronymic", "address", "workplace", "registered"}
)
"""Fields whose values are of one person."""
_ELSEWHERE = frozenset({"home_branch", "city", "acquisition", "internal", "misuse"})
_RECEIPTS = (1, 2, 3, 6, 11, 21, 51, 101)
_DAYS = (0, 8, 31, 91, 181, 366)
FIFTHS = 5

Trait = tuple[str, str]
"""An attribute and a value of it."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many have a value, of the members and of the base, and how sure they differ."""

    attribute: str
    value: str
    members: int
    base: int
    score: float


@dataclass(frozen=True, slots=True)
class Portrait:
    """Shares of a segment beside the base; what sets it apart the most comes first."""

    members: int
    base: int
    shares: Sequence[Share]


@dataclass(frozen=True, slots=True)
class Portraits:
    """Questions to what members are like; without staff, and without who is nobody by now."""

    activity: Scans
    members: Scans
    profiles: Scans

    async def of(self, segment: str, now: datetime, limit: int) -> Portrait:
        """The portrait of who is in the segment now."""
        inside = await self._inside(segment)
        tally = Tally(inside)
        figures: list[tuple[str, float, float]] = []
        async for people in everybody(self.activity):
            for raw in people:
                if not raw.get("away") and not raw.get("erased"):
                    tally.people.add(raw["_id"])
                    receipts, spent = _bought(raw)
                    if receipts:
                        figures.append((raw["_id"], float(spent), spent / receipts))
                    tally.add(raw["_id"], set(_traits(raw, receipts, milliseconds(now))))
        for place, attribute in enumerate(("spent", "average_receipt"), 1):
            _add_fifths(tally, attribute, [(each[0], float(each[place])) for each in figures])
        async for batch in self.profiles.batches({}, fields={"words": 1}):
            for raw in batch:
                if raw["_id"] in tally.people:
                    tally.add(raw["_id"], set(_told(raw.get("words", ()))))
        return tally.portrait(limit)

    async def _inside(self, segment: str) -> set[str]:
        where = {"segment": segment, "current": True}
        return {
            raw["customer"]
            async for batch in self.members.batches(where, fields={"customer": 1})
            for raw in batch
        }


class Tally:
    """Counts who has what; `people` are those who count."""

    def __init__(self, inside: set[str]) -> None:
        """`inside` are the members."""
        self.people: set[str] = set()
        self._inside = inside
        self._members, self._base = Counter[Trait](), Counter[Trait]()

    def add(self, customer: str, traits: set[Trait]) -> None:
        """Count values of one customer."""
        self._base.update(traits)
        if customer in self._inside:
            self._members.update(traits)

    def portrait(self, limit: int) -> Portrait:
        """The shares that set the members apart the most."""
        base, members = len(self.people), len(self.people & self._inside)
        shares = [
            Share(*trait, inside, many, apart(inside, members, many, base))
            for trait, many in self._base.items()
            if many >= FEWEST
            for inside in (self._members[trait],)
        ]
        shares.sort(key=lambda share: (-abs(share.score), share.attribute, share.value))
        return Portrait(members, base, shares[:limit])


def apart(inside: int, members: int, many: int, base: int) -> float:
    """How many standard deviations the log-odds of the members are above those of the rest."""
    rest, others = base - members, many - inside
    if not members or not rest:
        return 0.0
    has = PRIOR * many / base
    lacks = PRIOR - has
    cells = (inside + has, members - inside + lacks, others + has, rest - others + lacks)
    if min(cells) <= 0:
        return 0.0  # everybody has it
    ratio = math.log(cells[0] / cells[1]) - math.log(cells[2] / cells[3])
    return ratio / math.sqrt(sum(1 / cell for cell in cells))


def _bought(raw: RawDocument) -> tuple[int, int]:
    branches = raw.get("branches", ())
    receipts = sum(len(each.get("bought", b"")) for each in branches) // WIDTH
    return receipts, sum(each.get("spent", 0) for each in branches)


def _traits(raw: RawDocument, receipts: int, now: int) -> Iterator[Trait]:
    for attribute, field in (
        ("home_branch", "home_branch"), ("city", "city"), ("source", "acquisition"),
    ):  # fmt: skip
        if raw.get(field) is not None:
            yield attribute, str(raw[field])
    moments = [
        (each["branch"], unpacked(each["bought"]))
        for each in raw.get("branches", ())
        if each.get("bought")
    ]
    yield from (("bought_at", branch) for branch, _ in moments)
    yield "receipts", _bin(receipts, _RECEIPTS)
    if moments:
        last = max(each[-1] for _, each in moments)
        first = min(each[0] for _, each in moments)
        yield "days_since_last_receipt", _bin((now - last) // DAY, _DAYS)
        yield "days_since_first_receipt", _bin((now - first) // DAY, _DAYS)


def _bin(number: int, starts: Sequence[int]) -> str:
    """The range that a number is in, both ends included."""
    for start, following in pairwise(starts):
        if start <= number < following:
            return f"{start}" if following == start + 1 else f"{start} to {following - 1}"
    return f"from {starts[-1]}" if number >= starts[-1] else f"below {starts[0]}"


def _add_fifths(tally: Tally, attribute: str, figures: Sequence[tuple[str, float]]) -> None:
    """Count in which fifth of the buyers of the base each is, the first has the least."""
    if not figures:
        return
    values = np.array([value for _, value in figures])
    cuts = np.quantile(values, [number / FIFTHS for number in range(1, FIFTHS)])
    for (customer, _), place in zip(figures, np.searchsorted(cuts, values), strict=True):
        tally.add(customer, {(attribute, f"fifth {int(place) + 1} of {FIFTHS}")})


def _told(words: Sequence[Any]) -> Iterator[Trait]:
    """The values of fields, tags and categories among the words of a profile."""
    for word in words:
        match word:
            case ["field", str(field), value, *_] | ["item", str(field), _, value, *_]:
                if value is None or field in PERSONAL or field in _ELSEWHERE:
                    continue
                values = value if isinstance(value, list | tuple) else [value]
                yield from ((field, _shown(each)) for each in values)


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
