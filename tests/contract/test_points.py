"""Points: lists in memory and on MongoDB alike, and the reaction reads what was ever published."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from services.interaction.consumers.points import READS, seen_in
from services.interaction.projections.points import POINTS, LotLeft, PointsEntry
from services.interaction.queries.points import PointsEntries
from shared import telemetry
from shared.access import Kind, Scope
from shared.events.contract import show_moment
from shared.events.schema import EXAMPLES
from shared.memory import MemoryDocuments
from shared.mongo import MongoDocuments
from shared.readmodel import Documents, Questions
from shared.testing import MongoSpace
from shared.testing.collections import MemoryQuestions
from shared.testing.reading import LoggedRecord

DAY = datetime(2018, 1, 2, tzinfo=UTC)
WHOLE = Scope(Kind.POINTS, None)


async def room(space: MongoSpace | None) -> tuple[Documents, Questions]:
    """An empty collection, to write and to ask."""
    if space is None:
        documents = MemoryDocuments()
        return documents, MemoryQuestions(documents)
    real = MongoDocuments(space.database("interaction"), POINTS.name)
    await real.create_indexes(POINTS.indexes)
    return real, real.collection


def entry(customer: str, days: int | None, *branches: str) -> PointsEntry:
    """Somebody with one lot that ends in so many days, if ever."""
    ends = None if days is None else DAY + timedelta(days=days)
    return PointsEntry(
        id=customer,
        rev=1,
        lots={"a": LotLeft(5, DAY, ends)},
        branches=list(branches),
        due_at=ends,
        expiry=None if ends is None else f"{show_moment(ends)}|{customer}",
    )


async def test_who_has_points_that_end_soon_is_found_page_by_page(
    space: MongoSpace | None,
) -> None:
    documents, questions = await room(space)
    entries = PointsEntries(questions)
    people = [
        entry("late", 90, "12"),
        entry("never", None, "12"),
        entry("same", 3, "7"),
        entry("first", 1, "12", "7"),
        entry("also", 3),
    ]
    await documents.write([msgspec.to_builtins(each, builtin_types=(datetime,)) for each in people])
    soon = DAY + timedelta(days=10)
    first = await entries.expiring(WHOLE, soon, None, 2)
    assert [each.id for each in first] == ["first", "also"]
    assert first[0].lots["a"].expires == DAY + timedelta(days=1)
    second = await entries.expiring(WHOLE, soon, first[-1].expiry, 2)
    assert [each.id for each in second] == ["same"]
    # The end itself is not before it.
    assert await entries.expiring(WHOLE, DAY + timedelta(days=1), None, 9) == []
    at_seven = Scope(Kind.POINTS, frozenset({"7"}))
    assert [each.id for each in await entries.expiring(at_seven, soon, None, 9)] == [
        "first",
        "same",
    ]


@pytest.mark.parametrize("kind", sorted(kind.decode() for kind in READS))
def test_the_reaction_reads_every_example_ever_published(kind: str) -> None:
    passed_over = telemetry.REACTION_PASSED_OVER.labels("points")
    before = passed_over._value.get()  # noqa: SLF001 - counters have no public reading
    for event in json.loads((EXAMPLES / f"{kind}.json").read_text()):
        value = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
        seen_in([LoggedRecord("topic", 0, 0, b"x", value)])
    assert passed_over._value.get() == before  # noqa: SLF001 - counters have no public reading
