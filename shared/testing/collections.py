"""A collection to ask in tests: the documents of the in-memory twin, with MongoDB's filters.

Only the operators that queries of the product use; another one raises, so that a filter is never
quietly taken for another.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from shared.memory import MemoryDocuments, MemoryEventStore
from shared.readmodel import RawDocument

Compare = Callable[[Any, Any], bool]

_OPERATORS: Mapping[str, Compare] = MappingProxyType(
    {
        "$in": lambda value, wanted: value in wanted,
        "$nin": lambda value, without: value not in without,
        "$gt": lambda value, bound: value is not None and value > bound,
        "$gte": lambda value, bound: value is not None and value >= bound,
        "$lt": lambda value, bound: value is not None and value < bound,
        "$lte": lambda value, bound: value is not None and value <= bound,
    }
)


@dataclass(frozen=True, slots=True)
class MemoryQuestions:
    """Implements `Questions` over documents in memory."""

    documents: MemoryDocuments

    async def get(self, document_id: str) -> RawDocument | None:
        """One document by its id."""
        return (await self.documents.load([document_id])).get(document_id)

    async def find(
        self,
        where: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] | None = None,
        sort: Sequence[tuple[str, int]] | None = None,
        limit: int = 0,
    ) -> list[RawDocument]:
        """The documents that match, whole whatever `fields` asks for."""
        del fields
        whose = where.get("_id")
        ids = whose["$in"] if isinstance(whose, dict) and "$in" in whose else None
        found = list(self.documents.those(lambda raw: matches(raw, where), ids))
        for name, direction in reversed(sort or ()):
            found.sort(key=lambda raw: raw[name], reverse=direction < 0)
        return found[:limit] if limit else found

    async def batches(
        self,
        where: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] | None = None,
        sort: Sequence[tuple[str, int]] | None = None,
        size: int = 1_000,
    ) -> AsyncIterator[list[RawDocument]]:
        """All documents that match, some at a time."""
        found = await self.find(where, fields=fields, sort=sort)
        for begin in range(0, len(found), size):
            yield found[begin : begin + size]

    async def estimate(self) -> int:
        """How many documents there are."""
        return await self.count({})

    async def count(self, where: Mapping[str, Any], limit: int | None = None) -> int:
        """How many match, counted up to `limit`."""
        return len(await self.find(where, limit=limit or 0))


@dataclass(frozen=True, slots=True)
class MemoryCommits:
    """Implements `Questions` over the commits of a store, of which it knows places and events."""

    store: MemoryEventStore

    async def get(self, document_id: str) -> RawDocument | None:
        """One commit by its id."""
        return await (await self._questions()).get(document_id)

    async def find(
        self,
        where: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] | None = None,
        sort: Sequence[tuple[str, int]] | None = None,
        limit: int = 0,
    ) -> list[RawDocument]:
        """The commits that match."""
        questions = await self._questions()
        return await questions.find(where, fields=fields, sort=sort, limit=limit)

    async def count(self, where: Mapping[str, Any], limit: int | None = None) -> int:
        """How many match, counted up to `limit`."""
        return await (await self._questions()).count(where, limit)

    async def _questions(self) -> MemoryQuestions:
        documents = MemoryDocuments()
        await documents.write(
            [
                {
                    "_id": each.id,
                    "rev": 1,
                    "stream": each.stream,
                    "seq": each.seq,
                    "events": list(each.events),
                }
                for each in self.store.commits
            ]
        )
        return MemoryQuestions(documents)


def matches(raw: RawDocument, where: Mapping[str, Any]) -> bool:
    """Whether a document is meant by a filter."""
    return all(_holds(_values(raw, path.split(".")), wanted) for path, wanted in where.items())


def _values(node: Any, steps: Sequence[str]) -> list[Any]:  # noqa: ANN401 - any value of a document
    """What stands at the path, in each element of the lists on the way."""
    if isinstance(node, list):
        return [value for each in node for value in _values(each, steps)]
    if not steps:
        return [node]
    return _values(node.get(steps[0]), steps[1:]) if isinstance(node, dict) else [None]


def _holds(values: Sequence[Any], wanted: Any) -> bool:  # noqa: ANN401 - any value of a filter
    if not isinstance(wanted, dict):
        return wanted in values
    if "$elemMatch" in wanted:
        (wanted,) = wanted.values()
        if not all(name in _OPERATORS for name in wanted):
            return any(isinstance(value, dict) and matches(value, wanted) for value in values)
    return any(
        all(_OPERATORS[name](value, bound) for name, bound in wanted.items()) for value in values
    )
