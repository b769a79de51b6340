"""What every store must do with a commit that comes too late: leave it unwritten, and say so."""

import asyncio

import pytest
from msgspec.structs import replace as changed

from shared.eventstore import Append, Commit, EventStore, StoreUnavailable
from shared.readmodel import SteppedDocuments
from shared.testing import DAY


def commit(owner: str, expires_in: float) -> Commit:
    expires = asyncio.get_running_loop().time() + expires_in
    return Commit(f"membership-{owner}", 1, 1, owner, DAY, (), ("{}",), expires=expires)


async def test_a_commit_in_time_is_read_back_as_it_was(store: EventStore) -> None:
    early = commit("1", 60)
    assert await store.append([Append(early)]) == [True]
    # Until when it might be written is nobody's business afterwards.
    (found,) = (await store.read(["membership-1"]))["membership-1"]
    assert found == early
    assert found == changed(early, expires=None)


async def test_a_batch_with_a_commit_that_comes_too_late_is_left_unwritten(
    store: EventStore,
) -> None:
    appends = [Append(commit("1", 60)), Append(commit("2", -0.001))]
    with pytest.raises(StoreUnavailable):
        await store.append(appends)
    assert await store.heads(["membership-1", "membership-2"]) == {}


async def test_together_one_that_comes_too_late_keeps_all_out(store: EventStore) -> None:
    appends = [Append(commit("1", 60)), Append(commit("2", -0.001))]
    with pytest.raises(StoreUnavailable):
        await store.append_together(appends)
    assert await store.heads(["membership-1", "membership-2"]) == {}


async def test_a_document_is_left_unwritten_with_its_late_commit(
    documents: SteppedDocuments, store: EventStore
) -> None:
    steps = [({"_id": "1", "rev": 1}, commit("1", -0.001)), ({"_id": "2", "rev": 1}, None)]
    with pytest.raises(StoreUnavailable):
        await documents.write_stepped(steps)
    assert await documents.load(["1", "2"]) == {}
    assert await store.heads(["membership-1"]) == {}
    steps = [({"_id": "1", "rev": 1}, commit("1", 60)), ({"_id": "2", "rev": 1}, None)]
    assert await documents.write_stepped(steps) == set()
