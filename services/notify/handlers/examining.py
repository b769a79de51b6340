"""One look at a batch of messages: from what is known now to what is to be done. No I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.notify.channels import Outgoing
from services.notify.domain import (
    BeginSending,
    Defer,
    Facts,
    HoldOut,
    Knowledge,
    MessageCommand,
    RecordUncertain,
    Reject,
    Release,
    Stage,
    Suppress,
    Wait,
    is_held_out,
    verdict,
)
from services.notify.handlers.book import Entry
from services.notify.handlers.writing import Stationery, Writing, person_of
from services.notify.projections import Contact, QueuedMessage, Recipient
from shared.events.campaign import CampaignDefined
from shared.events.notification import SuppressionReason
from shared.ids import new_id

CONTACT_KINDS: Mapping[str, str] = {"email": "email", "sms": "phone"}
"""The kind of identifier that a channel reaches people by."""

SENDING_GRACE = timedelta(seconds=15)
"""A hand-over is long over by then: whoever began it has ended, or stands frozen past its time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with a message; `outgoing` is there where it is handed over."""

    message: QueuedMessage
    command: MessageCommand
    outgoing: Outgoing | None = None


@dataclass(frozen=True, slots=True)
class Examination:
    """All that is known at one moment.

    `reached` gives W of `customer.events` for a customer, taken before `recipients` was read;
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
            case Release(contact=contact):
                return Plan(message, self._begin(message, contact, None), outgoing)

    def _cut_off(self, message: QueuedMessage) -> Plan | None:
        """A hand-over that began and has no result."""
        attempt = message.attempt or ""
        if self.abandoned.get(message.id) == attempt:
            late = Defer(message=message.id, at=self.at, attempt=attempt, reason="late")
            return Plan(message, late)
        began = message.sending_at or message.recorded
        over = self.unanswered.get(message.id) == attempt
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
            case Release(contact=contact):
                return Plan(message, self._begin(message, contact, attempt), outgoing)
            case Reject():
                # It must not go out any more, and whether it has cannot be told.
                return Plan(message, uncertain)

    def _begin(self, message: QueuedMessage, contact: str, instead_of: str | None) -> BeginSending:
        return BeginSending(
            message=message.id,
            at=self.at,
            contact=contact,
            attempt=self.new_attempt(),
            instead_of=instead_of,
        )

    def _decided(self, message: QueuedMessage) -> tuple[Wait | Reject | Release, Outgoing | None]:
        entry = self.campaigns.get(message.campaign)
        if entry is None or entry.campaign.definition is None:
            return Wait(), None
        definition = entry.campaign.definition
        known = self.recipients.get(message.customer)
        recipient = known or Recipient(id=message.customer)
        contact = _contact(definition, recipient)
        writing = Writing(
            definition.template,
            message.channel,
            person_of(recipient),
            self.stationery,
            self.stationery.links(message.id, entry.campaign.version, self.now),
        )
        percent = definition.holdout_percent
        facts = Facts(
            closed=entry.campaign.closed(message.occurrence, self.at),
            paused=entry.campaign.state == "paused",
            withheld=message.customer in self.withheld,
            known=recipient.registered,
            ended=_ended(recipient),
            internal=recipient.internal,
            consents=recipient.wants(definition.topic, definition.channel),
            contact=None if contact is None else contact.hash,
            renders=writing.works,
            held_out=is_held_out(self.secret, message.customer, percent),
        )
        reach = self.reached.get(message.customer)
        decided = verdict(facts, Knowledge(reach, message.recorded, self.now))
        if not isinstance(decided, Release) or contact is None or writing.rendered is None:
            return decided, None
        outgoing = Outgoing(
            id=message.id,
            address=contact.value or "",
            subject=writing.rendered.subject,
            text=writing.rendered.text,
            at=self.at,
            deadline=self.deadline,
        )
        return decided, outgoing


def _ended(recipient: Recipient) -> SuppressionReason | None:
    """Why nothing is sent to somebody who is known well."""
    if recipient.removed:
        return "erased"
    if recipient.merged is not None:
        return "merged"
    return "blacklisted" if recipient.blacklisted else None


def _contact(definition: CampaignDefined, recipient: Recipient) -> Contact | None:
    """The preferred, else the first contact point of the channel's kind that may be used."""
    kind = CONTACT_KINDS.get(definition.channel)
    usable = [
        contact
        for contact in recipient.contacts
        if contact.kind == kind
        and contact.value is not None
        and contact.state != "bad"
        and recipient.may_reach(contact, definition.topic, definition.channel)
    ]
    return next((each for each in usable if each.preferred), usable[0] if usable else None)
