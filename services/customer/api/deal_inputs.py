"""What callers send of deals."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from services.customer.api.inputs import Input, LongText, Slug, Text
from services.customer.domain.deal_terms import LARGEST_AMOUNT, MAX_LINES
from shared.events.deal import DealLine, WordField, Words

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]
Amount = Annotated[int, Field(ge=0, le=LARGEST_AMOUNT, description="minor units")]
TERMS = ("amount", "lines", "deal_type", "source", "branch", "expected_close")
WORDS: tuple[WordField, ...] = ("title", "comment")


class LineInput(Input):
    """A product in a deal; worth quantity × price − discount."""

    product: Text
    quantity: int = Field(ge=1, le=1_000_000)
    price: Amount
    discount: Amount = 0


class TermsInput(Input):
    """What a deal is about."""

    title: Text | None = None
    comment: LongText | None = None
    amount: Amount | None = Field(default=None, description="left out: the sum of the lines")
    lines: tuple[LineInput, ...] | None = Field(default=None, max_length=MAX_LINES)
    deal_type: Slug | None = None
    source: Slug | None = None
    branch: Text | None = None
    expected_close: date | None = None

    def terms(self) -> dict[str, Any]:
        """What was said of the terms; null clears."""
        said = self.model_fields_set
        patch: dict[str, Any] = {name: getattr(self, name) for name in TERMS if name in said}
        if self.lines is not None:
            patch["lines"] = tuple(DealLine(**each.model_dump()) for each in self.lines)
        if self.expected_close is not None:
            patch["expected_close"] = self.expected_close.isoformat()
        return patch

    def words(self) -> Words:
        """The texts that were said."""
        return Words(title=self.title, comment=self.comment)


class DealInput(TermsInput):
    """A deal to be opened, with a customer or with a company."""

    customer: Id | None = None
    company: Id | None = None
    pipeline: Slug
    stage: Slug | None = Field(default=None, description="left out: the first one")
    responsible: Text | None = Field(
        default=None, description="left out: whom the rule of the deal's type chooses"
    )

    @model_validator(mode="after")
    def _with_one(self) -> "DealInput":
        if (self.customer is None) == (self.company is None):
            message = "say a customer or a company, and not both"
            raise ValueError(message)
        return self


class DealPatch(TermsInput):
    """What is different of a deal; what is left out stays, null clears."""

    def cleared(self) -> tuple[WordField, ...]:
        """The texts that go."""
        return tuple(
            each for each in WORDS if each in self.model_fields_set and getattr(self, each) is None
        )


class StageInput(Input):
    """Where a deal goes."""

    stage: Slug


class LossInput(Input):
    """Why a deal was lost."""

    reason: Slug
    comment: LongText | None = None


class ReopeningInput(Input):
    """Where a closed deal goes on."""

    stage: Slug | None = Field(default=None, description="left out: where it was")


class ResponsibleInput(Input):
    """Who answers for a deal."""

    responsible: Text | None = Field(description="null: nobody")


class NoInput(Input):
    """Nothing needs to be said."""


Status = Literal["open", "won", "lost"]
