"""Append and nothing else: the write side of every service.

A *commit* is the unit of writing: the events that one or more commands gave on one stream. `seq`
is dense per stream and part of the commit's id, so of two writers one loses, reloads and decides
again; `commands.id` is unique over the whole store, so a command sent twice is recorded once.
A commit keeps the exact CloudEvents JSON that Kafka will get.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import msgspec
from msgspec.structs import astuple

SEQ_DIGITS = 10


class StoreUnavailable(Exception):  # noqa: N818 - a state of the world, retried by callers
    """The database does not answer, or answered too late: nothing is known to be written."""


class CommandMark(msgspec.Struct, frozen=True, gc=False):
    """A command in a commit: its id, the hash of its body, the stream version after it."""

    id: str
    hash: str
    version: int


class Commit(msgspec.Struct, frozen=True, gc=False, eq=False):
    """Events appended together to one stream.

    `version` is the stream version after them; `recorded_at` is system time; `events` are
    CloudEvents JSON texts; a `broadcast` commit goes to every partition of its topic; `redirect`
    says that the stream is closed after it, and where what is meant for it goes. `expires` is
    when it is too late to write it, by the event loop's time: a store writes it before, or not at
    all. It goes with `recorded_at`, which progress counts from, and is not stored.
    """

    stream: str
    seq: int
    version: int
    key: str
    recorded_at: datetime
    commands: tuple[CommandMark, ...]
    events: tuple[str, ...]
    broadcast: bool = False
    redirect: str | None = None
    expires: float | None = None

    def __eq__(self, other: object) -> bool:
        """What is stored of them is the same."""
        if not isinstance(other, Commit):
            return NotImplemented
        return astuple(self)[:-1] == astuple(other)[:-1]

    def __hash__(self) -> int:
        """By its id."""
        return hash((self.stream, self.seq))

    @property
    def id(self) -> str:
        """`<stream>/<seq, 10 digits>`: sorts by seq within the stream."""
        return commit_id(self.stream, self.seq)

    @property
    def size(self) -> int:
        """Characters of its events: close to its bytes, as JSON is mostly ASCII."""
        return sum(map(len, self.events))


def commit_id(stream: str, seq: int) -> str:
    """The id of a commit."""
    return f"{stream}/{seq:0{SEQ_DIGITS}d}"


class Head(msgspec.Struct, frozen=True, gc=False):
    """The end of a stream: the seq of its last commit and its version; both 0 when empty.

    `redirect` is set while the stream is closed (see `shared.events.contract.StreamGate`).
    """

    seq: int = 0
    version: int = 0
    redirect: str | None = None


class Known(msgspec.Struct, frozen=True, gc=False):
    """A command that is already recorded, and where."""

    stream: str
    mark: CommandMark


@dataclass(frozen=True, slots=True)
class Claim:
    """Who owns a unique value; `owner` is None after a release. `epoch` counts the changes."""

    id: str
    owner: str | None
    epoch: int


@dataclass(frozen=True, slots=True)
class ClaimChange:
    """A new owner (or none) for a value whose epoch is `expected` now (0: never claimed).

    Every change raises the epoch by one, so a change that rests on another one which did not
    happen cannot happen either.
    """

    id: str
    expected: int
    owner: str | None

    @property
    def epoch(self) -> int:
        """The epoch after the change."""
        return self.expected + 1


class Append(msgspec.Struct, frozen=True, gc=False):
    """A commit, and what must be written with it in one transaction.

    `claims` must change with it; `beside` are commits of other streams.
    """

    commit: Commit
    claims: tuple[ClaimChange, ...] = ()
    beside: tuple[Commit, ...] = ()

    @property
    def commits(self) -> tuple[Commit, ...]:
        """All of its commits."""
        return (self.commit, *self.beside)

    @property
    def alone(self) -> bool:
        """Whether it is one commit and nothing else, and needs no transaction."""
        return not (self.claims or self.beside)


class EventStore(Protocol):
    """What a service writes to. In memory and on MongoDB it behaves the same (tests/contract)."""

    async def known(self, command_ids: Sequence[str]) -> Mapping[str, Known]:
        """Those of the commands that are recorded."""
        ...

    async def heads(self, streams: Sequence[str]) -> Mapping[str, Head]:
        """The heads of the streams; an empty stream may be left out."""
        ...

    async def read(self, streams: Sequence[str]) -> Mapping[str, Sequence[Commit]]:
        """All commits of the streams, by seq; an empty stream may be left out."""
        ...

    async def names(self, prefix: str) -> Sequence[str]:
        """The names of all streams that begin with the prefix, sorted."""
        ...

    async def claims(self, ids: Sequence[str]) -> Mapping[str, Claim]:
        """The claims on the values; one never claimed is left out."""
        ...

    async def claims_of(self, owners: Sequence[str]) -> Sequence[Claim]:
        """The claims that the owners hold now, by id."""
        ...

    async def append(self, appends: Sequence[Append]) -> Sequence[bool]:
        """Append at most one commit per stream; says for each append whether all of it was.

        False: the seq is taken, a command is known, a claim has changed, or there was no time for
        it beside the others; nothing of it was written. Raises `StoreUnavailable` when the outcome
        is not known, and when one of the commits expires before it is written.
        """
        ...

    async def append_together(self, appends: Sequence[Append]) -> bool:
        """Append all of them with their claims, at most one commit per stream, or nothing.

        False, for the reasons that `append` has: nothing was written. Raises `StoreUnavailable`
        as `append` does: all of it was written, or nothing.
        """
        ...


_encode_sorted = msgspec.json.Encoder(order="sorted").encode


def body_hash(body: Any) -> str:  # noqa: ANN401 - any JSON value
    """SHA-256 (hex) of a command's JSON body, keys sorted."""
    return hashlib.sha256(_encode_sorted(body)).hexdigest()


def first_expiry(commits: Iterable[Commit], otherwise: float) -> float:
    """When it is too late to write the commits together; `otherwise` for one that does not say."""
    moments = (otherwise if each.expires is None else each.expires for each in commits)
    return min(moments, default=otherwise)


def check_one_commit_per_stream(appends: Sequence[Append]) -> None:
    """Raise ValueError for two commits of one stream: an unordered insert would tear holes."""
    streams = [commit.stream for append in appends for commit in append.commits]
    if len(set(streams)) != len(streams):
        message = "a batch appends at most one commit per stream"
        raise ValueError(message)
