"""From commits to records: which topic, which partition, byte for byte."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from shared.events import topic_of
from shared.relay.ports import Outgoing, Record


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

    def records(self, commits: Iterable[Outgoing]) -> Iterator[Record]:
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


@dataclass(slots=True)
class InOrder:
    """Puts commits that were read by their time into the order of their streams.

    Clocks of writers differ, and a slow append comes after its moment was read: so a commit is
    given out after all earlier ones of its stream, and not at all while one of those is missing.
    """

    _given: dict[str, int] = field(default_factory=dict)
    _early: dict[str, dict[int, Outgoing]] = field(default_factory=dict)

    def of(self, commits: Iterable[Outgoing]) -> Iterator[Outgoing]:
        """Those of the commits, and of earlier ones, whose turn it is."""
        for commit in commits:
            stream = commit.stream
            early = self._early.setdefault(stream, {})
            early[commit.seq] = commit
            while (turn := early.pop(self._given.get(stream, 0) + 1, None)) is not None:
                self._given[stream] = turn.seq
                yield turn
            if not early:
                del self._early[stream]


def version_of(record: Record) -> int:
    """The stream version of the record's event."""
    return _typed(record.value).streamversion
