"""Totals by two at a time, coarsely: where in a grid an entry lies is one of its marks.

A page in the order of one total, of those within a range of another, would walk past everybody at
the order's beginning who does not match. With the grid it goes on step by step of the order, and an
index finds in each step the cells that the range touches. The steps grow with the value, so that
they fit any currency and any habit. A key is in exactly one step, and steps are in the order of
keys, so the cells that two ranges touch hold all that lies in both.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from services.customer.projections.directory.texts import number_text

GRID = ("spent", "visits", "average", "last_visit")
"""Columns that are paired with each other, the first of a pair first."""
_SPENT = (0, 1, *(1 << power for power in range(12, 34, 2)))
"""Minor units: from 40.96 on each step is four times as wide as the one before."""
_AVERAGE = (0, 1, *(round(2 ** (power / 4)) for power in range(12 * 4, 30 * 4)))
"""Most averages of a chain lie close together, so that wide steps would not tell them apart."""
_VISITS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 128)
_HALVES = [f"{year}-{month:02d}" for year in range(2010, 2060) for month in (1, 7)]


def _begins(values: Sequence[int]) -> Sequence[str]:
    return ["1", *(f"1{number_text(value)}" for value in values)]


_BEGINS: Mapping[str, Sequence[str]] = {
    "spent": _begins(_SPENT),
    "visits": _begins(_VISITS),
    "average": _begins(_AVERAGE),
    "last_visit": ["1", *(f"1{half}" for half in _HALVES)],
}
"""Where steps begin, as keys without their shelf; what has no value is before them all."""


def cells_of(keys: Mapping[str, str]) -> Iterator[str]:
    """The marks of an entry with these keys of columns."""
    found = {name: bisect_right(_BEGINS[name], keys[name][1:]) for name in GRID}
    for first, second in combinations(GRID, 2):
        yield _cell(first, found[first], second, found[second])


def begins_within(column: str, low: str, high: str) -> Sequence[str]:
    """The keys between two keys of one shelf, at which a step of the column begins."""
    begins, shelf = _BEGINS[column], low[:1]
    touched = _touched(column, low, high)
    found = [shelf + begins[step - 1] for step in touched if step > 0]
    return [each for each in found if low < each < high]


def cells_within(
    first: str, span: tuple[str, str], second: str, other: tuple[str, str]
) -> Sequence[str]:
    """The marks of all cells that a span of keys of one column and one of another touch."""
    return [
        _cell(first, step, second, other_step)
        for step in _touched(first, *span)
        for other_step in _touched(second, *other)
    ]


def _touched(column: str, low: str, high: str) -> range:
    """The steps in which keys from `low` to before `high` lie; both are of one shelf."""
    begins = _BEGINS[column]
    return range(bisect_right(begins, low[1:]), bisect_left(begins, high[1:]) + 1)


def _cell(first: str, step: int, second: str, other: int) -> str:
    if GRID.index(first) > GRID.index(second):
        first, step, second, other = second, other, first, step
    return f"grid:{first}.{second}:{step}.{other}"
