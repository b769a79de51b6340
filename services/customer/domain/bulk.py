"""What can be done with many customers at once, each of them by a command of its own."""

from typing import Annotated, Literal

from pydantic import Field

from services.customer.domain.filters import Condition, Filter, Word
from shared.events.customer import Channel
from shared.events.merging import AnyReason

MOST_SELECTED = 10_000


class TagAll(Condition):
    """Put tags on and take tags off."""

    kind: Literal["tag"]
    add: tuple[Word, ...] = Field(default=(), max_length=50)
    remove: tuple[Word, ...] = Field(default=(), max_length=50)


class CategorizeAll(Condition):
    """Give and withdraw categories; a new one is defined in the configuration first."""

    kind: Literal["category"]
    give: tuple[Word, ...] = Field(default=(), max_length=50)
    withdraw: tuple[Word, ...] = Field(default=(), max_length=50)


class AssignAll(Condition):
    """Let an employee look after them, or nobody."""

    kind: Literal["responsible"]
    employee: Word | None


class BringAll(Condition):
    """Bring them to a status, those whom the path leads there."""

    kind: Literal["status"]
    status: Word


class ShelveAll(Condition):
    """Put them out of sight, or back."""

    kind: Literal["archive", "restore"]


class DeleteAll(Condition):
    """Forget them for good; whoever decides this types the word."""

    kind: Literal["delete"]
    reason: AnyReason
    confirm: Literal["delete"] = Field(description="typed by whoever decides this")


class MessageAll(Condition):
    """Ask for a message to each; consents and limits are asked when it goes."""

    kind: Literal["message"]
    template: Word
    topic: Word
    channel: Channel


Action = Annotated[
    TagAll | CategorizeAll | AssignAll | BringAll | ShelveAll | DeleteAll | MessageAll,
    Field(discriminator="kind"),
]


class Whom(Condition):
    """Those that were selected, or all that a filter finds."""

    selected: tuple[Word, ...] | None = Field(
        default=None, max_length=MOST_SELECTED, description="absent: all that the filter finds"
    )
    filter: Filter = Filter()


class Bulk(Whom):
    """An action, and on whom."""

    action: Action


class Reach(Whom):
    """Whom a message would be for, and how it would go."""

    topic: Word
    channel: Channel
