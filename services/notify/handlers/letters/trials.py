"""Tests of campaigns: recorded, then handed to the channel at once, and never a second time."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Protocol

import structlog

from services.notify.channels import Accepted, Approved, Channel, NotTaken, Outgoing, Rejected, Way
from services.notify.channels.doors import REACHES, doors_of
from services.notify.content import Person, Said, TemplateError, missing, say
from services.notify.content.links import PATH
from services.notify.domain.measuring import variant_of
from services.notify.domain.trial import TRIALS, BeginTest, EndTest, TrialCommand, trials_stream
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.books.senders import SenderBook
from services.notify.handlers.coupons.saying import CODE, REFERRAL, VALID
from services.notify.handlers.letters.writing import person_of
from services.notify.projections import Recipient
from shared.decider import invalid, not_found
from shared.envelope import Causation
from shared.events.campaign import CampaignDefined, Template
from shared.events.single import AddressOutcome, CampaignTested, CampaignTestEnded
from shared.eventstore import body_hash
from shared.execute import Command, Done, Writer
from shared.identifiers import IdentifierRules, KnownIdentifier
from shared.ids import derived_id

SECONDS = 10.0
"""For all addresses together."""
MARK = "[Test] "
WORDS_ALONE = frozenset({"sms", "messenger"})
"""Ways that show no subject: there the text is marked."""
SAMPLE = "TEST"
MADE = ("links.unsubscribe", "links.preferences")

log = structlog.stdlib.get_logger(__name__)


def leading_nowhere(public_url: str | None) -> Mapping[str, str]:
    """What stands where a message has links of its own, when there is no message."""
    return {} if public_url is None else dict.fromkeys(MADE, f"{public_url}{PATH}preview")


class People(Protocol):
    """Whom messages can be sent to."""

    async def load(self, customers: Collection[str]) -> Mapping[str, Recipient]:
        """Those of the customers that are known of."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be sent: a campaign's words for a customer, to addresses that are not theirs."""

    campaign: str
    customer: str
    addresses: Sequence[str] = field(repr=False)
    channel: Way | None = None
    variant: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Tested:
    """A test that was sent; without outcomes nobody can tell what came of it."""

    id: str
    repeated: bool
    outcomes: Sequence[AddressOutcome] | None


@dataclass(frozen=True, slots=True)
class TrialSending:
    """Sends tests; `zone` is the chain's, `links` stand where messages have links of their own."""

    writer: Writer
    book: CampaignBook
    people: People
    channels: Mapping[str, Channel]
    rules: IdentifierRules
    zone: tzinfo
    currency: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)

    async def send(self, command_id: str, asked: Asked) -> Tested:
        """Send a test, once for an id. Raises `Refused` that names what is wrong with it."""
        entry = await self.book.require(asked.campaign)
        definition = entry.campaign.definition
        if definition is None:
            kind = "campaign"
            raise not_found(kind, asked.campaign)
        way = asked.channel or definition.channel
        contacts = self._contacts(way, asked.addresses)
        said = await self._said(definition, way, asked)
        test, at = derived_id("test", command_id), self.writer.clock.now()
        tested = CampaignTested(
            test=test,
            campaign=asked.campaign,
            version=entry.campaign.version,
            channel=way,
            customer=asked.customer,
            contacts=tuple(contact.hash for contact in contacts),
            by=asked.by,
        )
        stream = trials_stream(at.astimezone(self.zone).date().isoformat())
        body = [asked.campaign, asked.customer, asked.channel, asked.variant, tested.contacts]
        done = await self._write(stream, command_id, body, BeginTest(tested, at))
        if done.repeated:
            trials, _ = await self.writer.state(TRIALS, done.stream)
            return Tested(test, repeated=True, outcomes=trials.outcomes.get(test))
        sender = (await SenderBook(self.writer).fresh()).of(way, definition.branch, None)
        outcomes = await self._handed_over(test, way, contacts, said, sender)
        ended = CampaignTestEnded(test=test, campaign=asked.campaign, outcomes=tuple(outcomes))
        end = EndTest(ended, self.writer.clock.now())
        await self._write(stream, f"test-ended|{test}", [], end)
        log.info("test sent", campaign=asked.campaign, addresses=len(contacts), by=asked.by)
        return Tested(test, repeated=False, outcomes=outcomes)

    def _contacts(self, way: Way, addresses: Sequence[str]) -> list[KnownIdentifier]:
        if way not in self.channels:
            raise invalid("channel", f"these are set up: {', '.join(sorted(self.channels))}")
        kind, door, found = REACHES[way], doors_of(self.channels)[way], {}
        for number, address in enumerate(addresses):
            path = f"addresses.{number}"
            contact = self.rules.known(kind, address, path)
            if door.address(kind, contact.value) is None:
                raise invalid(path, "no channel that is set up reaches it")
            found[contact.hash] = contact
        return list(found.values())

    async def _said(self, definition: CampaignDefined, way: Way, asked: Asked) -> Said:
        found = (await self.people.load([asked.customer])).get(asked.customer)
        if found is None or found.removed or not found.registered:
            kind = "customer"
            raise not_found(kind, asked.customer)
        today = self.writer.clock.now().astimezone(self.zone).date().isoformat()
        samples = {CODE: SAMPLE, REFERRAL: SAMPLE, VALID: today}
        person: Person = person_of(found, {**samples, **self.links})
        template = self._template(definition, asked)
        try:
            return say(template, way, person, currency=self.currency)
        except TemplateError as failure:
            lacking = ", ".join(missing(template, way, person)) or "the template cannot be filled"
            raise invalid("customer", f"lacks what the words ask for: {lacking}") from failure

    def _template(self, definition: CampaignDefined, asked: Asked) -> Template:
        """The words of the variant that is asked for, else of the one that the customer gets."""
        if asked.variant is None:
            variant = variant_of(self.rules.secret, definition, asked.customer)
            return definition.template if variant is None else variant.template
        variants = {each.name: each for each in definition.variants or ()}
        if asked.variant not in variants:
            raise invalid("variant", f"these exist: {', '.join(variants) or 'none'}")
        return variants[asked.variant].template

    async def _handed_over(
        self,
        test: str,
        way: Way,
        contacts: Sequence[KnownIdentifier],
        said: Said,
        sender: str | None,
    ) -> list[AddressOutcome]:
        door = doors_of(self.channels)[way]
        deadline, at = asyncio.get_running_loop().time() + SECONDS, self.writer.clock.now()
        form = said.form
        messages = [
            Outgoing(
                id=derived_id("test message", test, contact.hash),
                address=door.address(contact.kind, contact.value) or "",
                subject=f"{MARK}{said.subject}",
                text=f"{MARK}{said.text}" if way in WORDS_ALONE else said.text,
                at=at,
                deadline=deadline,
                html=said.html if way == "email" else None,
                sender=sender,
                template=None
                if form is None
                else Approved(form.name, form.language, form.parameters),
            )
            for contact in contacts
        ]
        sent = await asyncio.gather(*(self._outcome(way, message) for message in messages))
        return [
            AddressOutcome(contact=contact.hash, accepted=accepted, code=code)
            for contact, (accepted, code) in zip(contacts, sent, strict=True)
        ]

    async def _outcome(self, way: Way, message: Outgoing) -> tuple[bool | None, str | None]:
        """Whether the channel took it, and why not; None where nobody can tell."""
        try:
            async with asyncio.timeout_at(message.deadline + 1.0):
                receipt = await self.channels[way].send(message)
        except TimeoutError:
            return None, None
        except Exception:
            # The others have theirs, and what came of them is told.
            log.exception("channel failed", channel=way, message=message.id)
            return None, None
        match receipt:
            case Accepted():
                return True, None
            case Rejected(code=code):
                return False, code
            case NotTaken(reason=reason, code=code):
                return False, code or reason
            case _:
                return None, None

    async def _write(
        self, stream: str, command_id: str, body: object, command: TrialCommand
    ) -> Done:
        return await self.writer.one(
            TRIALS,
            Command(
                id=command_id,
                hash=body_hash(body),
                stream=stream,
                key=stream,
                body=command,
                causation=Causation(correlation=command_id),
            ),
        )
