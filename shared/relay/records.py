"""From commits to records: which topic, which partition, byte for byte."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from shared.events import topic_of
from shared.eventstore import Commit
from shared.relay.ports import Record


class _Typed(msgspec.Struct, gc=False):
    """Of an event only what routing and audits need."""

    type: str
    streamversion: int


_typed = msgspec.json.Decoder(_Typed).decode


@dataclass(frozen=True, slots=True)
class Router:
    """Where the events of one service go.

    `partition_of` is Kafka's default partitioner over `partitions` (murmur2 of the key).
    """

    service: str
    prefix: str
    partitions: int
    partition_of: Callable[[bytes], int]

    def records(self, commits: Sequence[Commit]) -> Iterator[Record]:
        """The records of the commits, in order; a broadcast gives one per partition."""
        for commit in commits:
            key = commit.key.encode()
            places: Sequence[int] = (
                range(self.partitions) if commit.broadcast else (self.partition_of(key),)
            )
            for text in commit.events:
                value = text.encode()
                topic = self.prefix + topic_of(_typed(value).type, self.service)
                for partition in places:
                    yield Record(topic, partition, key, value, commit.stream, commit.seq)


def version_of(record: Record) -> int:
    """The stream version of the record's event."""
    return _typed(record.value).streamversion
