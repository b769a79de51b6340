"""What rules may ask about one customer, kept so that a question costs a search and not a scan.

A `View` holds every fact that is visible at its moment, none later. Facts are asked for by window,
so each filter that some rule uses has a `Series`, built from the facts when it is first asked for,
and extended by each fact from then on.
"""

from bisect import insort
from collections.abc import Container, Iterable, Sequence

from msgspec import structs

from services.segment.rules.happened import (
    Details,
    Happened,
    Line,
    Names,
    by_time,
    details_of,
    pack,
)
from services.segment.rules.language.filters import Where
from services.segment.rules.language.kinds import FACT_KINDS, FACT_NAMES, RECEIPTS
from services.segment.rules.passing import Check, checks_of
from services.segment.rules.series import Measure, Series
from services.segment.rules.surroundings import NOWHERE
from services.segment.rules.words import Known
from shared.moments import unpacked, without_moment

GivenBack = tuple[int, int, int]
"""Of a line: its position, counted from 0, the amount, and the thousandths of its quantity."""


class Tally:
    """Over all facts of a kind ever, also those that are kept one by one no longer.

    `total` sums up their first number; `first` and `last` are instants, and `let_go` holds the
    moments of those that are not kept (`shared.moments`).
    """

    __slots__ = ("count", "first", "last", "let_go", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0
        self.first: int | None = None
        self.last: int | None = None
        self.let_go = b""

    def add(self, time: int, number: int) -> None:
        """One more."""
        self.count += 1
        self.total += number
        self.first = time if self.first is None else min(self.first, time)
        self.last = time if self.last is None else max(self.last, time)

    def remove(self, number: int, kept: Sequence[int]) -> None:
        """One less; `kept` are the times of those that are left and kept, in order."""
        self.count -= 1
        self.total -= number
        times = [*kept[:1], *kept[-1:]]
        if self.let_go:
            gone = unpacked(self.let_go)
            times += [gone[0], gone[-1]]
        self.first, self.last = min(times, default=None), max(times, default=None)


class View:
    """One customer as rules see it; each fact of it lies at or before the moment of asking.

    `happened` are the facts that are kept one by one, by kind and in order; `tallies` count all
    that ever were. `customer` is the id, and `inside` holds the names of the segments that the
    customer is in. `names` are those that the lines of receipts and orders are told in.
    """

    __slots__ = (
        "_details", "_plain", "_series", "customer", "happened", "inside", "known", "names",
        "surroundings", "tallies",
    )  # fmt: skip

    def __init__(self, names: Names | None = None, inside: Container[str] = ()) -> None:
        self.happened: dict[str, list[Happened]] = {}
        self.tallies: dict[str, Tally] = {}
        self.names = names or Names()
        self.known = Known()
        self.customer = ""
        self.inside = inside
        self.surroundings = NOWHERE
        self._series: dict[str, dict[tuple[str, Measure], Series]] = {}
        self._details: dict[Happened, Details] = {}
        self._plain: dict[str, Sequence[Check]] = {}

    @property
    def receipts(self) -> Sequence[Happened]:
        """The receipts that are kept one by one, in order."""
        return self.happened.get(RECEIPTS, ())

    def tally(self, kind: str) -> Tally:
        """All facts of a kind that count of themselves, to be looked at."""
        return self.tallies.get(kind) or Tally()

    def counting(self, kind: str) -> Tally:
        """The same, to be changed."""
        return self.tallies.setdefault(kind, Tally())

    def add(self, fact: Happened) -> None:
        """Take in a fact, in place."""
        kind = FACT_NAMES[fact.kind]
        self.count(fact)
        facts = self.happened.setdefault(kind, [])
        if not facts or by_time(facts[-1]) < by_time(fact):
            facts.append(fact)
        else:
            insort(facts, fact, key=by_time)
        for series in self._series.get(kind, {}).values():
            series.take(fact)

    def count(self, fact: Happened) -> None:
        """Take a fact into what is counted for ever, alone."""
        if self.counts(fact):
            self.counting(FACT_NAMES[fact.kind]).add(fact.time, fact.number or 0)

    def counts(self, fact: Happened) -> bool:
        """Whether it is counted for ever: its kind is, and it came to a state that counts."""
        kind = FACT_NAMES[fact.kind]
        checks = self._plain.get(kind)
        if checks is None:
            checks = self._plain[kind] = checks_of(kind, None, self.names.all)
        return FACT_KINDS[kind].totals and all(check(fact, self.details) for check in checks)

    def details(self, fact: Happened) -> Details:
        """What else is told of a fact."""
        details = self._details.get(fact)
        if details is None:
            details = self._details[fact] = details_of(fact)
        return details

    def find(self, kind: str, key: int) -> Happened | None:
        """The fact of a key, where it is kept."""
        for fact in self.happened.get(kind, ()):
            if fact.key == key:
                return fact
        return None

    def lower(self, key: int, total: int, lines: Iterable[GivenBack]) -> bool:
        """Take something off a receipt; whether it is here."""
        held = self.find(RECEIPTS, key)
        if held is None:
            return False
        facts = self.happened[RECEIPTS]
        facts[facts.index(held)] = lowered(held, total, lines)
        self.counting(RECEIPTS).total -= total
        self._series.pop(RECEIPTS, None)
        return True

    def remove(self, kind: str, key: int) -> bool:
        """Let a fact never have happened; whether it was here."""
        gone = self.find(kind, key)
        if gone is None:
            return False
        self.happened[kind].remove(gone)
        self._series.pop(kind, None)
        if self.counts(gone):
            self._uncount(kind, gone.number or 0)
        return True

    def forget(self, kind: str, time: int, number: int) -> None:
        """Let a fact that counted never have happened, which is not kept one by one any more."""
        tally = self.counting(kind)
        left = without_moment(tally.let_go, time)
        tally.let_go = tally.let_go if left is None else left
        self._uncount(kind, number)

    def _uncount(self, kind: str, number: int) -> None:
        kept = [fact.time for fact in self.happened.get(kind, ()) if self.counts(fact)]
        self.counting(kind).remove(number, kept)

    def series(self, kind: str, where: Where | None, measure: Measure) -> Series:
        """The facts of a kind that pass the filter (all that count of themselves for None)."""
        of_kind = self._series.setdefault(kind, {})
        key = ("" if where is None else where.key, measure)
        series = of_kind.get(key)
        if series is None:
            series = of_kind[key] = Series(kind, where, measure, self.names.all, self.details)
            series.fill(self.happened.get(kind, ()))
        return series


def lowered(receipt: Happened, total: int, lines: Iterable[GivenBack]) -> Happened:
    """A receipt of which something was given back; the lines stay, with what is left of them."""
    number = (receipt.number or 0) - total
    details = details_of(receipt)
    left = list(details.lines)
    for position, amount, quantity in lines:
        if position < len(left):
            held = left[position]
            left[position] = Line(
                held.product, held.amount - amount, held.quantity - quantity, held.categories
            )
    packed = pack(structs.replace(details, lines=tuple(left)))
    return structs.replace(receipt, number=number, packed=packed)
