"""Nothing is written later than the append deadline after the moment that it carries."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast

import pytest
from msgspec.structs import replace as changed
from pymongo.errors import DuplicateKeyError

from shared.eventstore import Append, Commit, StoreUnavailable
from shared.execute import Writer
from shared.memory import MemoryEventStore
from shared.mongo import Database, MongoDocuments, MongoEventStore
from shared.readmodel import RawDocument
from shared.testing import DAY, InterceptedStore, diary, note
from shared.testing.virtual_time import BEGINNING, LoopClock, in_virtual_time
from tests.unit.folding import KEYS, log_of
from tests.unit.stepping import Room, SlowDocuments

DEADLINE = timedelta(seconds=2)
Step = tuple[RawDocument, Commit | None]


def last_moment(commit: Commit) -> float:
    """What progress counts on, by the loop's time."""
    return BEGINNING + (commit.recorded_at - DAY + DEADLINE).total_seconds()


@in_virtual_time
async def test_a_batch_says_until_when_each_of_its_commits_may_be_written() -> None:
    seen: list[Commit] = []

    async def watch(appends: Sequence[Append]) -> None:
        seen.extend(append.commit for append in appends)

    store = InterceptedStore(MemoryEventStore(), before=watch)
    writer = Writer(store, KEYS, LoopClock(), "customer", DEADLINE)
    await asyncio.sleep(1)
    await writer.many(diary, [note("c|1", "anna", "1"), note("c|2", "ben", "1")])
    assert [commit.expires for commit in seen] == [last_moment(seen[0])] * 2
    assert [commit.recorded_at for commit in seen] == [DAY + timedelta(seconds=1)] * 2


@dataclass(slots=True)
class Watched(SlowDocuments):
    """Documents that show the commits they were given."""

    given: list[Commit] = field(default_factory=list)

    async def write_stepped(self, steps: Sequence[Step]) -> set[str]:
        self.given += [commit for _, commit in steps if commit is not None]
        return await SlowDocuments.write_stepped(self, steps)


@in_virtual_time
async def test_so_does_folding_that_decides() -> None:
    documents = Watched(seconds_each=0.3)
    room = Room(documents, clock=LoopClock())
    folder = room.folder()
    await folder.fold(await log_of(("anna", "1"), ("ben", "1")))
    await folder.fold(await log_of(("carl", "1")))
    # The third 2 × 0.3 s later.
    assert [commit.expires for commit in documents.given] == [
        BEGINNING + 2, BEGINNING + 2, BEGINNING + 2.6,
    ]  # fmt: skip
    assert [commit.expires for commit in documents.given] == list(map(last_moment, documents.given))


def steps_of(count: int, expires: float) -> list[Step]:
    return [
        (
            {"_id": f"{number}", "rev": 1},
            Commit(f"membership-{number}", 1, 1, f"{number}", DAY, (), ("{}",), expires=expires),
        )
        for number in range(count)
    ]


class AlwaysInTheWay(MongoDocuments):
    """Each transaction takes 0.5 s, and finds that somebody was there."""

    async def _transact(self, steps: Sequence[Step]) -> None:
        TRIED.append(len(steps))
        await asyncio.sleep(0.5)
        raise DuplicateKeyError("in the way")


TRIED: list[int] = []
NOWHERE = cast("Database", None)


@in_virtual_time
async def test_steps_that_are_written_one_by_one_share_the_deadline() -> None:
    TRIED.clear()
    expires = asyncio.get_running_loop().time() + 1.9
    with pytest.raises(StoreUnavailable):
        await AlwaysInTheWay(NOWHERE, "profiles_v2", DEADLINE).write_stepped(steps_of(20, expires))
    # All at 0, and one each at 0.5, 1 and 1.5 s; at 2 s it is too late.
    assert TRIED == [20, 1, 1, 1]


@in_virtual_time
async def test_steps_without_a_moment_of_their_own_share_one_too() -> None:
    TRIED.clear()
    steps = [
        (document, changed(commit, expires=None) if commit else None)
        for document, commit in steps_of(20, 0)
    ]
    with pytest.raises(StoreUnavailable):
        await AlwaysInTheWay(NOWHERE, "profiles_v2", DEADLINE).write_stepped(steps)
    assert TRIED == [20, 1, 1, 1]


@in_virtual_time
async def test_nothing_is_sent_to_the_server_when_it_is_too_late() -> None:
    expired = Commit("a-1", 1, 1, "1", DAY, (), ("{}",), expires=asyncio.get_running_loop().time())
    with pytest.raises(StoreUnavailable):
        await MongoEventStore(NOWHERE, DEADLINE).append([Append(expired)])
