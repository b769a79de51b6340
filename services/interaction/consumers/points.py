"""Kafka in: what ledgers of points follow. A record that cannot be read is counted and passed over.

Facts of somebody unknown earn nothing before they are adopted: then they come as moved facts, and
belong to the ledger of their home. What somebody else had kept for such a receipt is settled.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from services.interaction.consumers.reacting import Subscription
from services.interaction.domain.points.rules import Sold
from services.interaction.handlers.points.following import (
    Following,
    Seen,
    SeenMerge,
    SeenReceipt,
    SeenReturn,
)
from shared import telemetry
from shared.envelope import UNREADABLE, Causation, Light, decode_light, glimpse_type
from shared.events.interaction import ReceiptRecorded, ReceiptReturned, ReceiptVoided
from shared.events.merging import CustomerMerged, MergeReverted
from shared.events.moving import FactsMoved
from shared.records import RawRecord

TOPICS = ("customer.events.v1", "interaction.events.v1")
GROUP = "interaction.points"
READER = "points"
BY_POINTS = "points"
"""The kind of payment that is made with points."""


class Line(msgspec.Struct, frozen=True, gc=False):
    """Of a line of a receipt."""

    amount: int
    categories: tuple[str, ...] = ()


class Payment(msgspec.Struct, frozen=True, gc=False):
    """Of a part of what was paid."""

    kind: str
    amount: int


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """Of `interaction.receipt_recorded`."""

    fact: str
    total: int
    lines: list[Line]
    payments: list[Payment] = msgspec.field(default_factory=list)
    points_spent: int = 0


class ReturnedLine(msgspec.Struct, frozen=True, gc=False):
    """Of a line that comes back."""

    line: int
    amount: int


class Returned(msgspec.Struct, frozen=True, gc=False):
    """Of `interaction.receipt_returned` and `interaction.receipt_voided`."""

    fact: str
    receipt: str
    total: int
    lines: list[ReturnedLine]


class MovedFact(msgspec.Struct, frozen=True, gc=False):
    """A fact that changes hands; one that does not may have no home."""

    type: str
    time: datetime
    home: str | None
    data: msgspec.Raw
    branch: str | None = None
    history: str | None = None


class Moved(msgspec.Struct, frozen=True, gc=False):
    """Of `interaction.facts_moved`."""

    direction: str
    facts: list[MovedFact]


class Merged(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.merged`."""

    merge: str
    survivor: str


class Reverted(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.merge_reverted`."""

    merge: str
    other: str
    role: str


FACTS: Mapping[str, type[msgspec.Struct]] = MappingProxyType(
    {
        ReceiptRecorded.type: Receipt,
        ReceiptReturned.type: Returned,
        ReceiptVoided.type: Returned,
    }
)
READS: Mapping[bytes, type[msgspec.Struct]] = MappingProxyType(
    {
        **{name.encode(): struct for name, struct in FACTS.items()},
        FactsMoved.type.encode(): Moved,
        CustomerMerged.type.encode(): Merged,
        MergeReverted.type.encode(): Reverted,
    }
)
_DECODERS = {struct: msgspec.json.Decoder(struct).decode for struct in READS.values()}


def seen_in(records: Sequence[RawRecord]) -> list[Seen | SeenMerge]:
    """What in the records touches points, in their order."""
    found: list[Seen | SeenMerge] = []
    for record in records:
        value = record.value or b""
        struct = READS.get(glimpse_type(value))
        if struct is None:
            continue
        try:
            light = decode_light(value)
            found += _seen(light, _DECODERS[struct](light.data))
        except UNREADABLE:
            telemetry.REACTION_PASSED_OVER.labels(READER).inc()
    return found


def _seen(light: Light, data: Any) -> Iterator[Seen | SeenMerge]:  # noqa: ANN401 - one of the structs above
    causation = Causation(light.correlationid, light.id, light.causedepth + 1, light.history)
    match data:
        case Receipt(points_spent=0) if light.subject is None:
            return
        case Receipt() | Returned():
            whole = MovedFact(
                light.type, light.time, light.subject, light.data, light.branch, light.history
            )
            yield _fact(whole, data, causation, moved=False)
        case Moved(direction="in", facts=facts):
            for fact in facts:
                struct = FACTS.get(fact.type)
                if struct is not None:
                    yield _fact(fact, _DECODERS[struct](fact.data), causation, moved=True)
        case Merged(merge=merge, survivor=survivor) if light.subject is not None:
            yield SeenMerge(merge, light.subject, survivor, causation)
        case Reverted(merge=merge, other=other, role="loser") if light.subject is not None:
            yield SeenMerge(merge, light.subject, other, causation, reverted=True)


def _fact(
    fact: MovedFact,
    data: Any,  # noqa: ANN401 - one of the structs above
    causation: Causation,
    *,
    moved: bool,
) -> Seen:
    causation = msgspec.structs.replace(causation, history=fact.history)
    if isinstance(data, Returned):
        why: Literal["returned", "voided"] = (
            "voided" if fact.type == ReceiptVoided.type else "returned"
        )
        return SeenReturn(
            fact=data.fact,
            customer=fact.home,
            time=fact.time,
            branch=fact.branch,
            causation=causation,
            imported=fact.history is not None,
            moved=moved,
            receipt=data.receipt,
            why=why,
            total=data.total,
            lines=[(line.line, line.amount) for line in data.lines],
        )
    by_points = [each.amount for each in data.payments if each.kind == BY_POINTS]
    return SeenReceipt(
        fact=data.fact,
        customer=fact.home,
        time=fact.time,
        branch=fact.branch,
        causation=causation,
        imported=fact.history is not None,
        moved=moved,
        lines=[Sold(line.amount, line.categories) for line in data.lines],
        total=data.total,
        points_spent=data.points_spent,
        by_points=sum(by_points) if by_points else None,
    )


async def react(following: Following, records: Sequence[RawRecord]) -> None:
    """Let points follow a batch of records. Raises `StoreUnavailable`."""
    seen = seen_in(records)
    facts = [each for each in seen if not isinstance(each, SeenMerge)]
    if facts:
        await following.facts(facts)
    for each in seen:
        if isinstance(each, SeenMerge):
            await following.merge(each)


def subscription(following: Following) -> Subscription:
    """The reaction, to be subscribed."""

    async def follow(records: Sequence[RawRecord]) -> None:
        await react(following, records)

    return Subscription(
        topics=TOPICS,
        group=GROUP,
        react=follow,
        title="points",
        description="Receipts earn points, returns take them back, and merges move them.",
    )
