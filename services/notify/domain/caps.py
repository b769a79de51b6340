"""How many messages a customer may get: sliding windows over the slots of the customer's ledger.

A slot that was taken exactly a window ago counts no longer. Windows only slide on, so a message
that has to wait knows from the ledger alone when its turn may come.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.events.customer import Channel

LONGEST_WINDOW = timedelta(days=366)
"""What the ledger remembers."""


@dataclass(frozen=True, slots=True)
class CapRule:
    """At most so many within a time; of one channel or all, about one topic or all."""

    most: int
    within: timedelta
    channel: str | None = None
    topic: str | None = None

    def covers(self, channel: str, topic: str) -> bool:
        """Whether what goes out by a channel about a topic counts."""
        return self.channel in (None, channel) and self.topic in (None, topic)


@dataclass(frozen=True, slots=True)
class Slot:
    """A hand-over that counts."""

    message: str
    channel: Channel
    topic: str
    at: datetime


def free_at(
    rules: Iterable[CapRule], slots: Collection[Slot], wanted: tuple[str, str], now: datetime
) -> datetime:
    """When one more may go out by `wanted` (channel, topic): `now`, or the first moment after."""
    channel, topic = wanted
    free = now
    for rule in rules:
        if not rule.covers(channel, topic):
            continue
        counted = sorted(
            slot.at
            for slot in slots
            if rule.covers(slot.channel, slot.topic) and slot.at > now - rule.within
        )
        if len(counted) >= rule.most:
            free = max(free, counted[-rule.most] + rule.within)
    return free
