"""What a definition says of how it is sent must be something that can be kept to."""

from services.notify.domain.budget import check_budget
from services.notify.domain.durations import exact_duration
from shared.decider import invalid
from shared.events.campaign import (
    AnyBroadcast,
    CampaignDefined,
    OnCalendar,
    OnEntering,
)


def check_delivery(definition: CampaignDefined) -> None:
    """Raise `Refused` that names what is wrong in the definition."""
    if definition.max_age is not None:
        exact_duration(definition.max_age, "max_age")
    if definition.budget is not None:
        check_budget(definition.budget)
    offered = (definition.channel, *definition.fallback)
    if len(set(offered)) < len(offered):
        raise invalid("fallback", "names channels that are not named before")
    if definition.fallback_after is not None:
        exact_duration(definition.fallback_after, "fallback_after")
        if not definition.fallback:
            raise invalid("fallback_after", "asks for a further channel in `fallback`")
    trigger = definition.trigger
    if definition.while_member and not isinstance(trigger, OnEntering | OnCalendar | AnyBroadcast):
        raise invalid("while_member", "asks of what somebody is in by the occasion")
