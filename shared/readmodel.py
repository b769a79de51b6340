"""Ports of the read side: where documents, parked events and leases live.

`shared.mongo` and `shared.memory` implement them alike; `shared.projector` and `shared.relay` know
only these. A document is written once per batch, guarded by its revision: a worker that was frozen
and wakes finds its guard lost, reloads, and finds its events folded already.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from shared.eventstore import Commit

RawDocument = dict[str, Any]


class UnwritableDocuments(Exception):  # noqa: N818 - says what is wrong
    """Documents that the database can never take: too large, or with a value that it has not."""

    def __init__(self, ids: Collection[str]) -> None:
        """`ids` are theirs."""
        super().__init__(f"{len(ids)} documents cannot be written")
        self.ids = frozenset(ids)


class Questions(Protocol):
    """What queries ask of one collection; filters are MongoDB's."""

    async def get(self, document_id: str) -> RawDocument | None:
        """One document by its id."""
        ...

    async def find(
        self,
        where: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] | None = None,
        sort: Sequence[tuple[str, int]] | None = None,
        limit: int = 0,
    ) -> list[RawDocument]:
        """The documents that match, at most `limit` (0: all)."""
        ...

    async def count(self, where: Mapping[str, Any], limit: int | None = None) -> int:
        """How many match, counted up to `limit`."""
        ...


class Scans(Questions, Protocol):
    """Questions that may also be asked of very many documents, in bounded memory."""

    def batches(
        self,
        where: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] | None = None,
        sort: Sequence[tuple[str, int]] | None = None,
        size: int = 1_000,
    ) -> AsyncIterator[list[RawDocument]]:
        """All documents that match, some at a time, in any order unless one is named."""
        ...

    async def estimate(self) -> int:
        """About how many documents there are; nothing is read for it."""
        ...


class Documents(Protocol):
    """One collection of a read model; a raw document has `_id` and `rev`."""

    async def load(self, ids: Sequence[str]) -> Mapping[str, RawDocument]:
        """Those of the documents that exist, with one query."""
        ...

    async def write(self, documents: Sequence[RawDocument]) -> set[str]:
        """Write each where the stored `rev` is one less; gives the ids whose guard was lost."""
        ...


@dataclass(frozen=True, slots=True)
class EndedImport:
    """An import whose end a partition has passed; `until` is the `recordedtime` of that end."""

    partition: int
    id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Patch:
    """The same new values of some fields, for documents that all are at one revision."""

    ids: Sequence[str]
    rev: int
    fields: Mapping[str, Any]


class SteppedDocuments(Documents, Protocol):
    """Documents that are the only writers of a stream, in the database of its commits."""

    async def write_stepped(self, steps: Sequence[tuple[RawDocument, Commit | None]]) -> set[str]:
        """Each document with its commit, or neither; gives the ids that were not written.

        Raises `StoreUnavailable` as `EventStore.append` does.
        """
        ...

    async def due(self, partitions: Sequence[int], before: datetime, limit: int) -> Sequence[str]:
        """The ids of the partitions' documents whose `due_at` is before the moment, in its order.

        Where very many are due, this is dear however small the limit is.
        """
        ...

    async def with_older_rules(
        self,
        partitions: Sequence[int],
        rules: int,
        limit: int,
        without: Collection[str] = (),
    ) -> Sequence[RawDocument]:
        """Documents of the partitions that were evaluated with an older rule set.

        The fields in `without` may be missing in them.
        """
        ...

    async def patch(self, patches: Sequence[Patch]) -> None:
        """Give fields of documents new values; one that has another revision stays as it is."""
        ...

    async def with_history(
        self,
        partition: int,
        imports: Collection[str],
        limit: int,
        without: Collection[str] = (),
    ) -> Sequence[RawDocument]:
        """Documents of the partition that keep facts of the imports unlived.

        Those with an id in `without` are left out, and do not count against the limit.
        """
        ...

    async def lacking(
        self, partitions: Sequence[int], names: Collection[str], limit: int, after: str = ""
    ) -> Sequence[str]:
        """The ids of the partitions' documents whose `lacks` has one of the names.

        In their order, the first ones behind `after`.
        """
        ...

    async def note_ended(self, end: EndedImport) -> None:
        """Remember the end for good; one that is noted already stays as it is."""
        ...

    async def ended(self, partitions: Sequence[int]) -> Sequence[EndedImport]:
        """The ends that were noted in the partitions."""
        ...


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that could not be applied, or that stands behind one of the same key."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    timestamp: int
    reason: str
    replay: bool = False


class Parking(Protocol):
    """The parked events of one projection."""

    async def park(self, events: Sequence[ParkedEvent]) -> None:
        """Keep the events; one that is kept already stays as it is."""
        ...

    async def parked(self, partitions: Sequence[int]) -> Sequence[ParkedEvent]:
        """All parked events of the partitions, by topic, partition and offset."""
        ...

    async def request_replay(self, key: bytes | None) -> int:
        """Ask the owner to replay the key's events (all when None); gives how many."""
        ...

    async def keep(self, events: Sequence[ParkedEvent]) -> None:
        """Their replay failed: they stay, until it is asked for again."""
        ...

    async def release(self, events: Sequence[ParkedEvent]) -> None:
        """Forget events that were applied."""
        ...

    async def count(self) -> int:
        """How many are parked."""
        ...


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as its holder knows it: the fencing number, and the database's clock at renewal."""

    name: str
    owner: str
    fence: int
    at: datetime


class Leases(Protocol):
    """Leases on the database's clock, each with a small state that only its holder writes."""

    async def acquire(self, name: str, owner: str, seconds: float) -> Lease | None:
        """Take a free or expired lease, with the next fencing number."""
        ...

    async def renew(self, lease: Lease, seconds: float) -> Lease | None:
        """Renew; None when somebody else holds it now."""
        ...

    async def release(self, lease: Lease) -> None:
        """Let it go, if still held."""
        ...

    async def holders(self, prefix: str) -> Mapping[str, str]:
        """The leases that somebody holds now and whose names begin so, with their owners."""
        ...

    async def state(self, name: str) -> RawDocument:
        """The state kept with the lease; empty when there is none."""
        ...

    async def save(self, lease: Lease, state: RawDocument) -> bool:
        """Save the state; False, and nothing saved, when the fencing number is not the newest."""
        ...
