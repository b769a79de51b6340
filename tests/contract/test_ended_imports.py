"""What every store of stepped documents must do with the ends of imports."""

from datetime import timedelta

from shared.readmodel import EndedImport, RawDocument, SteppedDocuments
from shared.testing import DAY


def document(identifier: str, partition: int, *history: str) -> RawDocument:
    return {"_id": identifier, "rev": 1, "partition": partition, "history": list(history)}


async def test_ends_are_noted_per_partition(documents: SteppedDocuments) -> None:
    assert await documents.ended([0, 1, 2]) == []
    ends = [
        EndedImport(0, "2017", DAY),
        EndedImport(0, "2018", DAY + timedelta(days=365)),
        EndedImport(10, "2017", DAY),
        EndedImport(2, "2017", DAY),
    ]
    for end in ends:
        await documents.note_ended(end)
    found = await documents.ended([0, 2, 3])
    assert sorted(found, key=lambda end: (end.partition, end.id)) == [ends[0], ends[1], ends[3]]
    assert await documents.ended([]) == []


async def test_an_end_that_is_noted_again_stays_as_it_was(documents: SteppedDocuments) -> None:
    await documents.note_ended(EndedImport(0, "2017", DAY))
    await documents.note_ended(EndedImport(0, "2017", DAY + timedelta(days=1)))
    assert await documents.ended([0]) == [EndedImport(0, "2017", DAY)]


async def test_notes_are_no_documents(documents: SteppedDocuments) -> None:
    await documents.note_ended(EndedImport(0, "2017", DAY))
    assert await documents.with_older_rules([0], 9, 10) == []


async def test_histories_of_several_imports_are_found_together(
    documents: SteppedDocuments,
) -> None:
    await documents.write(
        [
            document("a", 0, "2017"),
            document("b", 1, "2018", "2019"),
            document("c", 1, "2019"),
            document("d", 2, "2017"),
            document("e", 0),
        ]
    )
    found = await documents.with_history(1, ["2017", "2018", "2019"], 10)
    assert sorted(each["_id"] for each in found) == ["b", "c"]
    assert await documents.with_history(0, [], 10) == []


async def test_those_who_are_left_out_take_nobodys_place(documents: SteppedDocuments) -> None:
    await documents.write([document(f"{number}", 0, "2017") for number in range(10)])
    without = [f"{number}" for number in range(9)]
    found = await documents.with_history(0, ["2017"], 3, without)
    assert [each["_id"] for each in found] == ["9"]
    assert await documents.with_history(0, ["2017"], 3, [*without, "9", "nobody"]) == []
