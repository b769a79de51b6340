"""Sums over the documents of the in-memory twin, with the stages of MongoDB that queries use.

As in `shared.testing.collections`, whatever is not known here raises.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.readmodel import RawDocument
from shared.testing.collections import MemoryQuestions, matches

Value = Any


@dataclass(frozen=True, slots=True)
class MemorySums(MemoryQuestions):
    """A collection of which sums can be asked, too."""

    async def aggregate(self, pipeline: Sequence[Mapping[str, Any]]) -> list[RawDocument]:
        """The whole result of a pipeline."""
        found = [dict(raw) for raw in self.documents.everything()]
        for stage in pipeline:
            ((name, what),) = stage.items()
            match name:
                case "$match":
                    found = [raw for raw in found if matches(raw, what)]
                case "$unwind":
                    found = [each for raw in found for each in _unwound(raw, what)]
                case "$group":
                    found = _grouped(found, what)
                case _:
                    raise NotImplementedError(name)
        return found


def _unwound(raw: RawDocument, path: str) -> list[RawDocument]:
    name = path.removeprefix("$")
    return [{**raw, name: each} for each in raw.get(name) or ()]


def _value(raw: RawDocument, expression: Value) -> Value:
    """A path, a constant, or a product of them; what is not there is None."""
    if isinstance(expression, Mapping):
        ((operator, factors),) = expression.items()
        if operator != "$multiply":
            raise NotImplementedError(operator)
        values = [_value(raw, factor) for factor in factors]
        return None if None in values else values[0] * values[1]
    if not isinstance(expression, str):
        return expression
    node: Value = raw
    for step in expression.removeprefix("$").split("."):
        node = node.get(step) if isinstance(node, Mapping) else None
    return node


_TOGETHER: Mapping[str, Callable[[list[Value]], Value]] = {
    "$sum": lambda values: sum(each for each in values if each is not None),
    "$max": lambda values: max((each for each in values if each is not None), default=None),
}


def _grouped(found: Iterable[RawDocument], what: Mapping[str, Any]) -> list[RawDocument]:
    by = what["_id"]
    groups: dict[str, tuple[Value, list[RawDocument]]] = {}
    for raw in found:
        key = _key(raw, by)
        groups.setdefault(repr(key), (key, []))[1].append(raw)
    return [
        {"_id": key} | {name: _made(how, members) for name, how in what.items() if name != "_id"}
        for key, members in groups.values()
    ]


def _key(raw: RawDocument, by: Value) -> Value:
    """As on the server, a part of the key that is not there is left out of it."""
    if not isinstance(by, Mapping):
        return _value(raw, by)
    parts = {name: _value(raw, path) for name, path in by.items()}
    return {name: value for name, value in parts.items() if value is not None}


def _made(how: Mapping[str, Any], members: Sequence[RawDocument]) -> Value:
    ((operator, expression),) = how.items()
    if operator not in _TOGETHER:
        raise NotImplementedError(operator)
    return _TOGETHER[operator]([_value(raw, expression) for raw in members])
