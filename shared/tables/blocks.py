"""Some rows of a table by their columns: what is looked at cell by cell is paid for by the million.

A flaw is of one row, and known by its number, so that it stays with it however blocks are cut. The
checks ask whole columns first, and rows only where a column says that there is something.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

MAX_CELL = 10_000
TOO_MANY_CELLS = "has more cells than the header"
UNREADABLE_TEXT = "has a byte that is no letter of its encoding"
TOO_LONG_CELL = f"has a cell of more than {MAX_CELL} characters"


@dataclass(frozen=True, slots=True)
class Row:
    """One row, as many cells as the header has; `flaw` says why it is not to be used."""

    number: int
    cells: tuple[str, ...]
    flaw: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Rows by columns, which are all as long as `numbers`; flaws by the numbers of their rows."""

    numbers: Sequence[int]
    columns: Sequence[Sequence[str]]
    flaws: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many rows."""
        return len(self.numbers)

    def cut(self, begin: int, end: int) -> "Block":
        """Some of the rows."""
        columns = [column[begin:end] for column in self.columns]
        return Block(self.numbers[begin:end], columns, self.flaws)

    def chosen(self, places: Sequence[int]) -> "Block":
        """The rows at places, in their order."""
        numbers = [self.numbers[place] for place in places]
        columns = [[column[place] for place in places] for column in self.columns]
        return Block(numbers, columns, self.flaws)

    def rows(self) -> Iterator[Row]:
        """The rows, one by one."""
        flaws = self.flaws
        for number, cells in zip(self.numbers, zip(*self.columns, strict=True), strict=True):
            yield Row(number, cells, flaws.get(number))


def joined(blocks: Sequence[Block], width: int) -> Block:
    """Blocks of so many columns, one behind the other."""
    if len(blocks) == 1:
        return blocks[0]
    flaws = {number: flaw for each in blocks for number, flaw in each.flaws.items()}
    columns = [
        list(chain.from_iterable(each.columns[place] for each in blocks)) for place in range(width)
    ]
    return Block(list(chain.from_iterable(each.numbers for each in blocks)), columns, flaws)


def columns_of(records: Sequence[Sequence[str]], width: int) -> Sequence[Sequence[str]]:
    """Records by columns; whatever one has beyond the width is one more column."""
    if set(map(len, records)) != {width}:
        records = [_fitted(record, width) for record in records]
    return list(zip(*records, strict=True))


def _fitted(record: Sequence[str], width: int) -> Sequence[str]:
    beyond = next((cell for cell in record[width:] if cell.strip()), "")
    return [*record[:width], *[""] * (width - len(record)), beyond]


def block_of(
    number: int, columns: Sequence[Sequence[str]], width: int, longest: int | None = None
) -> Block:
    """The block whose first row has the number; rows without a cell are left out.

    No cell has more than `longest` characters, where that is known.
    """
    named: Sequence[Sequence[str]] = [list(map(str.strip, each)) for each in columns[:width]]
    flaws: dict[int, str] = {}
    for column in named:
        if not _is_text("".join(column)):
            flaws |= _flawed(number, [not _is_text(cell) for cell in column], UNREADABLE_TEXT)
    for column in named:
        if longest is not None and longest <= MAX_CELL:
            break
        if max(map(len, column), default=0) > MAX_CELL:
            flaws |= _flawed(number, [len(cell) > MAX_CELL for cell in column], TOO_LONG_CELL)
    for column in columns[width:]:
        flaws |= _flawed(number, [bool(cell.strip()) for cell in column], TOO_MANY_CELLS)
    numbers = range(number, number + len(named[0]))
    block = Block(numbers, named, flaws)
    if all("" in column for column in named):
        cells = zip(numbers, zip(*named, strict=True), strict=True)
        filled = [number in flaws or any(row) for number, row in cells]
        if not all(filled):
            return block.chosen([place for place, is_one in enumerate(filled) if is_one])
    return block


def _flawed(number: int, wrong: Iterable[bool], flaw: str) -> dict[int, str]:
    return {row: flaw for row, is_wrong in enumerate(wrong, number) if is_wrong}


def _is_text(text: str) -> bool:
    """Whether there is no half of a surrogate pair: what stands for a byte that was no letter."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
