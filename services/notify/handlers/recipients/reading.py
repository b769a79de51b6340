"""What a dispatcher asks of the read models, and where it stands in its rounds through them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
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
        self, buckets: Collection[int], at: datetime, after: str, limit: int
    ) -> Sequence[QueuedMessage]:
        """Those that waited for a moment which has come, those after a turn."""
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


@dataclass(slots=True)
class Round:
    """A round through a list, page by page and then from the first again.

    What rests stays in the list: it must not keep what comes behind it from being looked at.
    """

    after: str = ""

    def take(
        self,
        page: Sequence[QueuedMessage],
        size: int,
        usable: Callable[[QueuedMessage], bool],
        most: int,
    ) -> tuple[Sequence[QueuedMessage], bool]:
        """Take what is usable of a page of at most `size`; and whether there may be more."""
        due = [message for message in page if usable(message)]
        taken = due[:most]
        if len(taken) < len(due):
            self.after = taken[-1].due if taken else self.after
            return taken, True
        more = len(page) == size
        self.after = page[-1].due if more else ""
        return taken, more
