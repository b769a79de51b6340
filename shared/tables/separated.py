"""CSV as it is met: UTF-8 with or without a mark, UTF-16 or Windows-1251, four separators."""

import codecs
import csv
import io
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import BinaryIO

from shared.tables.table import Form, TableError

SAMPLE_BYTES = 64 * 1024
READ_BYTES = 256 * 1024
MAX_LINE = 1_000_000
"""Characters: a file without an end of line must not be read into memory whole."""
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


def records(stream: BinaryIO, form: Form) -> Iterator[list[str]]:
    """The records of the file, read as they are asked for. Raises `TableError` with the row."""
    stream.seek(0)
    encoding = form.encoding or "utf-8"
    # A byte that is no letter spoils its row (`table.UNREADABLE_TEXT`), not the file.
    errors = "replace" if encoding == "utf-16" else "surrogateescape"
    text = io.TextIOWrapper(stream, encoding=encoding, errors=errors, newline="")
    reader = csv.reader(_lines(text), delimiter=form.delimiter or ",")
    number = 0
    try:
        for record in reader:
            number += 1
            yield record
    except csv.Error as error:
        raise TableError(f"it cannot be split into cells: {error}", number + 1) from None
    finally:
        # The stream is its owner's to close, and may be closed by now.
        with suppress(ValueError):
            text.detach()


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(MAX_LINE):
        if len(line) == MAX_LINE and not line.endswith(("\n", "\r")):
            raise csv.Error("a line is too long")
        yield line
