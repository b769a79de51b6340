"""The subscriptions of triggers.

Each running campaign with a trigger reads its topic by a consumer group of its own, from the first
record on, so that it takes every cause at or after its start, however late it is defined. The
subscription comes with the campaign's start and goes with its stop; what happened in between is
found again from the group's offsets. While a campaign is paused its occasions are noted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from faststream.kafka import KafkaBroker

from services.notify.consumers.occasions import READER, occasions
from services.notify.domain.happening import topic_of_happening
from services.notify.handlers.books.campaigns import CampaignBook, Entry
from services.notify.handlers.campaigns.scheduling import Occasion
from shared.events.campaign import Broadcast, BroadcastList, OnEntering, OnEvent, OnLeaving, OnStep
from shared.eventstore import StoreUnavailable
from shared.kafka import KAFKA_AWAY, KafkaUrl, start, stop, subscribe
from shared.records import RawRecord

SEGMENTS = "segment.events.v1"
LISTS = "list.events.v1"
JOURNEYS = "notification.events.v1"
POLL_SECONDS = 0.5

Schedule = Callable[[Sequence[Occasion]], Awaitable[None]]
log = structlog.stdlib.get_logger(__name__)

__all__ = ["READER", "Triggers", "topics_of", "trigger_group", "triggered"]


def trigger_group(campaign: str) -> str:
    """The consumer group of a campaign's trigger, without the installation's prefix."""
    return f"notify.campaign.{campaign}"


def triggered(entries: Sequence[Entry]) -> Mapping[str, Entry]:
    """The running campaigns that listen to a topic, by name."""
    return {entry.name: entry for entry in entries if entry.campaign.live and topics_of(entry)}


def topics_of(entry: Entry) -> tuple[str, ...]:
    """The topics that a campaign listens to."""
    definition = entry.campaign.definition
    match None if definition is None else definition.trigger:
        case OnEntering() | OnLeaving() | Broadcast(follow=True):
            return (SEGMENTS,)
        case BroadcastList(follow=True):
            return (LISTS,)
        case OnEvent(event=event):
            return (topic_of_happening(event),)
        case OnStep():
            return (JOURNEYS,)
        case _:
            return ()


@dataclass(slots=True)
class Triggers:
    """Keeps a subscription for every running campaign that has a trigger."""

    broker: KafkaBroker
    kafka: KafkaUrl
    book: CampaignBook
    schedule: Schedule
    _subscribers: dict[str, Any] = field(default_factory=dict)

    async def run(self) -> None:
        """Follow the campaigns until cancelled; on the way out let the batches in hand finish."""
        try:
            await start(self.broker)
            while True:
                try:
                    await self.adjust()
                except StoreUnavailable as failure:
                    log.warning("triggers wait", reason=str(failure))
                except KAFKA_AWAY as failure:
                    log.warning("triggers wait", reason=type(failure).__name__)
                await asyncio.sleep(POLL_SECONDS)
        finally:
            await stop(self.broker)

    async def adjust(self) -> None:
        """Subscribe for what runs, and for nothing else."""
        wanted = triggered(list((await self.book.fresh()).values()))
        for name in self._subscribers.keys() - wanted.keys():
            await stop(self._subscribers.pop(name))
            log.info("trigger stopped", campaign=name)
        for name in wanted.keys() - self._subscribers.keys():
            subscriber = self._subscriber(wanted[name])
            try:
                await subscriber.start()
            except BaseException:
                await stop(subscriber)
                raise
            self._subscribers[name] = subscriber
            log.info("trigger started", campaign=name)

    def _subscriber(self, entry: Entry) -> Any:  # noqa: ANN401 - FastStream's types differ by options
        async def react(records: Sequence[RawRecord]) -> None:
            # A broadcast that is followed may be in another run by now than when it subscribed.
            present = (await self.book.fresh())[entry.name]
            found = occasions(present, records)
            if found:
                await self.schedule(found)

        return subscribe(
            self.broker,
            *(self.kafka.topic(topic) for topic in topics_of(entry)),
            group=self.kafka.topic(trigger_group(entry.name)),
            react=react,
            title=f"campaign {entry.name}",
            description="What sets the campaign off becomes messages.",
            persistent=False,
        )
