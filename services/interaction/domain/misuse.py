"""Suspicions of misuse: one card on too many receipts a day. Each day is told once, for ever.

Totals notice such a day (`services/interaction/projections/totals`), this stream decides whether it
is news: a day that was told, or that a person has lifted, is not told again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.decider import Decider, NewEvent, Refused
from shared.events.contract import EventData
from shared.events.interaction import MisuseLifted, MisuseSuspected

MISUSE_STREAM = "misuse-"
NOTHING_TO_LIFT = Refused("not-suspected", 409, "Nothing is suspected here.")


def misuse_stream(who: str) -> str:
    """The stream of what is suspected of a customer, or of an unknown one's stream."""
    return MISUSE_STREAM + who


def doubted(stream: str) -> str | None:
    """Whom the suspicions of a stream are about; None for a stream of something else."""
    if stream.startswith(MISUSE_STREAM):
        return stream.removeprefix(MISUSE_STREAM)
    return None


@dataclass(frozen=True, slots=True)
class Doubts:
    """The days that were told, and whether each is suspected still."""

    days: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SuspectMisuse:
    """Tell that there were too many receipts on a day, noticed at a moment."""

    day: str
    count: int
    limit: int
    at: datetime
    fact: str | None = None


@dataclass(frozen=True, kw_only=True)
class LiftMisuse:
    """Take back all that is suspected."""

    at: datetime
    by: str | None = None


def _decide(command: SuspectMisuse | LiftMisuse, doubts: Doubts) -> Sequence[NewEvent]:
    match command:
        case SuspectMisuse():
            if command.day in doubts.days:
                return []
            told = MisuseSuspected(
                day=command.day, count=command.count, limit=command.limit, fact=command.fact
            )
            return [NewEvent(told, command.at)]
        case LiftMisuse():
            days = tuple(sorted(day for day, suspected in doubts.days.items() if suspected))
            if not days:
                raise NOTHING_TO_LIFT
            return [NewEvent(MisuseLifted(days=days, by=command.by), command.at)]


def _evolve(doubts: Doubts, data: EventData) -> Doubts:
    match data:
        case MisuseSuspected(day=day):
            return replace(doubts, days={**doubts.days, day: True})
        case MisuseLifted(days=days):
            return replace(doubts, days={**doubts.days, **dict.fromkeys(days, False)})
        case _:
            return doubts


MISUSE: Decider[SuspectMisuse | LiftMisuse, Doubts] = Decider(Doubts, _decide, _evolve)
