"""A table in a stored file, read on a thread of its own while the event loop goes on."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO, TypeVar, cast

from shared.files import CHUNK_BYTES, FileReader, Files, OpenFile
from shared.tables.blocks import Row
from shared.tables.reading import Survey, read, survey
from shared.tables.table import READ_ROWS, Form, Table

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table whose rows are taken some at a time."""

    table: Table
    thread: ThreadPoolExecutor

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self.table.header

    async def take(self, count: int) -> list[Row]:
        """The next rows, fewer at the end. Raises `TableError`, and what the file raises."""
        return await self.work(lambda table: list(table.take(count).rows()))

    async def work(self, do: Callable[[Table], ResultT]) -> ResultT:
        """Do something with the table, where it may be read."""
        return await _in_thread(self.thread, lambda: do(self.table))

    async def skip(self, count: int) -> None:
        """Pass rows over."""

        def skipped(table: Table) -> None:
            left = count
            while left and (block := table.take(min(left, READ_ROWS))):
                left -= len(block)

        await self.work(skipped)


@asynccontextmanager
async def stored_table(files: Files, file: OpenFile, form: Form) -> AsyncIterator[StoredTable]:
    """The table in a file of known form. Raises `TableError`."""
    async with _reading(files, file) as (stream, thread):
        table = await _in_thread(thread, lambda: read(stream, form))
        yield StoredTable(table, thread)


async def stored_survey(files: Files, file: OpenFile) -> Survey:
    """Look through a whole file once. Raises `TableError`."""
    async with _reading(files, file) as (stream, thread):
        return await _in_thread(thread, lambda: survey(stream))


@asynccontextmanager
async def _reading(
    files: Files, file: OpenFile
) -> AsyncIterator[tuple[BinaryIO, ThreadPoolExecutor]]:
    async with stored_streams(files, [file]) as ((stream,), thread):
        yield stream, thread


@asynccontextmanager
async def stored_streams(
    files: Files, opened: Sequence[OpenFile]
) -> AsyncIterator[tuple[Sequence[BinaryIO], ThreadPoolExecutor]]:
    """Files as streams, with the one thread that may read them."""
    loop = asyncio.get_running_loop()
    readers = [FileReader(files, file, loop) for file in opened]
    # One thread: readers of workbooks are not to be passed between threads.
    thread = ThreadPoolExecutor(1, thread_name_prefix="table")
    try:
        yield [cast("BinaryIO", io.BufferedReader(each, CHUNK_BYTES)) for each in readers], thread
    finally:
        # The thread may wait for this very loop: nobody waits for it here.
        thread.shutdown(wait=False, cancel_futures=True)


async def _in_thread(thread: ThreadPoolExecutor, work: Callable[[], ResultT]) -> ResultT:
    return await asyncio.get_running_loop().run_in_executor(thread, work)
