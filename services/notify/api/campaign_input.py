"""What callers say of a campaign; unknown fields are mistakes."""

from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from services.notify.api.delivery import Delivery
from shared.clock import to_milliseconds
from shared.decider import invalid
from shared.events.campaign import CampaignDefined
from shared.events.customer import Channel
from shared.events.sending import LocalTime

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Reference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
Instant = Annotated[AwareDatetime, AfterValidator(to_milliseconds)]


class Input(BaseModel):
    """What callers send."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OnEnteringInput(Input):
    """A message for each entering of a segment."""

    kind: Literal["on_entering"]
    segment: str


class OnLeavingInput(Input):
    """A message for each leaving of a segment."""

    kind: Literal["on_leaving"]
    segment: str


class ConditionInput(Input):
    """What is asked of a field of an event's data."""

    field: str
    test: Literal["equals", "one_of", "at_least", "at_most"]
    value: bool | int | str | tuple[int | str, ...]


class OnEventInput(Input):
    """A message for each event of a type that fits all conditions."""

    kind: Literal["on_event"]
    event: str
    where: tuple[ConditionInput, ...] = ()


class BroadcastInput(Input):
    """A message for each member at the start, and with `follow` for whoever enters later."""

    kind: Literal["broadcast"]
    segment: str
    follow: bool = False


class BroadcastListInput(Input):
    """A message for each customer on a static list at the start, or with `follow` also later."""

    kind: Literal["broadcast_list"]
    list: str
    follow: bool = False


class OnDateInput(Input):
    """A message when a date of the customer comes round, so many days after or before it."""

    kind: Literal["on_date"]
    field: str
    days: int = Field(default=0, ge=-365, le=365)
    at: LocalTime
    yearly: bool = True


class OnStepInput(Input):
    """A message for each journey that comes to a step which names the campaign."""

    kind: Literal["on_step"]


class OnCalendarInput(Input):
    """At each moment of a calendar, a message for each member by then."""

    kind: Literal["on_calendar"]
    segment: str
    every: Literal["day", "week", "month"]
    days: tuple[int, ...] = ()
    at: LocalTime


TriggerInput = Annotated[
    OnEnteringInput
    | OnLeavingInput
    | OnEventInput
    | OnDateInput
    | OnStepInput
    | OnCalendarInput
    | BroadcastInput
    | BroadcastListInput,
    Field(discriminator="kind"),
]


class ApprovedFormInput(Input):
    """A form that the messenger has approved, with its blanks in order."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,512}$")]
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(_[A-Z]{2})?$")]
    parameters: tuple[Annotated[str, StringConstraints(min_length=1, max_length=500)], ...] = Field(
        default=(), max_length=50, description="Liquid"
    )


class VersionInput(Input):
    """What is said instead to customers of a language, by a channel, or both."""

    language: str | None = Field(default=None, description="BCP 47; absent: the template's")
    channel: Channel | None = Field(default=None, description="absent: any")
    subject: str | None = Field(default=None, description="absent: the template's")
    text: str | None = Field(default=None, description="absent: made from the mail")
    mjml: str | None = None
    approved: ApprovedFormInput | None = Field(
        default=None, description="of a messenger; the version names that channel"
    )


class DefaultInput(Input):
    """What stands in the place of a value that a customer lacks."""

    field: str = Field(description="its path, such as customer.name")
    text: str


class TemplateInput(Input):
    """What is said; all texts are Liquid, and may ask for `customer.name` and the like."""

    subject: str
    text: str = Field(default="", description="absent: made from the mail")
    mjml: str | None = Field(default=None, description="the mail, as MJML")
    language: str | None = Field(default=None, description="BCP 47, of these words")
    versions: tuple[VersionInput, ...] | None = None
    defaults: tuple[DefaultInput, ...] | None = None


class VariantInput(Input):
    """What a share of the customers gets."""

    name: str
    weight: int = Field(default=1, ge=1, description="its share, of the weights of all")
    template: TemplateInput


class CampaignInput(Delivery):
    """A campaign's definition."""

    title: str
    trigger: TriggerInput
    channel: Channel
    topic: Slug = Field(description="the topic of the consent that it needs")
    template: TemplateInput | None = Field(
        default=None, description="needed without `variants`; with them that of the first"
    )
    variants: tuple[VariantInput, ...] | None = Field(
        default=None, description="each customer gets one of them, to compare what they bring"
    )
    start: Instant = Field(description="causes before it are not taken")
    holdout_percent: int = Field(default=0, ge=0, le=100)
    owner: Reference | None = Field(default=None, description="the employee who answers for it")
    branch: Reference | None = Field(default=None, description="on whose behalf")
    home_sender: bool | None = Field(
        default=None, description="in the name of the recipient's home branch, if it has one"
    )
    coupon: Slug | None = Field(
        default=None, description="the pool of which each message gets a code, if it says one"
    )
    end: Instant | None = Field(
        default=None, description="from it on no cause is taken, and nothing goes out"
    )

    def definition(self, name: str) -> CampaignDefined:
        """The event that says so."""
        said = self.model_dump(exclude_none=True)
        if "template" not in said:
            if not self.variants:
                path, missing = "template", "is needed where there are no variants"
                raise invalid(path, missing)
            said["template"] = said["variants"][0]["template"]
        return CampaignDefined.model_validate({"campaign": name, **said})
