"""Kafka in: what robots ask for, and the robots that deals are stepped with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec
import structlog

from services.customer.engine.robots import NO_ROBOTS, RobotDocument, RobotEngine
from services.customer.handlers.robots import PIPELINES, Robots, WantedChange, load_robot_rules
from services.customer.projections.robots import robots_v1
from shared.envelope import Causation, Light
from shared.events.deal import DealChangeRequested, DealWebhookRequested, RobotField
from shared.eventstore import EventStore
from shared.hearing import heard
from shared.outbox import Letter
from shared.projection import Stepped
from shared.records import RawRecord
from shared.recurring import again_and_again

TOPICS = ("deal.events.v1",)
GROUP = "customer.robots"
READER = "robots"
POLL_SECONDS = 1.0

log = structlog.stdlib.get_logger(__name__)


class ChangeRequested(msgspec.Struct, gc=False):
    """Of `deal.change_requested`."""

    request: str
    deal: str
    field: RobotField
    value: str


class WebhookRequested(msgspec.Struct, gc=False):
    """Of `deal.webhook_requested`."""

    request: str
    deal: str
    pipeline: str
    stage: str
    robot: str
    url: str


_DECODERS: Mapping[bytes, Callable[[msgspec.Raw], ChangeRequested | WebhookRequested]] = {
    DealChangeRequested.type.encode(): msgspec.json.Decoder(ChangeRequested).decode,
    DealWebhookRequested.type.encode(): msgspec.json.Decoder(WebhookRequested).decode,
}


async def react(robots: Robots, records: Sequence[RawRecord]) -> None:
    """Carry out what robots ask for in the records, in their order. Raises `StoreUnavailable`."""
    letters = []
    for record, light, data in heard(records, _DECODERS, READER):
        if isinstance(data, WebhookRequested):
            letters.append(_letter(record, light, data))
        else:
            why = Causation.of(light)
            await robots.change(
                WantedChange(
                    data.request, data.deal, data.field, data.value, light.recordedtime, why
                )
            )
    await robots.call(letters)


def _letter(record: RawRecord, light: Light, data: WebhookRequested) -> Letter:
    """What another system is told: ids and names of the configuration, nothing personal."""
    body = {
        "id": data.request,
        "deal": data.deal,
        "pipeline": data.pipeline,
        "stage": data.stage,
        "robot": data.robot,
        "time": light.time,
    }
    return Letter(
        id=data.request,
        url=data.url,
        body=msgspec.json.encode(body).decode(),
        about=data.deal,
        key=(record.key or b"").decode(),
        subject=light.subject,
        branch=light.branch,
        correlation=light.correlationid,
        cause=light.id,
        depth=light.causedepth + 1,
    )


def _no_robots() -> Stepped[RobotDocument]:
    return robots_v1(RobotEngine(NO_ROBOTS))


@dataclass(slots=True)
class LiveRobots:
    """The present robots as a stepping; implements `SteppedSource`."""

    store: EventStore
    number: int = 0
    stepped: Stepped[RobotDocument] = field(default_factory=_no_robots)

    async def refresh(self) -> None:
        """Take up newer robots, if there are any. Raises `StoreUnavailable`."""
        head = (await self.store.heads([PIPELINES])).get(PIPELINES)
        if head is None or head.version <= self.number:
            return
        rules = await load_robot_rules(self.store)
        if rules.number > self.number:
            self.stepped = robots_v1(RobotEngine(rules))
            self.number = rules.number
            log.info("robots taken up", number=rules.number)

    async def follow(self) -> None:
        """Keep it fresh until cancelled."""
        await again_and_again(self.refresh, POLL_SECONDS, partial(log.warning, "robots unread"))
