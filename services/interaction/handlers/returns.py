"""Returns and voids: find the receipt where it is now, decide on what is left of it, append."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.interaction.domain.facts import FACTS
from services.interaction.domain.held import Held, held
from services.interaction.domain.returns import TakeBack, decide_taking_back
from services.interaction.domain.streams import customer_of
from shared.decider import NewEvent, Refused
from shared.envelope import Causation
from shared.eventstore import Claim
from shared.execute import Done, Joint, JointDecider, Outcome, Writer
from shared.execute.commands import MOVED_ON

ATTEMPTS = 20
PAUSE_SECONDS = 0.1
UNKNOWN_RECEIPT = Refused(
    "unknown-receipt",
    409,
    "There is no such receipt yet.",
    "send the receipt first, then this again",
)
UNDER_WAY = Refused(
    "receipt-under-way",
    409,
    "The receipt is just changing hands.",
    "send the same again a little later",
)


@dataclass(frozen=True, slots=True)
class SentReturn:
    """A return or void as it was sent; `receipt` is the id of the command that recorded it."""

    command: TakeBack
    receipt: str
    hash: str


def _as_decided(
    body: Mapping[str, Sequence[NewEvent]],
    _states: Mapping[str, None],
    _claims: Mapping[str, Claim],
) -> Mapping[str, Sequence[NewEvent]]:
    return body


_DECIDED: JointDecider[Mapping[str, Sequence[NewEvent]], None] = JointDecider(FACTS, _as_decided)


@dataclass(frozen=True, slots=True)
class Returns:
    """Records what customers give back."""

    writer: Writer

    async def record(
        self, sent: Sequence[SentReturn], import_id: str | None = None
    ) -> Sequence[Outcome]:
        """Record them one after another, as one may rest on the one before."""
        return [await self._record(each, import_id) for each in sent]

    async def _record(self, sent: SentReturn, import_id: str | None) -> Outcome:
        try:
            return await self._taken(sent, import_id)
        except Refused as refusal:
            return refusal

    async def _taken(self, sent: SentReturn, import_id: str | None) -> Done:
        for _ in range(ATTEMPTS):
            place = await self._find(sent)
            if isinstance(place, str):
                # It was recorded: the answer is in that commit, whatever became of the receipt.
                return await self._append(sent, Held(place), [], import_id)
            if place is not None:
                try:
                    events = decide_taking_back(sent.command, place)
                    return await self._append(sent, place, events, import_id)
                except Refused as refusal:
                    if refusal.type != MOVED_ON:
                        raise
            await asyncio.sleep(PAUSE_SECONDS)
        raise UNDER_WAY

    async def _find(self, sent: SentReturn) -> Held | str | None:
        """What the stream holds that has the receipt; None while it is between two of them.

        The name of a stream where the command itself is recorded. Raises `Refused` for no receipt.
        """
        known = await self.writer.store.known([sent.receipt, sent.command.id])
        if sent.command.id in known:
            return known[sent.command.id].stream
        if sent.receipt not in known:
            raise UNKNOWN_RECEIPT
        stream, seen = known[sent.receipt].stream, set[str]()
        while stream not in seen:
            seen.add(stream)
            commits = await self.writer.store.read([stream])
            found = held(stream, commits.get(stream, ()))
            place = found.whereabouts(sent.command.receipt)
            if place == stream:
                return found
            if place is None:
                return None
            stream = place
        return None

    async def _append(
        self, sent: SentReturn, place: Held, events: Sequence[NewEvent], import_id: str | None
    ) -> Done:
        customer = customer_of(place.stream)
        joint = Joint(
            id=sent.command.id,
            hash=sent.hash,
            streams={place.stream: customer},
            body={place.stream: events},
            causation=Causation(correlation=sent.command.id, history=import_id),
            expected={place.stream: place.version},
        )
        return await self.writer.together(_DECIDED, joint)
