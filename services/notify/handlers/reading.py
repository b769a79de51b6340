"""What a dispatcher asks of the read models."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from services.notify.projections import QueuedMessage, Recipient


class OpenMessages(Protocol):
    """The queue."""

    async def open(
        self, buckets: Collection[int], after: str, limit: int
    ) -> Sequence[QueuedMessage]:
        """Open messages of the buckets in their turn, those after a turn."""
        ...

    async def woken(
        self, buckets: Collection[int], at: datetime, limit: int
    ) -> Sequence[QueuedMessage]:
        """Those that waited for a moment which has come."""
        ...

    async def of_customers(
        self, customers: Collection[str], at: datetime
    ) -> Sequence[QueuedMessage]:
        """Those of the customers that may be sent by now."""
        ...


class People(Protocol):
    """The recipients."""

    async def load(self, customers: Collection[str]) -> Mapping[str, Recipient]:
        """Those of the customers that are known of."""
        ...

    async def standing_still(self, customers: Collection[str]) -> set[str]:
        """Those of the customers of whom an event is parked."""
        ...

    async def shared(self, hashes: Collection[str]) -> set[str]:
        """Those of the addresses that somebody shares with others."""
        ...
