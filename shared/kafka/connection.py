"""Where Kafka is, and how a key finds its partition."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

POSITIVE = 0x7FFFFFFF
REMEMBERED_KEYS = 1 << 15
KAFKA_AWAY: tuple[type[Exception], ...] = (KafkaError, OSError)
"""What the client raises while Kafka cannot be reached, for those who wait for it."""


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
