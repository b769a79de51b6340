"""Folding that decides: a document and the commit that belongs to it are written, or neither."""

import asyncio
from datetime import datetime, timedelta

from hypothesis import given as given_hypothesis
from hypothesis import settings
from hypothesis import strategies as st

from shared.eventstore import Commit
from shared.testing import Log, LoggedRecord, logs_of, note, readings
from shared.testing.diaries import Habits, HabitSource
from shared.testing.virtual_time import LoopClock, in_virtual_time
from tests.unit.folding import commits_of, log_of
from tests.unit.stepping import Room, SlowDocuments

Sighting = tuple[Commit, datetime]
"""A commit, and when it was first seen."""


async def lines(*owners: str) -> list[LoggedRecord]:
    """One line of each owner in turn."""
    return await log_of(*((owner, f"{number}") for number, owner in enumerate(owners)))


async def test_a_batch_is_one_write_of_documents_and_their_commits() -> None:
    room = Room()
    await room.folder().fold(await lines("anna", "ben", "anna", "anna"))
    assert room.documents.sizes == [2]
    # Odd after 1, even after 2, odd after 3 lines.
    assert room.transitions() == {
        "membership-anna": [
            "entered by customer-anna@1",
            "exited by customer-anna@2",
            "entered by customer-anna@3",
        ],
        "membership-ben": ["entered by customer-ben@1"],
    }
    anna = room.habits()["anna"]
    assert (anna.stream_seq, anna.stream_version, anna.rev) == (1, 3, 1)
    assert [commit.key for commit in room.documents.commits.commits] == ["anna", "ben"]


async def test_the_log_goes_on_where_it_was() -> None:
    room = Room()
    folder = room.folder()
    for record in await lines("anna", "anna", "anna"):
        await folder.fold([record])
    anna = room.habits()["anna"]
    assert (anna.stream_seq, anna.stream_version, anna.rev) == (3, 3, 3)
    assert len(room.transitions()["membership-anna"]) == 3


@settings(max_examples=60, deadline=None)
@given_hypothesis(data=st.data())
async def test_any_batches_and_any_rewinding_give_the_same_documents_and_transitions(
    data: st.DataObject,
) -> None:
    owners = data.draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=12))
    commits = await commits_of(*(note(f"n|{n}", o, f"{n}") for n, o in enumerate(owners)))
    logs: list[Log] = [list(log) for log in logs_of(commits)]
    straight, wild = Room(), Room()
    for log in logs:
        await straight.folder().fold(log)
    folders = [wild.folder(), wild.folder()]
    for batch in data.draw(readings(logs)):
        await data.draw(st.sampled_from(folders)).fold(batch)
    assert wild.transitions() == straight.transitions()
    assert _without_places(wild) == _without_places(straight)


def _without_places(room: Room) -> dict[str, object]:
    """The documents but for the numbers that count writes."""
    return {
        name: (habit.versions, habit.lines, habit.seen, habit.inside, habit.stream_version)
        for name, habit in room.habits().items()
    }


async def test_a_document_that_another_worker_wrote_is_folded_again_with_no_commit_too_many() -> (
    None
):
    room = Room()
    log = await lines("anna", "ben", "anna", "anna", "ben")
    room.documents.rivals = [room.folder()]
    room.documents.rival_records = log[:3]
    await room.folder().fold(log)
    assert room.habits()["anna"].seen == [f"customer-anna@{n}" for n in (1, 2, 3)]
    assert len(room.transitions()["membership-anna"]) == 3
    assert len(room.transitions()["membership-ben"]) == 2


async def test_a_worker_that_was_frozen_appends_nothing_and_sets_nothing_back() -> None:
    room = Room()
    log = await lines(*["anna"] * 6)
    room.documents.rivals = [room.folder()]
    room.documents.rival_records = log
    await room.folder().fold(log[:3])
    anna = room.habits()["anna"]
    assert (len(anna.seen), anna.rev, anna.stream_seq) == (6, 1, 1)
    assert len(room.transitions()["membership-anna"]) == 6


async def test_a_step_that_fails_leaves_no_transition_of_its_key_behind() -> None:
    room = Room()
    log = await log_of(("anna", "1"), ("anna", "!"), ("anna", "3"), ("ben", "1"))
    await room.folder().fold(log)
    assert room.transitions() == {
        "membership-anna": ["entered by customer-anna@1"],
        "membership-ben": ["entered by customer-ben@1"],
    }
    assert await room.parking.count() == 2


async def test_a_worker_with_older_rules_takes_up_the_newer_ones_before_it_folds() -> None:
    room = Room()
    log = await lines("anna", "anna", "ben")
    await room.folder(HabitSource(Habits(2), number=2)).fold(log[:1])
    behind = HabitSource(Habits(2), number=1)
    await room.folder(behind).fold(log[1:])
    assert behind.refreshed == 1
    assert await room.parking.count() == 0
    # By rules of an even number who has an even number of lines is in.
    assert {name: habit.inside for name, habit in room.habits().items()} == {
        "anna": True,
        "ben": False,
    }


@in_virtual_time
async def test_what_is_written_too_slowly_is_written_in_smaller_parts() -> None:
    # 3 ms for each of 2,000 documents: six seconds, and the deadline of an append is two.
    room = Room(SlowDocuments(seconds_each=0.003), clock=LoopClock())
    folder = room.folder()
    log = await log_of(*((f"o{n}", "1") for n in range(2_000)))
    for _ in range(8):
        try:
            async with asyncio.timeout(60):
                await folder.fold(log)
        except TimeoutError:
            continue
        break
    assert len(room.habits()) == 2_000
    assert len(room.transitions()) == 2_000
    # A commit is written within the deadline after the moment that it carries.
    assert max(room.documents.sizes) * 0.003 <= 2


@in_virtual_time
async def test_a_commit_carries_the_moment_just_before_it_is_written() -> None:
    room = Room(SlowDocuments(seconds_each=0.001), clock=LoopClock())
    folder = room.folder()
    log = await log_of(*((f"o{n}", "1") for n in range(1_500)))
    written: list[Sighting] = []

    async def watch() -> None:
        clock = LoopClock()
        seen = 0
        while True:
            await asyncio.sleep(0.01)
            commits = room.documents.commits.commits
            written.extend((commit, clock.system_now()) for commit in commits[seen:])
            seen = len(commits)

    watching = asyncio.create_task(watch())
    await folder.fold(log)
    await asyncio.sleep(0.1)
    watching.cancel()
    assert len(written) == 1_500
    # Progress counts on two seconds.
    assert max(seen - commit.recorded_at for commit, seen in written) <= timedelta(seconds=2)
