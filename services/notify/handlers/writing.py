"""Writing a message to one customer, when somebody asks whether it can be written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.notify.content import LinkTokens, Person, Said, Signed, TemplateError, say
from services.notify.projections import Recipient
from shared.events.campaign import Template


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
