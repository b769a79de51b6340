"""What every store of read models must do."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from shared.eventstore import CommandMark, Commit, EventStore, Head
from shared.readmodel import Patch, RawDocument, SteppedDocuments
from shared.testing import DAY


def document(identifier: str, rev: int, **fields: Any) -> RawDocument:  # noqa: ANN401 - any value
    return {"_id": identifier, "rev": rev, **fields}


def commit(owner: str, seq: int, command: str | None = None) -> Commit:
    marks = () if command is None else (CommandMark(command, "hash", seq),)
    return Commit(f"membership-{owner}", seq, seq, owner, DAY, marks, ("{}",))


async def test_a_document_is_read_back_as_it_was(documents: SteppedDocuments) -> None:
    written = document(
        "1", 1, versions={"customer-1": 3}, due_at=DAY, blob=b"\x00", nested=[{"n": [1, 2.5, None]}]
    )
    assert await documents.write([written]) == set()
    assert await documents.load(["1", "2"]) == {"1": written}


async def test_moments_come_back_in_utc_with_milliseconds(documents: SteppedDocuments) -> None:
    east = datetime(2017, 12, 1, 12, 0, 0, 123_999, tzinfo=timezone(timedelta(hours=3)))
    await documents.write([document("1", 1, at=east)])
    at = (await documents.load(["1"]))["1"]["at"]
    assert at == datetime(2017, 12, 1, 9, 0, 0, 123_000, tzinfo=UTC)
    assert at.utcoffset() == timedelta(0)


async def test_what_is_loaded_is_a_copy(documents: SteppedDocuments) -> None:
    written = document("1", 1, items=[1])
    await documents.write([written])
    written["items"].append(2)
    (await documents.load(["1"]))["1"]["items"].append(3)
    assert (await documents.load(["1"]))["1"]["items"] == [1]


async def test_nothing_asked_and_nothing_written_is_nothing(documents: SteppedDocuments) -> None:
    assert await documents.load([]) == {}
    assert await documents.write([]) == set()
    assert await documents.write_stepped([]) == set()


async def test_a_write_needs_the_revision_before_it(documents: SteppedDocuments) -> None:
    await documents.write([document("1", 1, n=1)])
    assert await documents.write([document("1", 2, n=2)]) == set()
    assert await documents.write([document("1", 2, n=-2)]) == {"1"}
    assert await documents.write([document("1", 1, n=-1)]) == {"1"}
    assert await documents.write([document("1", 4, n=-4)]) == {"1"}
    assert await documents.load(["1"]) == {"1": document("1", 2, n=2)}


async def test_a_write_replaces_all_fields(documents: SteppedDocuments) -> None:
    await documents.write([document("1", 1, due_at=DAY, n=1)])
    await documents.write([document("1", 2, n=2)])
    assert await documents.load(["1"]) == {"1": document("1", 2, n=2)}


async def test_a_lost_guard_costs_only_its_document(documents: SteppedDocuments) -> None:
    await documents.write([document("1", 1), document("3", 1)])
    batch = [document("1", 2), document("2", 1), document("3", 3), document("4", 1)]
    assert await documents.write(batch) == {"3"}
    revisions = {name: found["rev"] for name, found in (await documents.load(list("1234"))).items()}
    assert revisions == {"1": 2, "2": 1, "3": 1, "4": 1}


async def test_a_tombstone_stays_against_a_writer_that_slept(documents: SteppedDocuments) -> None:
    await documents.write([document("1", 1, name="somebody")])
    tombstone = document("1", 2, removed=True, versions={"customer-1": 2})
    await documents.write([tombstone])
    # The sleeper loaded revision 1, or nothing at all.
    assert await documents.write([document("1", 2, name="somebody")]) == {"1"}
    assert await documents.write([document("1", 1, name="somebody")]) == {"1"}
    assert await documents.load(["1"]) == {"1": tombstone}


async def test_of_two_writers_of_a_revision_one_wins(documents: SteppedDocuments) -> None:
    for rev in range(1, 11):
        lost = await asyncio.gather(
            documents.write([document("1", rev, by="a")]),
            documents.write([document("1", rev, by="b")]),
        )
        assert sorted(map(len, lost)) == [0, 1]
        winner = "a" if not lost[0] else "b"
        assert (await documents.load(["1"]))["1"] == document("1", rev, by=winner)


async def test_document_and_commit_are_written_together(
    documents: SteppedDocuments, store: EventStore
) -> None:
    steps = [
        (document("1", 1), commit("1", 1)),
        (document("2", 1), None),
        (document("3", 1), commit("3", 1)),
    ]
    assert await documents.write_stepped(steps) == set()
    assert sorted(await documents.load(["1", "2", "3"])) == ["1", "2", "3"]
    assert await store.read(["membership-1", "membership-2", "membership-3"]) == {
        "membership-1": [commit("1", 1)],
        "membership-3": [commit("3", 1)],
    }


async def test_a_lost_guard_leaves_the_commit_unwritten_too(
    documents: SteppedDocuments, store: EventStore
) -> None:
    await documents.write_stepped([(document("1", 1), None)])
    assert await documents.write_stepped([(document("1", 1, n=1), commit("1", 1))]) == {"1"}
    assert await documents.load(["1"]) == {"1": document("1", 1)}
    assert await store.heads(["membership-1"]) == {}


@pytest.mark.parametrize("taken", ["seq", "command"])
async def test_a_commit_in_the_way_leaves_the_document_unwritten_too(
    documents: SteppedDocuments, store: EventStore, taken: str
) -> None:
    first = commit("1", 1, "c1")
    await documents.write_stepped([(document("1", 1), first)])
    late = commit("1", 1, "c2") if taken == "seq" else commit("1", 2, "c1")
    assert await documents.write_stepped([(document("1", 2, n=2), late)]) == {"1"}
    assert await documents.load(["1"]) == {"1": document("1", 1)}
    assert await store.read(["membership-1"]) == {"membership-1": [first]}


async def test_a_conflict_costs_only_that_document_and_its_commit(
    documents: SteppedDocuments, store: EventStore
) -> None:
    await documents.write_stepped([(document(name, 1), commit(name, 1)) for name in "12"])
    steps = [
        (document("1", 2), commit("1", 1)),  # its seq is taken
        (document("2", 3), commit("2", 2)),  # its revision is too high
        (document("3", 1), commit("3", 1)),
        (document("4", 1), None),
        (document("1b", 1), None),
    ]
    assert await documents.write_stepped(steps) == {"1", "2"}
    found = await documents.load(["1", "2", "3", "4", "1b"])
    assert {name: each["rev"] for name, each in found.items()} == {
        "1": 1, "2": 1, "3": 1, "4": 1, "1b": 1,
    }  # fmt: skip
    assert await store.heads([f"membership-{name}" for name in "123"]) == {
        f"membership-{name}": Head(1, 1) for name in "123"
    }


async def test_steps_without_commits_lose_only_what_was_in_the_way(
    documents: SteppedDocuments,
) -> None:
    await documents.write([document("2", 1)])
    steps = [(document("1", 1), None), (document("2", 1), None), (document("3", 1), None)]
    assert await documents.write_stepped(steps) == {"2"}
    assert sorted(await documents.load(["1", "2", "3"])) == ["1", "2", "3"]


async def test_of_two_writers_of_a_step_one_wins_whole(
    documents: SteppedDocuments, store: EventStore
) -> None:
    for rev in range(1, 6):
        lost = await asyncio.gather(
            documents.write_stepped([(document("1", rev, by="a"), commit("1", rev, f"a{rev}"))]),
            documents.write_stepped([(document("1", rev, by="b"), commit("1", rev, f"b{rev}"))]),
        )
        assert sorted(map(len, lost)) == [0, 1]
        winner = "a" if not lost[0] else "b"
        assert (await documents.load(["1"]))["1"]["by"] == winner
        assert set(await store.known([f"a{rev}", f"b{rev}"])) == {f"{winner}{rev}"}


async def test_due_documents_come_earliest_first_and_only_of_the_partitions(
    documents: SteppedDocuments,
) -> None:
    hour = timedelta(hours=1)
    await documents.write(
        [
            document("late", 1, partition=0, due_at=DAY + 2 * hour),
            document("early", 1, partition=1, due_at=DAY - hour),
            document("now", 1, partition=0, due_at=DAY),
            document("elsewhere", 1, partition=2, due_at=DAY - hour),
            document("never", 1, partition=0),
            document("no longer", 1, partition=0, due_at=None),
        ]
    )

    async def due(before: datetime, limit: int) -> list[str]:
        return list(await documents.due([0, 1], before, limit))

    assert await due(DAY, 10) == ["early"]  # before the moment, not at it
    assert await due(DAY + 3 * hour, 10) == ["early", "now", "late"]
    assert await due(DAY + 3 * hour, 2) == ["early", "now"]
    assert await documents.due([], DAY + 3 * hour, 10) == []


async def test_documents_of_an_older_rule_set_are_found(documents: SteppedDocuments) -> None:
    await documents.write(
        [
            document("none yet", 1, partition=0),
            document("old", 1, partition=0, rules=2),
            document("present", 1, partition=0, rules=3),
            document("newer", 1, partition=0, rules=4),
            document("elsewhere", 1, partition=1, rules=1),
        ]
    )
    found = await documents.with_older_rules([0], 3, 10)
    assert sorted(each["_id"] for each in found) == ["none yet", "old"]
    assert len(await documents.with_older_rules([0, 1], 3, 2)) == 2
    assert len(await documents.with_older_rules([0, 1], 3, 10)) == 3


async def test_documents_that_keep_facts_of_an_import_are_found(
    documents: SteppedDocuments,
) -> None:
    await documents.write(
        [
            document("both", 1, partition=0, history=["import-1", "import-2"]),
            document("one", 1, partition=0, history=["import-1"]),
            document("other", 1, partition=0, history=["import-2"]),
            document("lived", 1, partition=0),
            document("elsewhere", 1, partition=1, history=["import-1"]),
        ]
    )
    found = await documents.with_history(0, ["import-1"], 10)
    assert sorted(each["_id"] for each in found) == ["both", "one"]
    assert len(await documents.with_history(0, ["import-1"], 1)) == 1


async def test_a_patch_gives_fields_to_those_at_its_revision(documents: SteppedDocuments) -> None:
    await documents.write([document(name, 1, rules=1, kept=name) for name in "abc"])
    await documents.write([document("c", 2, rules=1, kept="later")])
    await documents.patch([Patch(["a", "b", "c", "nobody"], 1, {"rules": 2, "clock": DAY})])
    assert await documents.load(["a", "b", "c", "nobody"]) == {
        "a": document("a", 2, rules=2, kept="a", clock=DAY),
        "b": document("b", 2, rules=2, kept="b", clock=DAY),
        "c": document("c", 2, rules=1, kept="later"),
    }
    # What was read before the patch can set nothing back.
    assert await documents.write([document("a", 2, rules=1)]) == {"a"}
    await documents.patch([])


async def test_older_rules_are_found_without_fields_that_nobody_needs(
    documents: SteppedDocuments,
) -> None:
    await documents.write([document("a", 1, partition=0, rules=1, large="x", small="y")])
    (found,) = await documents.with_older_rules([0], 2, 10, ["large", "never"])
    assert found == document("a", 1, partition=0, rules=1, small="y")


async def test_those_that_lack_something_are_found_page_by_page(
    documents: SteppedDocuments,
) -> None:
    await documents.write(
        [
            document("4", 1, partition=0, lacks=["far"]),
            document("2", 1, partition=1, lacks=["deep", "far"]),
            document("1", 1, partition=0, lacks=["deep"]),
            document("3", 1, partition=0, lacks=["else"]),
            document("5", 1, partition=2, lacks=["far"]),
            document("6", 1, partition=0, lacks=[]),
            document("7", 1, partition=0),
        ]
    )
    assert await documents.lacking([0, 1], ["far", "deep"], 2) == ["1", "2"]
    assert await documents.lacking([0, 1], ["far", "deep"], 2, after="2") == ["4"]
    assert await documents.lacking([0, 1], ["far", "deep"], 2, after="4") == []
    assert await documents.lacking([0, 1], [], 2) == []
