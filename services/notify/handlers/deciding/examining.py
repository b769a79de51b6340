"""One look at a batch of messages: from what is known now to what is to be done. No I/O."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from services.notify.channels import Outgoing
from services.notify.channels.doors import doors_of
from services.notify.content import words_for
from services.notify.domain import (
    BeginSending,
    Defer,
    Facts,
    Hold,
    HoldOut,
    Knowledge,
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
from services.notify.domain.budget import Purse
from services.notify.domain.durations import exact_duration
from services.notify.domain.handing import address_claim
from services.notify.domain.ledger import ReturnSlot, TakeSlot
from services.notify.domain.measuring import variant_of
from services.notify.domain.senders import Senders
from services.notify.handlers.books.campaigns import Entry
from services.notify.handlers.coupons.saying import NOTHING, Allotment, Saying
from services.notify.handlers.deciding.charging import Charging
from services.notify.handlers.deciding.choosing import Choosing, Limits
from services.notify.handlers.deciding.falling_back import UNREACHED, Unreached
from services.notify.handlers.deciding.plans import Plan
from services.notify.handlers.deciding.stepping import Steps
from services.notify.handlers.letters.writing import Stationery, Writing, person_of, words_of
from services.notify.handlers.recipients.circumstances import ended, is_member, life_of
from services.notify.handlers.recipients.merged import Elsewhere
from services.notify.projections import QueuedMessage, Recipient
from shared.events.campaign import AnyBroadcast, CampaignDefined
from shared.ids import new_id

if TYPE_CHECKING:
    from shared.events.customer import Channel

SENDING_GRACE = timedelta(seconds=15)
"""A hand-over is long over by then: whoever began it has ended, or stands frozen past its time."""


@dataclass(frozen=True, slots=True)
class Examination:
    """All that is known at one moment.

    `reached` gives W of `customer.events` for a customer, taken before `recipients` was read, and
    `members_reached` that of memberships; `limits` are what the policy leaves;
    `withheld` are customers of whom events are parked or refused; `deduplicates` is what each
    channel declares; `elsewhere` says what other ids of the person have got, `budgets` what is left
    to campaigns that have one, `steps` what series say of their messages. `abandoned` are
    attempts, by message, that are known to have handed nothing over; `unanswered` those that are
    over without saying whether they have. `now` is system time, `at` the chain's; `deadline` is the
    time of the event loop. `coupons` are what messages may say of codes, `said` what they do;
    `tells` whether a provider tells of deliveries to an address of a way; `charging` says what
    hand-overs cost, and what is left of the budgets of branches.
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
    limits: Limits = field(default_factory=lambda: Limits(doors_of({})))
    members_reached: Mapping[str, datetime | None] = field(default_factory=dict)
    steps: Steps = field(default_factory=Steps)
    elsewhere: Mapping[str, Elsewhere] = field(default_factory=dict)
    budgets: Mapping[str, Purse] = field(default_factory=dict)
    coupons: Allotment = NOTHING
    senders: Senders = field(default_factory=Senders)
    said: dict[str, Saying] = field(default_factory=dict, repr=False)
    tells: Callable[[str, str], bool] = lambda _way, _address: False
    charging: Charging = field(default_factory=Charging)

    def plan(self, message: QueuedMessage) -> Plan | None:
        """What is to be done with an open message now; None: nothing yet."""
        if message.stage is Stage.SENDING:
            return self._cut_off(message)
        if message.stage in UNREACHED:
            return self._unreached(message)
        decided, outgoing = self._decided(message)
        match decided:
            case Wait():
                return None
            case Reject(reason=reason):
                if reason is None:
                    return Plan(message, self._held_out(message))
                return Plan(message, Suppress(message=message.id, at=self.at, reason=reason))
            case Hold(until=until, reason=why):
                if why == "pace":
                    self.budgets[message.campaign].queueing.take()
                later = Postpone(message=message.id, at=self.at, until=until, reason=why)
                return Plan(message, later)
            case Release(way=way):
                return self._begun(message, way, outgoing, None)

    def _held_out(self, message: QueuedMessage) -> HoldOut:
        definition = self.campaigns[message.campaign].campaign.definition
        days = None if definition is None else definition.attribution_days
        return HoldOut(message=message.id, at=self.at, attribution_days=days)

    def _unreached(self, message: QueuedMessage) -> Plan | None:
        """It did not arrive by its channel, and another one was left then."""
        entry = self.campaigns.get(message.campaign)
        if entry is None or entry.campaign.definition is None:
            return None
        reach = self.reached.get(message.customer)
        waits = entry.campaign.state == "paused" or self.steps.paused(message)
        fresh = Knowledge(reach, message.recorded, self.now).fresh
        if waits or message.customer in self.withheld or not fresh:
            return None
        definition = entry.campaign.definition
        choosing = self._choosing(message, definition)
        over = (
            entry.closed(message.occurrence, message.scheduled_at, self.at)
            or self.steps.closed(message)
            or ended(choosing.recipient)
            or life_of(message, definition).outdated(self.at)
        )
        by = cast("Channel", message.channel)
        unreached = Unreached(message, by, choosing, over=over is not None)
        return Plan(message, unreached.next(self.at), slot=unreached.slot(self.at))

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
        """It is not carried out now: its slot is free for the next one, as is its place."""
        if plan.first and (purse := self._purse(plan.message)) is not None:
            purse.taken -= 1
        self.charging.put_back(plan)
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
        if first and (purse := self._purse(found)) is not None:
            purse.taken += 1
        capped = limits.capped(definition)
        once = isinstance(definition.trigger, AnyBroadcast) and way.contact in limits.shared
        occasion = (message.campaign, message.occurrence, way.contact)
        choosing = self._choosing(message, definition)
        variant = variant_of(self.secret, definition, message.customer)
        further = choosing.further(way.channel)
        charge = self.charging.of(way.channel, outgoing)
        plan = Plan(
            message,
            BeginSending(
                message=message.id,
                at=self.at,
                contact=way.contact,
                attempt=self.new_attempt(),
                instead_of=instead_of,
                channel=way.channel,
                variant=None if variant is None else variant.name,
                attribution_days=definition.attribution_days,
                further=further,
                next_at=self._next_at(definition, way, outgoing) if further else None,
                segments=charge.segments,
                cost=charge.cost,
            ),
            outgoing,
            limits.slot(message, definition, self.at) if capped and first else None,
            address_claim(*occasion) if once and first else None,
            beside=self._elsewhere(message).waiting,
            coupons=self.said[found.id].issues,
            capped=capped,
            further=further,
            branch=self.charging.branch(definition, choosing.recipient),
        )
        return self.charging.take(plan)

    def _next_at(
        self, definition: CampaignDefined, way: Way, outgoing: Outgoing | None
    ) -> datetime | None:
        """When the next channel is tried; of one that tells of no delivery that says nothing."""
        after = definition.fallback_after
        told = outgoing is not None and self.tells(way.channel, outgoing.address)
        if after is None or not told:
            return None
        return self.at + exact_duration(after, "fallback_after")

    def _purse(self, message: QueuedMessage) -> Purse | None:
        """The budget that the message must ask; what has begun was counted then."""
        purse = self.budgets.get(message.campaign)
        counted = purse is None or message.stage is Stage.SENDING or message.id in purse.held
        return None if counted else purse

    def _elsewhere(self, message: QueuedMessage) -> Elsewhere:
        return self.elsewhere.get(message.id, Elsewhere())

    def _choosing(self, message: QueuedMessage, definition: CampaignDefined) -> Choosing:
        recipient = self.recipients.get(message.customer) or Recipient(id=message.customer)
        since = life_of(message, definition).occurred
        return Choosing(self.limits, definition, recipient, message, since, self.at)

    def _decided(self, message: QueuedMessage) -> tuple[Verdict, Outgoing | None]:
        entry = self.campaigns.get(message.campaign)
        if entry is None or entry.campaign.definition is None:
            return Wait(), None
        definition = entry.campaign.definition
        life, choosing = life_of(message, definition), self._choosing(message, definition)
        recipient = choosing.recipient
        writings: dict[str, Writing] = {}

        def renders(way: Way) -> bool:
            template, first = words_of(self.secret, definition, message.customer)
            asks = words_for(template, way.channel, person_of(recipient)).asks
            self.said[message.id] = saying = self.coupons.saying(definition, message, asks)
            writings[way.channel] = writing = Writing(
                template,
                way.channel,
                person_of(recipient, saying.values),
                self.stationery,
                self.stationery.links(message.id, entry.campaign.version, self.now, first),
                counted=message.id not in self.limits.waits,
            )
            return saying.lacking or writing.works()

        def affords(way: Way) -> bool | None:
            # What has begun was counted then.
            said = writings[way.channel].rendered
            if message.stage is Stage.SENDING or said is None:
                return True
            branch = self.charging.branch(definition, recipient)
            return self.charging.affords(message.id, branch, way.channel, said.text)

        service = choosing.service
        purse = self._purse(message)
        facts = Facts(
            closed=entry.closed(message.occurrence, message.scheduled_at, self.at)
            or self.steps.closed(message),
            paused=entry.campaign.state == "paused" or self.steps.paused(message),
            withheld=message.customer in self.withheld,
            known=recipient.registered,
            ended=ended(recipient),
            internal=recipient.internal,
            outdated=life.outdated(self.at),
            last=life.last,
            # One that is under way stays with its channel.
            ways=choosing.ways(message.channel if message.stage is Stage.SENDING else None),
            told=self._elsewhere(message).told,
            drops=definition.caps == "drop",
            condition=self._condition(message, definition, recipient),
            spent=False if purse is None else purse.spent_by_now(),
            paced_until=None if purse is None else purse.paced_until(),
            renders=renders,
            affords=affords,
            held_out=not service
            and is_held_out(self.secret, message.customer, definition.holdout_percent),
        )
        reach = self.reached.get(message.customer)
        decided = verdict(facts, Knowledge(reach, message.recorded, self.now))
        if not isinstance(decided, Release):
            return decided, None
        way = decided.way
        address, rendered = choosing.address(way.channel), writings[way.channel].rendered
        if address is None or rendered is None or self.said[message.id].lacking:
            return Wait(), None
        outgoing = Outgoing(
            id=message.id,
            address=address,
            subject=rendered.subject,
            text=rendered.text,
            at=self.at,
            deadline=self.deadline,
            html=writings[way.channel].html,
            unsubscribe=None if service else writings[way.channel].unsubscribe,
            sender=self._sender(way, definition, recipient),
            template=writings[way.channel].approved,
        )
        return decided, outgoing

    def _sender(self, way: Way, definition: CampaignDefined, recipient: Recipient) -> str | None:
        home = recipient.home_branch if definition.home_sender else None
        return self.senders.of(way.channel, definition.branch, home)

    def _condition(
        self, message: QueuedMessage, definition: CampaignDefined, recipient: Recipient
    ) -> bool | None:
        """Whether the customer is a member still, where the campaign asks; None: unread."""
        if self.steps.left(message):
            return False
        if not definition.while_member or is_member(recipient, definition.trigger):
            return True
        reach = self.members_reached.get(message.customer)
        return False if Knowledge(reach, message.recorded, self.now).complete else None
