"""What a store of files must do, and what stands on it: sealed chunks, links that are used once."""

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.clock import ManualClock
from shared.decider import Refused
from shared.files import CHUNK_BYTES, CorruptFile, FileReader, Files, FileStore, OpenFile
from shared.memory import MemoryFiles
from shared.mongo import MongoFiles
from shared.testing import DAY, MongoSpace

SECRET = b"s" * 32
MASTER = AESGCM(b"m" * 32)
HOUR = timedelta(hours=1)
LONG = b"0123456789" * 60_000
"""600,000 bytes: two whole chunks of 262,144 and one of 75,712."""


@pytest.fixture
async def store(space: MongoSpace | None) -> FileStore:
    """No files yet."""
    if space is None:
        return MemoryFiles()
    store = MongoFiles(space.database("customer"))
    await store.create_indexes()
    return store


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(DAY)


@pytest.fixture
def files(store: FileStore, clock: ManualClock) -> Files:
    return Files(store, MASTER, SECRET, clock)


async def pieces(content: bytes, size: int = 70_000) -> AsyncIterator[bytes]:
    for begin in range(0, len(content), size):
        yield content[begin : begin + size]


async def written(files: Files, content: bytes = LONG, limit: int = 10**6) -> OpenFile:
    return await files.write(
        pieces(content),
        name="клиенты.csv",
        media_type="text/csv",
        owner="key:a",
        keep=HOUR,
        limit=limit,
    )


async def content_of(files: Files, file: OpenFile) -> bytes:
    return b"".join([chunk async for chunk in files.read(file)])


async def test_a_file_is_read_as_it_was_written(files: Files) -> None:
    file = await written(files)
    assert (file.name, file.owner, file.size, file.chunks) == ("клиенты.csv", "key:a", 600_000, 3)
    assert await content_of(files, await files.open(file.id)) == LONG
    empty = await written(files, b"")
    assert (empty.size, await content_of(files, empty)) == (0, b"")


async def test_nothing_of_a_file_is_stored_in_the_clear(files: Files, store: FileStore) -> None:
    file = await written(files)
    stored = await store.get(file.id)
    assert stored is not None
    first = await store.chunk(file.id, 0) or b""
    assert len(first) > CHUNK_BYTES
    assert b"0123456789" not in first
    assert "клиенты".encode() not in stored.name


async def test_a_chunk_opens_in_its_own_place_only(files: Files, store: FileStore) -> None:
    file, other = await written(files), await written(files)
    first = await store.chunk(file.id, 0) or b""
    await store.put_chunk(file.id, 1, first)
    with pytest.raises(InvalidTag):
        await files.chunk(file, 1)
    await store.put_chunk(other.id, 0, first)
    with pytest.raises(InvalidTag):
        await files.chunk(other, 0)
    with pytest.raises(CorruptFile):
        await files.chunk(file, 3)


async def test_a_file_over_the_limit_is_refused_and_leaves_nothing(
    files: Files, store: FileStore, clock: ManualClock
) -> None:
    with pytest.raises(Refused, match="body-too-large"):
        await written(files, limit=599_999)
    clock.advance(HOUR * 2)
    assert await store.expired(clock.now(), 9) == []


async def test_an_expired_file_is_not_read_and_soon_gone(
    files: Files, store: FileStore, clock: ManualClock
) -> None:
    file = await written(files)
    token, _ = await files.link(file, to="key:a", keep=HOUR)
    clock.advance(HOUR)
    for refused in (files.open(file.id), files.follow(token)):
        with pytest.raises(Refused, match="not-found"):
            await refused
    clock.advance(timedelta(milliseconds=1))
    assert await files.sweep() == 1
    assert (await store.get(file.id), await store.chunk(file.id, 0)) == (None, None)
    assert await store.links(file.id) == []


async def test_sweeping_leaves_what_has_not_expired(files: Files, clock: ManualClock) -> None:
    await written(files)
    clock.advance(HOUR / 2)
    later = await written(files)
    clock.advance(HOUR / 2 + timedelta(seconds=1))
    assert await files.sweep() == 1
    assert await content_of(files, later) == LONG


async def test_a_file_that_was_cut_off_cannot_be_read(files: Files, store: FileStore) -> None:
    file = await written(files)
    stored = await store.get(file.id)
    assert stored is not None
    await store.delete(file.id)
    await store.add(msgspec.structs.replace(stored, complete=False))
    with pytest.raises(Refused, match="not-found"):
        await files.open(file.id)
    assert not await store.complete("gone", 1, 1)


async def test_of_many_who_follow_a_link_at_once_one_gets_the_file(
    files: Files, store: FileStore
) -> None:
    file = await written(files)
    token, link = await files.link(file, to="key:b", keep=HOUR)
    assert token not in str(link)
    answers = await asyncio.gather(*(files.follow(token) for _ in range(5)), return_exceptions=True)
    got = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert [opened.id for opened, _ in got] == [file.id]
    assert [(each.issued_to, len(each.used_at)) for each in await store.links(file.id)] == [
        ("key:b", 1)
    ]
    with pytest.raises(Refused, match="not-found"):
        await files.follow("x" * 43)


async def test_a_link_of_three_downloads_gives_three(files: Files) -> None:
    token, _ = await files.link(await written(files), to="key:b", keep=HOUR, most=3)
    for _ in range(3):
        await files.follow(token)
    with pytest.raises(Refused, match="not-found"):
        await files.follow(token)


async def test_a_link_lives_no_longer_than_its_file(files: Files, clock: ManualClock) -> None:
    file = await written(files)
    _, link = await files.link(file, to="key:b", keep=timedelta(days=9))
    assert link.expires_at == DAY + HOUR
    token, short = await files.link(file, to="key:b", keep=timedelta(minutes=1))
    assert short.expires_at == DAY + timedelta(minutes=1)
    clock.advance(timedelta(minutes=1))
    with pytest.raises(Refused, match="not-found"):
        await files.follow(token)


async def test_a_file_is_read_from_any_place_in_a_thread(files: Files) -> None:
    file = await written(files)
    reader = FileReader(files, file, asyncio.get_running_loop())

    def look() -> list[bytes]:
        buffered = io.BufferedReader(reader)
        found = [buffered.read(10)]
        buffered.seek(CHUNK_BYTES - 4)
        found.append(buffered.read(10))
        buffered.seek(-7, io.SEEK_END)
        found.append(buffered.read())
        buffered.seek(0)
        found.append(buffered.read())
        return found

    found = await asyncio.to_thread(look)
    across = LONG[CHUNK_BYTES - 4 : CHUNK_BYTES + 6]
    assert found == [b"0123456789", across, b"3456789", LONG]


async def test_a_file_is_kept_for_another_time(files: Files, clock: ManualClock) -> None:
    file = await written(files)
    await files.keep(file, 3 * HOUR)
    clock.advance(2 * HOUR)
    assert await files.sweep() == 0
    assert await content_of(files, await files.open(file.id)) == LONG
    await files.delete(file.id)
    with pytest.raises(Refused, match="not-found"):
        await files.keep(file, HOUR)


async def test_all_files_of_an_owner_go_and_no_others(files: Files) -> None:
    first, second = await written(files), await written(files)
    other = await files.write(
        pieces(b"x"), name="x", media_type="text/plain", owner="key:b", keep=HOUR, limit=10
    )
    await files.delete_of("key:a")
    for gone in (first, second):
        with pytest.raises(Refused, match="not-found"):
            await files.open(gone.id)
    assert await content_of(files, await files.open(other.id)) == b"x"
