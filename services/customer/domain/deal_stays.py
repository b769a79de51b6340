"""The stages that a deal has been in, with the time of each stay."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from services.customer.domain.pipeline import LOST, WON
from shared.events.deal import (
    DealLost,
    DealOpened,
    DealReopened,
    DealStageMoved,
    DealWon,
)

OUTCOMES = {DealWon.type: WON, DealLost.type: LOST}


class Stay(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """In a stage from `entered` on; `next` is the stage that followed, `won` or `lost`.

    `left` and `next` are absent while it lasts; `milliseconds` is its length, once it is over.
    """

    stage: str
    entered: datetime
    left: datetime | None = None
    next: str | None = None
    milliseconds: int | None = None


def stays_after(stays: Sequence[Stay], kind: str, stage: str, time: datetime) -> list[Stay]:
    """The stays after an event of the deal that names a stage."""
    if kind in OUTCOMES:
        return _ended(stays, OUTCOMES[kind], time)
    if kind == DealStageMoved.type:
        return [*_ended(stays, stage, time), Stay(stage, time)]
    if kind in {DealOpened.type, DealReopened.type}:
        return [*stays, Stay(stage, time)]
    message = f"{kind} neither begins nor ends a stay"
    raise ValueError(message)


def _ended(stays: Sequence[Stay], following: str, time: datetime) -> list[Stay]:
    last = stays[-1]
    return [
        *stays[:-1],
        Stay(last.stage, last.entered, time, following, milliseconds_between(last.entered, time)),
    ]


def milliseconds_between(begin: datetime, end: datetime) -> int:
    """The time between, in whole milliseconds."""
    between = end - begin
    return between.days * 86_400_000 + between.seconds * 1000 + between.microseconds // 1000
