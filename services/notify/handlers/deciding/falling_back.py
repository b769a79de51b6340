"""What becomes of a message that did not arrive by its channel: the next one, or none. No I/O.

Of a channel that told that it came back, and of one that tells of deliveries and has told of none
in time. Where no other channel can reach the customer any more, or the time of the message is over,
it is given up, so that nobody looks at it again.
"""

from dataclasses import dataclass
from datetime import datetime

from services.notify.domain import FallBack, GiveUp, Stage
from services.notify.domain.ledger import ReturnSlot
from services.notify.handlers.deciding.choosing import Choosing
from services.notify.projections import QueuedMessage
from shared.events.customer import Channel

UNREACHED: frozenset[Stage] = frozenset({Stage.SENT, Stage.BOUNCED})
"""Stages in which the queue brings up again what has a further channel."""


@dataclass(frozen=True, slots=True)
class Unreached:
    """A message that did not arrive, and what there is to decide by.

    `channel` is the one by which it went. `over`: it must not go out by any channel any more.
    """

    message: QueuedMessage
    channel: Channel
    choosing: Choosing
    over: bool

    def next(self, at: datetime) -> FallBack | GiveUp:
        """The next channel, if there is one for it."""
        bounced = self.message.stage is Stage.BOUNCED
        if self.over or not self.choosing.further(self.channel):
            return GiveUp(
                message=self.message.id,
                at=at,
                channel=self.channel,
                reason="bounced" if bounced else "undelivered",
            )
        return FallBack(
            message=self.message.id,
            at=at,
            channel=self.channel,
            reason="bounced" if bounced else "undelivered",
            code=self.message.code if bounced else None,
        )

    def slot(self, at: datetime) -> ReturnSlot | None:
        """What came back reached nobody; what nobody tells of may have."""
        if self.message.stage is not Stage.BOUNCED:
            return None
        return ReturnSlot(self.message.id, self.channel, at)
