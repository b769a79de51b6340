"""What events say that rules can ask for, read from their bytes by structs of just those fields.

A fact counts from when it happened, but never after it was recorded: a till whose clock is ahead
must not put a receipt into tomorrow's windows.
"""

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from services.segment.engine import dealing, telling
from services.segment.engine.dealing import dealing_of
from services.segment.engine.record import words_of
from services.segment.rules.instants import instant
from services.segment.rules.view import Receipt
from services.segment.rules.words import Told
from shared.envelope import Zoned
from shared.events.interaction import ReceiptRecorded, ReceiptReturned, ReceiptVoided
from shared.events.merging import CustomerErased, CustomerMerged
from shared.moves import MOVES
from shared.projection import Event

Fact = Receipt | Told
CUSTOMER_STREAM = "customer-"


class Merged(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.merged`: this customer is another one."""


class Erased(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.erased`: this customer is nobody."""


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """Of `interaction.receipt_recorded`."""

    fact: str
    total: int
    coupon_lines: int


class Returned(msgspec.Struct, frozen=True, gc=False):
    """Of `interaction.receipt_returned`."""

    receipt: str
    total: int


class Voided(msgspec.Struct, frozen=True, gc=False):
    """Of `interaction.receipt_voided`; `total` is what had not been returned."""

    receipt: str
    bought: Zoned
    total: int


FACTS: Mapping[str, type[msgspec.Struct]] = {
    ReceiptRecorded.type: Recorded,
    ReceiptReturned.type: Returned,
    ReceiptVoided.type: Voided,
}
"""Facts that change hands, and what is read of them."""
READS: Mapping[str, type[msgspec.Struct]] = {
    **telling.READS,
    **dealing.READS,
    CustomerMerged.type: Merged,
    CustomerErased.type: Erased,
    **FACTS,
    **MOVES,
}
"""The types that are facts about a customer → what is read of their data."""


def fact_of(event: Event) -> Fact | None:
    """The fact that an event tells; None where rules can ask nothing about it."""
    light, data = event.light, event.data
    time = min(instant(light.time), instant(light.recordedtime))
    if isinstance(data, Recorded):
        return receipt_of(data, time, light.streamversion, light.branch)
    words = words_of(light, data) or dealing_of(light, data)
    if not words:
        return None
    own = light.stream.startswith(CUSTOMER_STREAM)
    return Told(time, light.streamversion, [*words], None if own else light.stream)


def receipt_of(data: Recorded, time: int, version: int, branch: str | None) -> Receipt:
    """The receipt as rules see it."""
    return Receipt(time, version, data.total, data.coupon_lines > 0, branch, key_of(data.fact))


def key_of(fact: str) -> int:
    """What a receipt is known by: 64 bits of a hash, since a profile keeps thousands of them."""
    return int.from_bytes(blake2b(fact.encode(), digest_size=8).digest(), "big", signed=True)


def event_of(fact: Fact, customer: str) -> str:
    """The id of the event that told the fact: the streams of a customer are public."""
    if isinstance(fact, Receipt):
        return f"interaction-{customer}@{fact.version}"
    return f"{fact.stream or CUSTOMER_STREAM + customer}@{fact.version}"


def in_order(fact: Fact) -> tuple[int, int, bool, str]:
    """The order in which a past is lived: time, version, and what is told before receipts."""
    stream = "" if isinstance(fact, Receipt) else fact.stream or ""
    return fact.time, fact.version, isinstance(fact, Receipt), stream
