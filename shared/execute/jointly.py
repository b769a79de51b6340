"""Many commands, each over several streams: each is recorded whole or not at all.

What `Writer.together` promises for one command, here for a batch of them in the round trips of one:
known commands, histories, claims where there are some, and the append. Commands that share a stream
are decided one after the other on what the ones before gave, and are written in one piece; others
do not wait for each other. A decision need not give an event to every stream that it has seen; one
that does not is no promise about that stream.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from shared.decider import NewEvent, Refused
from shared.eventstore import Append, Claim, ClaimChange, Commit, Head
from shared.execute.commands import Done, Outcome, answered
from shared.execute.growth import (
    MAX_COMMIT_BYTES,
    Encoder,
    Growth,
    KeysWanted,
    count_recorded,
)
from shared.execute.rounds import Means, Window, in_rounds
from shared.execute.together import Joint, JointDecider, JointOrigin
from shared.keyring import Keys

BodyT = TypeVar("BodyT")
StateT = TypeVar("StateT")


@dataclass(slots=True)
class _Decided(Generic[StateT]):
    """What a round comes to; `of` names for each stream the piece in which it is written."""

    window: Window
    encoder: Encoder
    streams: Mapping[str, Growth[StateT]]
    claims: dict[str, Claim]
    changes: dict[str, list[ClaimChange]] = field(default_factory=dict)
    settled: dict[int, Outcome] = field(default_factory=dict)
    of: dict[str, str] = field(default_factory=dict)

    def piece(self, stream: str) -> str:
        """The piece that a stream is written in: the name of one of its streams."""
        while (further := self.of.get(stream, stream)) != stream:
            stream = further
        return stream

    def join(self, streams: Sequence[str]) -> None:
        """Let them be written in one piece."""
        for stream in streams:
            self.of[self.piece(stream)] = self.piece(streams[0])

    def pieces(self) -> Sequence[tuple[Sequence[Growth[StateT]], Append]]:
        """What has grown, and how it is appended."""
        grown: dict[str, list[Growth[StateT]]] = {}
        for stream in self.streams.values():
            if stream.events:
                grown.setdefault(self.piece(stream.name), []).append(stream)
        changes: dict[str, list[ClaimChange]] = {}
        for name, found in self.changes.items():
            changes.setdefault(self.piece(name), []).extend(found)
        return [(each, self._append(each, changes.get(name, []))) for name, each in grown.items()]

    def _append(self, grown: Sequence[Growth[StateT]], changes: Sequence[ClaimChange]) -> Append:
        commits: list[Commit] = [stream.commit(self.window) for stream in grown]
        return Append(commits[0], tuple(changes), tuple(commits[1:]))


@dataclass(slots=True)
class Jointly(Generic[BodyT, StateT]):
    """One call of `Writer.jointly`."""

    writer: Means
    decider: JointDecider[BodyT, StateT]
    joints: Sequence[Joint[BodyT]]
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    keys: Keys = field(default_factory=dict)

    async def run(self) -> Sequence[Outcome]:
        """Outcomes in the order of the commands. Raises `StoreUnavailable`."""
        if len({joint.id for joint in self.joints}) < len(self.joints):
            message = "a batch has each command once"
            raise ValueError(message)
        await in_rounds(self._round, lambda: len(self.joints) - len(self.outcomes))
        return [self.outcomes[index] for index in range(len(self.joints))]

    async def _round(self) -> None:
        left = [index for index in range(len(self.joints)) if index not in self.outcomes]
        pending = await self._unknown(left)
        if not pending:
            return
        names = sorted({name for index in pending for name in self.joints[index].streams})
        histories = await self.writer.histories(names)
        streams = {}
        for name in names:
            events, head = histories.get(name, ([], Head()))
            streams[name] = Growth(name, head, self.decider.of.fold(events))
        claims = await self._claims(pending, streams)
        decided = await self._decided(pending, streams, claims)
        if await self._append(decided):
            unknown = await self._unknown(list(decided.settled))
            self.outcomes.update({index: decided.settled[index] for index in unknown})

    async def _unknown(self, pending: Sequence[int]) -> list[int]:
        """Settle those that are recorded; gives the others."""
        if not pending:
            return []
        known = await self.writer.store.known([self.joints[index].id for index in pending])
        for index in pending:
            joint = self.joints[index]
            if joint.id in known:
                self.outcomes[index] = answered(known[joint.id], joint.hash)
        return [index for index in pending if index not in self.outcomes]

    async def _claims(
        self, pending: Sequence[int], streams: Mapping[str, Growth[StateT]]
    ) -> Mapping[str, Claim]:
        ids: set[str] = set()
        for index in pending:
            joint = self.joints[index]
            states = {name: streams[name].loaded for name in joint.streams}
            ids |= set(self.decider.claim_ids(joint.body, states))
        return await self.writer.store.claims(sorted(ids)) if ids else {}

    async def _decided(
        self,
        pending: Sequence[int],
        streams: Mapping[str, Growth[StateT]],
        claims: Mapping[str, Claim],
    ) -> _Decided[StateT]:
        try:
            return self._decide_all(pending, streams, claims)
        except KeysWanted:
            subjects = {
                subject
                for index in pending
                for subject in self.joints[index].streams.values()
                if subject is not None
            }
            self.keys = await self.writer.keyring.ensure(subjects)
            return self._decide_all(pending, streams, claims)

    def _decide_all(
        self,
        pending: Sequence[int],
        streams: Mapping[str, Growth[StateT]],
        claims: Mapping[str, Claim],
    ) -> _Decided[StateT]:
        """Decide in order, each on what the ones before it gave. Raises `KeysWanted`."""
        window = Window.open(self.writer)
        recorded = self.writer.clock.at_system(window.moment)
        fresh = {name: Growth(name, each.head, each.loaded) for name, each in streams.items()}
        encoder = Encoder(self.writer.service, recorded, self.keys)
        decided = _Decided(window, encoder, fresh, dict(claims))
        for index in pending:
            joint = self.joints[index]
            if any(fresh[name].size > MAX_COMMIT_BYTES for name in joint.streams):
                continue
            try:
                done = self._decide(joint, decided)
            except Refused as refusal:
                decided.settled[index] = refusal
                continue
            if done is not None:
                decided.settled[index] = done
        return decided

    def _decide(self, joint: Joint[BodyT], decided: _Decided[StateT]) -> Done | None:
        """Let the streams grow by one command; Done when it gives nothing."""
        streams = decided.streams
        states = {name: streams[name].state(self.decider.of) for name in joint.streams}
        events = self.decider.decide(joint.body, states, decided.claims)
        events = {name: given for name, given in events.items() if given}
        first = streams[next(iter(joint.streams))]
        if not events:
            return Done(first.name, first.version, changed=False)
        if first.name not in events:
            message = "the stream that answers gets an event, or none does"
            raise ValueError(message)
        self._grow(joint, events, decided)
        first.mark(joint.id, joint.hash)
        changes = self.decider.changes(joint.body, events, decided.claims)
        for change in changes:
            decided.claims[change.id] = Claim(change.id, change.owner, change.epoch)
        decided.changes.setdefault(first.name, []).extend(changes)
        # What changes a claim after another one in this round must be written after it.
        decided.join([*events, *(f"claim {change.id}" for change in changes)])
        return None

    def _grow(
        self,
        joint: Joint[BodyT],
        events: Mapping[str, Sequence[NewEvent]],
        decided: _Decided[StateT],
    ) -> None:
        """All of its events, or, where one of them is refused, none."""
        encoded = {}
        for name, given in events.items():
            subject = joint.streams[name]
            origin = JointOrigin(subject or name, subject, joint.causation)
            version = decided.streams[name].version
            encoded[name] = (origin, decided.encoder.texts(name, version, origin, given))
        for name, given in events.items():
            origin, texts = encoded[name]
            decided.streams[name].take(given, origin, texts)

    async def _append(self, decided: _Decided[StateT]) -> bool:
        """Append what has grown; says whether all got in."""
        pieces = decided.pieces()
        if not pieces:
            return True
        async with asyncio.timeout_at(decided.window.deadline):
            results = await self.writer.store.append([append for _, append in pieces])
        recorded = [
            stream
            for (grown, _), got_in in zip(pieces, results, strict=True)
            if got_in
            for stream in grown
        ]
        index_of = {joint.id: index for index, joint in enumerate(self.joints)}
        for stream in recorded:
            for mark in stream.marks:
                self.outcomes[index_of[mark.id]] = Done(stream.name, mark.version)
        count_recorded(recorded)
        return all(results)
