"""Whose timer is due, asked seldom: ids are found by the thousand, and remembered.

Very many are due at one moment now and then, and a database may go through all of them for each
page of a few. So one look finds more than a slice wakes, and it is taken beside the batches: no
batch waits for it. What is remembered is whom to look at and no more: each document is read when
its turn comes, and who is not due any more is passed over. So a memory that is old, or lost with
the process, changes nothing.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.readmodel import RawDocument, SteppedDocuments

MOST_REMEMBERED = 20_000
"""Ids, some 2 MB; those that are due later than all of them are found by the next look."""

Partitions = Collection[int]


@dataclass(slots=True)
class DueDocuments:
    """The documents of one collection whose `due_at` has come."""

    documents: SteppedDocuments
    _ids: deque[str] = field(default_factory=deque)
    _looking: asyncio.Task[Sequence[str]] | None = None
    _more: bool = False

    @property
    def more(self) -> bool:
        """Whether there may be more than was given so far."""
        return bool(self._ids) or self._looking is not None or self._more

    def forget(self) -> None:
        """Partitions have changed hands: whom to look at is not known."""
        self._ids.clear()
        self._more = False
        looking, self._looking = self._looking, None
        if looking is not None and not looking.cancel() and not looking.cancelled():
            # Whatever was wrong with it concerns nobody any more.
            looking.exception()

    async def look(
        self, partitions: Partitions, before: datetime, blocked: Collection[str], patience: float
    ) -> bool:
        """Whether anybody is remembered; where nobody is, wait so many seconds for a look.

        One that is not over by then goes on beside the caller, who comes again.
        """
        if self._ids:
            return True
        # Those that are blocked must not stand in the way of the others.
        most = MOST_REMEMBERED + len(blocked)
        if self._looking is None:
            self._looking = asyncio.create_task(
                self.documents.due(sorted(partitions), before, most)
            )
        await asyncio.wait([self._looking], timeout=max(patience, 0))
        if not self._looking.done():
            return False
        looked, self._looking = self._looking, None
        found = await looked
        self._more = len(found) >= most
        self._ids.extend(found)
        return bool(found)

    async def take(
        self, partitions: Partitions, before: datetime, count: int
    ) -> Sequence[RawDocument]:
        """The next so many that were remembered, as they are now, if they are still due."""
        ids = [self._ids.popleft() for _ in range(min(count, len(self._ids)))]
        if not ids:
            return ()
        found = await self.documents.load(ids)
        present = (found[name] for name in ids if name in found)
        return [raw for raw in present if _is_due(raw, partitions, before)]


def _is_due(raw: RawDocument, partitions: Partitions, before: datetime) -> bool:
    due_at: datetime | None = raw.get("due_at")
    return due_at is not None and due_at < before and raw.get("partition") in partitions
