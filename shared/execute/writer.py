"""The writer: what handlers carry out commands with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import msgspec

from shared.claims import ClaimPolicy
from shared.clock import Clock
from shared.decider import Decider, Refused
from shared.envelope import decode
from shared.events import EVENT_TYPES
from shared.events.contract import EventData, pii_paths
from shared.eventstore import EventStore, Head
from shared.execute.batch import Batch
from shared.execute.commands import Command, Done, Outcome
from shared.execute.heads import RememberedHeads
from shared.execute.jointly import Jointly
from shared.execute.together import Joint, JointDecider, Together
from shared.keyring import Keyring, Keys, key_ids, redact, unseal

BodyT = TypeVar("BodyT")
StateT = TypeVar("StateT")


@dataclass(frozen=True, slots=True)
class Writer:
    """Carries out commands of one service on its store."""

    store: EventStore
    keyring: Keyring
    clock: Clock
    service: str
    append_deadline: timedelta = timedelta(seconds=2)
    heads: RememberedHeads = field(default_factory=RememberedHeads, compare=False, repr=False)

    async def one(
        self,
        decider: Decider[BodyT, StateT],
        command: Command[BodyT],
        claims: ClaimPolicy[BodyT] | None = None,
        *,
        sealed: bool = False,
    ) -> Done:
        """Carry out one command, as `many` does. Raises its refusal."""
        (outcome,) = await self.many(decider, [command], claims=claims, sealed=sealed)
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
        sealed: bool = False,
    ) -> Sequence[Outcome]:
        """Carry out a batch; the outcomes are in the order of the commands.

        `stateless` spares reading histories: the decider then sees its initial state only. With
        `sealed` it sees personal fields as tokens, and every text of its events that is a token is
        recorded as it is, to be read with the key that it names: only for commands whose personal
        values all come from events, never from a caller.
        Raises `StoreUnavailable`; what was recorded by then is known at the next try.
        """
        return await Batch(self, decider, commands, claims, stateless, sealed).run()

    async def together(
        self, decider: JointDecider[BodyT, StateT], joint: Joint[BodyT], *, sealed: bool = False
    ) -> Done:
        """Carry out one command over several streams: all of it is recorded, or nothing.

        Each stream gets an event, or none does (`changed` is False then). With `sealed` the
        states hold personal fields as tokens, and those that the streams hold are recorded as
        they are; any other text is sealed, whatever it looks like.
        Raises its refusal, `StoreUnavailable`, and ValueError for a decider that leaves out a
        stream.
        """
        return await Together(self, decider, joint, sealed).run()

    async def jointly(
        self, decider: JointDecider[BodyT, StateT], joints: Sequence[Joint[BodyT]]
    ) -> Sequence[Outcome]:
        """Carry out a batch of commands over several streams; each is recorded whole or not at all.

        The outcomes are in the order of the commands, which are decided one after the other. The
        first stream of each gets an event, or none of its streams does. `expected` is not looked
        at. Raises `StoreUnavailable`, and ValueError for a decider that gives the first none.
        """
        return await Jointly(self, decider, joints).run()

    async def state(self, decider: Decider[BodyT, StateT], stream: str) -> tuple[StateT, int]:
        """The folded state of a stream and its version (0 when it does not exist)."""
        histories = await self.histories([stream])
        events, head = histories.get(stream, ([], Head()))
        return decider.fold(events), head.version

    async def histories(
        self, streams: Sequence[str], *, sealed: bool = False
    ) -> Mapping[str, tuple[Sequence[EventData], Head]]:
        """The events of the streams with personal fields in the clear, and the heads.

        With `sealed` they are tokens. Those of an erased key are absent in both.
        """
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
                (redact if sealed else unseal)(data, pii_paths(model), keys)
                events.append(model.model_validate(data))
            last = commits[stream][-1]
            result[stream] = (events, Head(last.seq, last.version, last.redirect))
        return result
