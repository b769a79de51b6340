"""One command over several streams: all of its events and claims are recorded, or nothing.

A decision sees the states of all streams that its command names, and gives each of them an event,
or none of them anything. So nothing that it rests on can change unseen: whoever writes to one of
the streams first takes its seq, and all is loaded and decided again. A stream that is only looked
at would be outside of this promise; one that gets no event beside others that do is a fault of
the decider.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from shared.decider import Decider, NewEvent, Refused
from shared.envelope import Causation
from shared.events.contract import EventData, pii_paths
from shared.eventstore import Append, Claim, ClaimChange, Head
from shared.execute.commands import MOVED_ON, Done, Outcome, answered
from shared.execute.growth import Encoder, Growth, KeysWanted, count_recorded
from shared.execute.rounds import Means, Window, in_rounds
from shared.keyring import Keys, nothing, tokens

BodyT = TypeVar("BodyT")
StateT = TypeVar("StateT")


@dataclass(frozen=True, slots=True)
class Joint(Generic[BodyT]):
    """What somebody wants done on several streams at once.

    `streams` names each with the customer that it concerns, whose id is its Kafka key and whose
    key seals it; one that concerns nobody is its own key. The first stream is the one that
    answers, and its commit carries the command. With `expected` the decision rests on these
    versions of the streams, which somebody has read before, and no history is read again: each
    state is the initial one.
    """

    id: str
    hash: str
    streams: Mapping[str, str | None]
    body: BodyT
    causation: Causation
    expected: Mapping[str, int] | None = None


def _moved_on() -> Refused:
    return Refused(
        MOVED_ON, 409, "Something was recorded since it was read.", "read again, and ask again"
    )


def _no_ids(_body: object, _states: object) -> Sequence[str]:
    return ()


def _no_changes(_body: object, _events: object, _claims: object) -> Sequence[ClaimChange]:
    return ()


@dataclass(frozen=True, slots=True)
class JointDecider(Generic[BodyT, StateT]):
    """A decision over several streams of one kind.

    `of` folds each of them; `claim_ids` names the values that the decision touches, seen the
    states; `decide` gives the events of every stream, or nothing at all, or raises `Refused`;
    `changes` says what its events change of the claims, in order.
    """

    of: Decider[Any, StateT]
    decide: Callable[
        [BodyT, Mapping[str, StateT], Mapping[str, Claim]], Mapping[str, Sequence[NewEvent]]
    ]
    claim_ids: Callable[[BodyT, Mapping[str, StateT]], Sequence[str]] = _no_ids
    changes: Callable[
        [BodyT, Mapping[str, Sequence[NewEvent]], Mapping[str, Claim]], Sequence[ClaimChange]
    ] = _no_changes


@dataclass(frozen=True, slots=True)
class JointOrigin:
    """Whose events a joint command gives on one of its streams."""

    key: str
    subject: str | None
    causation: Causation

    @property
    def sealer(self) -> str | None:
        """The customer concerned."""
        return self.subject


@dataclass(frozen=True, slots=True)
class _Loaded(Generic[StateT]):
    """The streams as they are stored; `passing` says which texts are tokens that they hold."""

    heads: Mapping[str, Head]
    states: Mapping[str, StateT]
    claims: Mapping[str, Claim]
    passing: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class _Decided(Generic[StateT]):
    window: Window
    streams: Sequence[Growth[StateT]]
    claims: Sequence[ClaimChange]


@dataclass(slots=True)
class Together(Generic[BodyT, StateT]):
    """One call of `Writer.together`."""

    writer: Means
    decider: JointDecider[BodyT, StateT]
    joint: Joint[BodyT]
    sealed: bool = False
    outcome: Outcome | None = None
    keys: Keys = field(default_factory=dict)

    async def run(self) -> Done:
        """The answer of the first stream. Raises its refusal, and `StoreUnavailable`."""
        await in_rounds(self._round, lambda: int(self.outcome is None))
        if isinstance(self.outcome, Refused):
            raise self.outcome
        assert self.outcome is not None  # noqa: S101 - the rounds end with one
        return self.outcome

    async def _round(self) -> None:
        if await self._known():
            return
        try:
            loaded = await self._load()
            decided = await self._decided(loaded)
        except Refused as refusal:
            await self._settle(refusal)
            return
        if not decided.streams:
            first = next(iter(self.joint.streams))
            await self._settle(Done(first, loaded.heads[first].version, changed=False))
            return
        commits = [stream.commit(decided.window) for stream in decided.streams]
        # All changes go with the first: there is one transaction, and each may rest on another.
        appends = [Append(commits[0], tuple(decided.claims)), *map(Append, commits[1:])]
        async with asyncio.timeout_at(decided.window.deadline):
            if not await self.writer.store.append_together(appends):
                return
        self.outcome = Done(commits[0].stream, commits[0].version)
        count_recorded(decided.streams)

    async def _known(self) -> bool:
        """Settle the command if it is recorded; says whether it is."""
        known = await self.writer.store.known([self.joint.id])
        if self.joint.id not in known:
            return False
        self.outcome = answered(known[self.joint.id], self.joint.hash)
        return True

    async def _settle(self, outcome: Outcome) -> None:
        # It may rest on the very same command, recorded by another process after it was asked for.
        if not await self._known():
            self.outcome = outcome

    async def _load(self) -> _Loaded[StateT]:
        if self.joint.expected is not None:
            return await self._load_heads(self.joint.expected)
        histories = await self.writer.histories(list(self.joint.streams), sealed=self.sealed)
        found = {name: histories.get(name, ([], Head())) for name in self.joint.streams}
        states = {name: self.decider.of.fold(events) for name, (events, _) in found.items()}
        ids = sorted(set(self.decider.claim_ids(self.joint.body, states)))
        return _Loaded(
            {name: head for name, (_, head) in found.items()},
            states,
            await self.writer.store.claims(ids) if ids else {},
            _held([data for events, _ in found.values() for data in events])
            if self.sealed
            else nothing,
        )

    async def _load_heads(self, expected: Mapping[str, int]) -> _Loaded[StateT]:
        heads = await self.writer.store.heads(list(self.joint.streams))
        found = {name: heads.get(name, Head()) for name in self.joint.streams}
        if any(found[name].version != version for name, version in expected.items()):
            raise _moved_on()
        return _Loaded(found, {name: self.decider.of.initial() for name in found}, {}, nothing)

    async def _decided(self, loaded: _Loaded[StateT]) -> _Decided[StateT]:
        try:
            return self._decide(loaded)
        except KeysWanted:
            subjects = {each for each in self.joint.streams.values() if each is not None}
            self.keys = await self.writer.keyring.ensure(subjects)
            return self._decide(loaded)

    def _decide(self, loaded: _Loaded[StateT]) -> _Decided[StateT]:
        """What the command gives. Raises `Refused`, `KeysWanted`, and ValueError for a fault."""
        window = Window.open(self.writer)
        joint = self.joint
        events = self.decider.decide(joint.body, loaded.states, loaded.claims)
        events = {name: given for name, given in events.items() if given}
        if not events:
            return _Decided(window, [], [])
        if events.keys() != joint.streams.keys():
            raise ValueError("a joint decision gives an event to each stream that it rests on")
        recorded = self.writer.clock.at_system(window.moment)
        encoder = Encoder(self.writer.service, recorded, self.keys, loaded.passing)
        streams = []
        for name, subject in joint.streams.items():
            stream = Growth(name, loaded.heads[name], loaded.states[name])
            origin = JointOrigin(subject or name, subject, joint.causation)
            stream.add(events[name], origin, encoder)
            streams.append(stream)
        streams[0].mark(joint.id, joint.hash)
        return _Decided(window, streams, self.decider.changes(joint.body, events, loaded.claims))


def _held(events: Sequence[EventData]) -> Callable[[str], bool]:
    """Passes over the tokens that the events hold, and over no other text."""
    held = {
        token
        for data in events
        if (paths := pii_paths(type(data)))
        for token in tokens(data.model_dump(mode="json", exclude_none=True), paths)
    }
    return held.__contains__
