"""HTTP of what an employee writes to one customer, from the customer's card."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from services.notify.api.campaign_input import Input, Reference, Slug
from services.notify.handlers.letters.desk import Letter, LetterDesk
from shared.access import Kind, Permission, Principal, scope
from shared.events.campaign import Purpose
from shared.events.customer import Channel
from shared.http import CommandId, principal

LONGEST_SUBJECT = 200
LONGEST_TEXT = 5_000

Writing = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_WRITE))]


class LetterInput(Input):
    """What is written; the words are Liquid, and may ask for `customer.name` and the like."""

    channel: Channel
    subject: str = Field(default="", max_length=LONGEST_SUBJECT, description="of a mail or push")
    text: str = Field(min_length=1, max_length=LONGEST_TEXT)
    purpose: Purpose = Field(description="advertising needs consent; a service message does not")
    topic: Slug = Field(default="personal", description="the topic of the consent that it needs")
    now: bool = Field(default=False, description="a service message does not wait for quiet hours")


class WrittenView(BaseModel):
    """What was taken."""

    message: str = Field(description="what becomes of it: `GET /v1/messages/{message}`")
    repeated: bool = Field(description="it was recorded before")


@dataclass(frozen=True, slots=True)
class LetterApi:
    """The endpoint, on what it needs."""

    desk: LetterDesk

    def router(self) -> APIRouter:
        """The route below `/v1/customers`."""
        router = APIRouter(prefix="/v1/customers", tags=["messages"])
        router.add_api_route("/{customer}/messages", self.write, methods=["POST"])
        return router

    async def write(
        self, customer: Reference, body: LetterInput, calling: Writing, command_id: CommandId
    ) -> WrittenView:
        """Write to one customer. It goes out as any message does, or it is said why not.

        Consent, addresses, the suppression list and caps count as for campaigns, and quiet hours
        also for service messages, unless they are to go out `now`.
        """
        letter = Letter(
            customer=customer,
            channel=body.channel,
            text=body.text,
            topic=body.topic,
            purpose=body.purpose,
            subject=body.subject,
            at_once=body.now,
            by=calling.id,
        )
        written = await self.desk.write(command_id, letter, scope(calling, Kind.CUSTOMER).require)
        return WrittenView(message=written.message, repeated=written.repeated)
