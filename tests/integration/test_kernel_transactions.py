"""A transaction that is given up leaves nothing locked: whoever comes next can write at once."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

import pytest

from shared.eventstore import Append, ClaimChange, CommandMark, Commit, StoreUnavailable
from shared.mongo import Database, MongoDocuments, MongoEventStore
from shared.readmodel import RawDocument
from shared.testing import DAY, MongoSpace

MANY = 600
"""Documents of one transaction: more than any of these servers writes in the shortest deadline."""
DEADLINES = (0.01, 0.03, 0.1, 0.2)
SOON_SECONDS = 15.0
"""A transaction that was forgotten keeps its documents for sixty."""


def commit(stream: str, expires_in: float) -> Commit:
    expires = asyncio.get_running_loop().time() + expires_in
    mark = CommandMark(stream, "h", 1)
    return Commit(stream, 1, 1, stream, DAY, (mark,), ("x" * 400,), expires=expires)


def steps(prefix: str, count: int, expires_in: float) -> Sequence[tuple[RawDocument, Commit]]:
    return [
        ({"_id": f"{prefix}{n}", "rev": 1}, commit(f"{prefix}{n}", expires_in))
        for n in range(count)
    ]


def claims(prefix: str, count: int, expires_in: float) -> Sequence[Append]:
    return [
        Append(commit(f"{prefix}{n}", expires_in), (ClaimChange(f"phone|{prefix}{n}", 0, "c"),))
        for n in range(count)
    ]


async def prepared(database: Database) -> tuple[MongoDocuments, MongoEventStore]:
    store = MongoEventStore(database)
    await store.create_indexes()
    documents = MongoDocuments(database, "habits_v1")
    # The collections are there, and so are the connections.
    assert await documents.write_stepped(steps("first", 1, 60)) == set()
    assert await store.append(claims("second", 1, 60)) == [True]
    return documents, store


@pytest.mark.parametrize("cancelled", [True, False], ids=["cancelled", "by its own deadline"])
async def test_documents_of_a_step_that_was_given_up_can_be_written_at_once(
    mongo: MongoSpace, *, cancelled: bool
) -> None:
    documents, _ = await prepared(mongo.database("segment"))
    for number, deadline in enumerate(DEADLINES):
        with suppress(TimeoutError, StoreUnavailable):
            async with asyncio.timeout(deadline if cancelled else None):
                await documents.write_stepped(steps(f"{number}-", MANY, deadline))
        began = time.monotonic()
        await _until_settled(documents, f"{number}-")
        assert time.monotonic() - began < SOON_SECONDS
    found = await documents.load([f"{number}-0" for number in range(len(DEADLINES))])
    assert len(found) == len(DEADLINES)


async def _until_settled(documents: MongoDocuments, prefix: str) -> None:
    """Write three of the documents, as a worker does that tries again."""
    async with asyncio.timeout(70):
        while True:
            try:
                async with asyncio.timeout(2):
                    # Lost guards are an answer too: the step got in after all.
                    await documents.write_stepped(steps(prefix, 3, 2))
            except (TimeoutError, StoreUnavailable):
                continue
            return


async def test_claims_of_an_append_that_was_given_up_can_be_made_at_once(mongo: MongoSpace) -> None:
    _, store = await prepared(mongo.database("customer"))
    for number, deadline in enumerate(DEADLINES):
        with suppress(TimeoutError, StoreUnavailable):
            async with asyncio.timeout(deadline):
                await store.append(claims(f"{number}-", MANY, deadline))
        began = time.monotonic()
        async with asyncio.timeout(70):
            while True:
                try:
                    await store.append(claims(f"{number}-", 3, 2))
                except StoreUnavailable:
                    continue
                break
        assert time.monotonic() - began < SOON_SECONDS
        found = await store.claims([f"phone|{number}-{n}" for n in range(3)])
        assert [claim.epoch for claim in found.values()] == [1, 1, 1]


async def test_what_was_given_up_is_written_whole_or_not_at_all(mongo: MongoSpace) -> None:
    documents, store = await prepared(mongo.database("segment"))
    for number, deadline in enumerate(DEADLINES):
        with suppress(TimeoutError, StoreUnavailable):
            async with asyncio.timeout(deadline):
                await documents.write_stepped(steps(f"{number}-", MANY, deadline))
        names = [f"{number}-{n}" for n in range(MANY)]
        found = await documents.load(names)
        heads = await store.heads(names)
        assert len(found) == len(heads)
        assert len(found) in {0, MANY}


async def test_commits_that_belong_together_are_given_up_together(mongo: MongoSpace) -> None:
    _, store = await prepared(mongo.database("customer"))
    for number, deadline in enumerate(DEADLINES):
        with suppress(TimeoutError, StoreUnavailable):
            async with asyncio.timeout(deadline):
                await store.append_together(claims(f"{number}-", MANY, deadline))
        heads = await store.heads([f"{number}-{n}" for n in range(MANY)])
        found = await store.claims([f"phone|{number}-{n}" for n in range(MANY)])
        assert len(heads) == len(found)
        assert len(heads) in {0, MANY}
