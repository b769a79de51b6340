"""The change stream of commits and the log of all of them, on a real server."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from shared.eventstore import Append, Commit
from shared.mongo import Database, MongoCommitLog, MongoEventStore, MongoFeed
from shared.relay import TokenLost
from shared.relay.ports import Token
from shared.testing import MongoSpace


def commit(stream: str, seq: int, recorded_at: datetime) -> Commit:
    text = f'{{"type":"x","stream":"{stream}","streamversion":{seq}}}'
    return Commit(stream, seq, seq, stream, recorded_at, (), (text,))


async def store_in(database: Database, *ids: tuple[str, int]) -> datetime:
    """Append commits one after another; gives the database's time just before."""
    store = MongoEventStore(database)
    await store.create_indexes()
    began = await database.now()
    for stream, seq in ids:
        assert await store.append([Append(commit(stream, seq, began))]) == [True]
    return began


async def read_all(feed: MongoFeed, count: int) -> tuple[list[str], Token | None]:
    """The ids of so many commits, and the token after them."""
    ids: list[str] = []
    token: Token | None = None
    async with asyncio.timeout(20):
        while len(ids) < count:
            batch = await feed.next(0.2)
            ids += [each.id for each in batch.commits]
            token = batch.token
    assert len(ids) == count
    return ids, token


def ids_of(pairs: Sequence[tuple[str, int]]) -> list[str]:
    return [f"{stream}/{seq:010d}" for stream, seq in pairs]


async def test_commits_come_in_the_order_of_their_writing_whatever_the_batches(
    mongo: MongoSpace,
) -> None:
    database = mongo.database("customer")
    await store_in(database, ("before", 1))
    pairs = [(f"s{number % 3}", number // 3 + 1) for number in range(20)]
    async with MongoFeed(database, batch_size=3) as feed:
        await feed.open(None)
        await feed.next(0.05)
        await store_in(database, *pairs)
        ids, _ = await read_all(feed, 20)
    # "Now" begins after what was there.
    assert ids == ids_of(pairs)


async def test_a_token_goes_on_right_after_its_batch(mongo: MongoSpace) -> None:
    database = mongo.database("customer")
    pairs = [("s", number) for number in range(1, 13)]
    async with MongoFeed(database, batch_size=4) as feed:
        await feed.open(None)
        first = await feed.next(0.05)
        await store_in(database, *pairs[:6])
        ids, token = await read_all(feed, 6)
        await feed.open(token)
        await store_in(database, *pairs[6:])
        rest, _ = await read_all(feed, 6)
        await feed.open(first.token)
        again, _ = await read_all(feed, 12)
    assert [*ids, *rest] == again == ids_of(pairs)


async def test_an_idle_feed_answers_in_time_with_a_token_and_no_moment(mongo: MongoSpace) -> None:
    database = mongo.database("customer")
    async with MongoFeed(database) as feed:
        await feed.open(None)
        await feed.next(0.05)
        began = asyncio.get_running_loop().time()
        batch = await feed.next(0.3)
        waited = asyncio.get_running_loop().time() - began
    assert (list(batch.commits), batch.time) == ([], None)
    assert batch.token is not None
    # Busy machines are late, but never early by much.
    assert 0.2 <= waited < 5


async def test_the_moment_of_a_batch_is_never_later_than_its_writing(mongo: MongoSpace) -> None:
    database = mongo.database("customer")
    async with MongoFeed(database) as feed:
        await feed.open(None)
        await feed.next(0.05)
        began = await store_in(database, ("s", 1))
        ended = await database.now()
        batch = await feed.next(5)
    assert batch.time is not None
    # Whole seconds, cut.
    assert began.replace(microsecond=0) - timedelta(seconds=1) <= batch.time <= ended


@pytest.mark.parametrize(
    "token",
    [{"_data": "82"}, {"_data": "no hex"}, {"other": 1}, {"_data": "8263F5" + "00" * 20}],
    ids=["cut off", "no hex", "another shape", "of another server"],
)
async def test_a_token_that_the_server_cannot_read_leads_nowhere(
    mongo: MongoSpace, token: Token
) -> None:
    database = mongo.database("customer")
    await store_in(database, ("s", 1))
    async with MongoFeed(database) as feed:
        with pytest.raises(TokenLost):
            await feed.open(token)
        # It can still be opened where things stand now.
        await feed.open(None)
        await feed.next(0.05)
        await store_in(database, ("s", 2))
        assert (await read_all(feed, 1))[0] == ids_of([("s", 2)])


async def test_the_log_of_all_commits_is_by_moment_and_that_of_a_stream_by_seq(
    mongo: MongoSpace,
) -> None:
    database = mongo.database("customer")
    store = MongoEventStore(database)
    await store.create_indexes()
    noon = datetime(2018, 1, 2, 12, tzinfo=UTC)
    moments = {("a", 1): 0, ("b", 1): 5, ("a", 2): 3, ("b", 2): 5, ("c", 1): 1}
    for (stream, seq), seconds in moments.items():
        await store.append([Append(commit(stream, seq, noon + timedelta(seconds=seconds)))])
    log = MongoCommitLog(database, batch_size=2)
    batches = [[each.id for each in batch] async for batch in log.all()]
    assert batches == [
        ids_of([("a", 1), ("c", 1)]),
        ids_of([("a", 2), ("b", 1)]),
        ids_of([("b", 2)]),
    ]
    assert [each.id for each in await log.since("b", 2)] == ids_of([("b", 2)])
    assert await log.since("nobody", 1) == []
