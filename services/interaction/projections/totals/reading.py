"""What totals read of facts: structs of just the fields that are added up."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from shared.envelope import Zoned
from shared.events.interaction import (
    MisuseLifted,
    MisuseSuspected,
    ReceiptRecorded,
    ReceiptReturned,
    ReceiptVoided,
    VisitRecorded,
)
from shared.events.moving import FactWithdrawn, StreamClosed
from shared.moves import MOVES, MovedFacts, Withdrawn

CAME = frozenset({"kept", "walked_in"})
"""States of a visit in which somebody was there."""


class Line(msgspec.Struct, gc=False):
    """Of a line of a receipt, or of what is given back of one; amounts in minor units."""

    amount: int
    cost: int | None = None
    categories: tuple[str, ...] | None = None


class Receipt(msgspec.Struct, gc=False):
    """Of `interaction.receipt_recorded`."""

    fact: str
    total: int
    lines: Sequence[Line]
    tips: int | None = None


class Returned(msgspec.Struct, gc=False):
    """Of `interaction.receipt_returned`."""

    total: int
    lines: Sequence[Line]


class Voided(msgspec.Struct, gc=False):
    """Of `interaction.receipt_voided`: what had not been returned."""

    bought: Zoned
    bought_at: str
    total: int
    lines: Sequence[Line]
    tips: int | None = None


class Visit(msgspec.Struct, gc=False):
    """Of `interaction.visit_recorded`."""

    state: str
    at: datetime | None = None


class Closed(msgspec.Struct, gc=False):
    """Of `interaction.stream_closed`."""


class Suspected(msgspec.Struct, gc=False):
    """Of `interaction.misuse_suspected`."""

    day: str
    count: int
    limit: int


class Lifted(msgspec.Struct, gc=False):
    """Of `interaction.misuse_lifted`."""

    days: Sequence[str]


FACTS: Mapping[str, type[msgspec.Struct]] = {
    ReceiptRecorded.type: Receipt,
    ReceiptReturned.type: Returned,
    ReceiptVoided.type: Voided,
    VisitRecorded.type: Visit,
}
READS: Mapping[str, type[msgspec.Struct]] = {
    **FACTS,
    **MOVES,
    FactWithdrawn.type: Withdrawn,
    StreamClosed.type: Closed,
    MisuseSuspected.type: Suspected,
    MisuseLifted.type: Lifted,
}
MOVED = MovedFacts(FACTS)
