"""A consumed record, whatever consumed it."""

from typing import Protocol


class RawRecord(Protocol):
    """A consumed record, as aiokafka gives it; a parked one looks the same."""

    @property
    def topic(self) -> str:
        """Its topic, with the prefix."""
        ...

    @property
    def partition(self) -> int:
        """Its partition."""
        ...

    @property
    def offset(self) -> int:
        """Its place there."""
        ...

    @property
    def timestamp(self) -> int:
        """When Kafka took it: milliseconds since the epoch."""
        ...

    @property
    def key(self) -> bytes | None:
        """The Kafka key."""
        ...

    @property
    def value(self) -> bytes | None:
        """The event's JSON."""
        ...
