"""Parquet by pyarrow, some rows at a time."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from shared.tables.table import MAX_COLUMNS, TableError
from shared.tables.workbooks import text_of

BATCH_ROWS = 1000
MAX_GROUP = 256 * 1024 * 1024
UNREADABLE = "the Parquet file cannot be read: write it again"


def records(stream: BinaryIO) -> Iterator[Sequence[str]]:
    """The names of the columns, then the rows. Raises `TableError`."""
    stream.seek(0)
    try:
        file = pq.ParquetFile(stream)
        schema = file.schema_arrow
        _require_readable(file)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TableError(UNREADABLE) from error
    yield list(schema.names)
    number = 1
    try:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
            columns = [column.to_pylist() for column in batch.columns]
            for cells in zip(*columns, strict=True):
                number += 1
                yield [text_of(cell) for cell in cells]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TableError(UNREADABLE, number + 1) from error


def _require_readable(file: pq.ParquetFile) -> None:
    """Raise `TableError` for what is no flat table, or too large to be read piece by piece."""
    schema = file.schema_arrow
    if len(schema.names) > MAX_COLUMNS:
        raise TableError(f"there should be at most {MAX_COLUMNS} columns", 1)
    for field in schema:
        if pa.types.is_nested(field.type) or pa.types.is_binary(field.type):
            raise TableError(f"column {field.name!r} should hold texts, numbers or dates", 1)
    metadata = file.metadata
    for group in range(metadata.num_row_groups):
        if metadata.row_group(group).total_byte_size > MAX_GROUP:
            raise TableError("a row group is too large: write smaller ones")
