"""What happened to a message, in a sentence for people: every event of its life has one."""

from collections.abc import Mapping
from types import MappingProxyType

from shared.events.notification import (
    MessageClicked,
    MessageDeferred,
    MessageDelivered,
    MessageFailed,
    MessageFellBack,
    MessageHeldOut,
    MessageOpened,
    MessagePostponed,
    MessageScheduled,
    MessageSending,
    MessageSent,
    MessageSuppressed,
    MessageUncertain,
)
from shared.events.reports import MessageBounced, MessageComplained, MessageGivenUp
from shared.events.single import MessageWritten
from shared.wording import Wording

SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        MessageScheduled.type: "Its occasion came.",
        MessageWritten.type: "An employee wrote it.",
        MessageSuppressed.type: "It was not sent, and will not be.",
        MessageHeldOut.type: "It was kept back, to have somebody to compare with.",
        MessageSending.type: "It was handed to the channel.",
        MessagePostponed.type: "It has to wait.",
        MessageFellBack.type: "It did not reach, and the next channel is tried.",
        MessageDeferred.type: "It was not taken over this time, and will be tried again.",
        MessageSent.type: "The channel took it over.",
        MessageDelivered.type: "It arrived.",
        MessageOpened.type: "It was opened.",
        MessageClicked.type: "A link in it was followed.",
        MessageFailed.type: "The channel refused it for good.",
        MessageUncertain.type: "Nobody can tell whether it went out.",
        MessageBounced.type: "It came back.",
        MessageComplained.type: "Whoever got it called it unwanted.",
        MessageGivenUp.type: "It did not arrive, and no other channel is left.",
    }
)
"""Event type → its sentence."""


def sentence_of(event_type: str, wording: Wording) -> str | None:
    """The sentence of an event; None for one that there is no sentence for yet."""
    sentence = SENTENCES.get(event_type)
    return None if sentence is None else wording.text(sentence)
