"""Where Kafka is, and how a key finds its partition."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

POSITIVE = 0x7FFFFFFF
REMEMBERED_KEYS = 1 << 15
KAFKA_AWAY: tuple[type[Exception], ...] = (KafkaError, OSError)
"""What the client raises while Kafka cannot be reached, for those who wait for it."""
STOP_SECONDS = 30.0
"""What a client may need to take its leave before it is dropped."""


class Stoppable(Protocol):
    """A client of Kafka, whoever made it."""

    async def stop(self) -> None:
        """Take leave of the brokers."""
        ...


async def stop(client: Stoppable, patience: float = STOP_SECONDS) -> None:
    """Stop a client whole, and let a cancellation that comes meanwhile go on behind it.

    A client that has not taken its leave within `patience` seconds by then is dropped.

    aiokafka waits for its own cancelled tasks and passes over a cancellation there, whosesoever it
    is: a task that was told to end just then would never hear of it again. And where a task of its
    own was cancelled, it ends as if it had been cancelled itself, which is no word to its caller.
    Raises what the client raises.
    """
    stopping = asyncio.ensure_future(client.stop())
    try:
        await asyncio.wait([stopping])
    except asyncio.CancelledError:
        await asyncio.wait([stopping], timeout=patience)
        if not stopping.cancel():
            stopping.cancelled() or stopping.exception()
        raise
    if not stopping.cancelled():
        stopping.result()


@dataclass(frozen=True, slots=True)
class KafkaUrl:
    """Bootstrap servers, and the prefix that tells installations on one cluster apart."""

    bootstrap: str
    prefix: str = ""

    def topic(self, name: str) -> str:
        """The full name of a topic or group."""
        return self.prefix + name


def partition_of(partitions: int) -> Callable[[bytes], int]:
    """Kafka's default partitioner, as Java's clients do it: murmur2 of the key.

    Keys come again, and hashing one in Python takes longer than all else that sending it takes.
    """

    @lru_cache(maxsize=REMEMBERED_KEYS)
    def place(key: bytes) -> int:
        return int((murmur2(key) & POSITIVE) % partitions)

    return place
