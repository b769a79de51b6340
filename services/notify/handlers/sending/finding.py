"""Which messages a dispatcher looks at next: what it was offered, what has woken, what is open."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.notify.handlers.recipients.reading import OpenMessages, Round
from services.notify.handlers.sending.buckets import Buckets
from services.notify.handlers.sending.pacing import Pacing
from services.notify.projections import QueuedMessage
from shared.clock import Clock

POLL_SECONDS = 0.5
PAGE = 500
LEAST_PART = 4
"""Of a batch, a quarter is for each list at the least."""
MAX_OFFERS = 2_000


@dataclass(slots=True)
class Finding:
    """The batches of one dispatcher: messages of its buckets that do not rest."""

    queue: OpenMessages
    buckets: Buckets
    pacing: Pacing
    clock: Clock
    _offers: dict[str, QueuedMessage] = field(default_factory=dict)
    _open: Round = field(default_factory=Round)
    _woken: Round = field(default_factory=Round)
    _looked_at: float = float("-inf")

    def offer(self, messages: Sequence[QueuedMessage]) -> None:
        """Take messages that were scheduled here just now; the queue has them a moment later."""
        for message in messages[: max(0, MAX_OFFERS - len(self._offers))]:
            self._offers[message.id] = message

    async def batch(self) -> tuple[list[QueuedMessage], bool]:
        """The next batch, new ones first; and whether there may be more."""
        mine = self.buckets.mine()
        if not mine:
            self._offers.clear()
            return [], False
        limit = self.pacing.size
        offered: list[QueuedMessage] = []
        while self._offers and len(offered) < limit:
            message = self._offers.pop(next(iter(self._offers)))
            if message.bucket in mine and self.pacing.is_due(message.id):
                offered.append(message)
        now = asyncio.get_running_loop().time()
        if offered and now - self._looked_at < POLL_SECONDS:
            return offered, True
        self._looked_at = now
        found = {message.id: message for message in offered}

        def usable(message: QueuedMessage) -> bool:
            return message.id not in found and self.pacing.is_due(message.id)

        # However much there is of one list, the other one comes to its turn too.
        least, more = max(1, limit // LEAST_PART), []
        at, woken, opened = self.clock.now(), self._woken, self._open
        for page, turning in (
            (await self.queue.woken(mine, at, woken.after, PAGE), woken),
            (await self.queue.open(mine, opened.after, PAGE), opened),
        ):
            taken, left = turning.take(page, PAGE, usable, max(least, limit - len(found)))
            found |= {message.id: message for message in taken}
            more.append(left)
        return list(found.values()), any(more)
