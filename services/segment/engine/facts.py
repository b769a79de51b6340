"""What events say that rules can ask for, read from their bytes by structs of just those fields.

A fact counts from when it happened, but never after it was recorded: a till whose clock is ahead
must not put a receipt into tomorrow's windows.
"""

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from services.segment.rules.instants import instant
from services.segment.rules.language.record import CUSTOM
from services.segment.rules.view import Receipt
from services.segment.rules.words import Attribute, Consent, FieldValue, Told, Word
from shared.envelope import Light, Zoned
from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerChanged,
    CustomerRegistered,
)
from shared.events.interaction import ReceiptRecorded, ReceiptReturned, ReceiptVoided
from shared.events.merging import (
    CustomerAbsorbed,
    CustomerErased,
    CustomerMerged,
    MergeReverted,
)
from shared.moves import MOVES
from shared.projection import Event

Fact = Receipt | Told


class Fields(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What is read of the fields of a record."""

    home_branch: str | None = None
    language: str | None = None
    gender: str | None = None
    acquisition: str | None = None
    custom: dict[str, FieldValue] | None = None


class Registered(Fields, frozen=True, gc=False, kw_only=True):
    """Of `customer.registered`."""


class Changed(Fields, frozen=True, gc=False, kw_only=True):
    """Of `customer.changed`."""

    cleared: tuple[str, ...] | None = None


class ConsentWord(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.consent_given` and `customer.consent_withdrawn`."""

    topic: str
    channel: str


class ConsentState(msgspec.Struct, frozen=True, gc=False):
    """Of a consent that a merge or its revert changes."""

    topic: str
    channel: str
    given: bool | None = None


class Absorbed(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Of `customer.absorbed`."""

    fields: Fields = Fields()
    consents: tuple[ConsentState, ...] = ()


class Reverted(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Of `customer.merge_reverted`."""

    role: str
    cleared: tuple[str, ...] = ()
    consents: tuple[ConsentState, ...] = ()

    @property
    def comes_back(self) -> bool:
        """Whether the customer lives by itself again."""
        return self.role == "loser"


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
    CustomerRegistered.type: Registered,
    CustomerChanged.type: Changed,
    ConsentGiven.type: ConsentWord,
    ConsentWithdrawn.type: ConsentWord,
    CustomerMerged.type: Merged,
    CustomerAbsorbed.type: Absorbed,
    MergeReverted.type: Reverted,
    CustomerErased.type: Erased,
    **FACTS,
    **MOVES,
}
"""The types that are facts about a customer → what is read of their data."""


def fact_of(event: Event) -> Fact | None:
    """The fact that an event tells; None where rules can ask nothing about it."""
    light, data = event.light, event.data
    time = min(instant(light.time), instant(light.recordedtime))
    match data:
        case Recorded():
            return receipt_of(data, time, light.streamversion, light.branch)
        case ConsentWord():
            given = light.type == ConsentGiven.type
            word = Consent(data.topic, data.channel, given, light.streamversion)
            return Told(time, light.streamversion, [word])
        case Registered():
            return Told(time, light.streamversion, _attributes(data, light))
        case Changed():
            words = [*_attributes(data, light), *_cleared(data.cleared or (), light)]
            return Told(time, light.streamversion, words)
        case Absorbed():
            words = [*_attributes(data.fields, light), *_consents(data.consents, light)]
            return Told(time, light.streamversion, words)
        case Reverted():
            words = [*_cleared(data.cleared, light), *_consents(data.consents, light)]
            return Told(time, light.streamversion, words)
        case _:
            return None


def receipt_of(data: Recorded, time: int, version: int, branch: str | None) -> Receipt:
    """The receipt as rules see it."""
    return Receipt(time, version, data.total, data.coupon_lines > 0, branch, key_of(data.fact))


def key_of(fact: str) -> int:
    """What a receipt is known by: 64 bits of a hash, since a profile keeps thousands of them."""
    return int.from_bytes(blake2b(fact.encode(), digest_size=8).digest(), "big", signed=True)


def _attributes(data: Fields, light: Light) -> list[Word]:
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


def _cleared(names: tuple[str, ...], light: Light) -> list[Word]:
    return [
        Attribute(name, None, light.streamversion)
        for name in names
        if name in Fields.__struct_fields__ or name.startswith(CUSTOM)
    ]


def _consents(states: tuple[ConsentState, ...], light: Light) -> list[Word]:
    """One word for each topic and channel: given, where it is for one contact point at least."""
    words: dict[tuple[str, str], bool] = {}
    for state in states:
        place = (state.topic, state.channel)
        words[place] = words.get(place, False) or bool(state.given)
    return [
        Consent(topic, channel, given, light.streamversion)
        for (topic, channel), given in words.items()
    ]


def event_of(fact: Fact, customer: str) -> str:
    """The id of the event that told the fact: the streams of a customer are public."""
    stream = "interaction" if isinstance(fact, Receipt) else "customer"
    return f"{stream}-{customer}@{fact.version}"


def in_order(fact: Fact) -> tuple[int, int, bool]:
    """The order in which a past is lived: time, version, and what is told before receipts."""
    return fact.time, fact.version, isinstance(fact, Receipt)
