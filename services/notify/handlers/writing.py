"""Writing a message to one customer, when somebody asks whether it can be written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.notify import content
from services.notify.channels.sms_segments import segments_of
from services.notify.content import Link, LinkTokens, Person, Said, Signed, TemplateError, say
from services.notify.handlers.book import Entry
from services.notify.projections import Recipient
from shared.decider import invalid
from shared.events.campaign import CampaignDefined, Template

MOST_SEGMENTS = 10
"""Messages that one SMS may be paid for."""


@dataclass(frozen=True, slots=True)
class Stationery:
    """What all messages are written with.

    `public_url` is where links of messages lead: without it they are as the template has them, and
    nothing is counted. `currency` is the chain's.
    """

    tokens: LinkTokens | None = None
    public_url: str | None = None
    currency: str | None = None

    def links(self, message: str, version: int, at: datetime) -> Signed | None:
        """The links of a message by a version of its campaign; `at` is system time."""
        if self.tokens is None or self.public_url is None:
            return None
        return Signed(self.tokens, self.public_url, message, version, at)


@dataclass(slots=True)
class Writing:
    """A template for one customer and channel; `rendered` once it was asked for, and worked."""

    template: Template
    channel: str
    person: Person
    stationery: Stationery
    links: Signed | None
    rendered: Said | None = field(default=None, repr=False)

    @property
    def html(self) -> str | None:
        """The richer form, for the one channel that shows it."""
        return self.rendered.html if self.rendered is not None and self.channel == "email" else None

    @property
    def unsubscribe(self) -> str | None:
        """The address of the one-click way out (RFC 8058)."""
        return None if self.links is None else self.links.own()["unsubscribe"]

    def works(self) -> bool:
        """Write; False where something is missing."""
        try:
            self.rendered = say(
                self.template,
                self.channel,
                self.person,
                links=self.links,
                currency=self.stationery.currency,
            )
        except TemplateError:
            return False
        return True


def check(definition: CampaignDefined) -> None:
    """Raise `Refused` that names what cannot be sent of a definition's words.

    An SMS is measured as it is for somebody of whom everything is known.
    """
    content.check(definition.template)
    if "sms" not in {definition.channel, *definition.fallback}:
        return
    for path, said in content.samples(definition.template, "sms"):
        found = segments_of(said.text)
        if found.count > MOST_SEGMENTS:
            raise invalid(
                f"{path}.text", f"is {found.count} SMS, at most {MOST_SEGMENTS}: {found.alphabet}"
            )


def target_of(entry: Entry, link: Link) -> str | None:
    """Where a link of a message leads, by the definition that held then; None: nowhere."""
    held = [each for each in entry.versions if each.number <= link.version]
    if not held:
        return None
    links = content.script_of(held[-1].definition.template).links
    return links[link.number] if link.number < len(links) else None


def person_of(recipient: Recipient, more: Mapping[str, str | None] | None = None) -> Person:
    """What templates may say of a recipient; `more` is what is known besides, by path."""
    values = {
        "customer.name": recipient.name,
        "customer.surname": recipient.surname,
        "customer.patronymic": recipient.patronymic,
        "customer.language": recipient.language,
        "customer.birth_date": recipient.birth_date,
        "customer.city": recipient.city,
    }
    return Person({**values, **(more or {})}, recipient.language)
