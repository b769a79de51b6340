"""Events of the suppression list: addresses that get nothing, whoever has them.

The list knows addresses by their hash alone, so it holds also for somebody who was erased, and for
whoever registers with the address later.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.contract import EventData, Moment, Pii, open_list
from shared.events.customer import AnyChannel

SuppressedFor = Literal["bounced", "complained", "rejected", "unsubscribed", "by_hand"]


class AddressSuppressed(EventData):
    """Nothing is sent to the address any more."""

    type: ClassVar[str] = "address.suppressed.v1"
    contact: str = Field(description="hash of the contact point")
    reason: Annotated[SuppressedFor, open_list("why")]
    channel: AnyChannel | None = Field(default=None, description="by which it turned out")
    message: str | None = Field(default=None, description="the one that it turned out with")
    customer: str | None = Field(default=None, description="whom that one was for")
    by: str | None = Field(default=None, description="id of the principal that put it there")
    note: Pii | None = None


class AddressFailed(EventData):
    """A message came back from the address, which says little; many of them say much."""

    type: ClassVar[str] = "address.failed.v1"
    contact: str = Field(description="hash of the contact point")
    channel: AnyChannel
    message: str
    at: Moment
    code: str | None = None


class AddressReleased(EventData):
    """A person has said that the address may get messages again."""

    type: ClassVar[str] = "address.released.v1"
    contact: str = Field(description="hash of the contact point")
    by: str | None = Field(default=None, description="id of the principal that said so")
    note: Pii | None = None


EVENTS: tuple[type[EventData], ...] = (AddressSuppressed, AddressFailed, AddressReleased)
