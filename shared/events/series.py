"""Events of series: steps that customers go through one by one, and each customer's journey.

A journey's moments are those at which something took effect for it, by the chain's clock: `at` is
exact, however much later it was worked out and recorded.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.campaign import Condition, OnDate, OnEntering, OnEvent, OnLeaving
from shared.events.contract import EventData, Moment, Part, open_list, open_union
from shared.events.sending import LocalTime, Weekday

Next = Annotated[str | None, Field(description="the step after it; absent: the one that follows")]


class SendStep(Part):
    """A message by a campaign whose trigger is `on_step`; the journey goes on at once."""

    kind: Literal["send"] = "send"
    id: str
    campaign: str
    next: Next = None


class WaitStep(Part):
    """Go on after so long."""

    kind: Literal["wait"] = "wait"
    id: str
    length: str = Field(description="ISO 8601 duration")
    next: Next = None


class WaitUntilStep(Part):
    """Go on at the next time that the clock of the customer, else branch, else chain shows it."""

    kind: Literal["wait_until"] = "wait_until"
    id: str
    at: LocalTime
    weekday: Weekday | None = Field(default=None, description="ISO; absent: any day")
    next: Next = None


class WaitEventStep(Part):
    """Go on with an event that comes while it waits, or otherwise after so long."""

    kind: Literal["wait_event"] = "wait_event"
    id: str
    event: str = Field(description="a type of this contract")
    where: tuple[Condition, ...] = ()
    at_most: str = Field(description="ISO 8601 duration")
    next: Next = None
    otherwise: Next = None


class IsMember(Part):
    """In the segment at that moment."""

    kind: Literal["member"] = "member"
    segment: str


MessageState = Literal["sent", "delivered", "opened", "clicked"]


class MessageWas(Part):
    """What became of the journey's message of a step."""

    kind: Literal["message"] = "message"
    step: str
    state: Annotated[MessageState, open_list("at least so far")]


class FieldIs(Part):
    """A field of the customer's record equals one of the values."""

    kind: Literal["field"] = "field"
    field: Annotated[
        Literal["language", "city", "home_branch", "preferred_channel", "time_zone"],
        open_list("which"),
    ]
    values: tuple[str, ...]


KnownQuestion = Annotated[IsMember | MessageWas | FieldIs, Field(discriminator="kind")]
Question = Annotated[
    KnownQuestion, open_union("what is asked of the customer", "member", "message", "field")
]


class WaitMessageStep(Part):
    """Go on once the journey's message of a step has come so far, or otherwise after so long."""

    kind: Literal["wait_message"] = "wait_message"
    id: str
    step: str
    state: Annotated[MessageState, open_list("at least so far")]
    at_most: str = Field(description="ISO 8601 duration")
    next: Next = None
    otherwise: Next = None


class BranchStep(Part):
    """Go on where the answer leads."""

    kind: Literal["branch"] = "branch"
    id: str
    question: Question
    next: Next = None
    otherwise: Next = None


class EndStep(Part):
    """The journey is over."""

    kind: Literal["end"] = "end"
    id: str


KnownStep = Annotated[
    SendStep | WaitStep | WaitUntilStep | WaitEventStep | WaitMessageStep | BranchStep | EndStep,
    Field(discriminator="kind"),
]
Step = Annotated[
    KnownStep,
    open_union(
        "a step", "send", "wait", "wait_until", "wait_event", "wait_message", "branch", "end"
    ),
]
KnownSign = Annotated[OnEntering | OnLeaving | OnEvent, Field(discriminator="kind")]
"""What happens to a customer, and lets a journey begin or end."""
Sign = Annotated[
    KnownSign, open_union("what has to happen", "on_entering", "on_leaving", "on_event")
]
KnownEntry = Annotated[OnEntering | OnLeaving | OnEvent | OnDate, Field(discriminator="kind")]
Entry = Annotated[
    KnownEntry,
    open_union("what lets it begin", "on_entering", "on_leaving", "on_event", "on_date"),
]
Reentry = Literal["never", "ended"]


class SeriesDefined(EventData):
    """A series has a (new) definition: who enters from then on goes through these steps."""

    type: ClassVar[str] = "series.defined.v1"
    series: str
    title: str
    entry: Entry
    steps: tuple[Step, ...] = Field(description="it begins with the first")
    exits: tuple[Sign, ...] = Field(default=(), description="each ends a journey wherever it is")
    reentry: Annotated[Reentry, open_list("never, or once the last journey ended")] = "never"
    reentry_after: str | None = Field(
        default=None, description="ISO 8601 duration since then; absent: at once"
    )
    start: Moment | None = Field(default=None, description="nobody enters before it")
    end: Moment | None = Field(default=None, description="nobody enters from it on")
    owner: str | None = Field(default=None, description="the employee who answers for it")


class SeriesStarted(EventData):
    """Who enters from now on begins a journey."""

    type: ClassVar[str] = "series.started.v1"
    series: str


class SeriesPaused(EventData):
    """Journeys stand still; what is due meanwhile is due when it is resumed."""

    type: ClassVar[str] = "series.paused.v1"
    series: str


class SeriesResumed(EventData):
    """Journeys go on."""

    type: ClassVar[str] = "series.resumed.v1"
    series: str


class SeriesStopped(EventData):
    """Every journey ends, and what it has not sent yet stays unsent."""

    type: ClassVar[str] = "series.stopped.v1"
    series: str


class JourneyNoted(EventData):
    """Something happened that may count; what it comes to is told once all before it is known."""

    type: ClassVar[str] = "journey.noted.v1"
    series: str
    at: Moment = Field(description="when it was recorded, and so takes effect")
    happened: Moment = Field(description="when it happened, never after `at`")
    cause: str = Field(description="id of the event, or the date, its year and the version")
    enters: bool = Field(default=False, description="it lets a journey begin")
    signs: tuple[str, ...] = Field(
        default=(), description="which of the things that are waited for, by their marks"
    )
    ends: Annotated[Literal["merged", "erased"], open_list("why")] | None = Field(
        default=None, description="the customer is no more"
    )


class JourneyEntered(EventData):
    """The customer begins with the first step."""

    type: ClassVar[str] = "journey.entered.v1"
    series: str
    number: int = Field(ge=1, description="of the customer's journeys through the series")
    version: int = Field(ge=1, description="of the series, whose steps it goes through to the end")
    at: Moment
    cause: str = Field(
        description="id of the event that let it begin, or the date, its year and the version"
    )


class JourneyWaiting(EventData):
    """The journey stands at a step."""

    type: ClassVar[str] = "journey.waiting.v1"
    series: str
    number: int = Field(ge=1)
    step: str
    at: Moment = Field(description="since when")
    until: Moment | None = Field(
        default=None, description="when it goes on by itself; absent: once its question is answered"
    )


Outcome = Literal["sent", "waited", "came", "timed_out", "yes", "no"]


class JourneyStepTaken(EventData):
    """A step is behind the customer."""

    type: ClassVar[str] = "journey.step_taken.v1"
    series: str
    number: int = Field(ge=1)
    step: str
    at: Moment
    outcome: Annotated[Outcome, open_list("how it went on")] = Field(
        description="sent: its message is to be sent, which the campaign decides; came: the event"
    )
    campaign: str | None = Field(default=None, description="of the message")
    occurrence: str | None = Field(default=None, description="of the message")


EndReason = Literal["finished", "exit", "stopped", "merged", "erased"]


class JourneyEnded(EventData):
    """Nothing more comes of the journey."""

    type: ClassVar[str] = "journey.ended.v1"
    series: str
    number: int = Field(ge=1)
    at: Moment
    reason: Annotated[EndReason, open_list("why")]
    exit: Sign | None = Field(default=None, description="which of the exits it was")


class JourneyPassedOver(EventData):
    """What had been noted up to a moment changed nothing."""

    type: ClassVar[str] = "journey.passed_over.v1"
    series: str
    until: Moment


EVENTS: tuple[type[EventData], ...] = (
    SeriesDefined,
    SeriesStarted,
    SeriesPaused,
    SeriesResumed,
    SeriesStopped,
    JourneyNoted,
    JourneyEntered,
    JourneyWaiting,
    JourneyStepTaken,
    JourneyEnded,
    JourneyPassedOver,
)
