"""A table as importers see it: a header, and rows of text, whatever file it came in.

Rows are numbered as a spreadsheet shows them, from 1; the header is the first that is not empty.
What is wrong with one row is a flaw of that row; what makes the rest unreadable is a `TableError`.
Neither quotes a cell.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["csv", "xlsx", "parquet"]
MAX_COLUMNS = 300
MAX_ROWS = 2_000_000
MAX_CELL = 10_000
MAX_NAME = 200
TOO_MANY_CELLS = "has more cells than the header"
UNREADABLE_TEXT = "has a byte that is no letter of its encoding"
TOO_LONG_CELL = f"has a cell of more than {MAX_CELL} characters"


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


@dataclass(frozen=True, slots=True)
class Row:
    """One row, as many cells as the header has; `flaw` says why it is not to be used."""

    number: int
    cells: tuple[str, ...]
    flaw: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A header of distinct names, and the rows below it, read as they are asked for."""

    header: tuple[str, ...]
    rows: Iterator[Row]


def table_of(records: Iterator[Sequence[str]]) -> Table:
    """The table of raw records, the first of which is the header.

    Raises `TableError` for a header without names or with too many columns; iterating raises it
    for too many rows. Empty rows are counted and left out.
    """
    numbered = enumerate(records, 1)
    for number, record in numbered:
        if any(cell.strip() for cell in record):
            header = _header(record, number)
            return Table(header, _rows(numbered, len(header)))
    raise TableError("there should be the names of the columns", 1)


def _header(record: Sequence[str], number: int) -> tuple[str, ...]:
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


def _rows(numbered: Iterator[tuple[int, Sequence[str]]], width: int) -> Iterator[Row]:
    for number, record in numbered:
        if number > MAX_ROWS:
            raise TableError(f"there should be at most {MAX_ROWS} rows; split the file", number)
        row = _row(number, record, width)
        if row is not None:
            yield row


def _row(number: int, record: Sequence[str], width: int) -> Row | None:
    cells = tuple(cell.strip() for cell in record[:width])
    cells += ("",) * (width - len(cells))
    if any(cell.strip() for cell in record[width:]):
        return Row(number, cells, TOO_MANY_CELLS)
    if any(len(cell) > MAX_CELL for cell in cells):
        return Row(number, cells, TOO_LONG_CELL)
    if not _is_text(cells):
        return Row(number, cells, UNREADABLE_TEXT)
    return Row(number, cells) if any(cells) else None


def _is_text(cells: Sequence[str]) -> bool:
    """Whether there is no half of a surrogate pair: what stands for a byte that was no letter."""
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return False
    return True
