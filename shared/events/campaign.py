"""Events of campaigns: what is said to whom on what occasion, and when that begins and ends."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.contract import EventData, Moment, Part, open_list, open_union
from shared.events.customer import AnyChannel
from shared.events.sending import LocalTime

DEFAULT_PRIORITY = 5
HIGHEST_PRIORITY = 9
DEFAULT_ATTRIBUTION_DAYS = 7
LONGEST_ATTRIBUTION_DAYS = 90

Purpose = Literal["advertising", "service"]
Caps = Literal["wait", "drop"]


class OnEntering(Part):
    """One message for each entering of a segment at or after the campaign's start."""

    kind: Literal["on_entering"] = "on_entering"
    segment: str


class OnLeaving(Part):
    """One message for each leaving of a segment at or after the campaign's start."""

    kind: Literal["on_leaving"] = "on_leaving"
    segment: str


class Condition(Part):
    """What is asked of a field of an event's data."""

    field: str = Field(description="its path; of lists, one item that fits is enough")
    test: Annotated[
        Literal["equals", "one_of", "at_least", "at_most"], open_list("how it is compared")
    ]
    value: bool | int | str | tuple[int | str, ...]


class OnEvent(Part):
    """One message for each event of a type that fits all conditions."""

    kind: Literal["on_event"] = "on_event"
    event: str = Field(description="a type of this contract")
    where: tuple[Condition, ...] = ()


class Broadcast(Part):
    """One message for each member of a segment at the start, or while it runs (`follow`)."""

    kind: Literal["broadcast"] = "broadcast"
    segment: str
    follow: bool = False


class BroadcastList(Part):
    """One message for each customer on a static list at the start, or while it runs (`follow`)."""

    kind: Literal["broadcast_list"] = "broadcast_list"
    list: str
    follow: bool = False


AnyBroadcast = Broadcast | BroadcastList
"""Speaks once to everybody in a segment, or on a list."""


class OnCalendar(Part):
    """At each moment of a calendar, one message for each member of a segment by then."""

    kind: Literal["on_calendar"] = "on_calendar"
    segment: str
    every: Annotated[Literal["day", "week", "month"], open_list("how often")]
    days: tuple[int, ...] = Field(
        default=(), description="of a week: 1 (Monday) to 7; of a month: 1 to 31, or -1, its last"
    )
    at: LocalTime = Field(description="HH:MM on the chain's clock")


class OnStep(Part):
    """One message for each journey that comes to a step of a series which names the campaign."""

    kind: Literal["on_step"] = "on_step"


class OnDate(Part):
    """One message when a date of the customer comes round, so many days after or before it."""

    kind: Literal["on_date"] = "on_date"
    field: str = Field(description="`birth_date`, `registered` or `custom.<name>`")
    days: int = Field(default=0, ge=-365, le=365, description="after it; less than 0: before it")
    at: LocalTime = Field(description="HH:MM on the clock of the customer, else branch, else chain")
    yearly: bool = Field(default=True, description="false: once, in the year of the date itself")


KnownTrigger = Annotated[
    OnEntering | OnLeaving | OnEvent | OnDate | OnStep | OnCalendar | Broadcast | BroadcastList,
    Field(discriminator="kind"),
]
Trigger = Annotated[
    KnownTrigger,
    open_union(
        "on what occasion",
        "on_entering",
        "on_leaving",
        "on_event",
        "on_date",
        "on_step",
        "on_calendar",
        "broadcast",
        "broadcast_list",
    ),
]


class ApprovedForm(Part):
    """A form that the messenger has approved, said in the place of the words where it asks so."""

    name: str = Field(description="its name there")
    language: str = Field(description="its language there")
    parameters: tuple[str, ...] = Field(default=(), description="its blanks in order, as Liquid")


class Version(Part):
    """What is said instead to customers of a language, by a channel, or both."""

    language: str | None = Field(default=None, description="BCP 47; absent: the template's")
    channel: AnyChannel | None = Field(default=None, description="absent: any")
    subject: str | None = Field(default=None, description="absent: the template's")
    text: str | None = Field(default=None, description="absent: made from the mail")
    mjml: str | None = None
    approved: ApprovedForm | None = Field(default=None, description="of a messenger")


class Default(Part):
    """What stands in the place of a value that a customer lacks."""

    field: str = Field(description="its path, such as customer.name")
    text: str


class Template(Part):
    """What is said; all texts are Liquid. Its own words are for whoever has no version."""

    subject: str
    text: str = Field(description="empty: made from the mail")
    mjml: str | None = Field(default=None, description="the mail's markup")
    language: str | None = Field(default=None, description="BCP 47, of its own words")
    versions: tuple[Version, ...] | None = None
    defaults: tuple[Default, ...] | None = None


class Variant(Part):
    """What a share of the customers gets, so that variants can be compared."""

    name: str
    weight: int = Field(ge=1, description="its share is this, of the weights of all variants")
    template: Template


class Budget(Part):
    """How many messages may be handed over; what is absent is not limited."""

    messages: int | None = Field(default=None, ge=1, description="in all")
    per_minute: int | None = Field(default=None, ge=1)
    per_day: int | None = Field(default=None, ge=1, description="of the chain's calendar")


class CampaignDefined(EventData):
    """A campaign has a (new) definition; nothing is sent before it is started."""

    type: ClassVar[str] = "campaign.defined.v2"
    campaign: str
    title: str
    trigger: Trigger
    channel: AnyChannel
    topic: str = Field(description="the topic of the consent that it needs")
    template: Template
    start: Moment = Field(description="causes before it are not taken")
    holdout_percent: int = Field(ge=0, le=100)
    owner: str | None = Field(default=None, description="the employee who answers for it")
    branch: str | None = Field(default=None, description="on whose behalf; absent: the chain's")
    purpose: Annotated[Purpose, open_list("advertising or service")] = Field(
        default="advertising",
        description="service: needs no consent to advertising; no holdout, no caps of advertising",
    )
    end: Moment | None = Field(default=None, description="causes from it on are not taken")
    max_age: str | None = Field(
        default=None, description="ISO 8601 duration: an older occasion is not written about"
    )
    priority: int = Field(
        default=DEFAULT_PRIORITY, ge=0, le=HIGHEST_PRIORITY, description="9 goes first"
    )
    while_member: bool = Field(
        default=False, description="sent only to whoever is in the trigger's segment by then"
    )
    budget: Budget | None = None
    attribution_days: int | None = Field(
        default=None,
        ge=1,
        description="a receipt so many days after a message is put down to it; absent: 7",
    )
    fallback: tuple[AnyChannel, ...] = Field(
        default=(), description="further channels, in the order in which they are tried"
    )
    fallback_after: str | None = Field(
        default=None, description="ISO 8601 duration to wait for a delivery before the next one"
    )
    caps: Annotated[Caps, open_list("wait or drop")] = Field(
        default="wait", description="what becomes of a message that a cap keeps back"
    )
    variants: tuple[Variant, ...] | None = Field(
        default=None, description="each customer gets one; `template` is that of the first"
    )
    coupon: str | None = Field(
        default=None, description="the pool of which each message gets a code, if it says one"
    )
    home_sender: bool | None = Field(
        default=None, description="in the name of the recipient's home branch"
    )


class OnEnteringV1(Part):
    """One message for each entering of a segment at or after the campaign's start."""

    kind: Literal["on_entering"] = "on_entering"
    segment: str


class BroadcastV1(Part):
    """One message for each member of a segment at the start."""

    kind: Literal["broadcast"] = "broadcast"
    segment: str


class TemplateV1(Part):
    """What is said; both texts are Liquid."""

    subject: str
    text: str


class CampaignDefinedV1(EventData):
    """A campaign has a (new) definition, as it was said before there was a second version."""

    type: ClassVar[str] = "campaign.defined.v1"
    campaign: str
    title: str
    trigger: Annotated[OnEnteringV1 | BroadcastV1, Field(discriminator="kind")]
    channel: AnyChannel
    topic: str = Field(description="the topic of the consent that it needs")
    template: TemplateV1
    start: Moment = Field(description="causes before it are not taken")
    holdout_percent: int = Field(ge=0, le=100)

    def upcast(self) -> CampaignDefined:
        """The same definition, in the words of the present version."""
        return CampaignDefined.model_validate(self.model_dump())


class CampaignStarted(EventData):
    """Messages may go out. `run` tells the runs of a broadcast apart."""

    type: ClassVar[str] = "campaign.started.v1"
    campaign: str
    run: int = Field(ge=1)


class CampaignRunBegan(EventData):
    """A moment of its calendar has come: the members by now get a message."""

    type: ClassVar[str] = "campaign.run_began.v1"
    campaign: str
    run: int = Field(ge=1)
    due: Moment = Field(description="the moment of the calendar")


class AudienceFrozen(EventData):
    """Every member at the start has its message scheduled."""

    type: ClassVar[str] = "campaign.audience_frozen.v1"
    campaign: str
    run: int = Field(ge=1)
    size: int = Field(ge=0)


class CampaignStopped(EventData):
    """Nothing of it is handed over any more."""

    type: ClassVar[str] = "campaign.stopped.v1"
    campaign: str


class CampaignPaused(EventData):
    """Nothing of it is handed over until it is resumed; occasions are noted all the same."""

    type: ClassVar[str] = "campaign.paused.v1"
    campaign: str


class CampaignResumed(EventData):
    """What has waited since the pause may go out."""

    type: ClassVar[str] = "campaign.resumed.v1"
    campaign: str


class CampaignFinished(EventData):
    """It has come to its end by itself."""

    type: ClassVar[str] = "campaign.finished.v1"
    campaign: str
    reason: Annotated[Literal["ended", "complete"], open_list("why")] = Field(
        description="ended: its end has come; complete: every message of a broadcast has an outcome"
    )


EVENTS: tuple[type[EventData], ...] = (
    CampaignDefinedV1,
    CampaignDefined,
    CampaignStarted,
    CampaignRunBegan,
    AudienceFrozen,
    CampaignPaused,
    CampaignResumed,
    CampaignStopped,
    CampaignFinished,
)
