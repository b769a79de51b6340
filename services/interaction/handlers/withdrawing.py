"""Taking facts back as if they had never happened: receipts by a void, all others by a withdrawal.

Nothing leaves the log. Each is decided on what the fact's stream holds, at a version that the
append insists on, so that what somebody returned meanwhile is not given back twice. The id of the
command is made of the fact's: taken back twice is taken back once.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from services.interaction.domain.facts import command_id
from services.interaction.domain.held import Held, Kept
from services.interaction.domain.returns import TakeBack, decide_taking_back
from services.interaction.domain.streams import customer_of
from services.interaction.handlers.places import append, locate
from shared.clock import Clock
from shared.decider import NewEvent
from shared.envelope import Causation
from shared.events.interaction import ReceiptRecorded, ReceiptVoided
from shared.events.moving import FactWithdrawn
from shared.eventstore import Known, body_hash
from shared.execute import Writer
from shared.keyring import is_token
from shared.side_by_side import side_by_side

ATTEMPTS = 20
PAUSE_SECONDS = 0.1
AT_ONCE = 8
"""Streams that are taken care of side by side."""
SOURCE = "import-reverted"
"""The source of voids and withdrawals, which no caller may name as its own."""
Undone = Literal["voided", "withdrawn", "partly", "kept"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A fact that is to be taken back; `command` is the id of the one that recorded it."""

    fact: str
    command: str


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What became of a fact, and what had been done with it since it was recorded."""

    undone: Undone
    since: tuple[str, ...] = ()


_UNDER_WAY = TakenBack("kept", ("is changing hands: try again later",))
_VOIDED = TakenBack("kept", ("voided",))


@dataclass(frozen=True, slots=True)
class Withdrawals:
    """Takes facts back, in the name of `by`."""

    writer: Writer
    clock: Clock

    async def take_back(self, wanted: Sequence[Wanted], by: str) -> Sequence[TakenBack]:
        """Take them back, those of one stream one after another. Raises `StoreUnavailable`."""
        known = await self.writer.store.known([each.command for each in wanted])
        found: dict[str, TakenBack] = {}

        async def work(mine: Sequence[Wanted]) -> None:
            for each in mine:
                found[each.fact] = await self._one(each, known.get(each.command), by)

        streams: dict[str, list[Wanted]] = {}
        for each in wanted:
            place = known.get(each.command)
            streams.setdefault("" if place is None else place.stream, []).append(each)
        await side_by_side(work, streams.values(), AT_ONCE)
        return [found[each.fact] for each in wanted]

    async def _one(self, wanted: Wanted, recorded: Known | None, by: str) -> TakenBack:
        if recorded is None:
            return TakenBack("kept", ("is not recorded",))
        for _ in range(ATTEMPTS):
            place = await locate(self.writer, recorded.stream, wanted.fact)
            taken = None if place is None else await self._decided(place, wanted, by)
            if taken is not None:
                return taken
            await asyncio.sleep(PAUSE_SECONDS)
        return _UNDER_WAY

    async def _decided(self, place: Held, wanted: Wanted, by: str) -> TakenBack | None:
        """Take back what is held here; None where somebody came between."""
        kept = place.facts.get(wanted.fact)
        if kept is None:
            # Withdrawn before, by this job or by an earlier try of it.
            return TakenBack("withdrawn")
        since = place.of_receipt(wanted.fact)
        returned = ("returned",) if any(each.type != ReceiptVoided.type for each in since) else ()
        undone: Undone = "withdrawn" if kept.type != ReceiptRecorded.type else "voided"
        if returned:
            undone = "partly"
        name = command_id(SOURCE, kept.branch, kept.fact)
        voids = [each for each in since if each.type == ReceiptVoided.type]
        if voids:
            mine = any(each.data["source"] == SOURCE for each in voids)
            return TakenBack(undone, returned) if mine else _VOIDED
        now = self.clock.now()
        events = (
            _withdrawal(place.stream, kept, by, now)
            if kept.type != ReceiptRecorded.type
            else decide_taking_back(_void(kept, now), place)
        )
        done = await append(
            self.writer,
            name,
            body_hash(name),
            events={place.stream: events},
            versions={place.stream: place.version},
            why=Causation(correlation=name),
        )
        return None if done is None else TakenBack(undone, returned)


def _void(kept: Kept, now: datetime) -> TakeBack:
    return TakeBack(
        source=SOURCE,
        source_id=kept.fact,
        branch=kept.branch or "",
        time=now,
        now=now,
        receipt=kept.fact,
        void=True,
    )


def _withdrawal(stream: str, kept: Kept, by: str, now: datetime) -> Sequence[NewEvent]:
    home = kept.home or customer_of(stream) or stream
    fact = kept.moved(home).model_copy(update={"data": _impersonal(kept.data)})
    data = FactWithdrawn(fact=kept.fact, withdrawn=fact, reason="import_reverted", by=by)
    return [NewEvent(data, now, kept.branch)]


def _impersonal(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The same without the texts that are sealed."""
    if isinstance(value, dict):
        return {name: _impersonal(each) for name, each in value.items() if not _sealed(each)}
    if isinstance(value, list):
        return [_impersonal(each) for each in value if not _sealed(each)]
    return value


def _sealed(value: object) -> bool:
    return isinstance(value, str) and is_token(value)
