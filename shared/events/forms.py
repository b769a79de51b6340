"""Events of public forms: what they ask, word by word, and what they promised to whom."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.configuration import Name, Titles
from shared.events.contract import EventData, Part, open_list
from shared.events.customer import AnyChannel

FormAttribute = Literal[
    "surname", "name", "patronymic", "birth_date", "gender", "city", "email", "phone"
]


class FormField(Part):
    """A question."""

    attribute: str = Field(description="of the record, `email`, `phone`, or `custom.<name>`")
    titles: Titles
    required: bool = False


class FormConsent(Part):
    """A consent that is asked for, in the words that are agreed to."""

    topic: str
    channel: AnyChannel
    wording: str = Field(description="version of the texts; other texts are another version")
    texts: Titles
    required: bool = False


class FormPromise(Part):
    """What whoever sends the form gets, once per person."""

    coupon: str = Field(description="the code as it is shown")
    titles: Titles


class FormDefined(EventData):
    """A public form has a (new) definition."""

    type: ClassVar[str] = "form.defined.v1"
    form: Name
    titles: Titles
    fields: tuple[FormField, ...]
    consents: tuple[FormConsent, ...] = ()
    confirmation: Annotated[
        Literal["email", "none"], open_list("how the person proves the address")
    ]
    promise: FormPromise | None = None
    branch: str | None = Field(default=None, description="home branch of who is new")
    source: str | None = Field(default=None, description="source of acquisition of who is new")
    tags: tuple[str, ...] = ()


class FormArchived(EventData):
    """Nobody is asked by the form any more."""

    type: ClassVar[str] = "form.archived.v1"
    form: Name


class FormRestored(EventData):
    """The form asks again."""

    type: ClassVar[str] = "form.restored.v1"
    form: Name


class FormPromiseGiven(EventData):
    """The customer got what the form promises; nobody gets it twice."""

    type: ClassVar[str] = "form.promise_given.v1"
    form: Name
    coupon: str


EVENTS: tuple[type[EventData], ...] = (
    FormDefined,
    FormArchived,
    FormRestored,
    FormPromiseGiven,
)
