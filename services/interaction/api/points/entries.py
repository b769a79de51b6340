"""One entry of a ledger as it is shown."""

from typing import Any

from pydantic import BaseModel, Field

from services.interaction.queries.points import LedgerEvent
from shared.events.contract import EventData, Moment
from shared.events.points import (
    DebtPaid,
    PointsEarned,
    PointsExpired,
    PointsGivenBack,
    PointsGranted,
    PointsMovedIn,
    PointsMovedOut,
    PointsReversed,
    PointsSpent,
    PointsWithdrawn,
    SpendingPaid,
)

FAMILY, VERSION = "points.", ".v1"


class EntryView(BaseModel):
    """An entry; fields that its kind does not have are null."""

    version: int = Field(description="of the ledger after it")
    kind: str = Field(description="the event's name, such as `earned`, `spent`, `expired`")
    points: int = Field(description="that come, or go when below 0")
    time: Moment = Field(description="when it happened")
    recorded: Moment
    branch: str | None
    fact: str | None = Field(default=None, description="the receipt")
    why: str | None = None
    usable_from: Moment | None = None
    expires: Moment | None = None
    lapses: Moment | None = Field(default=None, description="if the receipt does not come")
    other: str | None = Field(default=None, description="the customer at the other end of a move")
    reason: str | None = Field(default=None, description="of a change by hand")
    by: str | None = Field(default=None, description="who made it")


def entry_view(event: LedgerEvent) -> EntryView:
    """The view of an entry."""
    points, more = _told(event.data)
    return EntryView(
        version=event.version,
        kind=event.data.type.removeprefix(FAMILY).removesuffix(VERSION),
        points=points,
        time=event.time,
        recorded=event.recorded,
        branch=event.branch,
        **more,
    )


def _told(data: EventData) -> tuple[int, dict[str, Any]]:
    """Points that come or go, with what is owed counted below 0; and what the kind tells."""
    match data:
        case PointsEarned():
            return data.points, {
                "fact": data.fact,
                "usable_from": data.usable_from,
                "expires": data.expires,
            }
        case PointsGranted():
            return data.points, {
                "usable_from": data.usable_from,
                "expires": data.expires,
                "reason": data.reason,
                "by": data.by,
            }
        case PointsWithdrawn():
            return -data.points, {"reason": data.reason, "by": data.by}
        case PointsSpent():
            return -data.points, {"fact": data.spending, "lapses": data.lapses}
        case PointsGivenBack():
            return data.points, {"fact": data.spending, "why": data.why}
        case PointsReversed():
            return -data.points, {"fact": data.fact, "why": data.why, "other": data.to}
        case _:
            return _told_of_time_and_moves(data)


def _told_of_time_and_moves(data: EventData) -> tuple[int, dict[str, Any]]:
    match data:
        case PointsExpired():
            return -data.points, {}
        case SpendingPaid():
            return 0, {"fact": data.spending}
        case PointsMovedOut():
            return data.debt - data.points, {"why": data.why, "other": data.to}
        case PointsMovedIn():
            owed = sum(each.points for each in data.debts)
            return data.points - owed, {"why": data.why, "other": data.other}
        case DebtPaid():
            # What is left and what is owed shrink alike.
            return 0, {}
        case _:
            message = f"a ledger of points has no event {data.type}"
            raise TypeError(message)
