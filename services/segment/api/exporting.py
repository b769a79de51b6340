"""Whole lists of customers as a table, or as an object per line, sent while they are read."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Literal

import msgspec
from fastapi import Query
from fastapi.responses import StreamingResponse

from shared.tables.writing import Cell, CsvWriter

PIECE = 1_000
"""Customers of one piece."""

Form = Annotated[
    Literal["csv", "jsonl"], Query(alias="format", description="a table, or an object per line")
]
Pieces = AsyncIterator[Sequence[Sequence[Cell]]]


def exported(name: str, form: Form, columns: Sequence[str], pieces: Pieces) -> StreamingResponse:
    """The rows of all pieces as a file of that name; nobody keeps a copy on the way."""
    return StreamingResponse(
        _csv(columns, pieces) if form == "csv" else _lines(columns, pieces),
        media_type="text/csv; charset=utf-8" if form == "csv" else "application/jsonl",
        headers={
            "Content-Disposition": f'attachment; filename="{name}.{form}"',
            "Cache-Control": "no-store",
        },
    )


async def _csv(columns: Sequence[str], pieces: Pieces) -> AsyncIterator[bytes]:
    with CsvWriter(columns) as table:
        async for piece in pieces:
            yield table.add(piece)


async def _lines(columns: Sequence[str], pieces: Pieces) -> AsyncIterator[bytes]:
    async for piece in pieces:
        rows = [dict(zip(columns, row, strict=True)) for row in piece]
        yield b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
