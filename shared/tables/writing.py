"""Tables for people: XLSX and CSV in which nothing is ever a formula.

A spreadsheet runs what a cell says when it begins with one of a few characters, so a customer's
name could read other cells of whoever opens the file. In XLSX texts are written as strings; in
CSV, which has no types, such a text gets an apostrophe before it.
"""

import csv
import io
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import xlsxwriter

Cell = str | int | float | bool | date | datetime | None
FULL_WIDTH = ("\uff1d", "\uff0b", "\uff0d", "\uff20")
"""`=`, `+`, `-` and `@` as East Asian input writes them: spreadsheets read them alike."""
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", *FULL_WIDTH)
APOSTROPHE = "'"
MAX_SHEET_ROWS = 1_048_576
MAX_SHEET_TEXT = 32_767
FOLDER_PREFIX = "regulars-export-"
_TEXT_ONLY = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}


def defused(text: str) -> str:
    """The text with an apostrophe before it where a spreadsheet would run it."""
    return APOSTROPHE + text if text.startswith(DANGEROUS) else text


def fused(text: str) -> str:
    """The text as it was before `defused`, for reading such a file again."""
    inner = text.removeprefix(APOSTROPHE)
    return inner if inner.startswith(DANGEROUS) else text


class TableWriter(Protocol):
    """Writes a table row by row, in bounded memory."""

    def add(self, rows: Iterable[Sequence[Cell]]) -> bytes:
        """Add rows; gives what of the file is ready."""
        ...

    def finish(self) -> Iterable[bytes]:
        """The rest of the file, piece by piece."""
        ...


class CsvWriter:
    """RFC 4180 in UTF-8, with the mark by which spreadsheets know it."""

    def __init__(self, header: Sequence[str]) -> None:
        """The header is defused too."""
        self._text = io.StringIO(newline="")
        self._text.write("\ufeff")
        self._csv = csv.writer(self._text)
        self._csv.writerow([defused(name) for name in header])

    def __enter__(self) -> Self:
        """Nothing is opened."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing is left behind."""

    def add(self, rows: Iterable[Sequence[Cell]]) -> bytes:
        """Add rows; gives their text."""
        self._csv.writerows([_plain(cell) for cell in row] for row in rows)
        ready = self._text.getvalue().encode()
        self._text.seek(0)
        self._text.truncate()
        return ready

    def finish(self) -> Iterable[bytes]:
        """Nothing is held back, but the header of a table without rows."""
        yield self.add([])


def _plain(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "true" if cell else "false"
        case str():
            return defused(cell)
        case date():
            return cell.isoformat()
        case _:
            return str(cell)


class XlsxWriter:
    """One workbook; a full sheet is followed by another.

    In constant memory the library keeps rows in temporary files. They are in a private folder that
    goes with the writer; where the process is killed, `remove_leftovers` finds it.
    """

    def __init__(self, header: Sequence[str], folder: Path | None = None) -> None:
        """`folder` is where temporary files may be; the system's place when left out."""
        self._folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=folder))
        self._file = self._folder / "book.xlsx"
        self._book = xlsxwriter.Workbook(
            self._file, {"constant_memory": True, "tmpdir": str(self._folder), **_TEXT_ONLY}
        )
        self._date = self._book.add_format({"num_format": "yyyy-mm-dd"})
        self._moment = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        self._bold = self._book.add_format({"bold": True})
        self._header = header
        self._closed = False
        self._begin_sheet()

    def __enter__(self) -> Self:
        """The folder is there already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove all that was written to the disk."""
        if not self._closed:
            # Nothing else closes the library's temporary files.
            self._book.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _begin_sheet(self) -> None:
        self._sheet = self._book.add_worksheet()
        self._sheet.freeze_panes(1, 0)
        self._row = 0
        for column, name in enumerate(self._header):
            self._sheet.write_string(0, column, name[:MAX_SHEET_TEXT], self._bold)

    def add(self, rows: Iterable[Sequence[Cell]]) -> bytes:
        """Add rows; nothing is ready before the end."""
        for row in rows:
            if self._row + 1 == MAX_SHEET_ROWS:
                self._begin_sheet()
            self._row += 1
            for column, cell in enumerate(row):
                self._put(column, cell)
        return b""

    def _put(self, column: int, cell: Cell) -> None:
        match cell:
            case None | "":
                pass
            case str():
                self._sheet.write_string(self._row, column, cell[:MAX_SHEET_TEXT])
            case bool():
                self._sheet.write_boolean(self._row, column, cell)
            case datetime():
                # A cell has no zone: the moments of a table are all in UTC.
                naive = cell.replace(tzinfo=None)
                self._sheet.write_datetime(self._row, column, naive, self._moment)
            case date():
                self._sheet.write_datetime(self._row, column, cell, self._date)
            case _:
                self._sheet.write_number(self._row, column, cell)

    def finish(self) -> Iterable[bytes]:
        """The workbook."""
        self._book.close()
        self._closed = True
        with self._file.open("rb") as file:
            while piece := file.read(256 * 1024):
                yield piece


def remove_leftovers(folder: Path | None = None, older_than: float = 0.0) -> int:
    """Remove what killed writers left behind before a moment (seconds since the epoch)."""
    place = Path(tempfile.gettempdir()) if folder is None else folder
    found = [path for path in place.glob(f"{FOLDER_PREFIX}*") if path.stat().st_mtime < older_than]
    for path in found:
        shutil.rmtree(path, ignore_errors=True)
    return len(found)
