"""Events of deals, and of the pipelines that they go through.

A deal is found by one id for ever. Its stream is `deal-<id>`; where its customer is merged it goes
on in `deal-<id>-2` and so on, since a stream never changes its key. Free text is personal only
where the deal is a person's: a company has no key, so `company_title` and `company_comment` are in
the clear, and hold nothing of persons.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.configuration import Name, Titles
from shared.events.contract import EventData, MinorUnits, Moment, Part, Pii, open_list
from shared.events.customer import AnyChannel

DealStatus = Literal["open", "won", "lost"]
RobotField = Literal["stage", "responsible", "deal_type", "source", "expected_close"]
Strategy = Literal["fixed", "round_robin", "least_open"]
WordField = Literal["title", "comment"]


class PlanTask(Part):
    """A robot asks for a task; who answers for the deal does it."""

    kind: Literal["task"] = "task"
    title: str
    due_days: int = Field(default=0, ge=0, description="from the moment at which it is planned")


class SetField(Part):
    """A robot changes the deal."""

    kind: Literal["field"] = "field"
    field: Annotated[RobotField, open_list("what of the deal")]
    value: str | None = Field(default=None, description="the new value; of a date, absent")
    days: int | None = Field(default=None, description="of a date: from that moment on")


class SendMessage(Part):
    """A robot asks for a message to the customer."""

    kind: Literal["message"] = "message"
    template: str
    channel: AnyChannel


class CallWebhook(Part):
    """A robot tells another system, by a signed POST."""

    kind: Literal["webhook"] = "webhook"
    url: str


Action = Annotated[PlanTask | SetField | SendMessage | CallWebhook, Field(discriminator="kind")]


class Robot(Part):
    """What is done by itself when a deal comes into a stage, or has been there for a time."""

    robot: Name
    after: int = Field(default=0, ge=0, description="seconds in the stage; 0: on entering")
    action: Action


class Stage(Part):
    """A stage of a pipeline; their order is that in which they are told."""

    stage: Name
    titles: Titles
    probability: int = Field(
        ge=0, le=10_000, description="that a deal here is won, in hundredths of a percent"
    )
    robots: tuple[Robot, ...] = ()
    archived: bool = Field(default=False, description="deals there stay; no other comes in")


class LostReason(Part):
    """Why deals are lost."""

    reason: Name
    titles: Titles


class PipelineDefined(EventData):
    """A pipeline has a (new) definition. Won and lost are its outcomes, outside of the stages."""

    type: ClassVar[str] = "pipeline.defined.v1"
    pipeline: Name
    titles: Titles
    stages: tuple[Stage, ...]
    won: Titles
    lost: Titles
    lost_reasons: tuple[LostReason, ...] = Field(default=(), description="none: any")


class PipelineArchived(EventData):
    """Deals in it go on; no new one is opened in it."""

    type: ClassVar[str] = "pipeline.archived.v1"
    pipeline: Name


class PipelineRestored(EventData):
    """Deals can be opened in it again."""

    type: ClassVar[str] = "pipeline.restored.v1"
    pipeline: Name


class AssignmentDefined(EventData):
    """Who answers for a new deal of a type that names nobody."""

    type: ClassVar[str] = "pipeline.assignment_defined.v1"
    deal_type: Name
    titles: Titles
    strategy: Annotated[Strategy, open_list("how one of them is chosen")]
    employees: tuple[str, ...] = Field(description="in this order; of those at the deal's branch")


class AssignmentArchived(EventData):
    """New deals of the type have nobody who answers for them."""

    type: ClassVar[str] = "pipeline.assignment_archived.v1"
    deal_type: Name


class AssignmentRestored(EventData):
    """The rule counts again."""

    type: ClassVar[str] = "pipeline.assignment_restored.v1"
    deal_type: Name


class DealLine(Part):
    """A product in a deal; the line is worth `quantity × price − discount`."""

    product: str
    quantity: int = Field(ge=1)
    price: MinorUnits
    discount: MinorUnits = 0


class Terms(Part):
    """What a deal is about; told whole. `amount` is the sum of the lines, where there are any."""

    amount: MinorUnits
    lines: tuple[DealLine, ...] = ()
    deal_type: str | None = None
    source: str | None = None
    branch: str | None = None
    expected_close: str | None = Field(default=None, description="ISO 8601 date")


class Words(Part):
    """Free text on a deal; of a company's deal the two that are not sealed."""

    title: Pii | None = None
    comment: Pii | None = None
    company_title: str | None = None
    company_comment: str | None = None


class DealOpened(EventData):
    """A deal began; with a customer (the envelope's subject) or with a company."""

    type: ClassVar[str] = "deal.opened.v1"
    deal: str
    company: str | None = Field(default=None, description="absent: a deal with the subject")
    pipeline: str
    stage: str
    terms: Terms
    words: Words = Words()
    responsible: str | None = None
    rule: str | None = Field(default=None, description="the assignment rule that chose who it is")


class DealChanged(EventData):
    """What a deal is about is different."""

    type: ClassVar[str] = "deal.changed.v1"
    deal: str
    terms: Terms | None = Field(default=None, description="whole; absent: as before")
    words: Words = Field(default=Words(), description="only those that changed")
    cleared: tuple[WordField, ...] = Field(default=(), description="texts that are gone")


class DealStageMoved(EventData):
    """A deal came into another stage."""

    type: ClassVar[str] = "deal.stage_moved.v1"
    deal: str
    pipeline: str
    before: str
    stage: str


class DealWon(EventData):
    """A deal was closed, and won."""

    type: ClassVar[str] = "deal.won.v1"
    deal: str
    pipeline: str
    stage: str = Field(description="where it was")
    amount: MinorUnits


class DealLost(EventData):
    """A deal was closed, and lost."""

    type: ClassVar[str] = "deal.lost.v1"
    deal: str
    pipeline: str
    stage: str = Field(description="where it was")
    reason: str
    comment: Pii | None = None
    company_comment: str | None = None


class DealReopened(EventData):
    """A closed deal goes on."""

    type: ClassVar[str] = "deal.reopened.v1"
    deal: str
    pipeline: str
    stage: str = Field(description="where it goes on")


class DealResponsibleAssigned(EventData):
    """Somebody else, or nobody, answers for a deal."""

    type: ClassVar[str] = "deal.responsible_assigned.v1"
    deal: str
    before: str | None = None
    responsible: str | None = Field(default=None, description="absent: nobody")


class DealTransferred(EventData):
    """The stream ends here: the deal goes on in another one, with another customer."""

    type: ClassVar[str] = "deal.transferred.v1"
    deal: str
    stream: str = Field(description="where it goes on")
    customer: str = Field(description="whose it is from now on")
    merge: str = Field(description="id of the merge that is followed, or undone")


class Visit(Part):
    """A stay in a stage."""

    stage: str
    entered: Moment
    left: Moment | None = Field(default=None, description="absent: it is still there")
    next: str | None = Field(default=None, description="the next stage, `won` or `lost`")


class Origin(Part):
    """A merge that brought the deal along, and whose it had been before."""

    merge: str
    customer: str


class DealContinued(EventData):
    """The stream begins with a deal that was another customer's: all of it as it is now.

    Sealed values keep the key and the place of their first stream.
    """

    type: ClassVar[str] = "deal.continued.v1"
    deal: str
    generation: int = Field(ge=2, description="number of the deal's streams, this one included")
    merge: str
    origins: tuple[Origin, ...] = Field(description="merges that still hold, the latest last")
    pipeline: str
    stage: str
    status: Annotated[DealStatus, open_list("whether it is closed, and how")]
    visits: tuple[Visit, ...]
    terms: Terms
    words: Words = Words()
    responsible: str | None = None
    opened: Moment
    closed: Moment | None = None
    lost_reason: str | None = None
    lost_comment: Pii | None = None


class DealTaskRequested(EventData):
    """A robot asks for a task; who plans it takes `request` for its id."""

    type: ClassVar[str] = "deal.task_requested.v1"
    request: str
    deal: str
    pipeline: str
    stage: str
    robot: str
    title: str
    due: Moment


class DealMessageRequested(EventData):
    """A robot asks for a message to the customer."""

    type: ClassVar[str] = "deal.message_requested.v1"
    request: str
    deal: str
    pipeline: str
    stage: str
    robot: str
    template: str
    channel: AnyChannel


class DealChangeRequested(EventData):
    """A robot asks for a change of the deal; carried out as a command."""

    type: ClassVar[str] = "deal.change_requested.v1"
    request: str
    deal: str
    pipeline: str
    stage: str
    robot: str
    field: Annotated[RobotField, open_list("what of the deal")]
    value: str


class DealWebhookRequested(EventData):
    """A robot asks for another system to be told."""

    type: ClassVar[str] = "deal.webhook_requested.v1"
    request: str
    deal: str
    pipeline: str
    stage: str
    robot: str
    url: str


class DealWebhookGivenUp(EventData):
    """Another system could not be told, however often it was tried."""

    type: ClassVar[str] = "deal.webhook_given_up.v1"
    request: str
    deal: str
    attempts: int = Field(ge=0)
    reason: str = Field(description="a word: `status-<code>`, `away`, `address`, `fault`")


EVENTS: tuple[type[EventData], ...] = (
    PipelineDefined,
    PipelineArchived,
    PipelineRestored,
    AssignmentDefined,
    AssignmentArchived,
    AssignmentRestored,
    DealOpened,
    DealChanged,
    DealStageMoved,
    DealWon,
    DealLost,
    DealReopened,
    DealResponsibleAssigned,
    DealTransferred,
    DealContinued,
    DealTaskRequested,
    DealMessageRequested,
    DealChangeRequested,
    DealWebhookRequested,
    DealWebhookGivenUp,
)
