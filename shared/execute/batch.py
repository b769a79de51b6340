"""One call of `Writer.many`: rounds of load, decide and append until every command is settled."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from shared.claims import ClaimPolicy
from shared.decider import Decider, Refused
from shared.eventstore import Append, Claim, ClaimChange, Head
from shared.execute.commands import Command, Done, Outcome, answered, redirected
from shared.execute.growth import MAX_COMMIT_BYTES, Encoder, Growth, KeysWanted, count_recorded
from shared.execute.rounds import Means, Window, in_rounds
from shared.keyring import Keys, is_token, nothing

BodyT = TypeVar("BodyT")
StateT = TypeVar("StateT")


class _Loaded(msgspec.Struct, Generic[StateT], frozen=True):
    """A stream as it is stored."""

    head: Head
    state: StateT


@dataclass(slots=True)
class _Decided(Generic[StateT]):
    """What a round comes to: streams and claims that change, and outcomes without an append."""

    window: Window
    encoder: Encoder
    streams: Mapping[str, Growth[StateT]]
    claimed: dict[str, Claim]
    changes: dict[str, list[ClaimChange]] = field(default_factory=dict)
    settled: dict[int, Outcome] = field(default_factory=dict)


@dataclass(slots=True)
class Batch(Generic[BodyT, StateT]):
    """One call of `Writer.many`."""

    writer: Means
    decider: Decider[BodyT, StateT]
    commands: Sequence[Command[BodyT]]
    policy: ClaimPolicy[BodyT] | None = None
    stateless: bool = False
    sealed: bool = False
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    first_of: dict[tuple[str, str], int] = field(default_factory=dict)
    keys: Keys = field(default_factory=dict)

    async def run(self) -> Sequence[Outcome]:
        """Outcomes in the order of the commands. Raises `StoreUnavailable`."""
        for index, command in enumerate(self.commands):
            self.first_of.setdefault((command.id, command.hash), index)
        await in_rounds(self._round, lambda: len(self.first_of) - len(self.outcomes))
        return [self._answer(index) for index in range(len(self.commands))]

    def _answer(self, index: int) -> Outcome:
        """The outcome of a command, or that of its twin earlier in the batch."""
        command = self.commands[index]
        first = self.first_of[command.id, command.hash]
        outcome = self.outcomes[first]
        if first == index or isinstance(outcome, Refused):
            return outcome
        return Done(outcome.stream, outcome.version, repeated=True, changed=outcome.changed)

    async def _round(self) -> None:
        """Settle what can be settled: known commands, refusals, and commits that got in."""
        pending = [index for index in self.first_of.values() if index not in self.outcomes]
        pending = await self._settle_known(pending)
        if not pending:
            return
        loaded = await self._load(sorted({self.commands[i].stream for i in pending}))
        claims = await self._claims(pending)
        try:
            decided = self._decide_all(pending, loaded, claims)
        except KeysWanted:
            await self._ensure_keys(pending)
            decided = self._decide_all(pending, loaded, claims)
        if await self._append(decided):
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
        """Decide in order, each on what the ones before it gave. Raises `KeysWanted`."""
        window = Window.open(self.writer)
        decided = _Decided(
            window,
            Encoder(
                self.writer.service,
                self.writer.clock.at_system(window.moment),
                self.keys,
                is_token if self.sealed else nothing,
            ),
            {name: Growth(name, found.head, found.state) for name, found in loaded.items()},
            dict(claims),
        )
        ids: set[str] = set()
        for index in pending:
            command = self.commands[index]
            if decided.streams[command.stream].size > MAX_COMMIT_BYTES or command.id in ids:
                # Of two that differ under one id, the second is compared with what was recorded.
                continue
            ids.add(command.id)
            try:
                done = self._decide(command, decided)
            except Refused as refusal:
                decided.settled[index] = refusal
                continue
            if done is not None:
                decided.settled[index] = done
        return decided

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
            else:
                self.outcomes[index] = answered(record, command.hash)
        return unknown

    async def _load(self, names: Sequence[str]) -> dict[str, _Loaded[StateT]]:
        if self.stateless:
            heads = await self.writer.heads.of(self.writer.store, names)
            return {
                name: _Loaded(heads.get(name, Head()), self.decider.initial()) for name in names
            }
        histories = await self.writer.histories(names, sealed=self.sealed)
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
        sealers = {sealer for i in pending if (sealer := self.commands[i].sealer) is not None}
        self.keys = await self.writer.keyring.ensure(sealers)

    def _decide(self, command: Command[BodyT], decided: _Decided[StateT]) -> Done | None:
        """Grow the stream's commit by the command's events; Done when there are none."""
        stream = decided.streams[command.stream]
        if self.stateless and stream.head.redirect is not None:
            raise redirected(stream.head.redirect)
        body = command.body
        if self.policy is not None:
            body = self.policy.given(body, decided.claimed)
        events = self.decider.decide(body, stream.state(self.decider))
        if not events:
            return Done(command.stream, stream.version, changed=False)
        stream.add(events, command, decided.encoder)
        stream.mark(command.id, command.hash)
        if self.policy is not None:
            for change in self.policy.changes(body, events):
                decided.claimed[change.id] = Claim(change.id, change.owner, change.epoch)
                decided.changes.setdefault(command.stream, []).append(change)
        return None

    async def _append(self, decided: _Decided[StateT]) -> bool:
        """Append the commits of the round; says whether all got in."""
        grown = [stream for stream in decided.streams.values() if stream.events]
        if not grown:
            return True
        appends = [
            Append(stream.commit(decided.window), tuple(decided.changes.get(stream.name, ())))
            for stream in grown
        ]
        async with asyncio.timeout_at(decided.window.deadline):
            results = await self.writer.store.append(appends)
        recorded = [stream for stream, got_in in zip(grown, results, strict=True) if got_in]
        for stream in recorded:
            self._settle(stream)
        if self.stateless:
            lost = zip(grown, results, strict=True)
            self.writer.heads.lost(stream.name for stream, got_in in lost if not got_in)
            self.writer.heads.appended({stream.name: stream.head_after for stream in recorded})
        count_recorded(recorded)
        return len(recorded) == len(grown)

    def _settle(self, stream: Growth[StateT]) -> None:
        for mark in stream.marks:
            self.outcomes[self.first_of[mark.id, mark.hash]] = Done(stream.name, mark.version)
