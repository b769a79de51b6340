"""What the notification service found out of addresses: a contact point that does not work is bad.

The command is named by the event, so a repeat changes nothing, and who sets it right afterwards is
not overruled by it. What the customer has no more is passed over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

import structlog

from services.customer.domain.commands import ChangeIdentifier, Command
from services.customer.handlers.customers import Request, carry_out_all
from shared.decider import Refused
from shared.envelope import Causation
from shared.events.customer import Channel, IdentifierKind
from shared.eventstore import body_hash
from shared.execute import Writer

MACHINE = "delivery"
"""Who says it: no person."""
KINDS: Mapping[Channel, Sequence[IdentifierKind]] = MappingProxyType(
    {
        "email": ("email",),
        "sms": ("phone",),
        # WhatsApp also goes by the number itself.
        "messenger": ("messenger", "phone"),
        "push": ("push",),
        "webhook": ("external",),
    }
)
"""What an address of a channel may be."""

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Bad:
    """An address of a customer turned out not to work; `at` is a moment of the chain's clock."""

    event: str
    customer: str
    channel: Channel
    contact: str
    at: datetime
    why: Causation


@dataclass(frozen=True, slots=True)
class Bouncing:
    """Marks contact points."""

    writer: Writer

    async def take(self, found: Sequence[Bad]) -> None:
        """Mark them in their order. Raises `StoreUnavailable`."""
        asked = [
            (_request(each, kind), _command(each, kind))
            for each in found
            for kind in KINDS[each.channel]
        ]
        outcomes = await carry_out_all(self.writer, asked)
        for (request, _), outcome in zip(asked, outcomes, strict=True):
            if isinstance(outcome, Refused):
                name = request.command_id
                log.info("bad address passed over", request=name, refusal=outcome.type)


def _request(bad: Bad, kind: IdentifierKind) -> Request:
    name = f"bad|{bad.event}|{kind}"
    return Request(name, body_hash(name), bad.at, bad.why)


def _command(bad: Bad, kind: IdentifierKind) -> Command:
    return ChangeIdentifier(
        customer=bad.customer, at=bad.at, by=MACHINE, kind=kind, hash=bad.contact, state="bad"
    )
