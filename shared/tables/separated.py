"""CSV as it is met: UTF-8 with or without a mark, UTF-16 or Windows-1251, four separators.

Where nothing is quoted, which is what machines write, a piece of the text is cut into columns as a
whole; else record by record. Both give the same cells.
"""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice, repeat
from typing import BinaryIO

from shared.tables.blocks import Block, block_of, columns_of
from shared.tables.table import NO_NAMES, Form, Table, TableError, header_of, require_few

SAMPLE_BYTES = 64 * 1024
READ_BYTES = 256 * 1024
MAX_LINE = 1_000_000
"""Characters: a file without an end of line must not be read into memory whole."""
PIECE_CHARACTERS = 128 * 1024
LONGEST_PLAIN = 100_000
"""Characters of a line; the library refuses a cell that is somewhat longer."""
DELIMITERS = (";", ",", "\t", "|")
SAMPLE_RECORDS = 50
BINARY = "this is no text: send CSV, XLSX or Parquet"


def recognised(stream: BinaryIO) -> Form:
    """Encoding and delimiter. Raises `TableError` for what is no text.

    UTF-8 is asked of the whole file: Windows-1251 fits almost anything, so it comes last.
    """
    stream.seek(0)
    encoding = _encoding(stream)
    stream.seek(0)
    sample = stream.read(SAMPLE_BYTES)
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(sample)
    return Form("csv", encoding, _delimiter(text, whole=len(sample) < SAMPLE_BYTES))


def _encoding(stream: BinaryIO) -> str:
    begin = stream.read(4)
    if begin.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    stream.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    utf8 = True
    while data := stream.read(READ_BYTES):
        if b"\0" in data:
            raise TableError(BINARY)
        if utf8:
            try:
                decoder.decode(data)
            except UnicodeDecodeError:
                utf8 = False
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        utf8 = False
    return "utf-8" if utf8 else "cp1251"


def _delimiter(sample: str, *, whole: bool) -> str:
    """The one that makes most records as wide as the first, and the widest of those."""
    lines = sample.splitlines(keepends=True)
    if not whole and len(lines) > 1:
        lines.pop()

    def fitness(delimiter: str) -> tuple[float, int]:
        try:
            records = list(islice(csv.reader(lines, delimiter=delimiter), SAMPLE_RECORDS))
        except csv.Error:
            return 0.0, 0
        width = len(records[0]) if records else 0
        if width <= 1:
            return 0.0, width
        filled = [record for record in records if record]
        return sum(len(record) == width for record in filled) / len(filled), width

    best = max(DELIMITERS, key=fitness)
    return best if fitness(best)[1] > 1 else ","


def table(stream: BinaryIO, form: Form) -> Table:
    """The table in the file, read as it is asked for. Raises `TableError` with the row."""
    stream.seek(0)
    encoding = form.encoding or "utf-8"
    # A byte that is no letter spoils its row (`blocks.UNREADABLE_TEXT`), not the file.
    errors = "replace" if encoding == "utf-16" else "surrogateescape"
    text = io.TextIOWrapper(stream, encoding=encoding, errors=errors, newline="")
    records = _Records(text, form.delimiter or ",")
    try:
        while record := records.one():
            if any(cell.strip() for cell in record[0]):
                header = header_of(record[0], records.number)
                return Table(header, _blocks(records, len(header)))
    except BaseException:
        records.close()
        raise
    records.close()
    raise TableError(NO_NAMES, 1)


def _blocks(records: "_Records", width: int) -> Iterator[Block]:
    try:
        while True:
            number = records.number + 1
            columns, longest = records.columns(width)
            if not columns:
                return
            require_few(records.number)
            yield block_of(number, columns, width, longest)
    finally:
        records.close()


@dataclass(slots=True)
class _Records:
    """The records of a text; `number` is that of the last one."""

    text: io.TextIOWrapper
    delimiter: str
    number: int = 0
    _lines: "_Lines" = field(init=False)
    _reader: Iterator[list[str]] = field(init=False)

    def __post_init__(self) -> None:
        self._lines = _Lines(self.text)
        self._reader = csv.reader(self._lines, delimiter=self.delimiter)

    def one(self) -> list[list[str]]:
        """The next record; none at the end."""
        try:
            found = list(islice(self._reader, 1))
        except csv.Error as error:
            raise _unreadable(error, self.number + 1) from None
        self.number += len(found)
        return found

    def columns(self, width: int) -> tuple[Sequence[Sequence[str]], int | None]:
        """The next records by columns, and how long a cell can be at most; none at the end."""
        piece = self.text.read(PIECE_CHARACTERS)
        piece += self.text.readline(MAX_LINE)
        if not piece:
            return (), None
        if (plain := _plain(piece, self.delimiter)) is not None:
            columns, longest = plain
            self.number += len(columns[0])
            return [*columns, *[[""] * len(columns[0])] * (width - len(columns))], longest
        records: list[list[str]] = []
        self._lines.held = iter(io.StringIO(piece, newline="").readlines())
        try:
            while self._lines.look():
                # A cell that is quoted may go on behind the piece: then more lines are read.
                records.append(next(self._reader))
        except csv.Error as error:
            raise _unreadable(error, self.number + len(records) + 1) from None
        self.number += len(records)
        return columns_of(records, width), None

    def close(self) -> None:
        """Read no more. The stream is its owner's to close, and may be closed by now."""
        with suppress(ValueError):
            self.text.detach()


def _plain(piece: str, delimiter: str) -> tuple[Sequence[Sequence[str]], int] | None:
    """Lines by columns, where nothing is quoted and all have the same number of cells.

    And how long the longest line is.
    """
    if '"' in piece or "\0" in piece:
        return None
    if "\r" in piece:
        piece = piece.replace("\r\n", "\n")
    lines = piece.removesuffix("\n").split("\n")
    counts, longest = set(map(str.count, lines, repeat(delimiter))), max(map(len, lines))
    if "\r" in piece or len(counts) > 1 or longest >= LONGEST_PLAIN:
        return None
    (parted,) = counts
    if not parted:
        return None if "" in lines else ([lines], longest)
    # One split for all: a list for each line would cost more than its cells.
    cells = delimiter.join(lines).split(delimiter)
    return [cells[place :: parted + 1] for place in range(parted + 1)], longest


@dataclass(slots=True)
class _Lines:
    """The lines of a text, first those of a piece that was read already."""

    text: io.TextIOWrapper
    held: Iterator[str] = field(default_factory=lambda: iter(()))
    _next: str = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def look(self) -> bool:
        """Whether the piece has a line that was not given yet."""
        self._next = self._next or next(self.held, "")
        return bool(self._next)

    def __next__(self) -> str:
        line = self._next or next(self.held, "") or self.text.readline(MAX_LINE)
        self._next = ""
        if not line:
            raise StopIteration
        if len(line) >= MAX_LINE and not line.endswith(("\n", "\r")):
            raise csv.Error("a line is too long")
        return line


def _unreadable(error: csv.Error, row: int) -> TableError:
    return TableError(f"it cannot be split into cells: {error}", row)
