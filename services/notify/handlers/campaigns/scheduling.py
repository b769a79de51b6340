"""From occasions to messages: the first step of every message, and one that cannot happen twice.

The id of a message, and of the command that schedules it, follow from campaign, customer and
occurrence, so a cause that is read again, or that two processes read, finds the stream taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from services.notify.domain import (
    MESSAGE,
    MessageCommand,
    Schedule,
    message_id,
    message_stream,
)
from services.notify.projections import QueuedMessage, queued
from shared import causes, telemetry
from shared.decider import Refused
from shared.envelope import Causation
from shared.events.customer import Channel
from shared.events.notification import MessageScheduled
from shared.eventstore import body_hash
from shared.execute import Command as Execution
from shared.execute import Done, Writer

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why a customer is to get a message; `why.causation` is the event that caused it.

    `occurred` is when that happened (absent: now), which the campaign's `max_age` counts from.
    """

    campaign: str
    customer: str
    occurrence: str
    channel: Channel
    why: Causation
    occurred: datetime | None = None


async def schedule(writer: Writer, occasions: Sequence[Occasion]) -> Sequence[QueuedMessage]:
    """Schedule a message for each; gives those that are new. Raises `StoreUnavailable`.

    One behind too many causes is none: segments may ask what became of messages, and so campaigns
    may cause each other.
    """
    at = writer.clock.now()
    occasions = [each for each in occasions if not _too_deep(each)]
    commands = []
    for occasion in occasions:
        message = message_id(occasion.campaign, occasion.customer, occasion.occurrence)
        body = Schedule(
            message=message,
            at=at,
            campaign=occasion.campaign,
            occurrence=occasion.occurrence,
            channel=occasion.channel,
            cause=occasion.why.causation,
            occurred=occasion.occurred,
        )
        commands.append(_execution(occasion, body))
    outcomes = await writer.many(MESSAGE, commands, stateless=True)
    for command, outcome in zip(commands, outcomes, strict=True):
        if isinstance(outcome, Refused):
            # Nothing should ever refuse it; if something does, a person must know of it.
            telemetry.MESSAGES.labels("refused").inc()
            log.error("message not scheduled", message=command.body.message, reason=str(outcome))
    recorded = writer.clock.system_now()
    return [
        queued(
            command.body.message,
            MessageScheduled(
                message=command.body.message,
                campaign=occasion.campaign,
                occurrence=occasion.occurrence,
                channel=occasion.channel,
                occurred=occasion.occurred,
            ),
            occasion.customer,
            at=at,
            recorded=recorded,
            why=occasion.why,
        )
        for occasion, command, outcome in zip(occasions, commands, outcomes, strict=True)
        if isinstance(outcome, Done) and not outcome.repeated
    ]


def _too_deep(occasion: Occasion) -> bool:
    why = occasion.why
    return causes.stops(why.depth, "campaign-loop", why.causation, campaign=occasion.campaign)


def _execution(occasion: Occasion, body: MessageCommand) -> Execution[MessageCommand]:
    command_id = f"schedule|{body.message}"
    return Execution(
        id=command_id,
        hash=body_hash(command_id),
        stream=message_stream(body.message),
        key=occasion.customer,
        body=body,
        causation=occasion.why,
        subject=occasion.customer,
    )
