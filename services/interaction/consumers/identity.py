"""Kafka in: who becomes known, turns out to be somebody else, or must be forgotten.

Facts wait under identifiers, and customers get identifiers: two partitions, read apart. Nothing is
missed between them, because each side looks at the other's read model only after its own has what
it reacts to. Of a fact and a registration at the same moment, one at least sees the other.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
import structlog

from services.interaction.consumers.reacting import Subscription
from services.interaction.domain.streams import UNKNOWN_STREAM
from services.interaction.handlers.moves import Mover
from services.interaction.projections.identifiers import Absorbed, Added, Registered, Reverted
from services.interaction.projections.waiting import Identified, claims_of
from services.interaction.queries.customers import Owners
from services.interaction.queries.waiting import WaitingStreams, behind
from shared import telemetry
from shared.envelope import UNREADABLE, Causation, Light, decode_light, glimpse_type
from shared.events.customer import CustomerRegistered, IdentifierAdded
from shared.events.interaction import FACTS
from shared.events.merging import CustomerAbsorbed, CustomerErased, CustomerMerged, MergeReverted
from shared.identifiers import claim_id
from shared.mongo import Collection
from shared.records import RawRecord

KNOWN_GROUP = "interaction.identity"
WAITING_GROUP = "interaction.adoption"
PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.05

_IDENTIFYING: Mapping[str, type[msgspec.Struct]] = {
    CustomerRegistered.type: Registered,
    IdentifierAdded.type: Added,
    CustomerAbsorbed.type: Absorbed,
    MergeReverted.type: Reverted,
}

DataT = TypeVar("DataT", bound=msgspec.Struct)

log = structlog.stdlib.get_logger(__name__)


class Merged(msgspec.Struct):
    """What is read of `customer.merged`."""

    survivor: str


class Undone(msgspec.Struct):
    """What is read of `customer.merge_reverted`."""

    role: str
    other: str


class Erased(msgspec.Struct):
    """What is read of `customer.erased`."""

    erase: str


_TURNING: Mapping[str, type[msgspec.Struct]] = {
    CustomerMerged.type: Merged,
    MergeReverted.type: Undone,
    CustomerErased.type: Erased,
}
_CUSTOMER_TYPES = frozenset(_IDENTIFYING.keys() | _TURNING.keys())
_FACT_TYPES = frozenset(kind.type for kind in FACTS)


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose facts are whose; `identifiers` is the collection of the read model."""

    mover: Mover
    owners: Owners
    waiting: WaitingStreams
    identifiers: Collection
    _patience: float = field(default=PATIENCE_SECONDS)

    def subscriptions(self) -> Sequence[Subscription]:
        """What is read, and by whom."""
        return [
            Subscription(
                ("customer.events.v1",),
                KNOWN_GROUP,
                self.customers,
                "identity",
                "Facts go to whoever they turn out to be of, also when that is undone.",
            ),
            Subscription(
                ("interaction.events.v1",),
                WAITING_GROUP,
                self.facts,
                "adoption",
                "Facts of somebody unknown are given to whoever has become known meanwhile.",
            ),
        ]

    async def customers(self, records: Sequence[RawRecord]) -> None:
        """React to what happens to customers, in order."""
        events = list(_events(records, _CUSTOMER_TYPES, KNOWN_GROUP))
        await self._caught_up(
            self.identifiers,
            {
                event.subject: (event.stream, event.streamversion)
                for event in events
                if event.subject is not None
            },
        )
        await self._adopt_known(events)
        for event in events:
            await self._turn(event)

    async def facts(self, records: Sequence[RawRecord]) -> None:
        """React to facts of people who are not known."""
        events = [
            event
            for event in _events(records, _FACT_TYPES, WAITING_GROUP)
            if event.stream.startswith(UNKNOWN_STREAM)
        ]
        if not events:
            return
        await self._caught_up(
            self.waiting.collection,
            {event.stream: (event.stream, event.streamversion) for event in events},
        )
        claims: dict[str, dict[str, None]] = {event.stream: {} for event in events}
        for event in events:
            claims[event.stream] |= dict.fromkeys(claims_of(_data(event, Identified)))
        why = {event.stream: Causation.of(event) for event in events}
        await self._adopt({stream: list(ids) for stream, ids in claims.items()}, why)

    async def _adopt_known(self, events: Iterable[Light]) -> None:
        """Give what waits under new identifiers to their owners."""
        why: dict[str, Causation] = {}
        for event in events:
            for claim in _claims(event):
                why[claim] = Causation.of(event)
        streams = await self.waiting.under(why)
        if not streams:
            return
        claims = {stream: [each for each in why if each in ids] for stream, ids in streams.items()}
        await self._adopt(claims, {stream: why[ids[0]] for stream, ids in claims.items()})

    async def _adopt(
        self, claims: Mapping[str, Sequence[str]], why: Mapping[str, Causation]
    ) -> None:
        owners = await self.owners({claim for each in claims.values() for claim in each})
        for stream, ids in claims.items():
            owner = next((owners[claim] for claim in ids if claim in owners), None)
            if owner is not None:
                await self.mover.adopt(stream, owner, why[stream])

    async def _turn(self, event: Light) -> None:
        if event.type not in _TURNING or event.subject is None:
            return
        match _data(event, _TURNING[event.type]):
            case Merged(survivor=survivor):
                await self.mover.merge(event.subject, survivor, Causation.of(event))
            case Undone(role="loser", other=survivor):
                await self.mover.revert(event.subject, survivor, Causation.of(event))
            case Erased(erase=erase):
                await self.mover.forget(event.subject, erase)

    async def _caught_up(
        self, collection: Collection, wanted: Mapping[str, tuple[str, int]]
    ) -> None:
        """Wait until the read model has the events; not for ever, since a key may be parked."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        left = wanted
        while left and (left := await behind(collection, left)):
            if loop.time() > deadline:
                log.error("a read model does not keep up", documents=len(left))
                return
            await asyncio.sleep(PAUSE_SECONDS)


def _events(records: Sequence[RawRecord], types: frozenset[str], group: str) -> Iterable[Light]:
    """The events of these types; what cannot be read is counted and passed over."""
    for record in records:
        value = record.value or b""
        if glimpse_type(value).decode(errors="replace") not in types:
            continue
        try:
            event = decode_light(value)
        except UNREADABLE:
            telemetry.REACTION_PASSED_OVER.labels(group).inc()
            continue
        if event.type in types:
            yield event


def _data(event: Light, kind: type[DataT]) -> DataT:
    return msgspec.json.decode(event.data, type=kind)


def _claims(event: Light) -> list[str]:
    """The identifiers by which the customer is found from now on."""
    kind = _IDENTIFYING.get(event.type)
    if kind is None:
        return []
    match _data(event, kind):
        case (
            Registered(identifiers=found)
            | Absorbed(identifiers=found)
            | Reverted(identifiers=found)
        ):
            return [claim_id(each.kind, each.hash) for each in found]
        case Added(identifier=added):
            return [claim_id(added.kind, added.hash)]
        case _:
            return []
