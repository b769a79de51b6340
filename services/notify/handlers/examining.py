"""One look at a batch of messages: from what is known now to what is to be done. No I/O."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from msgspec.structs import replace

from services.notify.channels import Outgoing
from services.notify.domain import (
    BeginSending,
    Defer,
    Facts,
    Hold,
    HoldOut,
    Knowledge,
    MessageCommand,
    Postpone,
    RecordUncertain,
    Reject,
    Release,
    Stage,
    Suppress,
    Verdict,
    Wait,
    Way,
    is_held_out,
    verdict,
)
from services.notify.domain.durations import exact_duration
from services.notify.domain.handing import address_claim
from services.notify.domain.ledger import LedgerCommand, ReturnSlot, TakeSlot
from services.notify.domain.lifetime import Lifetime
from services.notify.handlers.book import Entry
from services.notify.handlers.choosing import Choosing, Limits
from services.notify.handlers.writing import Stationery, Writing, person_of
from services.notify.projections import QueuedMessage, Recipient
from shared.events.campaign import Broadcast, CampaignDefined
from shared.events.customer import Channel
from shared.events.notification import SuppressionReason
from shared.ids import new_id

CONTACT_KINDS: Mapping[str, str] = {"email": "email", "sms": "phone"}
"""The kind of identifier that a channel reaches people by."""

SENDING_GRACE = timedelta(seconds=15)
"""A hand-over is long over by then: whoever began it has ended, or stands frozen past its time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with a message; `outgoing` is there where it is handed over.

    With the command a `slot` of the customer's ledger is taken or given back, and the address gets
    the one message of its broadcast (`claim`). `capped`: the hand-over counts against caps;
    `further`: another channel is left, should this one refuse it.
    """

    message: QueuedMessage
    command: MessageCommand
    outgoing: Outgoing | None = None
    slot: LedgerCommand | None = None
    claim: str | None = None
    capped: bool = False
    further: bool = False

    @property
    def channel(self) -> Channel:
        """By which it goes; asked only of what is handed over."""
        assert isinstance(self.command, BeginSending)  # noqa: S101 - only these are handed over
        assert self.command.channel is not None  # noqa: S101 - this service names it always
        return self.command.channel


@dataclass(frozen=True, slots=True)
class Examination:
    """All that is known at one moment.

    `reached` gives W of `customer.events` for a customer, taken before `recipients` was read, and
    `members_reached` that of memberships; `limits` are what the policy leaves;
    `withheld` are customers of whom events are parked or refused; `deduplicates` is what each
    channel declares. `abandoned` are attempts, by message, that are known to have handed nothing
    over; `unanswered` those that are over without saying whether they have. `now` is system time,
    `at` the chain's; `deadline` is the time of the event loop.
    """

    campaigns: Mapping[str, Entry]
    recipients: Mapping[str, Recipient]
    reached: Mapping[str, datetime | None]
    withheld: frozenset[str]
    deduplicates: Mapping[str, timedelta | None]
    secret: bytes = field(repr=False)
    now: datetime
    at: datetime
    deadline: float
    abandoned: Mapping[str, str] = field(default_factory=dict)
    unanswered: Mapping[str, str] = field(default_factory=dict)
    new_attempt: Callable[[], str] = new_id
    stationery: Stationery = field(default_factory=Stationery)
    limits: Limits = field(default_factory=lambda: Limits(CONTACT_KINDS))
    members_reached: Mapping[str, datetime | None] = field(default_factory=dict)

    def plan(self, message: QueuedMessage) -> Plan | None:
        """What is to be done with an open message now; None: nothing yet."""
        if message.stage is Stage.SENDING:
            return self._cut_off(message)
        decided, outgoing = self._decided(message)
        match decided:
            case Wait():
                return None
            case Reject(reason=reason):
                if reason is None:
                    return Plan(message, HoldOut(message=message.id, at=self.at))
                return Plan(message, Suppress(message=message.id, at=self.at, reason=reason))
            case Hold(until=until, reason=why):
                later = Postpone(message=message.id, at=self.at, until=until, reason=why)
                return Plan(message, later)
            case Release(way=way):
                return self._begun(message, way, outgoing, None)

    def _cut_off(self, message: QueuedMessage) -> Plan | None:
        """A hand-over that began and has no result."""
        attempt = message.attempt or ""
        abandoned = self.abandoned.get(message.id) == attempt
        # An attempt before this one may have been taken over: there is nothing to begin anew.
        in_doubt = message.sending_since != message.sending_at
        if abandoned and not in_doubt:
            late = Defer(message=message.id, at=self.at, attempt=attempt, reason="late")
            return Plan(
                message,
                late,
                slot=ReturnSlot(message.id, cast("Channel", message.channel), self.at),
            )
        began = message.sending_at or message.recorded
        over = abandoned or self.unanswered.get(message.id) == attempt
        if not over and self.now - began <= SENDING_GRACE:
            return None
        uncertain = RecordUncertain(message=message.id, at=self.at, attempt=attempt)
        window = self.deduplicates.get(message.channel)
        if window is None or self.now - (message.sending_since or began) >= window:
            return Plan(message, uncertain)
        decided, outgoing = self._decided(message)
        match decided:
            case Wait():
                return None
            case Hold():
                return None
            case Release(way=way):
                return self._begun(message, way, outgoing, attempt)
            case Reject():
                # It must not go out any more, and whether it has cannot be told.
                return Plan(message, uncertain)

    def ordered(self, found: Sequence[QueuedMessage]) -> Sequence[QueuedMessage]:
        """In the order in which they are decided: where there are caps, the first gets the slot."""
        if not self.limits.policy.caps:
            return found
        return sorted(found, key=lambda message: (-self._priority(message), message.turn))

    def _priority(self, message: QueuedMessage) -> int:
        entry = self.campaigns.get(message.campaign)
        definition = None if entry is None else entry.campaign.definition
        return 0 if definition is None else definition.priority

    def take_back(self, plan: Plan) -> None:
        """It is not carried out now: its slot is free for the next one."""
        if isinstance(plan.slot, TakeSlot):
            self.limits.take_back(plan.message)

    def _begun(
        self, found: QueuedMessage, way: Way, outgoing: Outgoing | None, instead_of: str | None
    ) -> Plan:
        """An attempt by a way, with all that is written with it; again it has what it needs."""
        definition = self.campaigns[found.campaign].campaign.definition
        assert definition is not None  # noqa: S101 - nothing is released without one
        message = replace(found, channel=way.channel)
        limits, first = self.limits, instead_of is None
        capped = limits.capped(definition)
        once = isinstance(definition.trigger, Broadcast) and way.contact in limits.shared
        occasion = (message.campaign, message.occurrence, way.contact)
        choosing = self._choosing(message, definition)
        return Plan(
            message,
            BeginSending(
                message=message.id,
                at=self.at,
                contact=way.contact,
                attempt=self.new_attempt(),
                instead_of=instead_of,
                channel=way.channel,
            ),
            outgoing,
            limits.slot(message, definition, self.at) if capped and first else None,
            address_claim(*occasion) if once and first else None,
            capped=capped,
            further=any(
                each.problem is None for each in choosing.ways() if each.channel != way.channel
            ),
        )

    def _choosing(self, message: QueuedMessage, definition: CampaignDefined) -> Choosing:
        recipient = self.recipients.get(message.customer) or Recipient(id=message.customer)
        since = _life(message, definition).occurred
        return Choosing(self.limits, definition, recipient, message, since, self.at)

    def _decided(self, message: QueuedMessage) -> tuple[Verdict, Outgoing | None]:
        entry = self.campaigns.get(message.campaign)
        if entry is None or entry.campaign.definition is None:
            return Wait(), None
        definition = entry.campaign.definition
        life, choosing = _life(message, definition), self._choosing(message, definition)
        recipient = choosing.recipient
        writings: dict[str, Writing] = {}

        def renders(way: Way) -> bool:
            writings[way.channel] = writing = Writing(
                definition.template,
                way.channel,
                person_of(recipient),
                self.stationery,
                self.stationery.links(message.id, entry.campaign.version, self.now),
            )
            return writing.works()

        service = choosing.service
        facts = Facts(
            closed=entry.closed(message.occurrence, message.scheduled_at, self.at),
            paused=entry.campaign.state == "paused",
            withheld=message.customer in self.withheld,
            known=recipient.registered,
            ended=_ended(recipient),
            internal=recipient.internal,
            outdated=life.outdated(self.at),
            last=life.last,
            # One that is under way stays with its channel.
            ways=choosing.ways(message.channel if message.stage is Stage.SENDING else None),
            drops=definition.caps == "drop",
            condition=self._condition(message, definition, recipient),
            renders=renders,
            held_out=not service
            and is_held_out(self.secret, message.customer, definition.holdout_percent),
        )
        reach = self.reached.get(message.customer)
        decided = verdict(facts, Knowledge(reach, message.recorded, self.now))
        if not isinstance(decided, Release):
            return decided, None
        way = decided.way
        contact, rendered = choosing.contact(way.channel), writings[way.channel].rendered
        if contact is None or rendered is None:
            return Wait(), None
        outgoing = Outgoing(
            id=message.id,
            address=contact.value or "",
            subject=rendered.subject,
            text=rendered.text,
            at=self.at,
            deadline=self.deadline,
            html=writings[way.channel].html,
            unsubscribe=writings[way.channel].unsubscribe,
        )
        return decided, outgoing

    def _condition(
        self, message: QueuedMessage, definition: CampaignDefined, recipient: Recipient
    ) -> bool | None:
        """Whether the customer is in the segment still, where the campaign asks; None: unread."""
        segment = getattr(definition.trigger, "segment", None)
        if not definition.while_member or segment is None:
            return True
        if any(each.segment == segment for each in recipient.memberships):
            return True
        reach = self.members_reached.get(message.customer)
        return False if Knowledge(reach, message.recorded, self.now).complete else None


def _life(message: QueuedMessage, definition: CampaignDefined) -> Lifetime:
    return Lifetime(
        message.occurred or message.scheduled_at,
        message.scheduled_at,
        None if definition.max_age is None else exact_duration(definition.max_age, "max_age"),
        definition.end,
    )


def _ended(recipient: Recipient) -> SuppressionReason | None:
    """Why nothing is sent to somebody who is known well."""
    if recipient.removed:
        return "erased"
    if recipient.merged is not None:
        return "merged"
    return "blacklisted" if recipient.blacklisted else None
