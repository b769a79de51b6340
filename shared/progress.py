"""Progress: what a reader cannot have missed.

Once a second each relay says on `<service>.progress.v1`: *everything recorded before W lies below
these offsets*. W is in system time, and beside it stands what the chain's clock showed then. A
reader has W once it has applied its partitions up to those offsets.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec


class Progress(msgspec.Struct, frozen=True):
    """One progress record; `offsets` are per topic and partition, `refused` are Kafka keys."""

    service: str
    system: datetime
    chain: datetime
    offsets: dict[str, dict[int, int]]
    refused: list[str] = []


_decode = msgspec.json.Decoder(Progress).decode


def encode_progress(progress: Progress) -> bytes:
    """The record's JSON."""
    return msgspec.json.encode(progress)


def decode_progress(value: bytes) -> Progress:
    """The record. Raises `msgspec.DecodeError`."""
    return _decode(value)


def progress_topic(service: str) -> str:
    """The compacted topic of a service's progress."""
    return f"{service}.progress.v1"


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a reader of a partition has come: W in system time and in the chain's."""

    system: datetime
    chain: datetime


def reach(
    progress: Iterable[Progress | None],
    partition: int,
    positions: Mapping[tuple[str, int], int],
    topics: Iterable[str],
) -> Reach | None:
    """The lowest W over the topics that a reader of the partition has; None while one lacks.

    `positions` are the next offsets to apply. A topic that no record names yet is not known; who
    has told nothing (None) matters only by that.
    """
    wanted = set(topics)
    lowest: Reach | None = None
    for record in progress:
        if record is None:
            continue
        for topic in wanted & record.offsets.keys():
            if positions.get((topic, partition), 0) < record.offsets[topic].get(partition, 0):
                return None
            wanted.discard(topic)
            if lowest is None or record.system < lowest.system:
                lowest = Reach(record.system, record.chain)
    return None if wanted else lowest
