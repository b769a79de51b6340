"""Facts of one kind that pass one filter, in order, so that a question costs a search.

A series counts facts, or a number that they have, or the things in which they differ. A window
ends with the last fact, so what is asked of it is asked of the facts from some place on: sums are
kept from the left, the least, the greatest and the different ones from the right, and made anew
when a fact joins.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from services.segment.rules.days import day_of
from services.segment.rules.happened import Happened, by_time
from services.segment.rules.language.filters import Where
from services.segment.rules.language.forms import UNBOUNDED
from services.segment.rules.passing import Check, Read, checks_of, line_check, number_of, things_of


class Measure(NamedTuple):
    """What a series keeps of each fact: nothing but its time, a number, or things, by the name.

    `zone` (IANA name) says which days are meant, where these are counted.
    """

    of: str = ""
    distinct: bool = False
    zone: str = "UTC"


COUNT = Measure()


class Series:
    """`times` (instants) in order, `facts` beside them; `sums[k]` is that of the first k numbers.

    `rising` says that no number is negative, so that sums can be searched.
    """

    __slots__ = (
        "_checks", "_different", "_highest", "_lowest", "_measure", "_names", "_passes", "_read",
        "facts", "numbers", "rising", "sums", "things", "times",
    )  # fmt: skip

    def __init__(
        self, kind: str, where: Where | None, measure: Measure, names: Sequence[str], read: Read
    ) -> None:
        self._checks: Sequence[Check] = checks_of(kind, where, names)
        self._passes = line_check(where, names)
        self._measure = measure
        self._names = names
        self._read = read
        self.facts: list[Happened] = []
        self.times: list[int] = []
        self.numbers: list[int] = []
        self.sums: list[int] = [0]
        self.things: list[tuple[object, ...]] = []
        self.rising = True
        self._lowest: list[int] | None = None
        self._highest: list[int] | None = None
        self._different: list[int] | None = None

    def fill(self, facts: Sequence[Happened]) -> None:
        """Begin with these facts, which are in order: what `take` makes of them one by one."""
        if self._measure.distinct:
            for fact in facts:
                self.take(fact)
            return
        read, passes, of = self._read, self._passes, self._measure.of
        for check in self._checks:
            facts = [fact for fact in facts if check(fact, read)]
        if of:
            numbered = [(fact, number_of(fact, of, passes, read)) for fact in facts]
            self.facts = [fact for fact, number in numbered if number is not None]
            self.numbers = [number for _, number in numbered if number is not None]
        else:
            self.facts, self.numbers = list(facts), [0] * len(facts)
        self.times = [fact.time for fact in self.facts]
        self.sums = list(accumulate(self.numbers, initial=0))
        self.rising = min(self.numbers, default=0) >= 0

    def take(self, fact: Happened) -> None:
        """Count one more fact, if it passes and has what is asked for."""
        read = self._read
        for check in self._checks:
            if not check(fact, read):
                return
        of, distinct, zone = self._measure
        if distinct:
            things: tuple[object, ...] = (
                (day_of(fact.time, zone),)
                if of == "day"
                else things_of(fact, of, self._passes, read, self._names)
            )
            place = self._put(fact, 0)
            self.things.insert(place, things)
            self._different = None
            return
        number = number_of(fact, of, self._passes, read) if of else 0
        if number is not None:
            self._put(fact, number)

    def _put(self, fact: Happened, number: int) -> int:
        facts, times, sums = self.facts, self.times, self.sums
        self._lowest = self._highest = None
        if number < 0:
            self.rising = False
        if not facts or by_time(facts[-1]) <= by_time(fact):
            facts.append(fact)
            times.append(fact.time)
            self.numbers.append(number)
            sums.append(sums[-1] + number)
            return len(facts) - 1
        place = bisect_right(facts, by_time(fact), key=by_time)
        facts.insert(place, fact)
        times.insert(place, fact.time)
        self.numbers.insert(place, number)
        sums.insert(place + 1, sums[place])
        for index in range(place + 1, len(sums)):
            sums[index] += number
        return place

    @property
    def lowest(self) -> Sequence[int]:
        """The least number from each place on."""
        if self._lowest is None:
            self._lowest = self.numbers[:]
            least = UNBOUNDED
            for place in reversed(range(len(self.numbers))):
                self._lowest[place] = least = min(least, self.numbers[place])
        return self._lowest

    @property
    def highest(self) -> Sequence[int]:
        """The greatest number from each place on."""
        if self._highest is None:
            self._highest = self.numbers[:]
            greatest = -UNBOUNDED
            for place in reversed(range(len(self.numbers))):
                self._highest[place] = greatest = max(greatest, self.numbers[place])
        return self._highest

    @property
    def different(self) -> Sequence[int]:
        """How many different things there are from each place on; at the end there are none."""
        if self._different is None:
            self._different = [0] * (len(self.things) + 1)
            seen: set[object] = set()
            for place in reversed(range(len(self.things))):
                seen.update(self.things[place])
                self._different[place] = len(seen)
        return self._different
