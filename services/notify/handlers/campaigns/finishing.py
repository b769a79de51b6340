"""Campaigns that come to their end by themselves: at `end`, or with the last word on a broadcast.

Whoever notes it first is right: the campaign's stream settles it. Nothing rests on the moment at
which it is noted, since what the end overtakes is kept back by the end itself.
"""

from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from services.notify.domain import occurrence_of_run
from services.notify.handlers.books.campaigns import CampaignBook, Entry
from services.notify.handlers.campaigns.requests import finish
from shared.execute import Writer
from shared.recurring import again_and_again

POLL_SECONDS = 2.0

log = structlog.stdlib.get_logger(__name__)


class Outcomes(Protocol):
    """The queue."""

    async def settled(self, campaign: str, occurrence: str, size: int) -> bool:
        """Whether so many messages of the occurrence are known, and none of them is open."""
        ...


@dataclass(frozen=True, slots=True)
class Finishing:
    """Notes the ends of campaigns."""

    writer: Writer
    book: CampaignBook
    queue: Outcomes

    async def run(self) -> None:
        """Note what ends, until cancelled."""
        await again_and_again(self.turn, POLL_SECONDS, partial(log.warning, "ends not noted"))

    async def turn(self) -> None:
        """Look at every campaign once. Raises `StoreUnavailable`."""
        for entry in list((await self.book.fresh()).values()):
            campaign = entry.campaign
            if not campaign.live:
                continue
            if campaign.over(self.writer.clock.now()):
                await self._finish(entry, None)
            elif campaign.frozen and not campaign.follows and await self._settled(entry):
                await self._finish(entry, campaign.run)

    async def _settled(self, entry: Entry) -> bool:
        campaign = entry.campaign
        occurrence = occurrence_of_run(campaign.run)
        return await self.queue.settled(entry.name, occurrence, campaign.size)

    async def _finish(self, entry: Entry, run: int | None) -> None:
        await finish(self.writer, entry.name, entry.campaign.version, run)
        log.info("campaign finished", campaign=entry.name, run=run)
