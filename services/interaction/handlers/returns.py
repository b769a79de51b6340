"""Returns and voids: find the receipt where it is now, decide on what is left of it, append."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from services.interaction.domain.returns import TakeBack, decide_taking_back
from services.interaction.handlers.places import UNDER_WAY, UNKNOWN_FACT, append, locate
from shared.decider import Refused
from shared.envelope import Causation
from shared.eventstore import Known
from shared.execute import Done, Outcome, Writer
from shared.execute.commands import answered

ATTEMPTS = 20
PAUSE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class SentReturn:
    """A return or void as it was sent; `receipt` is the id of the command that recorded it."""

    command: TakeBack
    receipt: str
    hash: str


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
        command = sent.command
        why = Causation(correlation=command.id, history=import_id)
        for _ in range(ATTEMPTS):
            known = await self.writer.store.known([sent.receipt, command.id])
            if command.id in known:
                return _answered(known[command.id], sent.hash)
            if sent.receipt not in known:
                raise UNKNOWN_FACT
            place = await locate(self.writer, known[sent.receipt].stream, command.receipt)
            if place is not None:
                try:
                    events = {place.stream: decide_taking_back(command, place)}
                except Refused:
                    # It may rest on the very same, recorded by another process since it was asked
                    # for.
                    known = await self.writer.store.known([command.id])
                    if command.id in known:
                        return _answered(known[command.id], sent.hash)
                    raise
                versions = {place.stream: place.version}
                done = await append(
                    self.writer, command.id, sent.hash, events=events, versions=versions, why=why
                )
                if done is not None:
                    return done
            await asyncio.sleep(PAUSE_SECONDS)
        raise UNDER_WAY


def _answered(known: Known, sent_hash: str) -> Done:
    """The answer in the commit, whatever became of the receipt. Raises `Refused`."""
    outcome = answered(known, sent_hash)
    if isinstance(outcome, Refused):
        raise outcome
    return outcome
