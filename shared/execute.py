"""Commands to commits: load, decide, append, and again where another writer was faster.

One call carries a batch: commands are deduplicated, known ones answer as they did the first time,
heads or histories are read with one query, and each stream gets at most one commit. In the steady
state a batch costs three round trips: known commands, heads, insert.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import msgspec

from shared.clock import Clock
from shared.decider import Decider, NewEvent, Refused
from shared.envelope import Causation, Placed, decode, encode, event_id
from shared.events import EVENT_TYPES
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
from shared.keyring import Erased, Keyring, Keys, has_values, key_ids, seal, unseal

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


@dataclass(frozen=True, slots=True)
class Command(Generic[BodyT]):
    """What somebody wants done on one stream.

    `id` is prefixed by its source and unique for ever; `hash` covers the body as its sender sees
    it; `key` is the Kafka key of the stream; `subject` the customer concerned, whose key seals
    personal fields.
    """

    id: str
    hash: str
    stream: str
    key: str
    body: BodyT
    causation: Causation
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The answer: the stream and its version after the command.

    `repeated`: it was recorded earlier; `changed`: it gave events (now or then).
    """

    stream: str
    version: int
    repeated: bool = False
    changed: bool = True


Outcome = Done | Refused


@dataclass(frozen=True, slots=True)
class ClaimPolicy(Generic[BodyT]):
    """How commands of one kind touch unique values.

    `ids` names the values a command touches; `given` puts their present claims into the body that
    the decider sees; `changes` says what its events change.
    """

    ids: Callable[[BodyT], Sequence[str]]
    given: Callable[[BodyT, Mapping[str, Claim]], BodyT]
    changes: Callable[[BodyT, Sequence[NewEvent]], Sequence[ClaimChange]]


@dataclass(slots=True)
class _Stream(Generic[StateT]):
    """A stream within one round: what it was, and the commit that grows on it."""

    head: Head
    state: StateT
    version: int
    marks: list[CommandMark] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    claims: list[ClaimChange] = field(default_factory=list)
    size: int = 0
    key: str = ""
    broadcast: bool = False
    indexes: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Writer:
    """Carries out commands of one service on its store."""

    store: EventStore
    keyring: Keyring
    clock: Clock
    service: str
    append_deadline: timedelta = timedelta(seconds=2)

    async def one(
        self,
        decider: Decider[BodyT, StateT],
        command: Command[BodyT],
        claims: ClaimPolicy[BodyT] | None = None,
    ) -> Done:
        """Carry out one command. Raises its refusal."""
        (outcome,) = await self.many(decider, [command], claims=claims)
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    async def many(
        self,
        decider: Decider[BodyT, StateT],
        commands: Sequence[Command[BodyT]],
        *,
        claims: ClaimPolicy[BodyT] | None = None,
        stateless: bool = False,
    ) -> Sequence[Outcome]:
        """Carry out a batch; the outcomes are in the order of the commands.

        `stateless` spares reading histories: the decider then sees its initial state only.
        Raises `StoreUnavailable`; what was recorded by then is known at the next try.
        """
        return await _Batch(self, decider, commands, claims, stateless).run()

    async def state(self, decider: Decider[BodyT, StateT], stream: str) -> tuple[StateT, int]:
        """The folded state of a stream and its version (0 when it does not exist)."""
        histories = await self.histories([stream])
        events, head = histories.get(stream, ([], Head()))
        return decider.fold(events), head.version

    async def histories(
        self, streams: Sequence[str]
    ) -> Mapping[str, tuple[Sequence[EventData], Head]]:
        """The events of the streams with personal fields in the clear, and the heads."""
        commits = await self.store.read(streams)
        decoded = {
            stream: [decode(text) for commit in found for text in commit.events]
            for stream, found in commits.items()
        }
        datas: dict[str, list[tuple[type[EventData], dict[str, object]]]] = {}
        wanted: set[str] = set()
        for stream, envelopes in decoded.items():
            datas[stream] = []
            for envelope in envelopes:
                model = EVENT_TYPES[envelope.type]
                data = msgspec.json.decode(envelope.data)
                wanted |= key_ids(data, pii_paths(model))
                datas[stream].append((model, data))
        keys: Keys = await self.keyring.get(wanted) if wanted else {}
        result = {}
        for stream, entries in datas.items():
            events = []
            for model, data in entries:
                unseal(data, pii_paths(model), keys)
                events.append(model.model_validate(data))
            last = commits[stream][-1]
            result[stream] = (events, Head(last.seq, last.version))
        return result


@dataclass(slots=True)
class _Batch(Generic[BodyT, StateT]):
    """One call of `Writer.many`."""

    writer: Writer
    decider: Decider[BodyT, StateT]
    commands: Sequence[Command[BodyT]]
    policy: ClaimPolicy[BodyT] | None
    stateless: bool
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    first_of: dict[str, int] = field(default_factory=dict)
    keys: Keys = field(default_factory=dict)
    moment: datetime = field(init=False)
    deadline: float = field(init=False)

    async def run(self) -> Sequence[Outcome]:
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
            self.first_of.setdefault(command.id, index)

    def _answer(self, index: int) -> Outcome:
        """The outcome of a command, or that of its twin earlier in the batch."""
        command = self.commands[index]
        first = self.first_of[command.id]
        outcome = self.outcomes[first]
        if self.commands[first].hash != command.hash:
            return _differs()
        if first == index or isinstance(outcome, Refused):
            return outcome
        return Done(outcome.stream, outcome.version, repeated=True, changed=outcome.changed)

    async def _round(self, pending: Sequence[int]) -> None:
        """Settle what can be settled: known commands, refusals, and commits that got in."""
        pending = await self._settle_known(pending)
        if not pending:
            return
        streams = await self._load(sorted({self.commands[i].stream for i in pending}))
        claims = await self._claims(pending)
        await self._ensure_keys(pending)
        # Progress counts on it: nothing is written later than the deadline after this moment.
        self.moment = self.writer.clock.system_now()
        patience = self.writer.append_deadline.total_seconds()
        self.deadline = asyncio.get_running_loop().time() + patience
        refused: dict[int, Refused] = {}
        unchanged: dict[int, Done] = {}
        for index in pending:
            command = self.commands[index]
            stream = streams[command.stream]
            if stream.size > MAX_COMMIT_BYTES:
                continue
            try:
                done = self._decide(index, command, stream, claims)
            except Refused as refusal:
                refused[index] = refusal
                continue
            if done is not None:
                unchanged[index] = done
        if await self._append(streams):
            # A refusal may rest on what this round was about to write: it counts if that got in.
            self.outcomes.update(refused)
            self.outcomes.update(unchanged)

    async def _settle_known(self, pending: Sequence[int]) -> list[int]:
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

    async def _load(self, names: Sequence[str]) -> dict[str, _Stream[StateT]]:
        if self.stateless:
            heads = await self.writer.store.heads(names)
            return {
                name: _Stream(head, self.decider.initial(), head.version)
                for name in names
                for head in [heads.get(name, Head())]
            }
        histories = await self.writer.histories(names)
        loaded = {}
        for name in names:
            events, head = histories.get(name, ([], Head()))
            loaded[name] = _Stream(head, self.decider.fold(events), head.version)
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
        stream.size += size
        stream.key = command.key
        stream.broadcast |= any(event.data.type in BROADCAST for event in events)
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
        """The texts of the events and their bytes in UTF-8. Raises `Refused` for too many."""
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
        sizes = [len(text.encode()) for text in texts]
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


def _differs() -> Refused:
    return Refused(
        "command-differs",
        422,
        "This id was used before for something else.",
        "send the same content again, or use another id",
    )


def _too_large(limit: str) -> Refused:
    return Refused("too-large", 413, "The command is too large.", limit)


def encode_event(placed: Placed, keys: Keys) -> str:
    """The event's text with its personal fields sealed by its subject's key.

    Raises `Refused` when the subject was erased: nothing personal is recorded any more; and
    ValueError for personal fields of an event without a subject.
    """
    paths = pii_paths(type(placed.data))
    if not paths:
        return encode(placed)
    data = placed.data.model_dump(mode="json", exclude_none=True)
    if placed.subject is None:
        if has_values(data, paths):
            raise ValueError(f"{placed.data.type} needs a subject, whose key seals it")
        return encode(placed, data)
    key = keys[placed.subject]
    if isinstance(key, Erased):
        raise Refused("erased", 410, "The customer was erased.")
    seal(data, paths, placed.subject, key, placed.stream)
    return encode(placed, data)


def correlation_of(command_id: str) -> Causation:
    """The causation of a command that nothing else caused."""
    return Causation(correlation=command_id)


def last_event_id(done: Done) -> str:
    """The id of the last event that the command gave."""
    return event_id(done.stream, done.version)
