"""From a file to a table: which kind it is, and its rows."""

from dataclasses import dataclass
from typing import BinaryIO

from shared.tables import separated, workbooks
from shared.tables.blocks import Row
from shared.tables.table import READ_ROWS, Form, Table, TableError, table_of

ZIP = b"PK\x03\x04"
OLE = b"\xd0\xcf\x11\xe0"
PARQUET = b"PAR1"
SAMPLE_ROWS = 200


@dataclass(frozen=True, slots=True)
class Survey:
    """What one look through a whole file found; `sample` are its first rows."""

    form: Form
    header: tuple[str, ...]
    sample: tuple[Row, ...]
    rows: int
    last_row: int


def recognise(stream: BinaryIO) -> Form:
    """How a seekable stream is to be read, by what is in it. Raises `TableError`."""
    stream.seek(0)
    begin = stream.read(4)
    if not begin:
        raise TableError("the file is empty")
    if begin == ZIP:
        return Form("xlsx")
    if begin == PARQUET:
        return Form("parquet")
    if begin == OLE:
        raise TableError(workbooks.UNREADABLE)
    return separated.recognised(stream)


def read(stream: BinaryIO, form: Form) -> Table:
    """The table in a seekable stream; its rows are read as they are asked for.

    Raises `TableError`, and so does iterating over the rows.
    """
    match form.kind:
        case "csv":
            return separated.table(stream, form)
        case "xlsx":
            return table_of(workbooks.records(stream))
        case "parquet":
            from shared.tables import columns  # noqa: PLC0415 - 50 MB that only Parquet asks for

            return columns.table(stream)


def survey(stream: BinaryIO) -> Survey:
    """Look through a whole file once. Raises `TableError` where it cannot be read to its end."""
    form = recognise(stream)
    table = read(stream, form)
    sample = tuple(table.take(SAMPLE_ROWS).rows())
    if not sample:
        raise TableError("there are no rows below the header")
    rows, last = len(sample), sample[-1].number
    while block := table.take(READ_ROWS):
        rows += len(block)
        last = block.numbers[-1]
    return Survey(form, table.header, sample, rows, last)
