"""Records that wait, sealed: whoever reads the database sees nothing of what they say.

AES-256-GCM under the master key with a random 96-bit nonce; the additional data is the waiter's id,
so that a content cannot be moved to another one unnoticed.
"""

import os
from dataclasses import dataclass

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.keyring import NONCE_BYTES
from shared.waiting import Waiter


@dataclass(frozen=True, slots=True)
class Still:
    """A record as it was read; implements `RawRecord`."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class _Content(msgspec.Struct):
    key: bytes | None
    value: bytes | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Content).decode


@dataclass(frozen=True, slots=True)
class Sealer:
    """Turns records into waiters, and back."""

    master: AESGCM

    def sealed(self, record: Still, waiter_id: str, waits_for: str, reason: str) -> Waiter:
        """The record as a waiter of this id."""
        nonce = os.urandom(NONCE_BYTES)
        content = _encode(_Content(record.key, record.value))
        return Waiter(
            id=waiter_id,
            content=nonce + self.master.encrypt(nonce, content, waiter_id.encode()),
            waits_for=waits_for,
            reason=reason,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp=record.timestamp,
        )

    def opened(self, waiter: Waiter) -> Still:
        """The record as it was."""
        nonce, sealed = waiter.content[:NONCE_BYTES], waiter.content[NONCE_BYTES:]
        content = _decode(self.master.decrypt(nonce, sealed, waiter.id.encode()))
        return Still(
            topic=waiter.topic,
            partition=waiter.partition,
            offset=waiter.offset,
            timestamp=waiter.timestamp,
            key=content.key,
            value=content.value,
        )
