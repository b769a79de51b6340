"""What the hand-overs of a batch cost, and against which branch's budget they count. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.notify.channels import Outgoing
from services.notify.channels.sms_segments import segments_of
from services.notify.domain import BeginSending
from services.notify.domain.branch_budget import BranchPurse
from services.notify.handlers.deciding.choosing import SERVICE
from services.notify.handlers.deciding.plans import Plan
from services.notify.projections import Recipient
from services.notify.settings import NotifySettings
from shared.events.campaign import CampaignDefined


@dataclass(frozen=True, slots=True)
class Charge:
    """What a text costs, in minor units, and how many messages an SMS is; None: nobody counts."""

    segments: int | None = None
    cost: int | None = None


@dataclass(frozen=True, slots=True)
class Tariff:
    """What the chain pays: `segment` for each message that an SMS is for the network."""

    segment: int | None = None

    def of(self, channel: str, text: str) -> Charge:
        """What a text costs by a channel."""
        if channel != "sms":
            return Charge()
        count = segments_of(text).count
        return Charge(count, None if self.segment is None else count * self.segment)


def tariff_of(settings: NotifySettings) -> Tariff:
    """What the chain has said that it pays."""
    gateway = settings.sms_gateway
    return Tariff(None if gateway is None else gateway.segment_price)


def branch_of(definition: CampaignDefined, home: str | None) -> str | None:
    """In whose name a message goes out, as with its sender; None: in the chain's."""
    return definition.branch or (home if definition.home_sender else None)


@dataclass(frozen=True, slots=True)
class Charging:
    """The tariff, and what is left to the branches of a batch that have a budget.

    Service messages cost what they cost, and keep to no budget of a branch.
    """

    tariff: Tariff = field(default_factory=Tariff)
    purses: Mapping[str, BranchPurse] = field(default_factory=dict)

    def of(self, channel: str, outgoing: Outgoing | None) -> Charge:
        """What a hand-over costs."""
        return Charge() if outgoing is None else self.tariff.of(channel, outgoing.text)

    def branch(self, definition: CampaignDefined, recipient: Recipient) -> str | None:
        """The branch whose budget is asked."""
        branch = branch_of(definition, recipient.home_branch)
        return branch if branch in self.purses and definition.purpose != SERVICE else None

    def affords(self, message: str, branch: str | None, channel: str, text: str) -> bool | None:
        """Whether the branch's budget has room for it; None: that is not certain yet."""
        if branch is None:
            return True
        return self.purses[branch].affords(message, self.tariff.of(channel, text).cost or 0)

    def take(self, plan: Plan) -> Plan:
        """The plan, for which its branch's budget has less now."""
        if plan.branch is not None and plan.first:
            self.purses[plan.branch].take(plan.message.id, _cost(plan))
        return plan

    def put_back(self, plan: Plan) -> None:
        """It does not go now."""
        if plan.branch is not None and plan.first:
            self.purses[plan.branch].put_back(plan.message.id, _cost(plan))


def _cost(plan: Plan) -> int:
    return (plan.command.cost or 0) if isinstance(plan.command, BeginSending) else 0
