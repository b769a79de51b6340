"""From the language of filters to those of the database, and to a judgement of our own.

A clause is about one path of an entry. All clauses on a path become one condition, so that a filter
is flat: SecantusDB uses no index for one with `$and` or `$or`. The index is used that the first
condition names, so whoever asks puts the one that leads first (`planning.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from services.customer.domain import filters
from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.configuration.computed import bounds_of
from services.customer.domain.writing_forms import folded
from services.customer.projections.directory.keys import (
    ARCHIVED,
    CUSTOM_KEY,
    HIGHEST,
    IN_SIGHT,
    value_text,
)
from shared.access import Scope
from shared.decider import invalid
from shared.events.configuration import Computed

PATHS = {
    "tag": "tags",
    "category": "categories",
    "segment": "segments",
    "branch": "branches",
}
"""Kinds whose values stand in a list."""
MARKED = {
    "tag": "tag",
    "category": "category",
    "segment": "segment",
    "branch": "in",
    "home_branch": "home",
    "status": "status",
    "responsible": "responsible",
    "city": "city",
}
"""Kinds that are found by an index, and what their marks begin with."""
RANGED_KINDS = {"number", "money"}


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of the values stands at the path (`negated`: none); `marks` are those of the values."""

    path: str
    values: frozenset[Any]
    negated: bool = False
    several: bool = False
    marks: tuple[str, ...] = ()

    def holds(self, raw: Mapping[str, Any]) -> bool:
        """Whether it is so for an entry."""
        found = found_at(raw, self.path)
        have = [_plain(each) for each in found] if isinstance(found, list) else [found]
        return any(_among(each, self.values) for each in have) != self.negated


@dataclass(frozen=True, slots=True)
class Between:
    """The text at the path is at least `low` and below `high`; `column` has an index on it."""

    path: str
    low: str
    high: str

    def holds(self, raw: Mapping[str, Any]) -> bool:
        """Whether it is so for an entry."""
        found = found_at(raw, self.path)
        return isinstance(found, str) and self.low <= found < self.high


@dataclass(frozen=True, slots=True)
class Begins:
    """One of the words at the path begins so, for each of the beginnings."""

    path: str
    beginnings: tuple[str, ...]

    def holds(self, raw: Mapping[str, Any]) -> bool:
        """Whether it is so for an entry."""
        words = found_at(raw, self.path) or []
        return all(any(word.startswith(each) for word in words) for each in self.beginnings)


Clause = OneOf | Between | Begins


def found_at(raw: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - any value of a document
    """What stands at a dotted path; None where nothing does."""
    node: Any = raw
    for step in path.split("."):
        if not isinstance(node, Mapping):
            return None
        node = node.get(step)
    return node


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of a list
    return value["category"] if isinstance(value, Mapping) else value


def _among(value: Any, wanted: frozenset[Any]) -> bool:  # noqa: ANN401 - any value
    return any(type(each) is type(value) and each == value for each in wanted)


def shelf_of(where: filters.Filter) -> str:
    """The shelf that a filter is about."""
    return ARCHIVED if where.archived else IN_SIGHT


def clauses_of(where: filters.Filter, scope: Scope, now: Configuration) -> list[Clause]:
    """All that must hold. Raises `Refused` that names the condition by its path."""
    shelf = shelf_of(where)
    found: list[Clause] = [OneOf("shelf", frozenset({shelf}))]
    if scope.branches is not None:
        found.append(in_branches(scope.branches))
    for index, condition in enumerate(where.where):
        found.append(_clause(condition, shelf, now, f"where.{index}"))
    return found


def in_branches(branches: Iterable[str]) -> OneOf:
    """Home or a receipt in one of the branches."""
    values = frozenset(branches)
    marks = tuple(f"in:{branch}" for branch in sorted(values))
    return OneOf("branches", values, several=True, marks=marks)


def _clause(condition: filters.AnyCondition, shelf: str, now: Configuration, path: str) -> Clause:
    match condition:
        case filters.OneOf():
            return _one_of(condition)
        case filters.Numbers():
            return between(f"sort.{condition.column}", shelf, condition.at_least, condition.at_most)
        case filters.Dates(column="birth_date"):
            low = "" if condition.since is None else condition.since.isoformat()
            until = condition.until
            return Between("birth_date", low, HIGHEST if until is None else f"{until}{HIGHEST}")
        case filters.Dates():
            since = None if condition.since is None else condition.since.isoformat()
            until_day = None if condition.until is None else condition.until.isoformat()
            return between(f"sort.{condition.column}", shelf, since, until_day)
        case filters.Birthday():
            return between("sort.birthday", shelf, condition.since, condition.until)
        case filters.HasContact(contact=kind, negated=negated):
            return OneOf("has", frozenset({kind}), negated, several=True)
        case filters.Consented():
            consent = f"{condition.topic}|{condition.channel}"
            return OneOf("consents", frozenset({consent}), condition.negated, several=True)
        case filters.Flag(kind=kind, value=value):
            # What is false is left out of the document.
            return OneOf(kind, frozenset({True}), negated=not value)
        case filters.CustomOneOf() | filters.CustomNumbers() | filters.CustomDates():
            return _custom(condition, shelf, now, path)
        case _:
            assert_never(condition)


def _one_of(condition: filters.OneOf) -> OneOf:
    kind, values = condition.kind, condition.any_of
    marks: tuple[str, ...] = ()
    if kind in MARKED and not condition.negated:
        written = [folded(each) for each in values] if kind == "city" else list(values)
        marks = tuple(sorted({f"{MARKED[kind]}:{each}" for each in written}))
    return OneOf(PATHS.get(kind, kind), frozenset(values), condition.negated, kind in PATHS, marks)


def _custom(
    condition: filters.CustomOneOf | filters.CustomNumbers | filters.CustomDates,
    shelf: str,
    now: Configuration,
    path: str,
) -> Clause:
    definition = now.fields.get(condition.field)
    if definition is None:
        raise invalid(f"{path}.field", "there is no such field")
    if definition.computed is not None:
        return _computed(condition, definition.computed, shelf, path)
    key = f"sort.{CUSTOM_KEY}{condition.field}"
    match condition:
        case filters.CustomNumbers():
            if definition.kind not in RANGED_KINDS:
                raise invalid(f"{path}.field", "holds no number")
            return between(key, shelf, condition.at_least, condition.at_most)
        case filters.CustomDates():
            if definition.kind != "date":
                raise invalid(f"{path}.field", "holds no date")
            since = None if condition.since is None else condition.since.isoformat()
            until = None if condition.until is None else condition.until.isoformat()
            return between(key, shelf, since, until)
        case filters.CustomOneOf():
            expected = {"number": int, "money": int, "yes_no": bool}.get(definition.kind, str)
            for number, value in enumerate(condition.any_of):
                if type(value) is not expected:
                    raise invalid(f"{path}.any_of.{number}", f"the field holds {definition.kind}")
            return OneOf(
                f"custom.{condition.field}",
                frozenset(condition.any_of),
                condition.negated,
                several=definition.kind == "multi_list",
            )


def _computed(
    condition: filters.CustomOneOf | filters.CustomNumbers | filters.CustomDates,
    computed: Computed,
    shelf: str,
    path: str,
) -> Clause:
    """A level of spending is a range of what was spent; nothing else of it is stored."""
    if (
        not isinstance(condition, filters.CustomOneOf)
        or condition.negated
        or len(condition.any_of) != 1
        or computed.of != "spending_level"
    ):
        raise invalid(
            f"{path}.field", "a computed field: ask for one level of spending, or for the totals"
        )
    low, high = bounds_of(computed, condition.any_of[0])
    if low is None:
        raise invalid(f"{path}.any_of.0", "is no step of the field")
    return between("sort.spent", shelf, low, high)


def between(path: str, shelf: str, low: object, high: object) -> Between:
    """The values of a column from one to another, both included, on a shelf."""
    first = f"{shelf}1" if low is None else f"{shelf}1{value_text(low)}"
    last = f"{shelf}1{HIGHEST}" if high is None else f"{shelf}1{value_text(high)}{HIGHEST}"
    return Between(path, first, last)


def flat(clauses: Sequence[Clause]) -> dict[str, Any]:
    """The filter of all clauses: one condition for each path, in their order."""
    paths: dict[str, list[Clause]] = {}
    for clause in clauses:
        paths.setdefault(clause.path, []).append(clause)
    return {path: _joined(each) for path, each in paths.items()}


def _joined(clauses: Sequence[Clause]) -> Any:  # noqa: ANN401 - a condition of the database
    ranges = [each for each in clauses if isinstance(each, Between)]
    if ranges:
        return {
            "$gte": max(each.low for each in ranges),
            "$lt": min(each.high for each in ranges),
        }
    words = [each for each in clauses if isinstance(each, Begins)]
    if words:
        every = sorted({beginning for each in words for beginning in each.beginnings})
        return {"$all": [{"$elemMatch": {"$gte": each, "$lt": each + HIGHEST}} for each in every]}
    return _sets([each for each in clauses if isinstance(each, OneOf)])


def _sets(clauses: Sequence[OneOf]) -> Any:  # noqa: ANN401 - a condition of the database
    nested = clauses[0].path == "categories"
    wanted = [each.values for each in clauses if not each.negated]
    unwanted = frozenset[Any]().union(*(each.values for each in clauses if each.negated))
    condition: dict[str, Any] = {}
    if unwanted:
        condition = _none_of(unwanted, nested=nested)
    if clauses[0].several and (nested or len(wanted) > 1):
        if wanted:
            condition["$all"] = [{"$elemMatch": _element(each, nested=nested)} for each in wanted]
    elif wanted:
        condition["$in"] = _listed(frozenset.intersection(*wanted))
    return condition


def _none_of(values: frozenset[Any], *, nested: bool) -> dict[str, Any]:
    if nested:
        return {"$not": {"$elemMatch": {"category": {"$in": _listed(values)}}}}
    return {"$nin": _listed(values)}


def _element(values: frozenset[Any], *, nested: bool) -> dict[str, Any]:
    inside = {"$in": _listed(values)}
    return {"category": inside} if nested else inside


def _listed(values: frozenset[Any]) -> list[Any]:
    """The values in an order of their own, so that equal filters are equal texts."""
    return sorted(values, key=lambda each: (type(each).__name__, str(each)))
