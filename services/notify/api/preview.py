"""HTTP of previews: what a campaign would say to one customer, with nothing sent or recorded.

Whoever asks may read campaigns and customers of the whole chain. No contact point is in what is
shown: templates know none.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.notify.api.access import Reader, whole_chain
from services.notify.api.campaign_input import Input, Reference
from services.notify.channels.sms_segments import segments_of
from services.notify.content import FIELDS, Person, TemplateError, missing, say, words_for
from services.notify.domain import Campaign
from services.notify.domain.measuring import variant_of
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.letters.trials import leading_nowhere
from services.notify.handlers.letters.writing import person_of
from services.notify.projections import Recipient
from shared.access import Kind, Permission, scope
from shared.decider import invalid, not_found
from shared.events.campaign import CampaignDefined, Variant
from shared.events.customer import Channel

CODES = ("coupon.code", "coupon.valid_until", "referral.code")


class Recipients(Protocol):
    """Whom messages can be sent to."""

    async def load(self, customers: Collection[str]) -> Mapping[str, Recipient]:
        """Those of the customers that are known of."""
        ...


class PreviewInput(Input):
    """For whom, and by which channel."""

    customer: Reference
    channel: Channel | None = Field(default=None, description="absent: the campaign's")
    variant: str | None = Field(default=None, description="absent: the one that the customer gets")


class SegmentsView(BaseModel):
    """What an SMS is for the network."""

    alphabet: str = Field(description="gsm-7, or ucs-2 where a sign needs it")
    units: int
    count: int = Field(description="messages that are paid for")


class PreviewView(BaseModel):
    """What the customer would get; without a text it would be suppressed as a template error."""

    channel: Channel
    variant: str | None = Field(description="which one it is, where the campaign has any")
    language: str | None = Field(description="of the words that are taken")
    version_channel: str | None = Field(description="the channel that these words are for, if one")
    subject: str | None
    text: str | None
    html: str | None
    segments: SegmentsView | None = Field(description="of an SMS")
    missing: tuple[str, ...] = Field(description="what the words ask for, and has no value")


@dataclass(frozen=True, slots=True)
class PreviewApi:
    """The endpoint, on what it needs.

    `secret` draws the variants; `currency` is the chain's; `public_url` is where links of messages
    lead, if anywhere.
    """

    book: CampaignBook
    recipients: Recipients
    secret: bytes = field(repr=False)
    currency: str | None = None
    public_url: str | None = None

    def router(self) -> APIRouter:
        """The route below `/v1/campaigns`."""
        router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])
        router.add_api_route("/{name}/preview", self.preview, methods=["POST"])
        return router

    async def preview(self, name: str, body: PreviewInput, calling: Reader) -> PreviewView:
        """What the campaign would say to a customer now. Nothing is sent, nothing is recorded.

        Links are shown as they lead, and not counted; codes of coupons are samples.
        """
        whole_chain(calling)
        calling.require(Permission.CUSTOMERS_READ)
        scope(calling, Kind.CUSTOMER).require(None)
        definition = _defined(name, (await self.book.require(name)).campaign)
        found = (await self.recipients.load([body.customer])).get(body.customer)
        if found is None or found.removed or not found.registered:
            kind = "customer"
            raise not_found(kind, body.customer)
        person = person_of(found, {**leading_nowhere(self.public_url), **_own_codes(definition)})
        variant = self._variant(definition, body)
        channel = body.channel or definition.channel
        return _preview(definition, variant, channel, person, self.currency)

    def _variant(self, definition: CampaignDefined, body: PreviewInput) -> Variant | None:
        """The variant that is asked for, else the one that the customer gets."""
        if body.variant is None:
            return variant_of(self.secret, definition, body.customer)
        variants = {each.name: each for each in definition.variants or ()}
        if body.variant not in variants:
            raise invalid("variant", f"these exist: {', '.join(variants) or 'none'}")
        return variants[body.variant]


def _own_codes(definition: CampaignDefined) -> Mapping[str, str]:
    """What stands where a message has codes of its own: nobody has them."""
    said = CODES if definition.coupon is not None else CODES[-1:]
    return {path: str(FIELDS[path]) for path in said}


def _defined(name: str, campaign: Campaign) -> CampaignDefined:
    if campaign.definition is None:
        kind = "campaign"
        raise not_found(kind, name)
    return campaign.definition


def _preview(
    definition: CampaignDefined,
    variant: Variant | None,
    channel: Channel,
    person: Person,
    currency: str | None,
) -> PreviewView:
    template = definition.template if variant is None else variant.template
    words = words_for(template, channel, person)
    try:
        said = say(template, channel, person, currency=currency)
    except TemplateError:
        said = None
    segments = None if said is None or channel != "sms" else segments_of(said.text)
    return PreviewView(
        channel=channel,
        variant=None if variant is None else variant.name,
        language=words.language,
        version_channel=words.channel,
        subject=None if said is None else said.subject,
        text=None if said is None else said.text,
        html=None if said is None or channel != "email" else said.html,
        segments=None
        if segments is None
        else SegmentsView(alphabet=segments.alphabet, units=segments.units, count=segments.count),
        missing=missing(template, channel, person),
    )
