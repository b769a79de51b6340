"""Files that people send to be recorded, alike in every service: uploaded, mapped, tried, reverted.

A service says what the columns of its files can be (`Reader`) and what becomes of rows (kinds of
jobs); the life of the file from its upload to its job is here.
"""

from shared.importing.drafts import Draft, Imports, Opened, Reader
from shared.importing.listing import INDEXES, ImportList
from shared.importing.reading import ERROR, Sources, counted, error_of, undone_counted

__all__ = [
    "ERROR",
    "INDEXES",
    "Draft",
    "ImportList",
    "Imports",
    "Opened",
    "Reader",
    "Sources",
    "counted",
    "error_of",
    "undone_counted",
]
