"""What a campaign's definition must be like, and what of it its first start fixes."""

import re

from services.notify.domain.calendar import check_calendar
from services.notify.domain.delivery import check_delivery
from services.notify.domain.happening import check_event
from services.notify.domain.measuring import check_measuring
from shared.decider import invalid
from shared.events.campaign import (
    BroadcastList,
    CampaignDefined,
    OnCalendar,
    OnDate,
    OnEvent,
    OnStep,
)

LONGEST_NAME = 60
LONGEST_TITLE = 200
_DATE = re.compile(r"birth_date|registered|custom\.[a-z0-9_-]{1,64}")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def checked(definition: CampaignDefined) -> CampaignDefined:
    """The definition with its title trimmed. Raises `Refused` that names what is wrong."""
    check_name("name", definition.campaign)
    trigger = definition.trigger
    if isinstance(trigger, OnEvent):
        check_event(trigger)
    elif isinstance(trigger, OnDate):
        check_date(trigger)
    elif isinstance(trigger, BroadcastList):
        check_name("trigger.list", trigger.list)
    elif not isinstance(trigger, OnStep):
        check_name("trigger.segment", trigger.segment)
    if isinstance(trigger, OnCalendar):
        check_calendar(trigger)
    title = definition.title.strip()
    if not 0 < len(title) <= LONGEST_TITLE:
        raise invalid("title", f"has 1 to {LONGEST_TITLE} characters")
    if definition.end is not None and definition.end <= definition.start:
        raise invalid("end", "is after `start`")
    check_delivery(definition)
    check_measuring(definition)
    return definition.model_copy(update={"title": title})


def check_date(rule: OnDate, path: str = "trigger") -> None:
    """Raise `Refused`, naming the place below `path`, for a date that no customer has."""
    if _DATE.fullmatch(rule.field) is None:
        raise invalid(f"{path}.field", "birth_date, registered, or custom.<name>")


def check_name(path: str, name: str) -> None:
    """Raise `Refused` for what cannot be the name of a campaign, segment or list."""
    if len(name) > LONGEST_NAME or _NAME.fullmatch(name) is None:
        form = f"is made of small letters, digits and single hyphens, at most {LONGEST_NAME} in all"
        raise invalid(path, form)


def occasion_of(definition: CampaignDefined) -> tuple[object, ...]:
    """What tells the campaign's occasions apart."""
    return definition.trigger, definition.channel, definition.start
