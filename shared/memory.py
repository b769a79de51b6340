"""The in-memory twins of what `shared.mongo` does: equals of the real ones.

tests/contract runs one suite over both. They serve unit tests and are the specification in its
shortest form; nothing of them survives the process.
"""

import asyncio
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from shared.access import StoredApiKey
from shared.clock import Clock, to_milliseconds
from shared.eventstore import (
    Append,
    Claim,
    ClaimChange,
    Commit,
    Head,
    Known,
    StoreUnavailable,
    check_one_commit_per_stream,
    first_expiry,
)
from shared.keyring import StoredKey
from shared.readmodel import EndedImport, Lease, ParkedEvent, RawDocument


@dataclass(slots=True)
class MemoryEventStore:
    """An event store in a dict."""

    commits: list[Commit] = field(default_factory=list)
    _streams: dict[str, list[Commit]] = field(default_factory=dict)
    _commands: dict[str, Known] = field(default_factory=dict)
    _claims: dict[str, Claim] = field(default_factory=dict)

    async def known(self, command_ids: Sequence[str]) -> Mapping[str, Known]:
        """Those of the commands that are recorded."""
        return {name: self._commands[name] for name in command_ids if name in self._commands}

    async def heads(self, streams: Sequence[str]) -> Mapping[str, Head]:
        """The heads of the streams that exist."""
        return {
            name: Head(commits[-1].seq, commits[-1].version)
            for name in streams
            if (commits := self._streams.get(name))
        }

    async def read(self, streams: Sequence[str]) -> Mapping[str, Sequence[Commit]]:
        """All commits of the streams that exist."""
        return {name: list(self._streams[name]) for name in streams if name in self._streams}

    async def names(self, prefix: str) -> Sequence[str]:
        """The names of all streams that begin with the prefix, sorted."""
        return sorted(name for name in self._streams if name.startswith(prefix))

    async def claims(self, ids: Sequence[str]) -> Mapping[str, Claim]:
        """The claims on the values that were ever claimed."""
        return {name: self._claims[name] for name in ids if name in self._claims}

    async def claims_of(self, owners: Sequence[str]) -> Sequence[Claim]:
        """The claims that the owners hold now, by id."""
        return sorted(
            (claim for claim in self._claims.values() if claim.owner in owners),
            key=lambda claim: claim.id,
        )

    async def append(self, appends: Sequence[Append]) -> Sequence[bool]:
        """Append at most one commit per stream; says for each whether it was."""
        check_one_commit_per_stream(appends)
        await asyncio.sleep(0)
        _check_in_time(append.commit for append in appends)
        return [self.append_now(append) for append in appends]

    async def append_together(self, appends: Sequence[Append]) -> bool:
        """Append all of them with their claims, or nothing."""
        check_one_commit_per_stream(appends)
        await asyncio.sleep(0)
        _check_in_time(append.commit for append in appends)
        return self._append_all(appends)

    def append_now(self, append: Append) -> bool:
        """Append one commit with its claims, or nothing."""
        return self._append_all([append])

    def _append_all(self, appends: Sequence[Append]) -> bool:
        commits = [append.commit for append in appends]
        ids = [mark.id for commit in commits for mark in commit.commands]
        free = all(
            commit.seq == len(self._streams.get(commit.stream, ())) + 1 for commit in commits
        )
        unknown = self._commands.keys().isdisjoint(ids) and len(set(ids)) == len(ids)
        claims = self._changed([change for append in appends for change in append.claims])
        if not (free and unknown) or claims is None:
            return False
        for commit in commits:
            self._streams[commit.stream] = [*self._streams.get(commit.stream, ()), commit]
            self.commits.append(commit)
            self._commands.update({mark.id: Known(commit.stream, mark) for mark in commit.commands})
        self._claims.update(claims)
        return True

    def _changed(self, changes: Sequence[ClaimChange]) -> dict[str, Claim] | None:
        """The claims after all changes, each resting on the one before; None if one cannot."""
        changed: dict[str, Claim] = {}
        for change in changes:
            present = changed.get(change.id) or self._claims.get(change.id)
            if change.expected != (present.epoch if present else 0):
                return None
            changed[change.id] = Claim(change.id, change.owner, change.epoch)
        return changed


def _check_in_time(commits: Iterable[Commit]) -> None:
    if first_expiry(commits, math.inf) <= asyncio.get_running_loop().time():
        raise StoreUnavailable("too late to be written")


@dataclass(slots=True)
class MemoryKeyStore:
    """Wrapped keys in a dict."""

    _keys: dict[str, StoredKey] = field(default_factory=dict)

    async def load(self, ids: Sequence[str]) -> Mapping[str, StoredKey]:
        """The stored ones of the keys."""
        return {key_id: self._keys[key_id] for key_id in ids if key_id in self._keys}

    async def insert(self, keys: Sequence[StoredKey]) -> None:
        """Store each key whose id is not taken."""
        for key in keys:
            self._keys.setdefault(key.id, key)


@dataclass(slots=True)
class MemoryDocuments:
    """One collection of a read model in a dict, beside the commits of its service."""

    commits: MemoryEventStore = field(default_factory=MemoryEventStore)
    _documents: dict[str, RawDocument] = field(default_factory=dict)
    _ended: dict[tuple[int, str], EndedImport] = field(default_factory=dict)

    async def load(self, ids: Sequence[str]) -> Mapping[str, RawDocument]:
        """Those of the documents that exist."""
        return {name: _stored(self._documents[name]) for name in ids if name in self._documents}

    async def write(self, documents: Sequence[RawDocument]) -> set[str]:
        """Write each where the stored `rev` is one less; gives the ids whose guard was lost."""
        return await self.write_stepped([(document, None) for document in documents])

    async def write_stepped(self, steps: Sequence[tuple[RawDocument, Commit | None]]) -> set[str]:
        """Each document with its commit, or neither; gives the ids that were not written."""
        await asyncio.sleep(0)
        _check_in_time(commit for _, commit in steps if commit is not None)
        return {document["_id"] for document, commit in steps if not self._step(document, commit)}

    def _step(self, document: RawDocument, commit: Commit | None) -> bool:
        present = self._documents.get(document["_id"])
        if present is not None and present["rev"] != document["rev"] - 1:
            return False
        if commit is not None and not self.commits.append_now(Append(commit)):
            return False
        self._documents[document["_id"]] = _stored(document)
        return True

    async def due(
        self, partitions: Sequence[int], before: datetime, limit: int
    ) -> Sequence[RawDocument]:
        """Documents of the partitions whose `due_at` is before the moment, earliest first."""
        found = [
            document
            for document in self._of(partitions)
            if document.get("due_at") is not None and document["due_at"] < before
        ]
        found.sort(key=lambda document: document["due_at"])
        return [_stored(document) for document in found[:limit]]

    async def with_older_rules(
        self, partitions: Sequence[int], rules: int, limit: int
    ) -> Sequence[RawDocument]:
        """Documents of the partitions that were evaluated with an older rule set."""
        found = [doc for doc in self._of(partitions) if doc.get("rules", 0) < rules]
        return [_stored(document) for document in found[:limit]]

    async def with_history(
        self,
        partition: int,
        imports: Collection[str],
        limit: int,
        without: Collection[str] = (),
    ) -> Sequence[RawDocument]:
        """Documents of the partition that keep facts of the imports unlived."""
        found = [
            document
            for document in self._of([partition])
            if not set(imports).isdisjoint(document.get("history", ()))
            and document["_id"] not in without
        ]
        return [_stored(document) for document in found[:limit]]

    async def note_ended(self, end: EndedImport) -> None:
        """Remember the end; one that is noted already stays as it is."""
        self._ended.setdefault(
            (end.partition, end.id), replace(end, until=to_milliseconds(end.until))
        )

    async def ended(self, partitions: Sequence[int]) -> Sequence[EndedImport]:
        """The ends that were noted in the partitions."""
        return [end for end in self._ended.values() if end.partition in partitions]

    def everything(self) -> Sequence[RawDocument]:
        """All documents, in the order of their first writing."""
        return [_stored(document) for document in self._documents.values()]

    def _of(self, partitions: Sequence[int]) -> list[RawDocument]:
        """The documents themselves, not to be handed out."""
        return [
            document
            for document in self._documents.values()
            if document.get("partition") in partitions
        ]


def _stored(value: Any) -> Any:  # noqa: ANN401 - any value of a document
    """A copy as a database gives it back: no tuples, moments in UTC with milliseconds."""
    if isinstance(value, dict):
        return {name: _stored(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_stored(inner) for inner in value]
    return to_milliseconds(value) if isinstance(value, datetime) else value


@dataclass(slots=True)
class MemoryLeases:
    """Leases in a dict; the system time of `clock` stands for the database's clock."""

    clock: Clock
    _leases: dict[str, tuple[Lease, datetime]] = field(default_factory=dict)
    _states: dict[str, RawDocument] = field(default_factory=dict)

    async def acquire(self, name: str, owner: str, seconds: float) -> Lease | None:
        """Take a free or expired lease, with the next fencing number."""
        now = self.clock.system_now()
        fence = 0
        if name in self._leases:
            held, expires = self._leases[name]
            if expires >= now:
                return None
            fence = held.fence
        return self._hold(Lease(name, owner, fence + 1, now), seconds)

    async def renew(self, lease: Lease, seconds: float) -> Lease | None:
        """Renew; None when somebody else holds it now."""
        if not self._newest(lease):
            return None
        return self._hold(replace(lease, at=self.clock.system_now()), seconds)

    async def release(self, lease: Lease) -> None:
        """Let it go, if still held."""
        if self._newest(lease):
            self._hold(lease, (self.clock.system_now() - lease.at).total_seconds() - 0.001)

    async def holders(self, prefix: str) -> Mapping[str, str]:
        """The leases that somebody holds now and whose names begin so, with their owners."""
        now = self.clock.system_now()
        return {
            name: lease.owner
            for name, (lease, expires) in self._leases.items()
            if name.startswith(prefix) and expires >= now
        }

    async def state(self, name: str) -> RawDocument:
        """The state kept with the lease; empty when there is none."""
        state: RawDocument = _stored(self._states.get(name, {}))
        return state

    async def save(self, lease: Lease, state: RawDocument) -> bool:
        """Save the state; False, and nothing saved, when the fencing number is not the newest."""
        if self._newest(lease):
            self._states[lease.name] = _stored(state)
            return True
        return False

    def _newest(self, lease: Lease) -> bool:
        return lease.name in self._leases and self._leases[lease.name][0].fence == lease.fence

    def _hold(self, lease: Lease, seconds: float) -> Lease:
        self._leases[lease.name] = (lease, lease.at + timedelta(seconds=seconds))
        return lease


@dataclass(slots=True)
class MemoryParking:
    """The parked events of one projection in a dict."""

    _events: dict[tuple[str, int, int], ParkedEvent] = field(default_factory=dict)

    async def park(self, events: Sequence[ParkedEvent]) -> None:
        """Keep the events; one that is kept already stays as it is."""
        for event in events:
            self._events.setdefault(_place(event), event)

    async def parked(self, partitions: Sequence[int]) -> Sequence[ParkedEvent]:
        """All parked events of the partitions, by topic, partition and offset."""
        return [event for _, event in sorted(self._events.items()) if event.partition in partitions]

    async def request_replay(self, key: bytes | None) -> int:
        """Ask the owner to replay the key's events (all when None); gives how many."""
        asked = [event for event in self._events.values() if key is None or event.key == key]
        self._events.update({_place(event): replace(event, replay=True) for event in asked})
        return len(asked)

    async def keep(self, events: Sequence[ParkedEvent]) -> None:
        """Their replay failed: they stay, until it is asked for again."""
        kept = [each for event in events if (each := self._events.get(_place(event))) is not None]
        self._events.update({_place(event): replace(event, replay=False) for event in kept})

    async def release(self, events: Sequence[ParkedEvent]) -> None:
        """Forget events that were applied."""
        for event in events:
            self._events.pop(_place(event), None)

    async def count(self) -> int:
        """How many are parked."""
        return len(self._events)


def _place(event: ParkedEvent) -> tuple[str, int, int]:
    return event.topic, event.partition, event.offset


@dataclass(slots=True)
class MemoryApiKeys:
    """API keys in a dict."""

    _stored: dict[str, StoredApiKey] = field(default_factory=dict)

    async def find(self, prefix: str) -> StoredApiKey | None:
        """The key with the prefix."""
        return self._stored.get(prefix)

    async def add(self, key: StoredApiKey) -> bool:
        """Store a key; False when the prefix is taken."""
        if key.prefix in self._stored:
            return False
        self._stored[key.prefix] = key
        return True
