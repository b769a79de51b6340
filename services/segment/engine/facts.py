"""What events say that rules can ask for, read from their bytes by structs of just those fields.

A fact counts from when it happened, but never after it was recorded: a till whose clock is ahead
must not put a receipt into tomorrow's windows.
"""

from collections.abc import Mapping

import msgspec

from services.segment.rules.instants import instant
from services.segment.rules.language import CUSTOM
from services.segment.rules.view import Attribute, Consent, FieldValue, Receipt, Told
from shared.envelope import Light
from shared.events.customer import ConsentGiven, ConsentWithdrawn, CustomerRegistered
from shared.events.interaction import ReceiptRecorded
from shared.projection import Event

Fact = Receipt | Told


class Registered(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.registered`."""

    home_branch: str | None = None
    language: str | None = None
    gender: str | None = None
    acquisition: str | None = None
    custom: dict[str, FieldValue] | None = None


class ConsentWord(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.consent_given` and `customer.consent_withdrawn`."""

    topic: str
    channel: str


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """Of `interaction.receipt_recorded`."""

    total: int
    coupon_lines: int


READS: Mapping[str, type[msgspec.Struct]] = {
    CustomerRegistered.type: Registered,
    ConsentGiven.type: ConsentWord,
    ConsentWithdrawn.type: ConsentWord,
    ReceiptRecorded.type: Recorded,
}
"""The types that are facts about a customer → what is read of their data."""


def fact_of(event: Event) -> Fact | None:
    """The fact that an event tells; None where rules can ask nothing about it."""
    light, data = event.light, event.data
    time = min(instant(light.time), instant(light.recordedtime))
    match data:
        case Recorded():
            return Receipt(
                time, light.streamversion, data.total, data.coupon_lines > 0, light.branch
            )
        case ConsentWord():
            given = light.type == ConsentGiven.type
            word = Consent(data.topic, data.channel, given, light.streamversion)
            return Told(time, light.streamversion, [], [word])
        case Registered():
            return Told(time, light.streamversion, _attributes(data, light), [])
        case _:
            return None


def _attributes(data: Registered, light: Light) -> list[Attribute]:
    fields: dict[str, FieldValue | None] = {
        "home_branch": data.home_branch,
        "language": data.language,
        "gender": data.gender,
        "acquisition": data.acquisition,
    }
    fields |= {f"{CUSTOM}{name}": value for name, value in (data.custom or {}).items()}
    return [
        Attribute(field, value, light.streamversion)
        for field, value in fields.items()
        if value is not None
    ]


def event_of(fact: Fact, customer: str) -> str:
    """The id of the event that told the fact: the streams of a customer are public."""
    stream = "interaction" if isinstance(fact, Receipt) else "customer"
    return f"{stream}-{customer}@{fact.version}"


def in_order(fact: Fact) -> tuple[int, int, bool]:
    """The order in which a past is lived: time, version, and what is told before receipts."""
    return fact.time, fact.version, isinstance(fact, Receipt)
