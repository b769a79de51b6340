"""By which way a message would go out now: channels in their order, addresses, hours and caps."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import cast
from zoneinfo import ZoneInfo

from services.notify.channels.doors import Door
from services.notify.domain.anniversary import zone_of
from services.notify.domain.caps import Slot
from services.notify.domain.ledger import Ledger, TakeSlot
from services.notify.domain.policy import Policy
from services.notify.domain.preference import Preferences
from services.notify.domain.quiet import next_allowed
from services.notify.domain.sending import Way
from services.notify.projections import Contact, QueuedMessage, Recipient
from shared.events.campaign import CampaignDefined
from shared.events.customer import Channel
from shared.events.notification import SuppressionReason

SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Zones:
    """Where people are: the customer's own zone, else the home branch's, else the chain's."""

    chain: tzinfo = field(default_factory=lambda: ZoneInfo("UTC"))
    branches: Mapping[str, str] = field(default_factory=dict)

    def of(self, recipient: Recipient) -> tzinfo:
        """The zone by whose clock the recipient's hours are quiet."""
        branch = self.branches.get(recipient.home_branch or "")
        return zone_of(recipient.time_zone, branch, self.chain)


@dataclass(slots=True)
class Limits:
    """What limits a batch: the policy, where people are, and what they have got already.

    `ledgers` are the customers' and grow with what is decided in the batch; `suppressed` are hashes
    of addresses that get nothing; `shared` those that several customers have; `duplicates` are
    messages of broadcasts whose address has got it; `said` is what customers decided by links,
    which their recipients heed already; `waits` says of messages that employees wrote whether they
    keep to quiet hours. `doors` says for each channel which contact
    points it reaches.
    """

    doors: Mapping[str, Door]
    policy: Policy = field(default_factory=Policy)
    zones: Zones = field(default_factory=Zones)
    ledgers: dict[str, Ledger] = field(default_factory=dict)
    suppressed: Collection[str] = ()
    shared: Collection[str] = ()
    duplicates: Collection[str] = ()
    said: Mapping[str, Preferences] = field(default_factory=dict)
    waits: Mapping[str, bool] = field(default_factory=dict)

    def capped(self, definition: CampaignDefined) -> bool:
        """Whether messages of the campaign count against caps."""
        return bool(self.policy.caps) and definition.purpose != SERVICE

    def slot(self, message: QueuedMessage, definition: CampaignDefined, at: datetime) -> TakeSlot:
        """The slot that a hand-over by the message's channel takes; here it is taken at once."""
        slot = Slot(message.id, cast("Channel", message.channel), definition.topic, at)
        ledger = self.ledgers.get(message.customer, Ledger())
        self.ledgers[message.customer] = ledger.with_slot(slot)
        return TakeSlot(slot, definition.campaign, self.policy.caps)

    def take_back(self, message: QueuedMessage) -> None:
        """The slot of a message that does not go now."""
        ledger = self.ledgers[message.customer]
        self.ledgers[message.customer] = ledger.without(message.id, message.channel)


@dataclass(frozen=True, slots=True)
class Choosing:
    """The choice for one message at one moment (the chain's clock); it is asked more than once."""

    limits: Limits
    definition: CampaignDefined
    recipient: Recipient
    message: QueuedMessage
    since: datetime
    at: datetime
    _contacts: dict[Channel, Contact | None] = field(default_factory=dict, repr=False)

    @property
    def service(self) -> bool:
        """Whether it needs no consent to advertising, and keeps to no caps of it."""
        return self.definition.purpose == SERVICE

    def ways(self, only: str | None = None) -> list[Way]:
        """The channels that are left, as they stand; with `only`, that one."""
        return [self._way(channel) for channel in self._channels() if only in (None, channel)]

    def further(self, than: Channel) -> bool:
        """Whether another channel could be used, whatever quiet hours and caps say of it now."""
        others = (each for each in self._channels() if each != than)
        return any(self.contact(each) is not None for each in others)

    def _channels(self) -> Iterator[Channel]:
        """In their order: the one that the customer prefers goes before the campaign's."""
        offered = dict.fromkeys((self.definition.channel, *self.definition.fallback))
        preferred = self.recipient.preferred_channel
        yield from sorted(
            (each for each in offered if each not in self.message.tried),
            key=lambda channel: channel != preferred,
        )

    def _way(self, channel: Channel) -> Way:
        contact = self.contact(channel)
        if contact is None:
            return Way(channel, problem=self._problem(channel), said_no=self._said_no(channel))
        quiet, capped = self._quiet_until(channel), self._capped_until(channel)
        return Way(
            channel,
            contact=contact.hash,
            duplicate=self.message.id in self.limits.duplicates,
            quiet_until=quiet if quiet > self.at else None,
            capped_until=capped if capped > self.at else None,
        )

    def contact(self, channel: Channel) -> Contact | None:
        """The contact point that the channel goes to: the first that may be used."""
        if channel not in self._contacts:
            self._contacts[channel] = self._contact(channel)
        return self._contacts[channel]

    def _contact(self, channel: Channel) -> Contact | None:
        if not self._agrees(channel):
            return None
        usable = (each for each in self._addresses(channel) if self._usable(each, channel))
        return next(usable, None)

    def address(self, channel: Channel) -> str | None:
        """What the channel is given of that contact point."""
        contact = self.contact(channel)
        return None if contact is None else self._address(contact, channel)

    def _address(self, contact: Contact, channel: Channel) -> str | None:
        door = self.limits.doors.get(channel)
        if door is None or contact.value is None:
            return None
        return door.address(contact.kind, contact.value)

    def _addresses(self, channel: Channel) -> list[Contact]:
        """Those that the channel reaches in their order: of its own kind, then the preferred.

        Of addresses the first, of devices and accounts the last one that became known.
        """
        door = self.limits.doors.get(channel)
        if door is None:
            return []
        contacts = self.recipient.contacts
        return sorted(
            (
                each
                for each in (reversed(contacts) if door.is_for_devices else contacts)
                if self._address(each, channel) is not None
            ),
            key=lambda each: (each.kind != door.kind, not each.preferred),
        )

    def _agrees(self, channel: Channel) -> bool:
        return self.service or self.recipient.wants(self.definition.topic, channel)

    def _said_no(self, channel: Channel) -> bool:
        """Whether the customer has withdrawn it here, and nothing younger is known."""
        said = self.limits.said.get(self.recipient.id)
        about = (self.definition.topic, channel)
        return said is not None and about in said.refusals and not self._agrees(channel)

    def _reachable(self, contact: Contact, channel: Channel) -> bool:
        topic = self.definition.topic
        return self.service or self.recipient.may_reach(contact, topic, channel)

    def _usable(self, contact: Contact, channel: Channel) -> bool:
        return (
            contact.state != "bad"
            and contact.hash not in self.limits.suppressed
            and self._reachable(contact, channel)
        )

    def _problem(self, channel: Channel) -> SuppressionReason:
        """Why there is no contact point: the first of these that leaves none."""
        withdrawn = self.recipient.withdrawn_since(self.definition.topic, channel, self.since)
        if not self._agrees(channel):
            return "withdrawn" if withdrawn else "no_consent"
        left = self._addresses(channel)
        steps: tuple[tuple[SuppressionReason, Callable[[Contact], bool]], ...] = (
            ("bad_address", lambda each: each.state != "bad"),
            ("address_suppressed", lambda each: each.hash not in self.limits.suppressed),
            (
                "withdrawn" if withdrawn else "no_address",
                lambda each: self._reachable(each, channel),
            ),
        )
        for reason, good in steps:
            if not left:
                break
            left = [each for each in left if good(each)]
            if not left:
                return reason
        return "no_address"

    def _quiet_until(self, channel: Channel) -> datetime:
        waits = self.limits.waits.get(self.message.id)
        if waits is False:
            return self.at
        stretches = self.limits.policy.quiet_of(channel, service=self.service and waits is None)
        if not stretches:
            return self.at
        return next_allowed(self.at, self.limits.zones.of(self.recipient), stretches)

    def _capped_until(self, channel: Channel) -> datetime:
        if not self.limits.capped(self.definition):
            return self.at
        ledger = self.limits.ledgers.get(self.message.customer, Ledger())
        slot = Slot(self.message.id, channel, self.definition.topic, self.at)
        return ledger.free_at(self.limits.policy.caps, slot)
