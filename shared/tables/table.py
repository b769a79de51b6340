"""A table as importers see it: a header, and rows of text, whatever file it came in.

Rows are numbered as a spreadsheet shows them, from 1; the header is the first that is not empty.
They come some at a time and by columns (`Block`), since what holds for a whole column is looked at
once: a table has millions of cells.
What is wrong with one row is a flaw of that row; what makes the rest unreadable is a `TableError`.
Neither quotes a cell.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from shared.tables.blocks import Block, Row, block_of, columns_of, joined

Kind = Literal["csv", "xlsx", "parquet"]
MAX_COLUMNS = 300
MAX_ROWS = 2_000_000
MAX_NAME = 200
NO_NAMES = "there should be the names of the columns"
READ_ROWS = 2_000


class TableError(Exception):
    """The file cannot be read, or not from `row` on; the text says what to do."""

    def __init__(self, message: str, row: int | None = None) -> None:
        """`message` is for people."""
        super().__init__(message if row is None else f"row {row}: {message}")
        self.row = row


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is to be read; encoding and delimiter are a CSV's."""

    kind: Kind
    encoding: str | None = None
    delimiter: str | None = None


@dataclass(slots=True)
class Table:
    """A header of distinct names, and the rows below it, read as they are asked for."""

    header: tuple[str, ...]
    blocks: Iterator[Block]
    _held: Block | None = field(default=None, init=False)

    def block(self) -> Block:
        """The next rows, as many as come together; none at the end. Raises `TableError`."""
        held, self._held = self._held, None
        rest = (block for block in self.blocks if block)
        return held or next(rest, None) or joined((), len(self.header))

    def take(self, count: int) -> Block:
        """The next rows, so many; fewer at the end. Raises `TableError`."""
        parts: list[Block] = []
        while count > 0 and (block := self.block()):
            if len(block) > count:
                self._held, block = block.cut(count, len(block)), block.cut(0, count)
            parts.append(block)
            count -= len(block)
        return joined(parts, len(self.header))

    @property
    def rows(self) -> Iterator[Row]:
        """The rows that were not taken yet, one by one."""
        while block := self.take(READ_ROWS):
            yield from block.rows()


def table_of(records: Iterator[Sequence[str]]) -> Table:
    """The table of raw records, the first of which is the header.

    Raises `TableError` for a header without names or with too many columns; reading on raises it
    for too many rows. Empty rows are counted and left out.
    """
    for number, record in enumerate(records, 1):
        if any(cell.strip() for cell in record):
            header = header_of(record, number)
            return Table(header, _blocks(records, number + 1, len(header)))
    raise TableError(NO_NAMES, 1)


def header_of(record: Sequence[str], number: int) -> tuple[str, ...]:
    """The names of the columns, made distinct. Raises `TableError`."""
    cells = [cell.strip()[:MAX_NAME] for cell in record]
    while cells and not cells[-1]:
        cells.pop()
    if len(cells) > MAX_COLUMNS:
        raise TableError(f"there should be at most {MAX_COLUMNS} columns", number)
    names: list[str] = []
    for place, cell in enumerate(cells, 1):
        name, twin = cell or f"column {place}", 2
        while name in names:
            name, twin = f"{cell or place} ({twin})", twin + 1
        names.append(name)
    return tuple(names)


def _blocks(records: Iterator[Sequence[str]], number: int, width: int) -> Iterator[Block]:
    while batch := list(islice(records, READ_ROWS)):
        require_few(number + len(batch) - 1)
        yield block_of(number, columns_of(batch, width), width)
        number += len(batch)


def require_few(last: int) -> None:
    """Raise `TableError` for a row of too high a number."""
    if last > MAX_ROWS:
        message = f"there should be at most {MAX_ROWS} rows; split the file"
        raise TableError(message, MAX_ROWS + 1)
