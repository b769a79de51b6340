"""HTTP of tests: a campaign's words, sent at once to a few addresses that somebody names.

Whoever may change campaigns and read customers of the whole chain may send tests: what is sent
holds data of the customer who fills the template.
"""

from dataclasses import dataclass

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.notify.api.access import Writing, whole_chain
from services.notify.api.campaign_input import Input, Reference
from services.notify.domain.trial import MOST_A_DAY, MOST_ADDRESSES
from services.notify.handlers.letters.trials import Asked, TrialSending
from shared.access import Kind, Permission, scope
from shared.events.customer import Channel
from shared.http import CommandId


class TrialInput(Input):
    """To whom, with whose data, and by which channel."""

    addresses: tuple[str, ...] = Field(
        min_length=1,
        max_length=MOST_ADDRESSES,
        description="of the channel; all tests of a day of the chain together reach at most "
        f"{MOST_A_DAY}",
    )
    customer: Reference = Field(description="whose data fills the template")
    channel: Channel | None = Field(default=None, description="absent: the campaign's")
    variant: str | None = Field(default=None, description="absent: the one that the customer gets")


class OutcomeView(BaseModel):
    """What the channel said of one address."""

    contact: str = Field(description="hash of the address")
    accepted: bool | None = Field(description="null: nobody can tell")
    code: str | None = Field(description="why not")


class TrialView(BaseModel):
    """A test that was sent."""

    test: str
    repeated: bool = Field(description="it was sent before, and not again")
    outcomes: list[OutcomeView] | None = Field(description="null: nobody can tell")


@dataclass(frozen=True, slots=True)
class TrialApi:
    """The endpoint, on what it needs."""

    sending: TrialSending

    def router(self) -> APIRouter:
        """The route below `/v1/campaigns`."""
        router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])
        router.add_api_route("/{name}/test", self.send, methods=["POST"])
        return router

    async def send(
        self, name: str, body: TrialInput, calling: Writing, command_id: CommandId
    ) -> TrialView:
        """Send what the campaign says now to the addresses, marked as a test.

        It counts nowhere: neither in figures nor against caps and budgets, and nobody's consent is
        asked, since the addresses are those of whoever tests. Links lead nowhere.
        """
        whole_chain(calling)
        calling.require(Permission.CUSTOMERS_READ)
        scope(calling, Kind.CUSTOMER).require(None)
        asked = Asked(
            name, body.customer, body.addresses, body.channel, body.variant, by=calling.id
        )
        tested = await self.sending.send(command_id, asked)
        outcomes = None
        if tested.outcomes is not None:
            outcomes = [
                OutcomeView(contact=each.contact, accepted=each.accepted, code=each.code)
                for each in tested.outcomes
            ]
        return TrialView(test=tested.id, repeated=tested.repeated, outcomes=outcomes)
