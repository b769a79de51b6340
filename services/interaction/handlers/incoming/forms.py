"""What callers are asked for: forms of texts, amounts and moments."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from shared.clock import to_milliseconds

LARGEST_AMOUNT = 10**12
RESERVED_SOURCES = frozenset(
    {
        "close",
        "give-back",
        "hand-over",
        "http",
        "import-reverted",
        "inbox",
        "job",
        "misuse",
        "move",
        "plan",
        "points",
        "reopen",
        "timer",
    }
)
"""Beginnings of ids of commands that are not named by a fact's source."""
_MOMENT = re.compile(r"(19[7-9]\d|2\d{3})-\d\d-\d\d[Tt ]")


class Input(BaseModel):
    """What callers send: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _not_reserved(source: str) -> str:
    if source in RESERVED_SOURCES:
        message = f"should be none of {', '.join(sorted(RESERVED_SOURCES))}"
        raise ValueError(message)
    return source


def _written_out(value: object) -> object:
    """Numbers are refused, which pydantic would take for seconds."""
    if isinstance(value, datetime) or (isinstance(value, str) and _MOMENT.match(value)):
        return value
    message = "should be a moment from 1970 on with its offset, like 2017-12-01T09:30:00Z"
    raise ValueError(message)


def plain(quantity: Decimal) -> Decimal:
    """One form for equal numbers: 1.50 and 15E-1 are 1.5, and there is no -0."""
    short = quantity.normalize() + 0
    return short.quantize(Decimal(1)) if short == short.to_integral_value() else short


Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Source = Annotated[Slug, AfterValidator(_not_reserved)]
Branch = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^[^|\x00-\x1f\x7f]{1,100}$")
]
Text = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]{1,200}$")
]
At = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(to_milliseconds)]
Amount = Annotated[int, Field(strict=True, ge=-LARGEST_AMOUNT, le=LARGEST_AMOUNT)]
Quantity = Annotated[Decimal, Field(max_digits=18, decimal_places=6), AfterValidator(plain)]
