"""What can be done about suspicions of misuse: load, decide, append, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from services.interaction.domain.misuse import (
    MISUSE,
    LiftMisuse,
    SuspectMisuse,
    misuse_stream,
)
from services.interaction.projections.totals import CustomerTotals, Suspicion
from shared.decider import Refused
from shared.envelope import Causation
from shared.eventstore import body_hash
from shared.execute import Command, Outcome, Writer
from shared.readmodel import RawDocument

Misuse = SuspectMisuse | LiftMisuse


@dataclass(frozen=True, slots=True)
class TellMisuse:
    """Tells what totals have noticed, each day of each customer once."""

    writer: Writer

    async def __call__(self, found: Sequence[RawDocument], _until: datetime) -> None:
        """Tell the suspicions of documents. Raises `Refused` where one cannot be told."""
        everybody = [msgspec.convert(raw, CustomerTotals) for raw in found]
        commands = [
            _telling(totals, each)
            for totals in everybody
            for each in totals.suspicions
            if each.waits and each.at is not None
        ]
        for outcome in await self.writer.many(MISUSE, commands) if commands else ():
            if isinstance(outcome, Refused):
                raise outcome


async def lift_misuse(writer: Writer, command_id: str, who: str, lift: LiftMisuse) -> Outcome:
    """Take back all that is suspected of somebody."""
    command: Command[Misuse] = Command(
        id=command_id,
        hash=body_hash({"lift": who}),
        stream=misuse_stream(who),
        key=who,
        body=lift,
        causation=Causation(correlation=command_id),
    )
    (outcome,) = await writer.many(MISUSE, [command])
    return outcome


def _telling(totals: CustomerTotals, suspicion: Suspicion) -> Command[Misuse]:
    command_id = f"misuse|{totals.id}|{suspicion.day}"
    told = SuspectMisuse(
        day=suspicion.day,
        count=suspicion.count,
        limit=suspicion.limit,
        at=suspicion.at,  # type: ignore[arg-type]  # only those that wait, which have a moment
        fact=suspicion.fact,
    )
    return Command(
        id=command_id,
        hash=body_hash({"day": suspicion.day}),
        stream=misuse_stream(totals.id),
        key=totals.id,
        body=told,
        causation=Causation(correlation=command_id),
        subject=None if totals.unknown else totals.id,
    )
