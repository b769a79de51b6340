"""Moving facts: close or open streams, then bring each fact to the survivor of its home.

Every step is a commit that insists on what was read before, so it may be done again by anybody
after any crash, and two who do it at once cannot do it twice. A stream that facts are still coming
to is left only when that move has ended; whoever finds one unfinished, ends it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.interaction.domain.facts import command_id, fact_id
from services.interaction.domain.held import Held, Kept, held, rehomed
from services.interaction.domain.moving import (
    Close,
    GateCommand,
    Move,
    Reopen,
    chunk_events,
    chunk_id,
    chunks,
    decide_gate,
    ends,
    gate_id,
    homes_of,
    misplaced,
    move_id,
    root_of,
)
from services.interaction.domain.streams import UNKNOWN_STREAM, stream_of
from services.interaction.handlers.places import (
    UNDER_WAY,
    UNKNOWN_FACT,
    Events,
    append,
    locate,
    read,
)
from shared.clock import Clock
from shared.decider import Refused
from shared.envelope import Causation
from shared.events import EVENT_TYPES
from shared.events.contract import pii_paths
from shared.events.moving import AnyMoveReason, MovedFact
from shared.eventstore import body_hash
from shared.execute import Done, Writer
from shared.keyring import key_ids

ATTEMPTS = 200
PAUSE_SECONDS = 0.05


GOES_ALONG = Refused(
    "goes-with-receipt",
    409,
    "What was given back goes with its receipt.",
    "move the receipt",
)

Trees = Callable[[str], Awaitable[Collection[str]]]
"""Gives a customer with all that are one with it, as far as is known."""


class Unsettled(Exception):  # noqa: N818 - a state of the world, tried again by callers
    """Others were moving the same facts for longer than anybody should wait."""


@dataclass(frozen=True, slots=True)
class Mover:
    """Brings facts to where they belong."""

    writer: Writer
    trees: Trees
    clock: Clock

    async def adopt(self, stream: str, customer: str, why: Causation) -> None:
        """Give what an unknown person did to the customer who that is."""
        await self._gate(stream, self._closing(stream, customer, "adopted"), why)
        for _ in range(ATTEMPTS):
            if await self._adopted(stream, why):
                await self._forgotten(stream)
                return
            await asyncio.sleep(PAUSE_SECONDS)
        raise Unsettled

    async def merge(self, loser: str, survivor: str, why: Causation) -> None:
        """Bring what the loser did to whoever lives on, for as long as they are one."""
        stream = stream_of(loser)
        await self._gate(stream, self._closing(stream, survivor, "merged"), why)
        await self.settle(loser, why)

    async def revert(self, loser: str, survivor: str, why: Causation) -> None:
        """Take back what belongs to the loser, who lives on alone again."""
        stream = stream_of(loser)
        move = gate_id(stream)
        await self._gate(stream, Reopen(move=move, at=self.clock.now()), why)
        # While merges and reverts of several customers are heard of in another order than they
        # happened in, streams may be closed in a circle; what could not be settled then, is now.
        together = {*await self.trees(loser), *await self.trees(survivor), survivor}
        for customer in sorted(together):
            await self.settle(customer, why, "reverted")

    async def settle(self, customer: str, why: Causation, reason: AnyMoveReason = "merged") -> None:
        """Move everything out of a customer's stream that belongs to somebody else."""
        for _ in range(ATTEMPTS):
            if await self._settled(stream_of(customer), why, reason):
                return
            await asyncio.sleep(PAUSE_SECONDS)
        raise Unsettled

    async def by_hand(
        self, command: str, place: tuple[str, str | None, str], customer: str, by: str
    ) -> Done:
        """Attribute a fact, with what was given back of it, to another customer.

        `place` is source, branch and id there. Raises `Refused` for a fact that is not there, and
        for what was given back: it goes with its receipt, so that no more of it is given back.
        """
        name, fact = command_id(*place), fact_id(*place)
        for _ in range(ATTEMPTS):
            known = await self.writer.store.known([name])
            if name not in known:
                raise UNKNOWN_FACT
            source = await locate(self.writer, known[name].stream, fact)
            if source is not None:
                kept = source.facts.get(fact)
                if kept is None:
                    raise UNKNOWN_FACT
                if kept.receipt is not None:
                    raise GOES_ALONG
                done = await self._attributed(command, source, fact, customer, by)
                if done is not None:
                    return done
            await asyncio.sleep(PAUSE_SECONDS)
        raise UNDER_WAY

    async def forget(self, customer: str, erase: str) -> None:
        """Destroy the keys of what was adopted by somebody who must be forgotten.

        By whom it was adopted the closed streams say, not whose facts they went to: these may have
        come back since from whoever the customer was merged with.
        """
        place = await read(self.writer, stream_of(customer))
        commits = await self.writer.store.read(sorted(place.adopted | _sealers(place)))
        closed = {
            name: gate.to
            for name, found in commits.items()
            if (gate := held(name, found).closed) is not None
        }
        erased = {customer, *await self.writer.keyring.erased(set(closed.values()))}
        if forgotten := sorted(name for name, to in closed.items() if to in erased):
            await self.writer.keyring.erase(forgotten, erase)

    async def _forgotten(self, stream: str) -> None:
        """Destroy the key of a stream whose customer was erased while it was being adopted.

        The customer's own key goes first: whoever does not see it gone here, is seen by `forget`.
        """
        place = await read(self.writer, stream)
        if place.closed is not None:
            erased = await self.writer.keyring.erased([place.closed.to])
            for erase in erased.values():
                await self.writer.keyring.erase([stream], erase or place.closed.to)

    def _closing(self, stream: str, customer: str, reason: AnyMoveReason) -> Close:
        move = gate_id(stream)
        return Close(to=customer, reason=reason, move=move, at=self.clock.now())

    async def _gate(self, stream: str, command: GateCommand, why: Causation) -> None:
        """Close or open the stream; nothing where it is so already."""
        name = f"{type(command).__name__.lower()}|{stream}|{why.causation or why.correlation}"
        for _ in range(ATTEMPTS):
            place = await read(self.writer, stream)
            events = decide_gate(command, place.closed.to if place.closed is not None else None)
            if not events:
                return
            if await self._append(name, {stream: events}, {stream: place.version}, why):
                return
        raise Unsettled

    async def _adopted(self, stream: str, why: Causation) -> bool:
        """Bring the facts of a closed unknown stream over; False where something was in between.

        The stream grows no more, so its chunks are the same whoever makes them, and go where the
        first of them went.
        """
        source = await read(self.writer, stream)
        if source.closed is None:
            return True
        move = gate_id(stream)
        parts = chunks(
            rehomed(kept, source.home_of(kept) or source.closed.to)
            for kept in source.facts.values()
        )
        if not parts:
            return True
        names = [chunk_id(move, number) for number in range(len(parts))]
        known = await self.writer.store.known(names)
        if len(known) == len(names):
            return True
        settled = True
        if names[0] in known:
            target = known[names[0]].stream
        else:
            roots = await self._roots([source.closed.to])
            target = stream_of(roots.get(source.closed.to, source.closed.to))
            settled = source.closed.to in roots
        moving = Move(id=move, source=stream, target=target, reason="adopted")
        place = await read(self.writer, target)
        if names[0] not in known and settled and place.closed is not None:
            return False
        return await self._bring(moving, parts, {target: place.version}, why, known)

    async def _settled(self, stream: str, why: Causation, reason: AnyMoveReason) -> bool:
        """Move one lot of facts out, or end what is unfinished; True once all is in its place."""
        source = await read(self.writer, stream)
        if source.moves:
            await self._finish(source, why)
            return False
        wrong = misplaced(source, await self._roots(homes_of(source)))
        if not wrong:
            return True
        customer, facts = next(iter(wrong.items()))
        await self._carry(source, customer, facts, why, reason)
        return False

    async def _carry(
        self,
        source: Held,
        customer: str,
        facts: Iterable[Kept],
        why: Causation,
        reason: AnyMoveReason,
    ) -> None:
        """Move facts between two customers, chunk after chunk, as far as nobody comes between."""
        target = stream_of(customer)
        place = await read(self.writer, target)
        if place.closed is not None or place.moves:
            await self._finish(place, why)
            return
        moving = Move(
            id=move_id(source.stream, target, source.version),
            source=source.stream,
            target=target,
            reason=reason,
        )
        versions = {target: place.version, source.stream: source.version}
        await self._bring(moving, chunks(facts), versions, why)

    async def _bring(
        self,
        moving: Move,
        parts: Sequence[Sequence[MovedFact]],
        versions: Mapping[str, int],
        why: Causation,
        known: Collection[str] = (),
    ) -> bool:
        """Append those chunks whose names are not known yet; False where somebody came between."""
        for number, part in enumerate(parts):
            name = chunk_id(moving.id, number)
            if name in known:
                continue
            first, last = number == 0, number == len(parts) - 1
            events = chunk_events(moving, [part], self.clock.now(), first=first, last=last)
            done = await self._append(name, events, versions, why)
            if done is None:
                return False
            grown = {stream: version + len(events[stream]) for stream, version in versions.items()}
            versions = {**grown, done.stream: done.version}
        return True

    async def _finish(self, place: Held, why: Causation) -> None:
        """End what others have begun: what is left is moved anew, to where it belongs now."""
        for begun in place.moves.values():
            if begun.reason == "adopted":
                await self._adopted(begun.other, why)
                continue
            far = await read(self.writer, begun.other)
            if begun.move not in far.moves:
                continue
            await self._append(
                f"move|{begun.move}|end",
                ends(begun, place.stream, self.clock.now()),
                {place.stream: place.version, begun.other: far.version},
                why,
            )

    async def _attributed(
        self, command: str, source: Held, fact: str, customer: str, by: str
    ) -> Done | None:
        """Move a fact by hand; None where somebody came between."""
        roots = await self._roots([customer])
        if customer not in roots:
            return None
        living = roots[customer]
        target = stream_of(living)
        if source.stream == target:
            return Done(target, source.version, changed=False)
        place = await read(self.writer, target)
        if source.moves or place.moves or place.closed is not None:
            return None
        facts = [source.facts[fact], *source.of_receipt(fact)]
        moving = Move(
            id=move_id(source.stream, target, source.version),
            source=source.stream,
            target=target,
            reason="by_hand",
            by=by,
        )
        parts = chunks(rehomed(kept, living) for kept in facts)
        return await append(
            self.writer,
            command,
            body_hash([fact, customer]),
            events=chunk_events(moving, parts, self.clock.now(), first=True, last=True),
            versions={target: place.version, source.stream: source.version},
            why=Causation(correlation=command),
        )

    async def _append(
        self, name: str, events: Events, versions: Mapping[str, int], why: Causation
    ) -> Done | None:
        return await append(
            self.writer, name, body_hash(name), events=events, versions=versions, why=why
        )

    async def _roots(self, customers: Iterable[str]) -> Mapping[str, str]:
        """Who lives on for each of the customers, by how their streams are closed.

        Those are left out who are closed in a circle.
        """
        wanted = set(customers)
        closed: dict[str, str | None] = {}
        unknown = set(wanted)
        while unknown:
            heads = await self.writer.store.heads([stream_of(each) for each in sorted(unknown)])
            for each in unknown:
                head = heads.get(stream_of(each))
                closed[each] = None if head is None else head.redirect
            unknown = {each for each in closed.values() if each is not None} - closed.keys()
        roots = {each: root_of(each, closed) for each in wanted}
        return {each: root for each, root in roots.items() if root is not None}


def _sealers(place: Held) -> set[str]:
    """The streams of somebody unknown whose keys seal texts of facts that are held here."""
    return {
        key
        for kept in place.facts.values()
        for key in key_ids(kept.data, pii_paths(EVENT_TYPES[kept.type]))
        if key.startswith(UNKNOWN_STREAM)
    }
