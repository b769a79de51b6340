"""Several channels for one way, where an address says which: `telegram:42`, `fcm:<token>`.

What is before the colon is the name of a channel; the channel is given the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from services.notify.channels import Channel, Contact, Outgoing, Receipt, Rejected, Way


@dataclass(frozen=True, slots=True)
class Several:
    """Some channels for one way; what it declares holds of each of them."""

    serves: Way
    channels: Mapping[str, Channel]

    @property
    def name(self) -> str:
        """The way itself."""
        return self.serves

    @property
    def reaches(self) -> Contact:
        """The same for all."""
        return next(iter(self.channels.values())).reaches

    @property
    def deduplicates(self) -> timedelta | None:
        """The shortest time; None as soon as one does not."""
        shortest: timedelta | None = timedelta.max
        for channel in self.channels.values():
            if channel.deduplicates is None or shortest is None:
                shortest = None
            else:
                shortest = min(shortest, channel.deduplicates)
        return shortest

    @property
    def longest(self) -> int | None:
        """The least of them."""
        told = [each.longest for each in self.channels.values()]
        return min((longest for longest in told if longest is not None), default=None)

    @property
    def at_once(self) -> int:
        """Of all together."""
        return sum(each.at_once for each in self.channels.values())

    @property
    def per_second(self) -> float | None:
        """Each keeps its own."""
        return None

    def to(self, address: str) -> Channel | None:
        """The channel of an address."""
        return self.channels.get(address.partition(":")[0])

    async def send(self, message: Outgoing) -> Receipt:
        """Hand one message over to the channel of its address."""
        channel = self.to(message.address)
        if channel is None:
            return Rejected("no-channel")
        return await channel.send(replace(message, address=message.address.partition(":")[2]))

    async def close(self) -> None:
        """Let go of connections."""
        for channel in self.channels.values():
            await channel.close()


def provider_of(channel: Channel, address: str) -> Channel:
    """The one channel that an address is handed to; the way itself where there is none for it."""
    if isinstance(channel, Several):
        return channel.to(address) or channel
    return channel
