"""What is bought together: the lift of pairs of products over baskets, recent ones counting more.

The lift of a and b is how much more often they share a basket than they would if neither had to do
with the other: P(a and b) / (P(a) P(b)) (S. Brin, R. Motwani, J. D. Ullman, S. Tsur, *Dynamic
itemset counting and implication rules for market basket data*, SIGMOD 1997, where it is called
interest). Probabilities are shares of the weight of all baskets; a basket weighs
2^(-age/half-life), and one of the future as if it were of now, so

    lift = W(a and b) W(all) / (W(a) W(b)).

With an infinite half-life that is n(a and b) n(all) / (n(a) n(b)). The counts n go with each
pair, undecayed, so that a person can judge what the number rests on. Lift is large by chance where
little is counted, so a pair counts from `least_together` baskets on.

Memory is bounded, whatever there is to read: of more than `most_lines` lines, every second basket
is dropped, by a hash of its fact, and again; what is left is a fair sample, which says how thin it
is. So the same facts, in any order, give the same sample.
"""

from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

LARGEST_BASKET = 200
"""Different products; a basket of more is no household's, and would make most of all pairs."""
DAY_SECONDS = 86_400.0
MOST_LINES = 2_000_000
MOST_EXPANDED = 500_000
"""Lines that are looked at together while pairs are counted; a single product may need more."""

BY_CHANCE = 1.0 + 1e-9
"""Sums of weights are not exact."""

Whole = npt.NDArray[np.int64]
Real = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measure:
    """How pairs are measured: `half_life` in days, and how many partners each product keeps."""

    half_life: float
    least_together: int = 3
    partners: int = 20


@dataclass(frozen=True, slots=True)
class Pair:
    """A partner: the baskets with it, those with both, the lift, and when they last met."""

    product: str
    baskets: int
    together: int
    lift: float
    last: datetime


@dataclass(frozen=True, slots=True)
class Partners:
    """The best partners of a product, the best first, of `total` baskets, `baskets` with it."""

    product: str
    baskets: int
    total: int
    pairs: Sequence[Pair]


def _hash(fact: str) -> int:
    return int.from_bytes(blake2b(fact.encode(), digest_size=8).digest())


@dataclass(slots=True)
class Baskets:
    """The baskets that were read, packed; one in `2**thinned` of all of them."""

    most_lines: int = MOST_LINES
    thinned: int = 0
    _names: dict[str, int] = field(default_factory=dict)
    _lines: "array[int]" = field(default_factory=lambda: array("i"))
    _sizes: "array[int]" = field(default_factory=lambda: array("i"))
    _times: "array[float]" = field(default_factory=lambda: array("d"))
    _hashes: "array[int]" = field(default_factory=lambda: array("Q"))
    _voided: set[int] = field(default_factory=set)

    def add(self, fact: str, at: datetime, products: Collection[str]) -> None:
        """A receipt, which is added once. Products are counted once each."""
        different = set(products)
        hashed = _hash(fact)
        if not 0 < len(different) <= LARGEST_BASKET or not self._kept(hashed):
            return
        names = self._names
        self._lines.extend(names.setdefault(name, len(names)) for name in sorted(different))
        self._sizes.append(len(different))
        self._times.append(at.timestamp())
        self._hashes.append(hashed)
        while len(self._lines) > self.most_lines:
            self._thin()

    def void(self, fact: str) -> None:
        """The receipt was a mistake, whether it was added yet or not."""
        hashed = _hash(fact)
        if self._kept(hashed):
            self._voided.add(hashed)

    @property
    def products(self) -> Sequence[str]:
        """The products in the order of their numbers."""
        return list(self._names)

    def _kept(self, hashed: int) -> bool:
        return hashed & ((1 << self.thinned) - 1) == 0

    def _thin(self) -> None:
        """Drop every second basket, by its hash."""
        self.thinned += 1
        mask = np.uint64((1 << self.thinned) - 1)
        kept = np.frombuffer(self._hashes, np.uint64) & mask == 0
        self._keep(kept)
        self._voided = {hashed for hashed in self._voided if self._kept(hashed)}

    def _keep(self, kept: npt.NDArray[np.bool_]) -> None:
        of_line = np.repeat(kept, np.frombuffer(self._sizes, np.int32))
        self._lines = array("i", np.frombuffer(self._lines, np.int32)[of_line].tobytes())
        self._sizes = array("i", np.frombuffer(self._sizes, np.int32)[kept].tobytes())
        self._times = array("d", np.frombuffer(self._times, np.float64)[kept].tobytes())
        self._hashes = array("Q", np.frombuffer(self._hashes, np.uint64)[kept].tobytes())

    def packed(self) -> tuple[Whole, Whole, Real]:
        """Of those not voided: the product of each line, the size and the time of each basket."""
        voided = np.fromiter(self._voided, np.uint64, len(self._voided))
        self._keep(~np.isin(np.frombuffer(self._hashes, np.uint64), voided))
        return (
            np.frombuffer(self._lines, np.int32).astype(np.int64),
            np.frombuffer(self._sizes, np.int32).astype(np.int64),
            np.frombuffer(self._times, np.float64).copy(),
        )


@dataclass(frozen=True, slots=True)
class Counted:
    """All that is counted once: lines of frequent products, by basket and by product.

    `lines` are grouped by basket, from `starts` on, `sizes` of each; `order` are the places of
    lines grouped by product, from `firsts` on.
    """

    measure: Measure
    names: Sequence[str]
    counts: Whole
    weights: Real
    total: int
    weight: float
    lines: Whole
    baskets: Whole
    starts: Whole
    sizes: Whole
    times: Real
    basket_weights: Real
    order: Whole
    firsts: Whole

    @classmethod
    def of(cls, read: Baskets, at: datetime, measure: Measure) -> "Counted":
        """Count single products; those in too few baskets for any pair go."""
        names = read.products
        lines, sizes, times = read.packed()
        ages = np.maximum(at.timestamp() - times, 0.0) / DAY_SECONDS
        basket_weights = np.exp2(-ages / measure.half_life)
        baskets = np.repeat(np.arange(len(sizes)), sizes)
        counts: Whole = np.bincount(lines, minlength=len(names))
        weights: Real = np.bincount(lines, basket_weights[baskets], minlength=len(names)).astype(
            np.float64
        )
        frequent = counts[lines] >= measure.least_together
        lines, baskets = lines[frequent], baskets[frequent]
        kept_sizes = np.bincount(baskets, minlength=len(sizes))
        order = np.argsort(lines, kind="stable")
        per_product = np.bincount(lines, minlength=len(names))
        return cls(
            measure=measure,
            names=names,
            counts=counts,
            weights=weights,
            total=len(sizes),
            weight=float(basket_weights.sum()),
            lines=lines,
            baskets=baskets,
            starts=np.concatenate(([0], np.cumsum(kept_sizes)[:-1])) if len(sizes) else sizes,
            sizes=kept_sizes,
            times=times,
            basket_weights=basket_weights,
            order=order,
            firsts=np.concatenate(([0], np.cumsum(per_product))),
        )

    def parts(self, most: int = MOST_EXPANDED) -> Iterator[tuple[int, int]]:
        """Ranges of products, each with at most so many lines to look at, or of one product."""
        reach = np.bincount(self.lines, self.sizes[self.baskets], minlength=len(self.names))
        begin, room = 0, float(most)
        for number, lines in enumerate(reach.tolist()):
            if lines > room and number > begin:
                yield begin, number
                begin, room = number, float(most)
            room -= lines
        if begin < len(self.names):
            yield begin, len(self.names)

    def partners(self, begin: int, end: int) -> list[Partners]:
        """The partners of the products of a range; one without any is left out."""
        anchors, partners, baskets = self._expanded(begin, end)
        different = anchors != partners
        codes = (anchors[different] - begin) * len(self.names) + partners[different]
        baskets = baskets[different]
        pairs, which = np.unique(codes, return_inverse=True)
        together = np.bincount(which, minlength=len(pairs))
        both = np.bincount(which, self.basket_weights[baskets], minlength=len(pairs))
        last = np.full(len(pairs), -np.inf)
        np.maximum.at(last, which, self.times[baskets])
        a, b = pairs // max(len(self.names), 1) + begin, pairs % max(len(self.names), 1)
        lift = both * self.weight / (self.weights[a] * self.weights[b])
        good = (together >= self.measure.least_together) & (lift > BY_CHANCE)
        ranked = np.lexsort((b[good], -together[good], -lift[good], a[good]))
        return self._best(
            a[good][ranked], b[good][ranked], together[good][ranked], lift[good][ranked],
            last[good][ranked],
        )  # fmt: skip

    def _expanded(self, begin: int, end: int) -> tuple[Whole, Whole, Whole]:
        """Each line of the products beside each line of its basket: product, other, basket."""
        places = self.order[self.firsts[begin] : self.firsts[end]]
        baskets = self.baskets[places]
        sizes = self.sizes[baskets]
        ends = np.cumsum(sizes)
        total = int(ends[-1]) if len(ends) else 0
        within = np.arange(total) - np.repeat(ends - sizes, sizes)
        others = self.lines[np.repeat(self.starts[baskets], sizes) + within]
        return np.repeat(self.lines[places], sizes), others, np.repeat(baskets, sizes)

    def _best(self, a: Whole, b: Whole, together: Whole, lift: Real, last: Real) -> list[Partners]:
        """The first of each product, as many as are kept; they are sorted by product and rank."""
        found: list[Partners] = []
        products, firsts = np.unique(a, return_index=True)
        ends = np.append(firsts[1:], len(a))[: len(products)].tolist()
        for product, first, end in zip(products.tolist(), firsts.tolist(), ends, strict=True):
            best = range(first, min(end, first + self.measure.partners))
            pairs = [
                Pair(
                    product=self.names[int(b[place])],
                    baskets=int(self.counts[b[place]]),
                    together=int(together[place]),
                    lift=round(float(lift[place]), 4),
                    last=datetime.fromtimestamp(float(last[place]), UTC),
                )
                for place in best
            ]
            name = self.names[product]
            found.append(Partners(name, int(self.counts[product]), self.total, pairs))
        return found
