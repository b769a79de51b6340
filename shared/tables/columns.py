"""Parquet by pyarrow, some rows at a time, and by columns."""

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from shared.tables.blocks import Block, block_of
from shared.tables.table import (
    MAX_COLUMNS,
    NO_NAMES,
    READ_ROWS,
    Table,
    TableError,
    header_of,
    require_few,
)
from shared.tables.workbooks import text_of

MAX_GROUP = 256 * 1024 * 1024
UNREADABLE = "the Parquet file cannot be read: write it again"


def table(stream: BinaryIO) -> Table:
    """The table in the file. Raises `TableError`, and so does reading on."""
    stream.seek(0)
    try:
        file = pq.ParquetFile(stream)
        names = list(file.schema_arrow.names)
        _require_readable(file)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TableError(UNREADABLE) from error
    header = header_of(names, 1)
    if not header:
        raise TableError(NO_NAMES, 1)
    return Table(header, _blocks(file, len(header)))


def _blocks(file: pq.ParquetFile, width: int) -> Iterator[Block]:
    number = 2
    try:
        for batch in file.iter_batches(batch_size=READ_ROWS, use_threads=False):
            require_few(number + len(batch) - 1)
            yield block_of(number, [_texts(column) for column in batch.columns], width)
            number += len(batch)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TableError(UNREADABLE, number) from error


def _texts(column: pa.Array) -> list[str]:
    """The cells as texts; a value that comes again is made one once."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    texts = [*map(text_of, column.dictionary.to_pylist()), ""]
    return [texts[place] for place in column.indices.fill_null(len(texts) - 1).to_pylist()]


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
