"""Events of what goes to one reader: a test of a campaign, or what an employee writes.

A test goes to a few addresses that somebody named; it is no message of the campaign, and counts
nowhere. What an employee writes is a message like any other, in the stream of the message.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from shared.events.campaign import Purpose
from shared.events.contract import EventData, Part, Pii, open_list
from shared.events.customer import AnyChannel


class CampaignTested(EventData):
    """Somebody sends a campaign to addresses of their own, to see it arrive."""

    type: ClassVar[str] = "campaign.tested.v1"
    test: str = Field(description="id of the test")
    campaign: str
    version: int = Field(ge=1, description="of the campaign's stream")
    channel: AnyChannel
    customer: str | None = Field(default=None, description="whose data fills the template")
    contacts: tuple[str, ...] = Field(description="hashes of the addresses")
    by: str | None = Field(default=None, description="id of the principal")


class AddressOutcome(Part):
    """What the channel said of one address."""

    contact: str = Field(description="hash of the address")
    accepted: bool | None = Field(default=None, description="absent: nobody can tell")
    code: str | None = Field(default=None, description="why not")


class CampaignTestEnded(EventData):
    """Every address of a test was tried, once."""

    type: ClassVar[str] = "campaign.test_ended.v1"
    test: str = Field(description="id of the test")
    campaign: str
    outcomes: tuple[AddressOutcome, ...]


class MessageWritten(EventData):
    """What an employee writes to one customer; it goes out as any message does."""

    type: ClassVar[str] = "message.written.v1"
    message: str
    campaign: str = Field(description="names this message alone")
    channel: AnyChannel
    topic: str = Field(description="the topic of the consent that it needs, if it needs one")
    purpose: Annotated[Purpose, open_list("advertising or service")]
    at_once: bool = Field(default=False, description="does not wait for the end of quiet hours")
    subject: Pii | None = None
    text: Pii | None = None
    by: str | None = Field(default=None, description="id of the principal")


EVENTS: tuple[type[EventData], ...] = (CampaignTested, CampaignTestEnded, MessageWritten)
