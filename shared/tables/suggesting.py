"""Which column means what: by its name, and by what stands in it.

Names are compared without case, accents of habit (ё) and punctuation, and may be misspelt; contents
count where a name says nothing. A suggestion is there to be looked at by a person.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

ALIKE = 82.0
"""Of 100: `Телефонн` is a phone, `Тел. жены` is none of ours."""
BY_CONTENT = 75.0
MOSTLY = 0.8
_NO_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Target:
    """Something that a column can be taken for.

    `many` columns may be; `recognises` tells a cell of it, where cells can tell.
    """

    name: str
    names: tuple[str, ...]
    many: bool = False
    recognises: Callable[[str], bool] | None = None


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A column by its place, what it may be, and how sure that is, of 100."""

    column: int
    target: str
    score: float
    by: str


def plain(name: str) -> str:
    """The name as it is compared."""
    return _NO_WORD.sub(" ", name.casefold().replace("ё", "\u0435")).strip()


def suggest(
    header: Sequence[str], sample: Sequence[Sequence[str]], targets: Sequence[Target]
) -> Sequence[Suggestion]:
    """At most one target per column, and one column per target unless it takes many; by place.

    The surest pairs come first; of equally sure ones the leftmost column and the first target.
    """
    found = [
        suggestion
        for column, name in enumerate(header)
        for target in targets
        if (suggestion := _match(column, name, sample, target)) is not None
    ]
    found.sort(key=lambda each: -each.score)
    many = {target.name for target in targets if target.many}
    columns: set[int] = set()
    taken: set[str] = set()
    chosen = []
    for each in found:
        if each.column in columns or (each.target in taken and each.target not in many):
            continue
        columns.add(each.column)
        taken.add(each.target)
        chosen.append(each)
    return sorted(chosen, key=lambda each: each.column)


def _match(
    column: int, name: str, sample: Sequence[Sequence[str]], target: Target
) -> Suggestion | None:
    compared = plain(name)
    score = max(
        (fuzz.token_sort_ratio(compared, plain(each)) for each in target.names), default=0.0
    )
    if score >= ALIKE:
        return Suggestion(column, target.name, score, "name")
    if target.recognises is None:
        return None
    cells = [row[column] for row in sample if row[column]]
    if not cells:
        return None
    share = sum(map(target.recognises, cells)) / len(cells)
    return (
        Suggestion(column, target.name, BY_CONTENT * share, "content") if share >= MOSTLY else None
    )
