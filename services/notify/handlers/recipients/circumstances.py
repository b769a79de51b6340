"""What holds of a message and its recipient whatever the campaign's words and ways are. Pure."""

from services.notify.domain.durations import exact_duration
from services.notify.domain.lifetime import Lifetime
from services.notify.projections import QueuedMessage, Recipient
from shared.events.campaign import BroadcastList, CampaignDefined, KnownTrigger
from shared.events.notification import SuppressionReason


def life_of(message: QueuedMessage, definition: CampaignDefined) -> Lifetime:
    """When its occasion was, and until when it may go out."""
    return Lifetime(
        message.occurred or message.scheduled_at,
        message.scheduled_at,
        None if definition.max_age is None else exact_duration(definition.max_age, "max_age"),
        definition.end,
    )


def is_member(recipient: Recipient, trigger: KnownTrigger) -> bool:
    """Of the segment or list of the trigger; of one that has none everybody is."""
    if isinstance(trigger, BroadcastList):
        return trigger.list in recipient.lists
    segment = getattr(trigger, "segment", None)
    return segment is None or any(each.segment == segment for each in recipient.memberships)


def ended(recipient: Recipient) -> SuppressionReason | None:
    """Why nothing is sent to somebody who is known well."""
    if recipient.removed:
        return "erased"
    if recipient.merged is not None:
        return "merged"
    return "blacklisted" if recipient.blacklisted else None
