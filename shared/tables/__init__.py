"""Tables in files: CSV, XLSX and Parquet come in as text, CSV and XLSX go out for people."""

from shared.tables.blocks import Block, Row
from shared.tables.reading import Survey, read, recognise, survey
from shared.tables.table import Form, Table, TableError
from shared.tables.writing import (
    Cell,
    CsvWriter,
    TableWriter,
    XlsxWriter,
    defused,
    fused,
    remove_leftovers,
)

__all__ = [
    "Block",
    "Cell",
    "CsvWriter",
    "Form",
    "Row",
    "Survey",
    "Table",
    "TableError",
    "TableWriter",
    "XlsxWriter",
    "defused",
    "fused",
    "read",
    "recognise",
    "remove_leftovers",
    "survey",
]
