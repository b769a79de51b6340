"""How a campaign is sent, as callers say it and see it."""

from pydantic import BaseModel, ConfigDict, Field

from shared.events.campaign import (
    DEFAULT_PRIORITY,
    HIGHEST_PRIORITY,
    Caps,
    Purpose,
)
from shared.events.customer import Channel


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
    caps: Caps = Field(default="wait", description="what becomes of what a cap keeps back")
