"""The customer's own page of preferences: a link made for callers, and the page without a key.

Nobody is asked for an API key here, the signed token in the address is the proof. Contacts are
masked, since a link may be forwarded; and no other site's script is let in, because nothing says
that it may (there is no CORS).
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from services.customer.api.desk import Writing, customers_of
from services.customer.api.inputs import Input, Slug, Text
from services.customer.domain.preferring import Said, Wish, wishes
from services.customer.handlers.preferences import Preferences
from services.customer.queries.records import Record
from shared.decider import Refused
from shared.events.contract import show_moment
from shared.events.customer import Channel, IdentifierKind
from shared.ids import new_id
from shared.masking import masked

TokenText = Annotated[str, Query(alias="token", max_length=2000, description="of the link")]


class PreferenceLink(BaseModel):
    """A token for the customer; it holds an id and no personal value."""

    token: str
    path: str = Field(description="below the public address of this service")
    expires_at: str


class MaskedContact(BaseModel):
    """A contact point, but for its last characters."""

    kind: IdentifierKind
    value: str | None


class WishView(BaseModel):
    """Whether the customer hears about a topic by a channel."""

    topic: str
    channel: Channel
    given: bool


class PreferenceView(BaseModel):
    """The page."""

    contacts: list[MaskedContact]
    consents: list[WishView]
    preferred_channel: Channel | None


class WishInput(Input):
    """A consent or its withdrawal."""

    topic: Slug
    channel: Channel
    given: bool


class PreferenceInput(Input):
    """What the customer says; what is left out stays as it is."""

    consents: tuple[WishInput, ...] = Field(default=(), max_length=500)
    preferred_channel: Channel | None = None
    wording: Text | None = Field(default=None, description="version of the text that was shown")


@dataclass(frozen=True, slots=True)
class PreferenceApi:
    """The link, and the page behind it."""

    preferences: Preferences

    def router(self) -> APIRouter:
        """The routes below `/v1`."""
        router = APIRouter(prefix="/v1", tags=["preferences"])
        add = router.add_api_route
        add(
            "/customers/{customer}/preference-token",
            self.link,
            methods=["POST"],
            status_code=201,
        )
        add("/preferences", self.page, methods=["GET"])
        add("/preferences", self.say, methods=["PUT"])
        return router

    async def link(self, customer: str, calling: Writing) -> PreferenceLink:
        """A link for the customer's own use; it can be asked for as often as one likes."""
        found = await self.preferences.records.get(customer)
        if found.state.erased:
            raise Refused("erased", 410, "The customer was erased.")
        customers_of(calling).require(found.state.record.home_branch)
        token, ends = self.preferences.link(found.id)
        path = f"/v1/preferences?token={token}"
        return PreferenceLink(token=token, path=path, expires_at=show_moment(ends))

    async def page(self, token: TokenText, response: Response) -> PreferenceView:
        """What the customer agreed to, for whoever holds the link."""
        found = await self.preferences.open(token)
        return await self._shown(found, response)

    async def say(
        self, token: TokenText, body: PreferenceInput, response: Response
    ) -> PreferenceView:
        """Give and withdraw consents, and choose a channel."""
        said = Said(
            tuple(Wish(each.topic, each.channel, each.given) for each in body.consents),
            body.preferred_channel,
            body.wording,
        )
        found = await self.preferences.say(token, f"preferences|{new_id()}", said)
        return await self._shown(found, response)

    async def _shown(self, found: Record, response: Response) -> PreferenceView:
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"
        state = found.state
        contacts = sorted(state.identifiers.values(), key=lambda each: (each.kind, each.hash))
        return PreferenceView(
            contacts=[MaskedContact(kind=each.kind, value=masked(each.value)) for each in contacts],
            consents=[
                WishView(topic=each.topic, channel=each.channel, given=each.given)
                for each in wishes(state, await self.preferences.topics())
            ],
            preferred_channel=state.record.preferred_channel,
        )
