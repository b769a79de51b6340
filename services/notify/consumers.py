"""Kafka in: the triggers, which make messages of what happens in segments.

Each running campaign with a trigger reads the segment topic by a consumer group of its own, from
the first record on, so that it takes every cause at or after its start, however late it is defined.
The subscription comes with the campaign's start and goes with its stop; what happened in between is
found again from the group's offsets.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog
from faststream.kafka import KafkaBroker

from services.notify.domain import occurrence_of_entering
from services.notify.handlers import CampaignBook, Entry, Occasion
from shared import telemetry
from shared.envelope import UNREADABLE, Causation, Light, decode_light
from shared.events.campaign import CampaignDefined, OnEntering
from shared.events.segment import SegmentEntered
from shared.eventstore import StoreUnavailable
from shared.kafka import KAFKA_AWAY, KafkaUrl, start, stop, subscribe
from shared.records import RawRecord

TOPICS = ("segment.events.v1",)
POLL_SECONDS = 0.5
READER = "campaign"
"""How campaigns are called in metrics, whose labels are no names from outside."""
MERGE = "merge"
_ENTERED = SegmentEntered.type.encode()

Schedule = Callable[[Sequence[Occasion]], Awaitable[None]]
log = structlog.stdlib.get_logger(__name__)


class Because(msgspec.Struct, gc=False):
    """Of the cause of a transition."""

    kind: str


class Entered(msgspec.Struct, gc=False):
    """Of `segment.entered`."""

    segment: str
    cause: Because


_decode_entered = msgspec.json.Decoder(Entered).decode


def trigger_group(campaign: str) -> str:
    """The consumer group of a campaign's trigger, without the installation's prefix."""
    return f"notify.campaign.{campaign}"


def triggered(entries: Sequence[Entry]) -> dict[str, CampaignDefined]:
    """The definitions of running campaigns that have a trigger, by name."""
    return {
        entry.name: definition
        for entry in entries
        if entry.campaign.live
        and (definition := entry.campaign.definition) is not None
        and isinstance(definition.trigger, OnEntering)
    }


def occasions(definition: CampaignDefined, records: Sequence[RawRecord]) -> list[Occasion]:
    """What in the records gives a message; what cannot be read is counted and passed over."""
    found = []
    for record in records:
        value = record.value or b""
        if _ENTERED not in value:
            continue
        try:
            light = decode_light(value)
            entered = light.type == SegmentEntered.type and _decode_entered(light.data)
        except UNREADABLE:
            telemetry.REACTION_PASSED_OVER.labels(READER).inc()
            continue
        # A merge or its revert is no occasion: nothing happened to the person.
        if (
            entered
            and entered.segment == definition.trigger.segment
            and entered.cause.kind != MERGE
        ):
            occasion = _occasion(definition, light)
            if occasion is not None:
                found.append(occasion)
    return found


def _occasion(definition: CampaignDefined, light: Light) -> Occasion | None:
    if light.subject is None or light.time < definition.start:
        return None
    return Occasion(
        campaign=definition.campaign,
        customer=light.subject,
        occurrence=occurrence_of_entering(definition.trigger.segment, light.streamversion),
        channel=definition.channel,
        why=Causation.of(light),
    )


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

    def _subscriber(self, definition: CampaignDefined) -> Any:  # noqa: ANN401 - FastStream's types differ by options
        async def react(records: Sequence[RawRecord]) -> None:
            found = occasions(definition, records)
            if found:
                await self.schedule(found)

        return subscribe(
            self.broker,
            *(self.kafka.topic(topic) for topic in TOPICS),
            group=self.kafka.topic(trigger_group(definition.campaign)),
            react=react,
            title=f"campaign {definition.campaign}",
            description="Enterings of the campaign's segment become messages.",
            persistent=False,
        )
