"""Tables: what is in a file comes out as text, and what goes out is never a formula."""

import csv
import io
import os
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from shared.tables import (
    CsvWriter,
    Form,
    TableError,
    XlsxWriter,
    blocks,
    defused,
    fused,
    read,
    recognise,
    remove_leftovers,
    survey,
    table,
    workbooks,
)
from shared.tables import separated as separated_tables
from shared.tables.writing import FOLDER_PREFIX

HEADER = ("Телефон", "Имя")
ROWS = [("+79161234567", "Анна"), ("+79161234568", 'О"Нил; мл.\nвторая строка')]


def stream(content: bytes) -> io.BytesIO:
    return io.BytesIO(content)


def separated(encoding: str = "utf-8", delimiter: str = ",") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows([HEADER, *ROWS])
    return text.getvalue().encode(encoding)


def workbook(rows: Sequence[Sequence[object]], at: tuple[int, int] = (0, 0)) -> bytes:
    data = io.BytesIO()
    book = xlsxwriter.Workbook(data, {"in_memory": True})
    book.add_worksheet("empty")
    sheet = book.add_worksheet("table")
    day = book.add_format({"num_format": "dd.mm.yyyy"})
    for row, cells in enumerate(rows, at[0]):
        for column, cell in enumerate(cells, at[1]):
            if isinstance(cell, datetime):
                sheet.write_datetime(row, column, cell, day)
            else:
                sheet.write(row, column, cell)
    book.close()
    return data.getvalue()


def parquet(columns: dict[str, list[object]]) -> bytes:
    data = io.BytesIO()
    pq.write_table(pa.table(columns), data)
    return data.getvalue()


def cells(content: bytes) -> list[tuple[str, ...]]:
    found = read(stream(content), recognise(stream(content)))
    return [found.header, *(row.cells for row in found.rows)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_csv_is_read_in_the_encodings_and_with_the_separators_it_is_met_with(
    encoding: str, delimiter: str
) -> None:
    assert cells(separated(encoding, delimiter)) == [HEADER, *ROWS]


@settings(max_examples=200, deadline=None)
@given(
    text=st.lists(
        st.sampled_from(['"', '""', ",", ",", "\n", "\n", "\r\n", "\r", "a", "b c", " ", "\u2028"]),
        max_size=40,
    ),
    piece=st.integers(1, 40),
)
def test_pieces_of_a_csv_are_cut_as_the_library_cuts_it_record_by_record(
    text: list[str], piece: int
) -> None:
    content = "x,y\n" + "".join(text) + "\nend,of it"
    records = list(csv.reader(io.StringIO(content, newline="")))
    # The first two cells of each record, where it has one that is not blank.
    expected = [
        (number, tuple(cell.strip() for cell in (*record, "", "")[:2]))
        for number, record in enumerate(records, 1)
        if any(cell.strip() for cell in record)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(separated_tables, "PIECE_CHARACTERS", piece)
        found = read(stream(content.encode()), Form("csv", "utf-8", ","))
        rows = [(row.number, row.cells) for row in found.rows]
    assert [(1, found.header), *rows] == expected


def test_windows_1251_is_noticed_where_the_first_such_letter_comes_late() -> None:
    # 300,000 bytes of ASCII before it: more than the sample and than one read.
    content = b"name\n" + b"anna\n" * 60_000 + "Анна\n".encode("cp1251")
    assert recognise(stream(content)).encoding == "cp1251"
    assert cells(content)[-1] == ("Анна",)


def test_a_csv_of_one_column_has_no_separator_to_be_found() -> None:
    assert cells(b"phone\n1\n2\n") == [("phone",), ("1",), ("2",)]


def test_rows_have_the_numbers_that_a_spreadsheet_shows_and_empty_ones_are_left_out() -> None:
    found = read(stream(b"\n\nphone,name\n1,a\n,\n\n2,b\n"), Form("csv", "utf-8", ","))
    # The header is in line 3, rows in lines 4 and 7.
    assert [(row.number, row.cells) for row in found.rows] == [(4, ("1", "a")), (7, ("2", "b"))]


def test_a_row_that_does_not_fit_the_header_has_a_flaw_and_the_next_ones_none() -> None:
    content = b"phone,name\n1\n2,b,c\n3,d,,\n" + b"4," + b"x" * (blocks.MAX_CELL + 1) + b"\n5,e\n"
    rows = list(read(stream(content), Form("csv", "utf-8", ",")).rows)
    assert [row.flaw for row in rows] == [
        None, blocks.TOO_MANY_CELLS, None, blocks.TOO_LONG_CELL, None,
    ]  # fmt: skip
    assert rows[0].cells == ("1", "")


def test_a_byte_that_is_no_letter_spoils_its_row_alone() -> None:
    content = "имя\nАнна\n".encode("cp1251") + b"\x98\n" + "Борис\n".encode("cp1251")
    rows = survey(stream(content)).sample
    assert [row.flaw for row in rows] == [None, blocks.UNREADABLE_TEXT, None]
    assert rows[2].cells == ("Борис",)


def test_names_of_columns_are_made_distinct() -> None:
    found = read(stream(b"phone,phone,,phone,\n1,2,3,4,5\n"), Form("csv", "utf-8", ","))
    assert found.header == ("phone", "phone (2)", "column 3", "phone (3)")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n\n,,\n", "row 1: there should be the names of the columns"),
        (b"phone\n", "there are no rows below the header"),
        (b"phone\n\0\n", "this is no text"),
        (b"\x89PNG\r\n\x1a\n\0\0", "this is no text"),
        (b'a,b\n1,2\n3,"' + b"x" * 200_000, "row 3: it cannot be split into cells"),
        (b"a\n" + b"x" * 1_100_000, "row 2: it cannot be split into cells: a line is too long"),
        (b"PK\x03\x04 no archive", "the workbook cannot be opened"),
        (b"\xd0\xcf\x11\xe0 an old one", "the workbook cannot be opened"),
        (b"PAR1 cut off", "the Parquet file cannot be read"),
        (b"a," * 300 + b"a\n1\n", "row 1: there should be at most 300 columns"),
    ],
)
def test_what_cannot_be_read_says_so_and_where(content: bytes, message: str) -> None:
    with pytest.raises(TableError) as refused:
        survey(stream(content))
    assert str(refused.value).startswith(message)


def test_too_many_rows_are_refused_before_they_are_all_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table, "MAX_ROWS", 3)
    with pytest.raises(TableError, match=r"row 4: .* split the file"):
        survey(stream(b"a\n1\n2\n3\n4\n"))


def test_cells_of_a_workbook_are_what_a_person_meant() -> None:
    rows: list[list[object]] = [
        ["Phone", "Born", "Spent", "Wants"],
        [79161234567, datetime(1980, 2, 29), 12.5, True],  # noqa: DTZ001 - a cell has no zone
        ["+7 916", datetime(1980, 2, 29, 7, 30), -3, False],  # noqa: DTZ001 - a cell has no zone
    ]
    assert cells(workbook(rows)) == [
        ("Phone", "Born", "Spent", "Wants"),
        ("79161234567", "1980-02-29", "12.5", "true"),
        ("+7 916", "1980-02-29T07:30:00", "-3", "false"),
    ]


def test_the_first_sheet_with_cells_is_read_wherever_its_table_begins() -> None:
    content = workbook([["Phone", "Name"], ["1", "a"]], at=(3, 2))
    found = read(stream(content), recognise(stream(content)))
    assert found.header[-2:] == ("Phone", "Name")
    # Header in row 4 of the sheet.
    assert [(row.number, row.cells[-2:]) for row in found.rows] == [(5, ("1", "a"))]


def test_a_workbook_that_unpacks_to_too_much_is_not_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workbooks, "MAX_UNPACKED", 1000)
    with pytest.raises(TableError, match="too large once unpacked"):
        survey(stream(workbook([["a"], ["b"]])))


def test_a_parquet_file_is_read_as_text() -> None:
    content = parquet(
        {
            "phone": ["+7916", None],
            "cards": [7, 8],
            "born": [date(1980, 2, 29), None],
            "seen": [datetime(2026, 1, 2, 3, 4, tzinfo=UTC), None],
            "vip": [True, None],
            "spent": [1.5, 2.0],
        }
    )
    assert cells(content) == [
        ("phone", "cards", "born", "seen", "vip", "spent"),
        ("+7916", "7", "1980-02-29", "2026-01-02T03:04:00+00:00", "true", "1.5"),
        ("", "8", "", "", "", "2"),
    ]


def test_a_parquet_file_of_lists_is_no_table() -> None:
    with pytest.raises(TableError, match="'phones' should hold texts, numbers or dates"):
        survey(stream(parquet({"phones": [["1", "2"]]})))


def test_a_survey_counts_the_rows_and_shows_the_first() -> None:
    content = b"phone\n" + b"".join(b"%d\n" % number for number in range(1000)) + b"\n"
    found = survey(stream(content))
    assert (found.rows, found.last_row, len(found.sample)) == (1000, 1001, 200)
    assert found.form == Form("csv", "utf-8", ",")


def through_csv(rows: Sequence[Sequence[str]], header: Sequence[str] = ("a", "b")) -> bytes:
    with CsvWriter(header) as writer:
        return writer.add(rows) + b"".join(writer.finish())


def through_xlsx(rows: Sequence[Sequence[object]], folder: Path) -> bytes:
    with XlsxWriter(("a", "b"), folder) as writer:
        assert writer.add(rows) == b""  # type: ignore[arg-type] # rows of any cells
        return b"".join(writer.finish())


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(begin: str) -> None:
    harmful = f'{begin}HYPERLINK("http://x")'
    assert defused(harmful) == f"'{harmful}"
    assert fused(defused(harmful)) == harmful
    assert defused("Anna") == "Anna"
    assert fused("'tis") == "'tis"


@given(st.lists(st.tuples(st.text(), st.text()), max_size=20))
def test_no_cell_of_a_written_csv_is_a_formula(rows: list[tuple[str, str]]) -> None:
    text = through_csv(rows, ("=a", "b")).decode("utf-8-sig")
    for record in csv.reader(io.StringIO(text, newline="")):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in record)


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1),
            st.text(st.characters(exclude_categories=["C", "Z"])),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_what_was_written_as_csv_is_read_again(rows: list[tuple[str, str]]) -> None:
    found = survey(stream(through_csv(rows, ("first column", "second column"))))
    assert found.header == ("first column", "second column")
    assert [tuple(fused(cell) for cell in row.cells) for row in found.sample] == rows


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=5))
def test_every_text_of_a_written_workbook_is_a_string(rows: list[tuple[str, str]]) -> None:
    content = through_xlsx([("=1+1", "@x"), *rows], Path(os.environ.get("TMPDIR", "/tmp")))  # noqa: S108 - the place of temporary files
    book = CalamineWorkbook.from_filelike(stream(content))
    first = book.get_sheet_by_index(0).to_python()[1]
    assert first == ["=1+1", "@x"]
    assert b"<f>" not in content


def test_numbers_and_dates_of_a_workbook_are_no_texts(tmp_path: Path) -> None:
    moment = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    content = through_xlsx([(7, date(1980, 2, 29)), (None, moment), (1.5, True)], tmp_path)
    found = CalamineWorkbook.from_filelike(stream(content)).get_sheet_by_index(0).to_python()
    assert found[1:] == [
        [7.0, date(1980, 2, 29)],
        ["", datetime(2026, 1, 2, 3, 4)],  # noqa: DTZ001 - a cell has no zone
        [1.5, True],
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_csv_of_a_table_without_rows_has_its_header() -> None:
    assert through_csv([]) == b"\xef\xbb\xbfa,b\r\n"


def test_a_writer_that_fails_leaves_nothing_on_the_disk(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), XlsxWriter(("a",), tmp_path) as writer:
        writer.add([("x",), (str(1 // 0),)])
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    left, other = tmp_path / f"{FOLDER_PREFIX}x", tmp_path / "other"
    left.mkdir()
    other.mkdir()
    (left / "rows").touch()
    os.utime(left, (100, 100))
    assert remove_leftovers(tmp_path, older_than=99) == 0
    assert remove_leftovers(tmp_path, older_than=101) == 1
    assert list(tmp_path.iterdir()) == [other]
