"""Files that nobody reads by accident: sealed in chunks, each file with a key of its own.

AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce per chunk; the additional data is the
file's id and the chunk's number, so that a chunk moved to another place or file does not open. The
key is wrapped by the chain's master key. A file expires: from that moment it cannot be read, and a
task of the workers deletes it, so that no upload and no export outlives its purpose.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.clock import Clock
from shared.decider import Refused, not_found
from shared.eventstore import StoreUnavailable
from shared.files.stored import FileStore, StoredFile, StoredLink
from shared.ids import new_id
from shared.keyring import KEY_BYTES, NONCE_BYTES, keyed_hash

CHUNK_BYTES = 256 * 1024
SWEEP_SECONDS = 60.0
SWEPT_AT_ONCE = 50
TOKEN_BYTES = 32
NAME_CHUNK = -1
"""The number that stands for the name in its additional data."""


class CorruptFile(Exception):  # noqa: N818 - says what is wrong
    """A chunk that is missing: the file cannot be read to its end."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file as its reader knows it."""

    id: str
    name: str
    owner: str
    media_type: str
    size: int
    chunks: int
    created_at: datetime
    expires_at: datetime
    key: AESGCM


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one service; `secret` is the chain's secret of keyed hashes."""

    store: FileStore
    master: AESGCM
    secret: bytes
    clock: Clock

    async def write(
        self,
        content: AsyncIterable[bytes],
        *,
        name: str,
        media_type: str,
        owner: str,
        keep: timedelta,
        limit: int,
    ) -> OpenFile:
        """Store a file as it comes in. Raises `Refused` (413) for one of more bytes than allowed.

        What came in of a refused or broken-off one is deleted.
        """
        file, key = self._new(name, media_type, owner, keep)
        await self.store.add(file)
        try:
            size = chunks = 0
            async for piece in _pieces(content):
                size += len(piece)
                _require_within(size, limit)
                sealed = _seal(key, piece, file.id, chunks)
                await self.store.put_chunk(file.id, chunks, sealed)
                chunks += 1
            await self.store.complete(file.id, chunks, size)
        except BaseException:
            with suppress(StoreUnavailable):
                await self.store.delete(file.id)
            raise
        return await self.open(file.id)

    def _new(
        self, name: str, media_type: str, owner: str, keep: timedelta
    ) -> tuple[StoredFile, AESGCM]:
        file_id, raw, nonce = new_id(), os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES)
        key = AESGCM(raw)
        now = self.clock.system_now()
        file = StoredFile(
            id=file_id,
            owner=owner,
            media_type=media_type,
            key=nonce + self.master.encrypt(nonce, raw, _wrapping(file_id)),
            name=_seal(key, name.encode(), file_id, NAME_CHUNK),
            created_at=now,
            expires_at=now + keep,
        )
        return file, key

    async def open(self, file_id: str) -> OpenFile:
        """A complete file. Raises `Refused` (404) for one that has expired, or never was."""
        file = await self.store.get(file_id)
        if file is None or not file.complete or file.expires_at <= self.clock.system_now():
            raise not_found("file", file_id)
        nonce, wrapped = file.key[:NONCE_BYTES], file.key[NONCE_BYTES:]
        key = AESGCM(self.master.decrypt(nonce, wrapped, _wrapping(file.id)))
        return OpenFile(
            id=file.id,
            name=_open(key, file.name, file.id, NAME_CHUNK).decode(),
            owner=file.owner,
            media_type=file.media_type,
            size=file.size,
            chunks=file.chunks,
            created_at=file.created_at,
            expires_at=file.expires_at,
            key=key,
        )

    async def chunk(self, file: OpenFile, number: int) -> bytes:
        """One chunk in the clear. Raises `CorruptFile`, and `InvalidTag` for one that was moved."""
        sealed = await self.store.chunk(file.id, number)
        if sealed is None:
            message = f"file {file.id} lacks chunk {number} of {file.chunks}"
            raise CorruptFile(message)
        return _open(file.key, sealed, file.id, number)

    async def read(self, file: OpenFile) -> AsyncIterator[bytes]:
        """The whole file, chunk by chunk."""
        for number in range(file.chunks):
            yield await self.chunk(file, number)

    async def keep(self, file: OpenFile, keep: timedelta) -> None:
        """Let it expire so long from now. Raises `Refused` (404) when it is gone already."""
        if not await self.store.keep(file.id, self.clock.system_now() + keep):
            raise not_found("file", file.id)

    async def delete(self, file_id: str) -> None:
        """Remove it with all links to it, before its time."""
        await self.store.delete(file_id)

    async def delete_of(self, owner: str) -> None:
        """Remove all files of an owner, whoever else knows of them."""
        for file_id in await self.store.of_owner(owner):
            await self.store.delete(file_id)

    async def link(
        self, file: OpenFile, *, to: str, keep: timedelta, most: int = 1
    ) -> tuple[str, StoredLink]:
        """A link: its token, which is stored nowhere, and what is stored of it."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        now = self.clock.system_now()
        link = StoredLink(
            id=self._hash(token),
            file=file.id,
            issued_to=to,
            created_at=now,
            expires_at=min(now + keep, file.expires_at),
            most=most,
        )
        await self.store.add_link(link)
        return token, link

    async def follow(self, token: str) -> tuple[OpenFile, StoredLink]:
        """The file that a token leads to, the download counted. Raises `Refused` (404).

        It does not tell why: whoever guesses learns nothing.
        """
        link = await self.store.use_link(self._hash(token), self.clock.system_now())
        if link is None:
            raise not_found("file", "under this link: it was used, or its time is over")
        return await self.open(link.file), link

    async def sweep(self) -> int:
        """Delete what has expired; gives how many files."""
        swept = 0
        while found := await self.store.expired(self.clock.system_now(), SWEPT_AT_ONCE):
            for file_id in found:
                await self.store.delete(file_id)
            swept += len(found)
        return swept

    async def run(self) -> None:
        """Sweep each minute, until cancelled: a task of the workers."""
        while True:
            with suppress(StoreUnavailable):
                await self.sweep()
            await asyncio.sleep(SWEEP_SECONDS)

    def _hash(self, token: str) -> str:
        return keyed_hash(self.secret, "file-link", token)


async def _pieces(content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces of `CHUNK_BYTES`, the last one as long as it is."""
    held = bytearray()
    async for data in content:
        held += data
        while len(held) >= CHUNK_BYTES:
            yield bytes(held[:CHUNK_BYTES])
            del held[:CHUNK_BYTES]
    if held:
        yield bytes(held)


def _require_within(size: int, limit: int) -> None:
    if size > limit:
        raise Refused("body-too-large", 413, "The body is too large.", f"at most {limit} bytes")


def _wrapping(file_id: str) -> bytes:
    return f"file|{file_id}".encode()


def _seal(key: AESGCM, data: bytes, file_id: str, number: int) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + key.encrypt(nonce, data, f"{file_id}|{number}".encode())


def _open(key: AESGCM, sealed: bytes, file_id: str, number: int) -> bytes:
    return key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], f"{file_id}|{number}".encode())
