"""What callers say of a series; unknown fields are mistakes."""

from typing import Annotated, Literal

from pydantic import Field

from services.notify.api.campaign_input import (
    ConditionInput,
    Input,
    Instant,
    OnDateInput,
    OnEnteringInput,
    OnEventInput,
    OnLeavingInput,
    Reference,
)
from shared.events.sending import LocalTime, Weekday
from shared.events.series import SeriesDefined

Word = Annotated[str, Field(max_length=100)]
Duration = Annotated[str, Field(max_length=30, description="a duration: P7D, PT36H")]
Next = Annotated[Word | None, Field(description="left out: the step that follows, if any")]
SignInput = Annotated[OnEnteringInput | OnLeavingInput | OnEventInput, Field(discriminator="kind")]


EntryInput = Annotated[
    OnEnteringInput | OnLeavingInput | OnEventInput | OnDateInput, Field(discriminator="kind")
]


class SendInput(Input):
    """A message by a campaign whose trigger is `on_step`."""

    kind: Literal["send"]
    id: Word
    campaign: Word
    next: Next = None


class WaitInput(Input):
    """Go on after so long."""

    kind: Literal["wait"]
    id: Word
    length: Duration
    next: Next = None


class WaitUntilInput(Input):
    """Go on at the next time that the customer's clock shows it."""

    kind: Literal["wait_until"]
    id: Word
    at: LocalTime
    weekday: Weekday | None = None
    next: Next = None


class WaitEventInput(Input):
    """Go on with an event that comes while it waits, or otherwise after so long."""

    kind: Literal["wait_event"]
    id: Word
    event: Word
    where: tuple[ConditionInput, ...] = ()
    at_most: Duration
    next: Next = None
    otherwise: Next = None


class WaitMessageInput(Input):
    """Go on once the journey's message of a step has come so far, or otherwise after so long."""

    kind: Literal["wait_message"]
    id: Word
    step: Word
    state: Literal["sent", "delivered", "opened", "clicked"]
    at_most: Duration
    next: Next = None
    otherwise: Next = None


class IsMemberInput(Input):
    """In the segment at that moment."""

    kind: Literal["member"]
    segment: Word


class MessageWasInput(Input):
    """What became of the journey's message of a step, at least so far."""

    kind: Literal["message"]
    step: Word
    state: Literal["sent", "delivered", "opened", "clicked"]


class FieldIsInput(Input):
    """A field of the customer's record is one of the values."""

    kind: Literal["field"]
    field: Literal["language", "city", "home_branch", "preferred_channel", "time_zone"]
    values: tuple[str, ...]


class BranchInput(Input):
    """Go on at `next` if it is so, else at `otherwise`."""

    kind: Literal["branch"]
    id: Word
    question: Annotated[IsMemberInput | MessageWasInput | FieldIsInput, Field(discriminator="kind")]
    next: Next = None
    otherwise: Next = None


class EndInput(Input):
    """The journey is over."""

    kind: Literal["end"]
    id: Word


StepInput = Annotated[
    SendInput
    | WaitInput
    | WaitUntilInput
    | WaitEventInput
    | WaitMessageInput
    | BranchInput
    | EndInput,
    Field(discriminator="kind"),
]


class SeriesInput(Input):
    """A series' definition."""

    title: str
    entry: EntryInput = Field(description="what lets a customer begin")
    steps: tuple[StepInput, ...] = Field(description="it begins with the first")
    exits: tuple[SignInput, ...] = Field(
        default=(), description="each ends a journey, wherever it is"
    )
    reentry: Literal["never", "ended"] = Field(
        default="never", description="ended: again once the last journey is over"
    )
    reentry_after: str | None = Field(
        default=None, max_length=30, description="a duration since then"
    )
    start: Instant | None = Field(default=None, description="nobody enters before it")
    end: Instant | None = Field(default=None, description="nobody enters from it on")
    owner: Reference | None = Field(default=None, description="the employee who answers for it")

    def definition(self, name: str) -> SeriesDefined:
        """The event that says so."""
        return SeriesDefined.model_validate({"series": name, **self.model_dump(exclude_none=True)})
