"""Kafka in: what people decided by links in their messages becomes evidence in the log of consents.

The notification service keeps to it already; here it is told to everybody else. A record that
cannot be read is counted and passed over.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import msgspec

from services.customer.handlers.preferring import Decision, Preferring
from shared.envelope import Causation, Light
from shared.events.customer import Channel
from shared.events.preferences import PreferenceGiven, PreferenceWithdrawn, PreferredChannelChosen
from shared.hearing import heard
from shared.records import RawRecord

TOPICS = ("notification.events.v1",)
GROUP = "customer.preferring"
READER = "preferring"


class Word(msgspec.Struct, gc=False):
    """Of `preference.withdrawn`, `preference.given` and, without a topic, of a chosen channel."""

    customer: str
    channel: Channel
    source: str
    topic: str | None = None
    contact: str | None = None
    wording: str | None = None


_word = msgspec.json.Decoder(Word).decode
_DECODERS: Mapping[bytes, Callable[[msgspec.Raw], tuple[Word, bool]]] = MappingProxyType(
    {
        PreferenceWithdrawn.type.encode(): lambda raw: (_word(raw), False),
        PreferenceGiven.type.encode(): lambda raw: (_word(raw), True),
        PreferredChannelChosen.type.encode(): lambda raw: (_word(raw), True),
    }
)


async def react(preferring: Preferring, records: Sequence[RawRecord]) -> None:
    """Carry what was decided into the log. Raises `StoreUnavailable`."""
    decisions = [
        _decision(light, word, given=given)
        for _, light, (word, given) in heard(records, _DECODERS, READER)
    ]
    if decisions:
        await preferring.take(decisions)


def _decision(light: Light, word: Word, *, given: bool) -> Decision:
    return Decision(
        event=light.id,
        customer=word.customer,
        topic=word.topic,
        channel=word.channel,
        given=given,
        # A no is about the topic and channel; where it was read is told by the event itself.
        contact=word.contact if given else None,
        source=word.source,
        wording=word.wording,
        said=light.time,
        recorded=light.recordedtime,
        why=Causation.of(light),
    )
