"""From a file to a table: which kind it is, and its rows."""

from dataclasses import dataclass
from itertools import chain, islice
from typing import BinaryIO

from shared.tables import columns, separated, workbooks
from shared.tables.table import Form, Row, Table, TableError, table_of

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
            return table_of(separated.records(stream, form))
        case "xlsx":
            return table_of(workbooks.records(stream))
        case "parquet":
            return table_of(columns.records(stream))


def survey(stream: BinaryIO) -> Survey:
    """Look through a whole file once. Raises `TableError` where it cannot be read to its end."""
    form = recognise(stream)
    table = read(stream, form)
    sample = tuple(islice(table.rows, SAMPLE_ROWS))
    rows, last = 0, 1
    for row in chain(sample, table.rows):
        rows += 1
        last = row.number
    if not rows:
        raise TableError("there are no rows below the header")
    return Survey(form, table.header, sample, rows, last)
