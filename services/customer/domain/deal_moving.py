"""A deal goes on with another customer: the end of its stream and the beginning of the next.

Both are one transaction, and rest on the stream as it is: whatever is said of the deal meanwhile
comes before the end, and is told in the beginning of the next stream; whatever comes later finds
the end. So nothing is stranded, and nothing is lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.customer.domain.deal import Deal
from services.customer.domain.deal_stays import Stay, stays_after
from services.customer.domain.dealing import DEAL, OUTDATED, Continue, Transfer
from shared.decider import NewEvent, Refused
from shared.events.contract import EventData
from shared.events.deal import (
    DealContinued,
    DealLost,
    DealOpened,
    DealReopened,
    DealStageMoved,
    DealWon,
    Origin,
    Visit,
)
from shared.eventstore import Claim


@dataclass(frozen=True, slots=True)
class Past:
    """What the times of a deal's events tell: stays in stages, opening and close.

    `version` is that of the stream that it was read from.
    """

    version: int
    visits: tuple[Visit, ...]
    opened: datetime
    closed: datetime | None


@dataclass(frozen=True, slots=True)
class Move:
    """Let a deal go on in another stream, with another customer.

    `origins` are the merges that brought it there, as they are after the move.
    """

    source: str
    target: str
    customer: str
    merge: str
    origins: tuple[Origin, ...]
    past: Past
    at: datetime


def past_of(events: Sequence[tuple[datetime, EventData]]) -> Past:
    """What the events of a stream tell of times."""
    stays: list[Stay] = []
    opened, closed = events[0][0], None
    for time, data in events:
        match data:
            case DealContinued(visits=visits):
                stays = [Stay(each.stage, each.entered, each.left, each.next) for each in visits]
                opened, closed = data.opened, data.closed
            case DealOpened() | DealStageMoved() | DealWon() | DealLost() | DealReopened():
                stays = stays_after(stays, data.type, data.stage, time)
                closed = time if isinstance(data, DealWon | DealLost) else None
    visits = tuple(
        Visit(stage=each.stage, entered=each.entered, left=each.left, next=each.next)
        for each in stays
    )
    return Past(len(events), visits, opened, closed)


def decide(
    move: Move, states: Mapping[str, Deal], _claims: Mapping[str, Claim]
) -> Mapping[str, Sequence[NewEvent]]:
    """The end and the beginning; nothing where the deal has gone already.

    Raises `Refused` (`OUTDATED`) where the stream is not the one that the times were read from.
    """
    deal, following = states[move.source], states[move.target]
    if not deal.opened or deal.moved is not None or following.opened:
        return {}
    if deal.version != move.past.version:
        raise Refused(OUTDATED, 409, "The deal has changed by now.")
    ending = Transfer(
        deal=deal.id, at=move.at, stream=move.target, customer=move.customer, merge=move.merge
    )
    beginning = Continue(deal=deal.id, at=move.at, continued=_continued(move, deal))
    return {
        move.source: DEAL.decide(ending, deal),
        move.target: DEAL.decide(beginning, following),
    }


def _continued(move: Move, deal: Deal) -> DealContinued:
    return DealContinued(
        deal=deal.id,
        generation=deal.generation + 1,
        merge=move.merge,
        origins=move.origins,
        pipeline=deal.pipeline,
        stage=deal.stage,
        status=deal.status,
        visits=move.past.visits,
        terms=deal.terms,
        words=deal.words,
        responsible=deal.responsible,
        opened=move.past.opened,
        closed=move.past.closed,
        lost_reason=deal.lost_reason,
        lost_comment=deal.lost_comment,
    )
