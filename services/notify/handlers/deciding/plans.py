"""What is to be done with a message, and all that is written together with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.notify.channels import Outgoing
from services.notify.domain import BeginSending, MessageCommand
from services.notify.domain.coupons import IssueCoupon
from services.notify.domain.ledger import LedgerCommand
from services.notify.projections import QueuedMessage
from shared.events.customer import Channel


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with a message; `outgoing` is there where it is handed over.

    With the command a `slot` of the customer's ledger is taken or given back, and the address gets
    the one message of its broadcast (`claim`), and what waits `beside` it for the other ids of the
    person goes; `coupons` are the codes that it says. `capped`: the hand-over counts against caps;
    `further`: another channel is left, should this one refuse it; `branch` is whose budget it
    counts against, where there is one.
    """

    message: QueuedMessage
    command: MessageCommand
    outgoing: Outgoing | None = None
    slot: LedgerCommand | None = None
    claim: str | None = None
    beside: Mapping[str, str] = field(default_factory=dict)
    coupons: tuple[IssueCoupon, ...] = ()
    capped: bool = False
    further: bool = False
    branch: str | None = None

    @property
    def first(self) -> bool:
        """Whether a hand-over begins, and not one again of which nobody knows the result."""
        return isinstance(self.command, BeginSending) and self.command.instead_of is None

    @property
    def channel(self) -> Channel:
        """By which it goes; asked only of what is handed over."""
        assert isinstance(self.command, BeginSending)  # noqa: S101 - only these are handed over
        assert self.command.channel is not None  # noqa: S101 - this service names it always
        return self.command.channel
