"""Logs, and every way in which Kafka may have them read: batches of any size, and rewinds.

logs = logs_of(commits)                    # one log per Kafka key
batches = data.draw(readings(logs))        # each log in order, from any earlier place again
documents = await read(projection, batches)
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from hypothesis import strategies as st

from shared.eventstore import Commit
from shared.keyring import Keyring
from shared.memory import MemoryDocuments, MemoryParking
from shared.projection import Document, Projection
from shared.projector import Folder

MOST_KEYS = 1_000
DocumentT = TypeVar("DocumentT", bound=Document)


@dataclass(frozen=True, slots=True)
class LoggedRecord:
    """A record as Kafka would hand it out."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    timestamp: int = 0


Log = Sequence[LoggedRecord]


def logs_of(commits: Iterable[Commit]) -> Sequence[Log]:
    """One log per key: the order that Kafka keeps is that within a partition."""
    logs: dict[str, list[LoggedRecord]] = {}
    for commit in commits:
        log = logs.setdefault(commit.key, [])
        partition = list(logs).index(commit.key)
        for text in commit.events:
            log.append(
                LoggedRecord("topic", partition, len(log), commit.key.encode(), text.encode())
            )
    return list(logs.values())


@st.composite
def readings(draw: st.DrawFn, logs: Sequence[Log]) -> Sequence[Log]:
    """Batches that read every log to its end, each from any place before what was read again."""
    reached = [0] * len(logs)
    batches = []
    while unfinished := [i for i, log in enumerate(logs) if reached[i] < len(log)]:
        batch: list[LoggedRecord] = []
        for index in draw(st.lists(st.sampled_from(unfinished), min_size=1, max_size=4)):
            start = draw(st.integers(0, reached[index]))
            end = draw(st.integers(min(reached[index] + 1, len(logs[index])), len(logs[index])))
            batch += logs[index][start:end]
            reached[index] = max(reached[index], end)
        batches.append(batch)
    again = draw(st.lists(st.sampled_from(batches), max_size=2)) if batches else []
    return [*batches, *again]


async def read(
    projection: Projection[DocumentT], batches: Sequence[Log], keyring: Keyring | None = None
) -> Mapping[str, DocumentT]:
    """The documents that are named like the keys, after the batches; all at `rev` 0.

    Fails when an event was parked.
    """
    documents, parking = MemoryDocuments(), MemoryParking()
    folder: Folder[DocumentT] = Folder(projection, documents, parking, keyring)
    for batch in batches:
        await folder.fold(batch)
    parked = await parking.parked(range(MOST_KEYS))
    assert not parked, parked  # noqa: S101 - this package is for tests
    keys = sorted({record.key.decode() for batch in batches for record in batch})
    raws = await documents.load(keys)
    return {
        name: msgspec.convert({**raw, "rev": 0}, projection.document) for name, raw in raws.items()
    }
