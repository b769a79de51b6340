"""What becomes of a journey's messages, and which events tell of it.

That a message has come to a state counts from the moment at which the first event that shows it was
recorded, in this service's own store: so it can be said exactly of every moment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from shared.events.notification import (
    MessageClicked,
    MessageDelivered,
    MessageOpened,
    MessageSent,
)
from shared.events.series import MessageState, SendStep, SeriesDefined, WaitMessageStep

SHOWS: Mapping[str, Sequence[MessageState]] = MappingProxyType(
    {
        MessageSent.type: ("sent",),
        MessageDelivered.type: ("sent", "delivered"),
        MessageOpened.type: ("sent", "delivered", "opened"),
        MessageClicked.type: ("sent", "delivered", "opened", "clicked"),
    }
)
"""What is certain of a message once there is an event of the type."""
NOT_YET = datetime.max.replace(tzinfo=UTC)
"""The moment of what has not come."""


@dataclass(frozen=True, slots=True)
class Became:
    """A message by the campaign has come so far: somebody may wait for it."""

    campaign: str
    state: MessageState


def became(definition: SeriesDefined, step: WaitMessageStep) -> Became:
    """What a step waits for."""
    sends = {each.id: each.campaign for each in definition.steps if isinstance(each, SendStep)}
    return Became(sends[step.step], step.state)
