"""Files at rest: uploads and exports, sealed in chunks, reached by links, gone when they expire."""

from shared.files.files import CHUNK_BYTES, CorruptFile, Files, OpenFile
from shared.files.reading import FileReader
from shared.files.stored import FileStore, StoredFile, StoredLink

__all__ = [
    "CHUNK_BYTES",
    "CorruptFile",
    "FileReader",
    "FileStore",
    "Files",
    "OpenFile",
    "StoredFile",
    "StoredLink",
]
