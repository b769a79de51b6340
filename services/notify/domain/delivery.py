"""What a definition says of how it is sent must be something that can be kept to."""

from services.notify.domain.durations import exact_duration
from shared.decider import invalid
from shared.events.campaign import (
    Broadcast,
    CampaignDefined,
    OnCalendar,
    OnEntering,
)


def check_delivery(definition: CampaignDefined) -> None:
    """Raise `Refused` that names what is wrong in the definition."""
    if definition.max_age is not None:
        exact_duration(definition.max_age, "max_age")
    offered = (definition.channel, *definition.fallback)
    if len(set(offered)) < len(offered):
        raise invalid("fallback", "names channels that are not named before")
    trigger = definition.trigger
    if definition.while_member and not isinstance(trigger, OnEntering | OnCalendar | Broadcast):
        raise invalid("while_member", "asks of the segment that somebody is in by the occasion")
