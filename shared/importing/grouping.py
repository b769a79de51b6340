"""Rows of a file that belong together, one group after another, in whatever order they stand.

One look tells whether each group stands together already, as a till writes it. Where it does not,
the rows are sorted outside of memory: by the first row of their group, and within it as they stand.
What is sorted goes into files of its own, sealed like every file, and lives no longer. All of it is
done by columns, some thousand rows at once.
"""

import asyncio
import hashlib
from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from operator import le
from typing import BinaryIO

import msgspec

from shared.files import Files, OpenFile
from shared.importing.drafts import KEEP, MAX_BYTES
from shared.tables import Block, Row, Table, TableError
from shared.tables.blocks import joined
from shared.tables.stored import StoredTable, stored_streams

Keys = Callable[[Block], Sequence[str | None]]
"""Of each row: what it shares with the others of its group; None for a row that stands alone."""
RUN_ROWS = 50_000
PIECE_ROWS = 500
"""So many rows of each sorted file are held while they are merged."""
HASH_BYTES = 16
LENGTH_BYTES = 4
UNPACKED = 10
"""How many times more than its file the rows of a run may be: files come packed."""
MEDIA = "application/octet-stream"


class _Piece(msgspec.Struct, array_like=True, gc=False):
    """Rows in a sorted file, and the place of the group of each."""

    places: list[int]
    numbers: list[int]
    columns: list[list[str]]
    flaws: dict[int, str]

    @property
    def block(self) -> Block:
        return Block(self.numbers, self.columns, self.flaws)


async def places_of(
    table: StoredTable, keys: Keys, most: int, passed: Callable[[], Awaitable[None]]
) -> Sequence[int] | None:
    """The place of each row's group, by its first row; None where the groups stand together.

    16 bytes a row are held. `passed` is awaited now and then. Raises `TableError` for a group of
    more than `most` rows: somebody took the wrong column.
    """
    hashes = bytearray()
    while looked := await table.work(lambda table: _hashes(table.block(), keys)):
        hashes += looked
        await passed()
    return await asyncio.to_thread(_places, hashes, most)


def _hashes(block: Block, keys: Keys) -> bytes:
    found, before, same = [], None, b""
    for name, number in zip(keys(block), block.numbers, strict=True):
        if name is None:
            found.append(_hash(f"row|{number}"))
            continue
        if name != before:
            before, same = name, _hash(f"key|{name}")
        found.append(same)
    return b"".join(found)


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=HASH_BYTES).digest()


def _places(hashes: bytearray, most: int) -> Sequence[int] | None:
    import pyarrow as pa  # noqa: PLC0415 - 50 MB that only a file with groups asks for
    from pyarrow import compute  # noqa: PLC0415 - as above

    count = len(hashes) // HASH_BYTES
    column = pa.Array.from_buffers(pa.binary(HASH_BYTES), count, [None, pa.py_buffer(hashes)])
    # Numbered in the order in which they are met: groups that stand together never go back.
    numbers = column.dictionary_encode().indices
    largest = compute.max(compute.struct_field(compute.value_counts(numbers), 1)).as_py()
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
    while run := await table.work(lambda table: table.take(RUN_ROWS)):
        theirs = places[begin : begin + len(run)]
        begin += len(run)
        ordered, block = await asyncio.to_thread(_in_order, theirs, run)
        file = await files.write(
            _written(ordered, block),
            name="sorted",
            media_type=MEDIA,
            owner=owner,
            keep=KEEP,
            limit=UNPACKED * MAX_BYTES,
        )
        found.append(file.id)
        await passed()
    return tuple(found)


def _in_order(places: Sequence[int], block: Block) -> tuple[list[int], Block]:
    """Rows by the places of their groups; those of one place stay as they stand."""
    order = sorted(range(len(places)), key=places.__getitem__)
    return [places[each] for each in order], block.chosen(order)


async def _written(places: list[int], block: Block) -> AsyncIterator[bytes]:
    encode = msgspec.msgpack.Encoder().encode
    for begin in range(0, len(block), PIECE_ROWS):
        end = begin + PIECE_ROWS
        part = block.cut(begin, end)
        flaws = {number: part.flaws[number] for number in part.numbers if number in part.flaws}
        columns = [list(column) for column in part.columns]
        text = encode(_Piece(places[begin:end], list(part.numbers), columns, flaws))
        yield len(text).to_bytes(LENGTH_BYTES) + text


@asynccontextmanager
async def merged(
    files: Files, sorted_: Sequence[OpenFile], header: tuple[str, ...]
) -> AsyncIterator[StoredTable]:
    """The rows of sorted files, merged as they are asked for."""
    async with stored_streams(files, sorted_) as (streams, thread):
        runs = [_Run(_read(stream)) for stream in streams]
        yield StoredTable(Table(header, _merged(runs, len(header))), thread)


@dataclass(slots=True)
class _Run:
    """A sorted file that is being read."""

    pieces: Iterator[_Piece]
    places: list[int]
    rows: Block
    ended: bool = False

    def __init__(self, pieces: Iterator[_Piece]) -> None:
        self.pieces = pieces
        self.places, self.rows, self.ended = [], Block((), ()), False

    def read_on(self) -> None:
        """Hold one piece more, if there is one."""
        piece = next(self.pieces, None)
        if piece is None:
            self.ended = True
            return
        held = [self.rows] if self.places else []
        self.rows = joined([*held, piece.block], len(piece.columns))
        self.places = self.places + piece.places

    def take(self, below: int | None) -> tuple[list[int], Block]:
        """The rows of groups below a place, or all that are held."""
        end = len(self.places) if below is None else bisect_left(self.places, below)
        taken = self.places[:end], self.rows.cut(0, end)
        self.places, self.rows = self.places[end:], self.rows.cut(end, len(self.rows))
        return taken


def _merged(runs: Sequence[_Run], width: int) -> Iterator[Block]:
    """Rows by the places of their groups; of those of one place, earlier runs have the first."""
    for run in runs:
        run.read_on()
    while True:
        # Whatever is before the last place that some run holds, is held by all runs.
        lasts = [run.places[-1] for run in runs if not run.ended]
        below = min(lasts, default=None)
        taken = [run.take(below) for run in runs]
        places = [place for several, _ in taken for place in several]
        if places:
            yield _in_order(places, joined([block for several, block in taken if several], width))[
                1
            ]
        if below is None:
            return
        for run in runs:
            if not run.ended and run.places[-1] == below:
                run.read_on()


def _read(stream: BinaryIO) -> Iterator[_Piece]:
    decode = msgspec.msgpack.Decoder(_Piece).decode
    while length := stream.read(LENGTH_BYTES):
        yield decode(stream.read(int.from_bytes(length)))


@dataclass(frozen=True, slots=True)
class Chunk:
    """Groups of rows, one after the other; `begins` are the places where each begins."""

    rows: Block
    begins: Sequence[int]

    def __bool__(self) -> bool:
        """Whether there is one."""
        return bool(self.begins)

    @property
    def bounds(self) -> Iterator[tuple[int, int]]:
        """Where each group begins and ends."""
        return zip(self.begins, [*self.begins[1:], len(self.rows)], strict=True)

    def group(self, begin: int, end: int) -> list[Row]:
        """The rows of one group."""
        return list(self.rows.cut(begin, end).rows())


@dataclass(slots=True)
class Groups:
    """A table's rows by group; a row is given once, and no group in parts."""

    table: StoredTable
    keys: Keys
    _held: tuple[Block, Sequence[str | None]] | None = None

    async def skip(self, rows: int) -> None:
        """Pass rows over; they must end with a group."""
        await self.table.skip(rows)

    async def take(self, rows: int, groups: int) -> Chunk:
        """The next groups, so many or of at least so many rows; none at the end of the table."""
        parts: list[Block] = []
        begins: list[int] = []
        taken, name = 0, None
        while True:
            block, names = await self._next()
            if not block:
                break
            for index, key in enumerate(names):
                if begins and key is not None and key == name:
                    continue
                if taken + index >= rows or len(begins) >= groups:
                    self._held = block.cut(index, len(block)), names[index:]
                    parts.append(block.cut(0, index))
                    return Chunk(joined(parts, len(block.columns)), begins)
                begins.append(taken + index)
                name = key
            parts.append(block)
            taken += len(block)
        return Chunk(joined(parts, len(self.table.header)), begins)

    async def _next(self) -> tuple[Block, Sequence[str | None]]:
        if self._held is not None:
            held, self._held = self._held, None
            return held
        return await self.table.work(self._looked_at)

    def _looked_at(self, table: Table) -> tuple[Block, Sequence[str | None]]:
        block = table.block()
        return block, self.keys(block)
