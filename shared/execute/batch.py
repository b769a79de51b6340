"""One call of `Writer.many`: rounds of load, decide and append until every command is settled."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from shared import telemetry
from shared.claims import ClaimPolicy
from shared.clock import Clock
from shared.decider import Decider, NewEvent, Refused
from shared.envelope import Placed
from shared.events.contract import EventData, pii_paths
from shared.events.imports import BROADCAST
from shared.eventstore import (
    Append,
    Claim,
    ClaimChange,
    CommandMark,
    Commit,
    EventStore,
    Head,
    StoreUnavailable,
)
from shared.execute.commands import Command, Done, Outcome
from shared.execute.sealing import encode_event
from shared.keyring import Keyring, Keys

BodyT = TypeVar("BodyT")
StateT = TypeVar("StateT")

ATTEMPTS = 20
MAX_EVENT_BYTES = 900_000
"""Kafka refuses a record over 1 MiB by default; the envelope and headers need room too."""
MAX_COMMIT_BYTES = 4_000_000
"""MongoDB refuses a document over 16 MiB; smaller commits also keep relay batches small.

A commit closes once it is over this, and no command gives more: twice this is the most.
"""
FAILURES = 3
"""Tries of a batch at a store that does not answer; a slow answer may hide a recorded commit."""


class _KeysWanted(Exception):  # noqa: N818 - says what is wanted
    """Events hold personal fields, and the keys that seal them were not fetched yet."""


@dataclass(frozen=True, slots=True)
class _Loaded(Generic[StateT]):
    """A stream as it is stored."""

    head: Head
    state: StateT


@dataclass(slots=True)
class _Stream(Generic[StateT]):
    """A stream within one round: what it was, and the commit that grows on it."""

    head: Head
    state: StateT
    version: int
    marks: list[CommandMark] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    types: Counter[str] = field(default_factory=Counter)
    claims: list[ClaimChange] = field(default_factory=list)
    size: int = 0
    key: str = ""
    broadcast: bool = False
    indexes: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Decided(Generic[StateT]):
    """What a round comes to: streams that grew, and outcomes that need no append of their own."""

    streams: Mapping[str, _Stream[StateT]]
    settled: Mapping[int, Outcome]


class Means(Protocol):
    """What a batch is carried out with; the `Writer` is one."""

    @property
    def store(self) -> EventStore:
        """Where commits go."""
        ...

    @property
    def keyring(self) -> Keyring:
        """The keys that seal personal fields."""
        ...

    @property
    def clock(self) -> Clock:
        """Both times."""
        ...

    @property
    def service(self) -> str:
        """Whose events they are."""
        ...

    @property
    def append_deadline(self) -> timedelta:
        """How long after its moment an append may still be written."""
        ...

    async def histories(
        self, streams: Sequence[str]
    ) -> Mapping[str, tuple[Sequence[EventData], Head]]:
        """The events of the streams, opened, and the heads."""
        ...


@dataclass(slots=True)
class Batch(Generic[BodyT, StateT]):
    """One call of `Writer.many`."""

    writer: Means
    decider: Decider[BodyT, StateT]
    commands: Sequence[Command[BodyT]]
    policy: ClaimPolicy[BodyT] | None
    stateless: bool
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    first_of: dict[tuple[str, str], int] = field(default_factory=dict)
    keys: Keys = field(default_factory=dict)
    moment: datetime = field(init=False)
    deadline: float = field(init=False)

    async def run(self) -> Sequence[Outcome]:
        """Outcomes in the order of the commands. Raises `StoreUnavailable`."""
        self._deduplicate()
        fruitless = failures = 0
        while pending := [i for i in self.first_of.values() if i not in self.outcomes]:
            settled = len(self.outcomes)
            try:
                await self._round(pending)
            except (TimeoutError, StoreUnavailable) as failure:
                failures += 1
                if failures == FAILURES:
                    raise StoreUnavailable from failure
                continue
            if len(self.outcomes) == settled:
                fruitless += 1
                await asyncio.sleep(0.002 * fruitless)
            if fruitless == ATTEMPTS:
                message = f"{ATTEMPTS} writers in a row were faster"
                raise StoreUnavailable(message)
        return [self._answer(index) for index in range(len(self.commands))]

    def _deduplicate(self) -> None:
        for index, command in enumerate(self.commands):
            self.first_of.setdefault((command.id, command.hash), index)

    def _answer(self, index: int) -> Outcome:
        """The outcome of a command, or that of its twin earlier in the batch."""
        command = self.commands[index]
        first = self.first_of[command.id, command.hash]
        outcome = self.outcomes[first]
        if first == index or isinstance(outcome, Refused):
            return outcome
        return Done(outcome.stream, outcome.version, repeated=True, changed=outcome.changed)

    async def _round(self, pending: Sequence[int]) -> None:
        """Settle what can be settled: known commands, refusals, and commits that got in."""
        pending = await self._settle_known(pending)
        if not pending:
            return
        loaded = await self._load(sorted({self.commands[i].stream for i in pending}))
        claims = await self._claims(pending)
        try:
            decided = self._decide_all(pending, loaded, claims)
        except _KeysWanted:
            await self._ensure_keys(pending)
            decided = self._decide_all(pending, loaded, claims)
        if await self._append(decided.streams):
            # A refusal may rest on what this round was about to write: it counts if that got in.
            # It may rest as well on the very same command, recorded by another process after it
            # was asked for and before the streams were read: so that is asked again.
            still_unknown = await self._settle_known(list(decided.settled))
            self.outcomes.update({index: decided.settled[index] for index in still_unknown})

    def _decide_all(
        self,
        pending: Sequence[int],
        loaded: Mapping[str, _Loaded[StateT]],
        claims: Mapping[str, Claim],
    ) -> _Decided[StateT]:
        """Decide in order, each on what the ones before it gave. Raises `_KeysWanted`."""
        # Progress counts on it: nothing is written later than the deadline after this moment. So
        # the deadline begins first: a pause between the two must not lengthen it.
        patience = self.writer.append_deadline.total_seconds()
        self.deadline = asyncio.get_running_loop().time() + patience
        self.moment = self.writer.clock.system_now()
        streams = {
            name: _Stream(found.head, found.state, found.head.version)
            for name, found in loaded.items()
        }
        claimed = dict(claims)
        settled: dict[int, Outcome] = {}
        ids: set[str] = set()
        for index in pending:
            command = self.commands[index]
            stream = streams[command.stream]
            if stream.size > MAX_COMMIT_BYTES or command.id in ids:
                # Of two that differ under one id, the second is compared with what was recorded.
                continue
            ids.add(command.id)
            try:
                done = self._decide(index, command, stream, claimed)
            except Refused as refusal:
                settled[index] = refusal
                continue
            if done is not None:
                settled[index] = done
        return _Decided(streams, settled)

    async def _settle_known(self, pending: Sequence[int]) -> list[int]:
        """Settle those that are recorded; gives the others."""
        if not pending:
            return []
        known = await self.writer.store.known([self.commands[i].id for i in pending])
        unknown = []
        for index in pending:
            command = self.commands[index]
            record = known.get(command.id)
            if record is None:
                unknown.append(index)
            elif record.mark.hash != command.hash:
                self.outcomes[index] = _differs()
            else:
                self.outcomes[index] = Done(record.stream, record.mark.version, repeated=True)
        return unknown

    async def _load(self, names: Sequence[str]) -> dict[str, _Loaded[StateT]]:
        if self.stateless:
            heads = await self.writer.store.heads(names)
            return {
                name: _Loaded(heads.get(name, Head()), self.decider.initial()) for name in names
            }
        histories = await self.writer.histories(names)
        loaded = {}
        for name in names:
            events, head = histories.get(name, ([], Head()))
            loaded[name] = _Loaded(head, self.decider.fold(events))
        return loaded

    async def _claims(self, pending: Sequence[int]) -> dict[str, Claim]:
        if self.policy is None:
            return {}
        ids = {claim for i in pending for claim in self.policy.ids(self.commands[i].body)}
        return dict(await self.writer.store.claims(sorted(ids))) if ids else {}

    async def _ensure_keys(self, pending: Sequence[int]) -> None:
        subjects = {subject for i in pending if (subject := self.commands[i].subject) is not None}
        self.keys = await self.writer.keyring.ensure(subjects) if subjects else {}

    def _decide(
        self,
        index: int,
        command: Command[BodyT],
        stream: _Stream[StateT],
        claims: dict[str, Claim],
    ) -> Done | None:
        """Grow the stream's commit by the command's events; Done when there are none."""
        body = command.body
        if self.policy is not None:
            body = self.policy.given(body, claims)
        events = self.decider.decide(body, stream.state)
        if not events:
            return Done(command.stream, stream.version, changed=False)
        texts, size = self._encode(command, stream.version, events)
        stream.version += len(events)
        stream.state = self.decider.fold((event.data for event in events), stream.state)
        stream.events += texts
        stream.types.update(event.data.type for event in events)
        stream.size += size
        stream.key = command.key
        stream.broadcast |= not BROADCAST.isdisjoint(stream.types)
        stream.marks.append(CommandMark(command.id, command.hash, stream.version))
        stream.indexes.append(index)
        if self.policy is not None:
            for change in self.policy.changes(body, events):
                claims[change.id] = Claim(change.id, change.owner, change.epoch)
                stream.claims.append(change)
        return None

    def _encode(
        self, command: Command[BodyT], version: int, events: Sequence[NewEvent]
    ) -> tuple[list[str], int]:
        """The texts of the events and their bytes in UTF-8. Raises `Refused` for too many.

        Raises `_KeysWanted` too: most kinds of events hold nothing personal, and need no keys.
        """
        subject = command.subject
        if (
            subject is not None
            and subject not in self.keys
            and any(_is_personal(event) for event in events)
        ):
            raise _KeysWanted
        recorded = self.writer.clock.at_system(self.moment)
        texts = [
            encode_event(
                Placed(
                    data=event.data,
                    service=self.writer.service,
                    stream=command.stream,
                    version=version + offset,
                    time=event.time,
                    recorded=recorded,
                    causation=event.causation or command.causation,
                    subject=command.subject,
                    branch=event.branch,
                ),
                self.keys,
            )
            for offset, event in enumerate(events, start=1)
        ]
        sizes = [len(text) if text.isascii() else len(text.encode()) for text in texts]
        if max(sizes) > MAX_EVENT_BYTES:
            raise _too_large(f"at most {MAX_EVENT_BYTES} bytes of JSON for an event")
        if sum(sizes) > MAX_COMMIT_BYTES:
            raise _too_large(f"at most {MAX_COMMIT_BYTES} bytes of JSON for all its events")
        return texts, sum(sizes)

    async def _append(self, streams: Mapping[str, _Stream[StateT]]) -> bool:
        """Append the commits of the round; says whether all got in."""
        grown = {name: stream for name, stream in streams.items() if stream.events}
        if not grown:
            return True
        appends = [
            Append(
                Commit(
                    stream=name,
                    seq=stream.head.seq + 1,
                    version=stream.version,
                    key=stream.key,
                    recorded_at=self.moment,
                    commands=tuple(stream.marks),
                    events=tuple(stream.events),
                    broadcast=stream.broadcast,
                    expires=self.deadline,
                ),
                tuple(stream.claims),
            )
            for name, stream in grown.items()
        ]
        async with asyncio.timeout_at(self.deadline):
            results = await self.writer.store.append(appends)
        for append, appended in zip(appends, results, strict=True):
            if appended:
                self._settle(append.commit, grown[append.commit.stream])
        return all(results)

    def _settle(self, commit: Commit, stream: _Stream[StateT]) -> None:
        for index, mark in zip(stream.indexes, stream.marks, strict=True):
            self.outcomes[index] = Done(commit.stream, mark.version)
        for kind, count in stream.types.items():
            telemetry.EVENTS_APPENDED.labels(kind).inc(count)


def _is_personal(event: NewEvent) -> bool:
    return bool(pii_paths(type(event.data)))


def _differs() -> Refused:
    return Refused(
        "command-differs",
        422,
        "This id was used before for something else.",
        "send the same content again, or use another id",
    )


def _too_large(limit: str) -> Refused:
    return Refused("too-large", 413, "The command is too large.", limit)
