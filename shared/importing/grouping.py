"""Rows of a file that belong together, one group after another, in whatever order they stand.

One look tells whether each group stands together already, as a till writes it. Where it does not,
the rows are sorted outside of memory: by the first row of their group, and within it as they stand.
What is sorted goes into files of its own, sealed like every file, and lives no longer.
"""

import asyncio
import hashlib
import heapq
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from operator import le
from typing import BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from shared.files import Files, OpenFile
from shared.importing.drafts import KEEP, MAX_BYTES
from shared.tables import Row, Table, TableError
from shared.tables.stored import StoredTable, stored_streams

Key = Callable[[Row], str | None]
"""Of a row: what it shares with the others of its group; None for a row that stands alone."""
LOOK_ROWS = 2_000
RUN_ROWS = 50_000
HASH_BYTES = 16
LENGTH_BYTES = 4
UNPACKED = 10
"""How many times more than its file the rows of a run may be: files come packed."""
MEDIA = "application/octet-stream"


class _Stored(msgspec.Struct, array_like=True, gc=False):
    """A row in a sorted file: the place of its group, and the row."""

    place: int
    number: int
    cells: tuple[str, ...]
    flaw: str | None = None


async def places_of(
    table: StoredTable, key: Key, most: int, passed: Callable[[], Awaitable[None]]
) -> Sequence[int] | None:
    """The place of each row's group, by its first row; None where the groups stand together.

    16 bytes a row are held. `passed` is awaited now and then. Raises `TableError` for a group of
    more than `most` rows: somebody took the wrong column.
    """
    hashes = bytearray()
    while rows := await table.take(LOOK_ROWS):
        for row in rows:
            name = key(row)
            said = f"row|{row.number}" if name is None else f"key|{name}"
            hashes += hashlib.blake2b(said.encode(), digest_size=HASH_BYTES).digest()
        await passed()
    return await asyncio.to_thread(_places, hashes, most)


def _places(hashes: bytearray, most: int) -> Sequence[int] | None:
    count = len(hashes) // HASH_BYTES
    column = pa.Array.from_buffers(pa.binary(HASH_BYTES), count, [None, pa.py_buffer(hashes)])
    # Numbered in the order in which they are met: groups that stand together never go back.
    numbers = column.dictionary_encode().indices
    largest = pc.max(pc.struct_field(pc.value_counts(numbers), 1)).as_py()
    if largest is not None and largest > most:
        raise TableError(f"{largest} rows are of one and the same thing, at most {most} can be")
    places = memoryview(numbers.buffers()[1]).cast("i")[:count]
    return None if all(map(le, places, places[1:])) else places


async def sorted_files(
    files: Files,
    table: StoredTable,
    places: Sequence[int],
    owner: str,
    passed: Callable[[], Awaitable[None]],
) -> tuple[str, ...]:
    """Write the rows into files, each sorted; together they hold each row once."""
    found: list[str] = []
    begin = 0
    while rows := await table.take(RUN_ROWS):
        stored = [
            _Stored(place, row.number, row.cells, row.flaw)
            for place, row in zip(places[begin : begin + len(rows)], rows, strict=True)
        ]
        begin += len(rows)
        stored.sort(key=_order)
        file = await files.write(
            _written(stored),
            name="sorted",
            media_type=MEDIA,
            owner=owner,
            keep=KEEP,
            limit=UNPACKED * MAX_BYTES,
        )
        found.append(file.id)
        await passed()
    return tuple(found)


def _order(stored: _Stored) -> tuple[int, int]:
    return stored.place, stored.number


async def _written(rows: Sequence[_Stored]) -> AsyncIterator[bytes]:
    encode = msgspec.msgpack.Encoder().encode
    for begin in range(0, len(rows), LOOK_ROWS):
        pieces = []
        for row in rows[begin : begin + LOOK_ROWS]:
            text = encode(row)
            pieces += [len(text).to_bytes(LENGTH_BYTES), text]
        yield b"".join(pieces)


@asynccontextmanager
async def merged(
    files: Files, sorted_: Sequence[OpenFile], header: tuple[str, ...]
) -> AsyncIterator[StoredTable]:
    """The rows of sorted files, merged as they are asked for."""
    async with stored_streams(files, sorted_) as (streams, thread):
        rows = heapq.merge(*map(_read, streams), key=_order)
        table = Table(header, (Row(each.number, each.cells, each.flaw) for each in rows))
        yield StoredTable(table, thread)


def _read(stream: BinaryIO) -> Iterator[_Stored]:
    decode = msgspec.msgpack.Decoder(_Stored).decode
    while length := stream.read(LENGTH_BYTES):
        yield decode(stream.read(int.from_bytes(length)))


@dataclass(slots=True)
class Groups:
    """A table's rows by group; a row is given once, and no group in parts."""

    table: StoredTable
    key: Key
    _held: list[Row] = field(default_factory=list)

    async def skip(self, rows: int) -> None:
        """Pass rows over; they must end with a group."""
        await self.table.skip(rows)

    async def take(self, rows: int, groups: int) -> list[list[Row]]:
        """The next groups, so many or of at least so many rows; none at the end of the table."""
        found: list[list[Row]] = []
        name: str | None = None
        taken = 0
        while True:
            more = await self._next(max(rows - taken, 1))
            if not more:
                return found
            for index, row in enumerate(more):
                key = self.key(row)
                if found and key is not None and key == name:
                    found[-1].append(row)
                    continue
                if taken + index >= rows or len(found) >= groups:
                    self._held = more[index:]
                    return found
                found.append([row])
                name = key
            taken += len(more)

    async def _next(self, rows: int) -> list[Row]:
        if self._held:
            held, self._held = self._held, []
            return held
        return await self.table.take(max(rows, LOOK_ROWS))
