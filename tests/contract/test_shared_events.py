"""An event of many documents: each gets its part once, whatever is repeated, lost or parked."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.memory import MemoryDocuments, MemoryParking
from shared.projection import Document, Event, Projection
from shared.projector import Folder
from shared.readmodel import RawDocument, SteppedDocuments
from shared.testing import Log
from shared.testing.diaries import READS, TOPIC, Line
from tests.unit.folding import TroubledDocuments, log_of

ALONE = "+"
BROKEN = "!"


class Concordance(Document, kw_only=True):
    """Who wrote a word, in the order of writing."""

    writers: list[str] = msgspec.field(default_factory=list)


class Word(msgspec.Struct):
    """The part of a line that a word's document folds."""

    text: str


def words(event: Event) -> str | Mapping[str, Event] | None:
    """Each word of a line; a line of one word that begins with `+` has one document anyway."""
    if not isinstance(event.data, Line):
        return None
    text = event.data.topic
    if text.startswith(ALONE):
        return text[1:]
    return {
        word: Event(event.light, Word(word), event.partition, event.timestamp)
        for word in text.split()
    }


def write(found: Concordance | None, event: Event) -> Concordance:
    data = event.data
    word = data.text if isinstance(data, Word) else data.topic[1:]
    if BROKEN in word:
        message = "no word"
        raise ValueError(message)
    found = found or Concordance(id=word)
    found.writers.append(event.light.subject or "")
    return found


CONCORDANCE: Projection[Concordance] = Projection(
    name="concordance_v1",
    topics=(TOPIC,),
    reads=READS,
    document=Concordance,
    target=words,
    apply=write,
)


def writers(raws: Mapping[str, RawDocument]) -> dict[str, list[str]]:
    return {name: raw["writers"] for name, raw in sorted(raws.items())}


async def test_each_document_of_an_event_gets_its_part_once(documents: SteppedDocuments) -> None:
    log = await log_of(("anna", "red blue"), ("ben", "+blue"), ("anna", "blue"), ("ben", ""))
    folder = Folder(CONCORDANCE, documents, MemoryParking())
    for again in (log, log[1:], log[:1], log):
        await folder.fold(again)
    found = await documents.load(["red", "blue"])
    assert writers(found) == {"blue": ["anna", "ben", "anna"], "red": ["anna"]}
    # All that one batch has for a document is one write.
    assert {raw["rev"] for raw in found.values()} == {1}


async def test_what_half_of_the_documents_lost_is_folded_by_them_alone(
    documents: SteppedDocuments,
) -> None:
    log = await log_of(("anna", "red blue green"))
    ahead = {"_id": "blue", "rev": 1, "versions": {"customer-anna": 1}, "writers": ["anna"]}
    # A worker was killed between two writes of the batch: one document is there.
    await documents.write([ahead])
    await Folder(CONCORDANCE, documents, MemoryParking()).fold(log)
    found = await documents.load(["red", "blue", "green"])
    assert writers(found) == {"blue": ["anna"], "green": ["anna"], "red": ["anna"]}
    assert found["blue"] == ahead


async def test_a_lost_guard_folds_the_parts_of_that_document_again() -> None:
    troubled, parking = TroubledDocuments(), MemoryParking()
    log = await log_of(("anna", "red blue"), ("anna", "blue"), ("ben", "red"))
    troubled.rivals = [Folder(CONCORDANCE, troubled, parking)]
    troubled.rival_records = log[:1]
    await Folder(CONCORDANCE, troubled, parking).fold(log)
    found = {raw["_id"]: raw for raw in troubled.everything()}
    assert writers(found) == {"blue": ["anna", "anna"], "red": ["anna", "ben"]}
    # The rival wrote both first; then each was folded from there and written once.
    assert {raw["rev"] for raw in found.values()} == {2}


@pytest.mark.parametrize("broken", ["red !", "! red", "+!"])
async def test_a_part_that_cannot_be_folded_parks_the_event_for_all_its_documents(
    documents: SteppedDocuments, broken: str
) -> None:
    log = await log_of(("anna", "red"), ("anna", broken), ("ben", "red blue"), ("anna", "blue"))
    parking = MemoryParking()
    await Folder(CONCORDANCE, documents, parking).fold(log)
    found = await documents.load(["red", "blue", "!"])
    assert writers(found) == {"blue": ["ben"], "red": ["anna", "ben"]}
    assert [event.offset for event in await parking.parked([0])] == [1, 3]


@settings(max_examples=50, deadline=None)
@given(data=st.data())
async def test_any_batches_and_any_rewinding_give_the_same_documents(data: st.DataObject) -> None:
    lines = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(["anna", "ben"]),
                st.sampled_from(["a b", "b c", "+a", "c", "a b c"]),
            ),
            max_size=12,
        )
    )
    log = await log_of(*lines)
    straight = await _read([log])
    batches, reached = [], 0
    while reached < len(log):
        start = data.draw(st.integers(0, reached))
        reached = data.draw(st.integers(reached + 1, len(log)))
        batches.append(log[start:reached])
    assert await _read(batches) == straight


async def _read(batches: Sequence[Log]) -> dict[str, Any]:
    documents = MemoryDocuments()
    folder = Folder(CONCORDANCE, documents, MemoryParking())
    for batch in batches:
        await folder.fold(batch)
    return {raw["_id"]: {**raw, "rev": 0} for raw in documents.everything()}
