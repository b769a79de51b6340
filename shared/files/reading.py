"""A stored file as what libraries read from: seekable, from a thread, one chunk in memory.

Readers of tables are written for files on a disk. Nothing is put on a disk for them: what they ask
for is fetched and opened chunk by chunk, on the event loop that owns the database's client.
"""

import asyncio
import io
import os
from typing import TYPE_CHECKING

from shared.files.files import CHUNK_BYTES, Files, OpenFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FETCH_SECONDS = 60.0


class FileReader(io.RawIOBase):
    """Reads a file from a thread other than that of `loop`: there it would wait for itself."""

    def __init__(self, files: Files, file: OpenFile, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._files = files
        self._file = file
        self._loop = loop
        self._position = 0
        self._held: tuple[int, bytes] = (-1, b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, beyond the end too."""
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._file.size}
        self._position = max(0, begin[whence] + offset)
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer as far as the present chunk goes; 0 at the end."""
        view = memoryview(buffer).cast("B")
        if self._position >= self._file.size:
            return 0
        number, offset = divmod(self._position, CHUNK_BYTES)
        data = self._chunk(number)[offset : offset + len(view)]
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _chunk(self, number: int) -> bytes:
        if self._held[0] != number:
            fetching = asyncio.run_coroutine_threadsafe(
                self._files.chunk(self._file, number), self._loop
            )
            self._held = (number, fetching.result(FETCH_SECONDS))
        return self._held[1]
