"""Writing a message to one customer, when somebody asks whether it can be written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile

from services.notify import content
from services.notify.channels import Approved
from services.notify.channels.sms_segments import segments_of
from services.notify.content import Link, LinkTokens, Person, Said, Signed, TemplateError, say
from services.notify.domain.measuring import templates_of, variant_of
from services.notify.handlers.books.campaigns import Entry
from services.notify.projections import Recipient
from shared.decider import invalid
from shared.events.campaign import CampaignDefined, Template

COUPON = "coupon."
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

    def links(self, message: str, version: int, at: datetime, first: int = 0) -> Signed | None:
        """The links of a message by a version of its campaign; `at` is system time.

        They are numbered from `first` on (`first_link`).
        """
        if self.tokens is None or self.public_url is None:
            return None
        return Signed(self.tokens, self.public_url, message, version, at, first)


@dataclass(slots=True)
class Writing:
    """A template for one customer and channel; `rendered` once it was asked for, and worked.

    Where links are not `counted` they stand as the words have them, but for the ways out.
    """

    template: Template
    channel: str
    person: Person
    stationery: Stationery
    links: Signed | None
    counted: bool = True
    rendered: Said | None = field(default=None, repr=False)

    @property
    def html(self) -> str | None:
        """The richer form, for the one channel that shows it."""
        return self.rendered.html if self.rendered is not None and self.channel == "email" else None

    @property
    def approved(self) -> Approved | None:
        """The form that a messenger asks for, in the place of words."""
        form = None if self.rendered is None else self.rendered.form
        return None if form is None else Approved(form.name, form.language, form.parameters)

    @property
    def unsubscribe(self) -> str | None:
        """The address of the one-click way out (RFC 8058)."""
        return None if self.links is None else self.links.own()["unsubscribe"]

    def _with_ways_out(self) -> Person:
        own = {} if self.links is None else self.links.own()
        ways_out = {f"links.{name}": target for name, target in own.items()}
        return Person({**self.person.values, **ways_out}, self.person.language)

    def works(self) -> bool:
        """Write; False where something is missing."""
        try:
            self.rendered = say(
                self.template,
                self.channel,
                self.person if self.counted else self._with_ways_out(),
                links=self.links if self.counted else None,
                currency=self.stationery.currency,
            )
        except TemplateError:
            return False
        return True


def check(definition: CampaignDefined) -> None:
    """Raise `Refused` that names what cannot be sent of a definition's words.

    An SMS is measured as it is for somebody of whom everything is known.
    """
    templates = templates_of(definition)
    for path, template in templates:
        content.check(template, path)
        if definition.coupon is None and _asks_for_coupon(template):
            raise invalid("coupon", f"names the pool of the codes that {path} says")
    if len(_links(definition)) > content.MOST_LINKS:
        raise invalid("variants", f"have more than {content.MOST_LINKS} links in all")
    if "sms" not in {definition.channel, *definition.fallback}:
        return
    for path, template in templates:
        for place, said in content.samples(template, "sms"):
            found = segments_of(said.text)
            if found.count > MOST_SEGMENTS:
                most = f"at most {MOST_SEGMENTS}: {found.alphabet}"
                text = f"{path}{place.removeprefix('template')}.text"
                raise invalid(text, f"is {found.count} SMS, {most}")


def _asks_for_coupon(template: Template) -> bool:
    versions = content.script_of(template).versions
    return any(each.startswith(COUPON) for words in versions for each in words.asks)


def words_of(secret: bytes, definition: CampaignDefined, customer: str) -> tuple[Template, int]:
    """What a customer gets of a campaign, and the number of its first link."""
    variant = variant_of(secret, definition, customer)
    template = definition.template if variant is None else variant.template
    return template, 0 if variant is None else first_link(definition, variant.name)


def first_link(definition: CampaignDefined, variant: str) -> int:
    """The number of the first link of a variant: links are numbered through all of them."""
    before = takewhile(lambda each: each.name != variant, definition.variants or ())
    return sum(len(content.script_of(each.template).links) for each in before)


def _links(definition: CampaignDefined) -> Sequence[str]:
    scripts = (content.script_of(template) for _path, template in templates_of(definition))
    return [target for script in scripts for target in script.links]


def target_of(entry: Entry, link: Link) -> str | None:
    """Where a link of a message leads, by the definition that held then; None: nowhere."""
    held = [each for each in entry.versions if each.number <= link.version]
    if not held:
        return None
    links = _links(held[-1].definition)
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
