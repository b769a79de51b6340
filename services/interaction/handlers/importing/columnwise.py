"""Receipts and orders read from whole columns: a cell that comes again becomes its JSON once.

What a file says is for `RowReader` to tell, cell by cell. Here the same is said of many rows at
once, where nothing is wrong with them; a fact of which a cell is wrong, or whose rows do not say
the same, is left to the row reader, which knows what to say of it. What both read is the same fact:
a test holds them together over random files (`tests/unit/test_columnwise.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from services.interaction.handlers.importing.columns import POSITION
from services.interaction.handlers.importing.rows import (
    LEFT_OUT_AT_ZERO,
    NAMED,
    SEPARATOR,
    RowReader,
    Wrong,
    text_of,
)
from shared.importing.grouping import Chunk
from shared.importing.values import REMEMBERED, WrongCell
from shared.tables import Block
from shared.tables.writing import APOSTROPHE

AMOUNT, QUANTITY, PRODUCT = "amount", "quantity", "product"
"""What every line has; of the names of a line's fields the first one and the last two."""
BEGIN = f'{{"{AMOUNT}":'
_encode = msgspec.json.Encoder().encode


class _Cells(dict[str, Any]):
    """What cells of one column became, so that each is read once; None where one is wrong."""

    def __init__(self, reader: RowReader, to: str, default: str) -> None:
        super().__init__()
        self.to = to
        self._reader, self._default = reader, default

    def __missing__(self, cell: str) -> object:
        if len(self) >= REMEMBERED:
            self.clear()
        try:
            found = self[cell] = self._read(text_of(cell) or self._default)
        except WrongCell:
            found = self[cell] = None
        return found

    def _read(self, text: str) -> object:
        return self._reader.line_value(self.to, text) if text else None


class _Pieces(_Cells):
    """The part of a line's JSON that tells the cell; fields stand in the order of their names."""

    def _read(self, text: str) -> str | None:
        if not text and self.to != QUANTITY:
            return None if self.to in {AMOUNT, PRODUCT} else ""
        value = self._reader.line_value(self.to, text) if text else 1
        if value == 0 and self.to in LEFT_OUT_AT_ZERO:
            return ""
        written = _encode(value).decode()
        if self.to == AMOUNT:
            return BEGIN + written
        return f',"{self.to}":{written}' + ("}" if self.to == QUANTITY else "")


class ColumnReader:
    """Reads the rows of one file, many at once."""

    def __init__(self, rows: RowReader) -> None:
        """`rows` tells what a cell says."""
        self.rows = rows
        reading = rows.reading
        self._shape, self._defaults = reading.shape, reading.defaults
        self._place = {to: place for place, to in enumerate(reading.columns) if to is not None}
        fields = self._shape.lines
        self._head = [(place, to) for to, place in self._place.items() if to not in fields]
        told = fields.keys() & {*self._place, *self._defaults, QUANTITY} - {POSITION}
        self._pieces = [self._cells(_Pieces, to) for to in sorted(told)]
        self._positions = self._cells(_Cells, POSITION)
        needed = self._shape.needs & fields.keys()
        # Where a row need not be a line, defaults do not make it one.
        sure = bool(needed) or not fields.keys() & self._defaults.keys()
        self._able = sure and {AMOUNT, PRODUCT} <= told

    def _cells(self, kind: type[_Cells], to: str) -> _Cells:
        return kind(self.rows, to, self._defaults.get(to, ""))

    def key_columns(self) -> Sequence[object]:
        """What `keys` rest on: another mapping with the same needs no other order."""
        places = [self._place.get(to) for to in NAMED]
        return [self._shape.kind, places, [self._defaults.get(to) for to in NAMED]]

    def keys(self, block: Block) -> Sequence[str | None]:
        """What the rows of one fact share; None for a row that is one, or is wrong."""
        if not self._shape.lines:
            return [None] * len(block)
        named = [self._named(block, to) for to in NAMED]
        keys = [SEPARATOR.join(each) if each[2] else None for each in zip(*named, strict=True)]
        if not block.flaws:
            return keys
        known = zip(block.numbers, keys, strict=True)
        return [None if number in block.flaws else key for number, key in known]

    def _named(self, block: Block, to: str) -> Sequence[str]:
        default, place = self._defaults.get(to, ""), self._place.get(to)
        if place is None:
            return [default] * len(block)
        texts = _texts(block.columns[place])
        return [text or default for text in texts] if default else texts

    def contents(self, chunk: Chunk) -> Sequence[bytes | None]:
        """The JSON of each fact, as the API takes it; None where the row reader has to look."""
        if not self._able:
            return [None] * len(chunk.begins)
        block = chunk.rows
        wrong = {place for place, row in enumerate(block.numbers) if row in block.flaws}
        lines = self._lines(block, wrong)
        positions = self._column(self._positions, block, wrong) if self._placed else None
        heads = [(to, _texts(block.columns[place])) for place, to in self._head]
        return [
            None
            if not wrong.isdisjoint(range(begin, end))
            else self._content(
                self._said(heads, begin, end),
                _in_order(lines[begin:end], positions and positions[begin:end]),
            )
            for begin, end in chunk.bounds
        ]

    @property
    def _placed(self) -> bool:
        return POSITION in self._place or POSITION in self._defaults

    def _lines(self, block: Block, wrong: set[int]) -> Sequence[str]:
        """The JSON of each row as a line; `wrong` gets the places of those that are none."""
        columns = [self._column(pieces, block, wrong) for pieces in self._pieces]
        return list(map("".join, zip(*columns, strict=True)))

    def _column(self, cells: _Cells, block: Block, wrong: set[int]) -> Sequence[Any]:
        """What the cells of a column became, empty where one is wrong."""
        place = self._place.get(cells.to)
        if place is None:
            found = [cells[""]] * len(block)
        else:
            found = list(map(cells.__getitem__, block.columns[place]))
        if None not in found:
            return found
        wrong.update(place for place, each in enumerate(found) if each is None)
        return ["" if each is None else each for each in found]

    def _said(
        self, heads: Sequence[tuple[str, Sequence[str]]], begin: int, end: int
    ) -> Mapping[str, tuple[int, str]] | None:
        """What is said of a fact by any of its rows; None where they do not say the same."""
        said: dict[str, tuple[int, str]] = {}
        for to, column in heads:
            cell = column[begin]
            theirs = column[begin:end]
            if theirs.count(cell) != len(theirs):
                several = {each for each in theirs if each}
                if len(several) > 1:
                    return None
                cell = several.pop()
            if cell:
                said[to] = (begin, cell)
        return self.rows.with_defaults(said, begin)

    def _content(
        self, said: Mapping[str, tuple[int, str]] | None, lines: Sequence[str]
    ) -> bytes | None:
        if said is None:
            return None
        wrong = Wrong(0)
        fact = self.rows.head(said, wrong)
        if wrong.flaws:
            return None
        if "payment" in fact:
            amounts = (int(line[len(BEGIN) : line.index(",")]) for line in lines)
            fact["payments"] = [{"kind": fact.pop("payment"), "amount": sum(amounts)}]
        return _encode(fact)[:-1] + f',"lines":[{",".join(lines)}]}}'.encode()


def _in_order(lines: Sequence[str], positions: Sequence[int] | None) -> Sequence[str]:
    """Lines as their positions say, else by what they are."""
    if not positions:
        return sorted(lines)
    return [line for _, line in sorted(zip(positions, lines, strict=True))]


def _texts(column: Sequence[str]) -> Sequence[str]:
    """The texts of cells of a table."""
    return list(map(text_of, column)) if APOSTROPHE in "".join(column) else column
