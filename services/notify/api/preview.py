"""HTTP of previews: what a campaign would say to one customer, with nothing sent or recorded.

Whoever asks may read campaigns and customers of the whole chain. No contact point is in what is
shown: templates know none.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.notify.api.access import Reader, whole_chain
from services.notify.api.campaign_input import Input, Reference
from services.notify.channels.sms_segments import segments_of
from services.notify.content import Person, TemplateError, missing, say, words_for
from services.notify.content.links import PATH
from services.notify.domain import Campaign
from services.notify.handlers import CampaignBook
from services.notify.handlers.writing import person_of
from services.notify.projections import Recipient
from shared.access import Kind, Permission, scope
from shared.decider import not_found
from shared.events.campaign import CampaignDefined
from shared.events.customer import Channel

MADE = ("links.unsubscribe", "links.preferences")


class Recipients(Protocol):
    """Whom messages can be sent to."""

    async def load(self, customers: Collection[str]) -> Mapping[str, Recipient]:
        """Those of the customers that are known of."""
        ...


class PreviewInput(Input):
    """For whom, and by which channel."""

    customer: Reference
    channel: Channel | None = Field(default=None, description="absent: the campaign's")


class SegmentsView(BaseModel):
    """What an SMS is for the network."""

    alphabet: str = Field(description="gsm-7, or ucs-2 where a sign needs it")
    units: int
    count: int = Field(description="messages that are paid for")


class PreviewView(BaseModel):
    """What the customer would get; without a text it would be suppressed as a template error."""

    channel: Channel
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

    `currency` is the chain's; `public_url` is where links of messages lead, if anywhere.
    """

    book: CampaignBook
    recipients: Recipients
    currency: str | None = None
    public_url: str | None = None

    def router(self) -> APIRouter:
        """The route below `/v1/campaigns`."""
        router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])
        router.add_api_route("/{name}/preview", self.preview, methods=["POST"])
        return router

    async def preview(self, name: str, body: PreviewInput, calling: Reader) -> PreviewView:
        """What the campaign would say to a customer now. Nothing is sent, nothing is recorded.

        Links are shown as they lead, and not counted.
        """
        whole_chain(calling)
        calling.require(Permission.CUSTOMERS_READ)
        scope(calling, Kind.CUSTOMER).require(None)
        definition = _defined(name, (await self.book.require(name)).campaign)
        found = (await self.recipients.load([body.customer])).get(body.customer)
        if found is None or found.removed or not found.registered:
            kind = "customer"
            raise not_found(kind, body.customer)
        person = person_of(found, self._own_links())
        return _preview(definition, body.channel or definition.channel, person, self.currency)

    def _own_links(self) -> Mapping[str, str]:
        """What stands where a message has links of its own: they lead nowhere."""
        if self.public_url is None:
            return {}
        return dict.fromkeys(MADE, f"{self.public_url}{PATH}preview")


def _defined(name: str, campaign: Campaign) -> CampaignDefined:
    if campaign.definition is None:
        kind = "campaign"
        raise not_found(kind, name)
    return campaign.definition


def _preview(
    definition: CampaignDefined, channel: Channel, person: Person, currency: str | None
) -> PreviewView:
    template = definition.template
    words = words_for(template, channel, person)
    try:
        said = say(template, channel, person, currency=currency)
    except TemplateError:
        said = None
    segments = None if said is None or channel != "sms" else segments_of(said.text)
    return PreviewView(
        channel=channel,
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
