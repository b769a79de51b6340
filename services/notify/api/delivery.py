"""How a campaign is sent, as callers say it and see it."""

from pydantic import BaseModel, ConfigDict, Field

from shared.events.campaign import (
    DEFAULT_ATTRIBUTION_DAYS,
    DEFAULT_PRIORITY,
    HIGHEST_PRIORITY,
    LONGEST_ATTRIBUTION_DAYS,
    Caps,
    Purpose,
)
from shared.events.customer import Channel

MOST_MESSAGES = 1_000_000_000


class BudgetInput(BaseModel):
    """How many messages may be handed over; what is left out is not limited."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)

    messages: int | None = Field(
        default=None, ge=1, le=MOST_MESSAGES, description="in all its runs: the others are left out"
    )
    per_minute: int | None = Field(
        default=None, ge=1, le=MOST_MESSAGES, description="the others wait for a later one"
    )
    per_day: int | None = Field(
        default=None, ge=1, le=MOST_MESSAGES, description="of the chain's calendar"
    )


class Delivery(BaseModel):
    """What a campaign asks for at the moment of sending."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    purpose: Purpose = Field(
        default="advertising",
        description="service: needs no consent to advertising; no holdout, no caps of advertising",
    )
    priority: int = Field(
        default=DEFAULT_PRIORITY, ge=0, le=HIGHEST_PRIORITY, description="9 goes first"
    )
    max_age: str | None = Field(
        default=None,
        max_length=30,
        description="a duration: an older occasion is not written about",
    )
    while_member: bool = Field(
        default=False, description="sent only to whoever is in the trigger's segment by then"
    )
    fallback: tuple[Channel, ...] = Field(
        default=(), max_length=4, description="further channels, in the order of trying them"
    )
    fallback_after: str | None = Field(
        default=None,
        max_length=30,
        description="a duration: what has not arrived by then goes by the next channel, too",
    )
    caps: Caps = Field(default="wait", description="what becomes of what a cap keeps back")
    budget: BudgetInput | None = Field(default=None, description="how many it may send, how fast")
    attribution_days: int | None = Field(
        default=None,
        ge=1,
        le=LONGEST_ATTRIBUTION_DAYS,
        description=f"for how long a receipt counts for it; absent: {DEFAULT_ATTRIBUTION_DAYS}",
    )
