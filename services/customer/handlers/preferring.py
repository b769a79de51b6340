"""What people decided by links in messages: evidence in the log of consents, or a channel.

The command is named by the event, so a repeat changes nothing. What cannot count any more (newer
evidence stands, the address is gone, the person was erased) is passed over and counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from services.customer.domain.commands import ChangeRecord, Command, GiveConsent, WithdrawConsent
from services.customer.domain.preferring import HIMSELF
from services.customer.handlers.customers import Request, carry_out_all
from shared import telemetry
from shared.decider import Refused
from shared.envelope import Causation
from shared.events.customer import (
    Channel,
    ConsentGiven,
    ConsentWithdrawn,
    Evidence,
    RecordFields,
)
from shared.eventstore import body_hash
from shared.execute import Writer

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Decision:
    """A word of a customer; `said` and `recorded` are moments of the chain's clock.

    Without a topic it is about the channel alone: that one rather than another.
    """

    event: str
    customer: str
    topic: str | None
    channel: Channel
    given: bool
    contact: str | None
    source: str
    wording: str | None
    said: datetime
    recorded: datetime
    why: Causation


@dataclass(frozen=True, slots=True)
class Preferring:
    """Carries decisions into the log of consents."""

    writer: Writer

    async def take(self, decisions: Sequence[Decision]) -> None:
        """Record them in their order. Raises `StoreUnavailable`."""
        asked = [(_request(each), _command(each)) for each in decisions]
        outcomes = await carry_out_all(self.writer, asked)
        for decision, outcome in zip(decisions, outcomes, strict=True):
            passed_over = isinstance(outcome, Refused)
            telemetry.PREFERENCES.labels("passed_over" if passed_over else "recorded").inc()
            if isinstance(outcome, Refused):
                log.info("preference passed over", word=decision.event, refusal=outcome.type)


def _request(decision: Decision) -> Request:
    name = f"preference|{decision.event}"
    return Request(name, body_hash(name), decision.recorded, decision.why)


def _command(decision: Decision) -> Command:
    if decision.topic is None:
        fields = RecordFields(preferred_channel=decision.channel)
        return ChangeRecord(
            customer=decision.customer, at=decision.recorded, by=HIMSELF, fields=fields
        )
    evidence = Evidence(
        source=decision.source, wording=decision.wording, by=HIMSELF, at=decision.said
    )
    if not decision.given:
        withdrawn = ConsentWithdrawn(
            topic=decision.topic, channel=decision.channel, evidence=evidence
        )
        return WithdrawConsent(
            customer=decision.customer, at=decision.recorded, by=HIMSELF, withdrawn=withdrawn
        )
    consent = ConsentGiven(
        topic=decision.topic, channel=decision.channel, contact=decision.contact, evidence=evidence
    )
    return GiveConsent(
        customer=decision.customer, at=decision.recorded, by=HIMSELF, consent=consent
    )
