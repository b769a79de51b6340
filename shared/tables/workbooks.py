"""XLSX by calamine: the first sheet that has cells, each cell as the text that a person meant.

The library holds a sheet in memory, so what it unpacks to is limited before it is touched.
"""

import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from typing import BinaryIO

import python_calamine as calamine

from shared.tables.table import TableError

MAX_UNPACKED = 256 * 1024 * 1024
TOO_LARGE = "the workbook is too large once unpacked: send the table as CSV or Parquet"
UNREADABLE = "the workbook cannot be opened: save it again as XLSX, without a password"


def records(stream: BinaryIO) -> Iterator[Sequence[str]]:
    """The records of the sheet. Raises `TableError`."""
    _require_small(stream)
    stream.seek(0)
    try:
        workbook = calamine.CalamineWorkbook.from_filelike(stream)
        for name in workbook.sheet_names:
            sheet = workbook.get_sheet_by_name(name)
            if sheet.height:
                return ([text_of(cell) for cell in row] for row in sheet.iter_rows())
    except (calamine.CalamineError, OSError, ValueError) as error:
        raise TableError(UNREADABLE) from error
    raise TableError("the workbook has no cells")


def _require_small(stream: BinaryIO) -> None:
    stream.seek(0)
    try:
        with zipfile.ZipFile(stream) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise TableError(UNREADABLE) from error
    if unpacked > MAX_UNPACKED:
        raise TableError(TOO_LARGE)


def text_of(cell: object) -> str:
    """What a person sees in a cell, without its formats: dates as ISO 8601, numbers in full."""
    if type(cell) is int:
        # What most cells of large tables are.
        return str(cell)
    match cell:
        case None:
            return ""
        case str():
            return cell
        case bool():
            return "true" if cell else "false"
        case float() if cell.is_integer() and abs(cell) < 10**15:
            return str(int(cell))
        case datetime() if cell.tzinfo is None and cell.time() == time(0):
            return cell.date().isoformat()
        case datetime() | date() | time():
            return cell.isoformat()
        case _:
            return str(cell)
