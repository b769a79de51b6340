"""Whether what has begun may still go out: asked when its turn has come, before it is handed over.

A batch takes seconds, and its messages wait for their turns at the provider. A stop, a pause and an
end act on everything that is not handed over yet, also on what waits there: it goes back to
*scheduled*, and the next look says what becomes of it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog

from services.notify.domain.series import series_of
from services.notify.handlers.books.campaigns import CampaignBook, Entry
from services.notify.handlers.books.series import SeriesEntry
from services.notify.handlers.deciding.stepping import Steps
from services.notify.projections import QueuedMessage
from shared.clock import Clock
from shared.eventstore import StoreUnavailable
from shared.freshness import Freshness

OLDEST_SECONDS = 0.25
"""How old it may be what is known of campaigns and series when a hand-over begins."""

log = structlog.stdlib.get_logger(__name__)

Series = Callable[[], Awaitable[Mapping[str, SeriesEntry]]]


async def no_series() -> Mapping[str, SeriesEntry]:
    """Of a dispatcher that knows of none."""
    return {}


@dataclass(slots=True)
class Halts:
    """What stands in the way of hand-overs; `series` gives those that there are now.

    What an employee wrote is of no campaign, and nothing stands in its way.
    """

    book: CampaignBook
    clock: Clock
    series: Series = no_series
    _campaigns: Mapping[str, Entry] = field(default_factory=dict)
    _steps: Steps = field(default_factory=Steps)
    _of_campaigns: Freshness = field(init=False)
    _of_series: Freshness = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._of_campaigns = Freshness(self._read_campaigns, OLDEST_SECONDS)
        self._of_series = Freshness(self._read_series, OLDEST_SECONDS)

    async def of(self, message: QueuedMessage) -> bool:
        """Whether it must not go out now; True also where that cannot be told."""
        is_step = series_of(message.occurrence) is not None
        try:
            await self._of_campaigns.ensure()
            if is_step:
                await self._of_series.ensure()
        except (StoreUnavailable, TimeoutError) as failure:
            log.warning("campaigns unread", reason=type(failure).__name__)
            return True
        if is_step and (self._steps.closed(message) or self._steps.paused(message)):
            return True
        entry = self._campaigns.get(message.campaign)
        if entry is None:
            return False
        closed = entry.closed(message.occurrence, message.scheduled_at, self.clock.now())
        return closed is not None or entry.campaign.state == "paused"

    async def _read_campaigns(self) -> None:
        self._campaigns = await self.book.now()

    async def _read_series(self) -> None:
        self._steps = Steps(await self.series())
