"""What is bought together: the lift against a plain recomputation, on any baskets in any order."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.interaction.domain.affinity import Baskets, Counted, Measure, Partners
from shared.testing import DAY

FOREVER = 1e12
"""A half-life with which every basket counts the same, in days."""


@dataclass(frozen=True, slots=True)
class Sold:
    """A basket of a test."""

    fact: str
    at: datetime
    products: frozenset[str]
    voided: bool = False


def read(sold: Sequence[Sold], most_lines: int = 10**6) -> Baskets:
    baskets = Baskets(most_lines)
    for each in sold:
        baskets.add(each.fact, each.at, each.products)
        if each.voided:
            baskets.void(each.fact)
    return baskets


def found(
    baskets: Baskets, measure: Measure, at: datetime = DAY, most: int = 10**6
) -> Mapping[str, Partners]:
    counted = Counted.of(baskets, at, measure)
    return {
        each.product: each
        for begin, end in counted.parts(most)
        for each in counted.partners(begin, end)
    }


@dataclass(slots=True)
class Plain:
    """The same by dictionaries, as the formula says it."""

    half_life: float
    at: datetime = DAY
    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    weights: dict[tuple[str, ...], float] = field(default_factory=dict)
    last: dict[tuple[str, ...], datetime] = field(default_factory=dict)

    def add(self, sold: Sold) -> None:
        age = max((self.at - sold.at).total_seconds(), 0) / 86_400
        groups: list[tuple[str, ...]] = [(), *((each,) for each in sold.products)]
        for group in [*groups, *permutations(sorted(sold.products), 2)]:
            self.counts[group] += 1
            weight = 0.5 ** (age / self.half_life)
            self.weights[group] = self.weights.get(group, 0.0) + weight
            self.last[group] = max(self.last.get(group, sold.at), sold.at)

    def lift(self, a: str, b: str) -> float:
        weights = self.weights
        return float(weights[a, b] * weights[()] / (weights[(a,)] * weights[(b,)]))


@st.composite
def sales(draw: st.DrawFn) -> list[Sold]:
    days = st.integers(-2, 700)
    baskets = st.frozensets(st.sampled_from("abcdefgh"), min_size=1, max_size=5)
    drawn = draw(st.lists(st.tuples(days, baskets, st.integers(0, 9)), max_size=60))
    return [
        Sold(f"f{number}", DAY - timedelta(days=day), products, voided=odd == 0)
        for number, (day, products, odd) in enumerate(drawn)
    ]


@given(sales(), st.sampled_from([30.0, 180.0, FOREVER]), st.sampled_from([1, 7, 10**6]))
@settings(max_examples=150, deadline=None)
def test_the_lift_is_what_a_plain_recomputation_says(
    sold: list[Sold], half_life: float, most: int
) -> None:
    plain = Plain(half_life)
    for each in sold:
        if not each.voided:
            plain.add(each)
    measure = Measure(half_life, least_together=2, partners=100)
    shuffled = random.Random(1).sample(sold, len(sold))
    actual = found(read(shuffled), measure, most=most)
    pairs = {
        (product, pair.product): pair for product, each in actual.items() for pair in each.pairs
    }
    for (a, b), pair in pairs.items():
        assert pair.lift == pytest.approx(plain.lift(a, b), abs=1e-4)
        assert (actual[a].total, actual[a].baskets) == (plain.counts[()], plain.counts[(a,)])
        assert (pair.baskets, pair.together) == (plain.counts[(b,)], plain.counts[a, b])
        assert pair.last == plain.last[a, b]
    expected = {
        group
        for group, count in plain.counts.items()
        if len(group) == 2 and count >= 2 and plain.lift(*group) > 1 + 1e-9
    }
    doubtful = {pair for pair in pairs if plain.lift(*pair) < 1 + 1e-6}
    assert pairs.keys() - doubtful == expected - doubtful
    for partners in actual.values():
        ranks = [-pair.lift for pair in partners.pairs]
        assert ranks == sorted(ranks)


def sold_together(*groups: tuple[str, int], day: int = 0) -> list[Sold]:
    """Baskets of one-letter products, each as often as it says."""
    return [
        Sold(f"{products}{number}{day}", DAY - timedelta(days=day), frozenset(products))
        for products, times in groups
        for number in range(times)
    ]


def test_a_lift_is_how_much_more_often_than_by_chance() -> None:
    # 10 baskets: 5 with a, 4 with b, 4 with both: 0.4 / (0.5 * 0.4) = 2.
    actual = found(read(sold_together(("ab", 4), ("a", 1), ("c", 5))), Measure(FOREVER))
    (pair,) = actual["a"].pairs
    assert (pair.product, pair.lift, pair.together, pair.baskets) == ("b", 2.0, 4, 4)
    assert (actual["a"].baskets, actual["a"].total) == (5, 10)
    assert set(actual) == {"a", "b"}


def test_recent_baskets_count_more() -> None:
    # As often with b long ago as with c today, and d for all that is bought alone: a half-life of
    # ten days lets a basket of a hundred days count 2^-10.
    old = sold_together(("ab", 5), ("d", 5), day=100)
    new = sold_together(("ac", 5), ("d", 5))
    pairs = found(read([*old, *new]), Measure(10.0))["a"].pairs
    by_name = {pair.product: pair.lift for pair in pairs}
    # b and c are bought with a only, so both lifts are W(all) / W(a) = 2.
    assert by_name == {"b": 2.0, "c": 2.0}
    # Sold alone today, b was bought with a less often than its weight now says.
    pairs = found(read([*old, *new, *sold_together(("b", 1))]), Measure(10.0))["a"].pairs
    assert [pair.product for pair in pairs] == ["c"]


def test_what_is_seen_too_seldom_or_by_chance_is_no_pair() -> None:
    assert found(read(sold_together(("ab", 2), ("c", 9))), Measure(FOREVER)) == {}
    # a and b in half of the baskets each, and in a quarter both: a lift of 1.
    chance = sold_together(("ab", 5), ("a", 5), ("b", 5), ("c", 5))
    assert found(read(chance), Measure(FOREVER)) == {}
    assert found(read([]), Measure(FOREVER)) == {}


def test_only_the_best_partners_are_kept() -> None:
    # The rarer the partner, the higher its lift: all are always bought with a.
    groups = [(f"a{letter}", 3 + number) for number, letter in enumerate("bcdef")]
    actual = found(read(sold_together(*groups, ("z", 50))), Measure(FOREVER, partners=2))
    assert [pair.product for pair in actual["a"].pairs] == ["f", "e"]


def test_a_basket_that_is_no_persons_is_left_out() -> None:
    crowd = frozenset(map(str, range(201)))
    sold = [Sold(f"w{number}", DAY, crowd) for number in range(5)]
    assert found(read(sold), Measure(FOREVER)) == {}


def test_of_too_many_lines_a_fair_sample_is_counted_whatever_the_order() -> None:
    sold = sold_together(("ab", 4_000), ("a", 1_000), ("c", 5_000))
    some, others = read(sold, 3_000), read(sold[::-1], 3_000)
    # 14,000 lines: an eighth is the first part that is below 3,000.
    assert (some.thinned, others.thinned) == (3, 3)
    assert found(some, Measure(FOREVER)) == found(others, Measure(FOREVER))
    (pair,) = found(some, Measure(FOREVER))["a"].pairs
    assert pair.lift == pytest.approx(2.0, rel=0.1)
    assert pair.together == pytest.approx(500, rel=0.15)
    # What is voided later is still taken off: a in all baskets that are left is no news.
    for each in sold:
        if each.products == {"c"}:
            some.void(each.fact)
    assert found(some, Measure(FOREVER)) == {}
