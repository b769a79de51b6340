"""Why a message was not sent, or not yet, in a sentence for people: a closed list."""

from collections.abc import Mapping
from types import MappingProxyType

from shared.events.notification import PostponementReason, SuppressionReason
from shared.wording import Wording

SUPPRESSED: Mapping[SuppressionReason, str] = MappingProxyType(
    {
        "no_customer": "There is no such customer.",
        "no_address": "The customer has no address for this channel.",
        "bad_address": "The customer's address turned out bad.",
        "address_suppressed": "The address is on the suppression list.",
        "duplicate_address": "Another customer got the same broadcast at this address.",
        "no_consent": "The customer has not agreed to this topic on this channel.",
        "withdrawn": "The customer had agreed, and withdrew it before the message was sent.",
        "internal": "The record is one of the staff or a test.",
        "campaign_stopped": "The campaign was stopped.",
        "campaign_ended": "The campaign had come to its end.",
        "stale": "The occasion was too long ago when the campaign heard of it.",
        "expired": "The message waited until it was too late for it.",
        "cap": "The customer has got as many messages as a cap allows.",
        "condition": "The customer is not in the campaign's segment, or on the series, any more.",
        "budget": "The budget of the campaign, or of its branch, is used up.",
        "template_error": "The template could not be filled in for this customer.",
        "merged": "The record was merged into another one.",
        "already_told": "A record that was merged into this one has got the message.",
        "erased": "The person was erased.",
        "blacklisted": "The customer is blacklisted.",
    }
)
"""Reason → its sentence."""

POSTPONED: Mapping[PostponementReason, str] = MappingProxyType(
    {
        "quiet_hours": "It is quiet hours where the customer is: the message waits for their end.",
        "cap": "The customer has got as many messages as a cap allows: the message waits.",
        "pace": "The campaign has sent as much as it may in a minute or a day: the message waits.",
    }
)
"""The same of what waits."""


_SENTENCES: Mapping[str | None, str] = MappingProxyType(
    dict([*SUPPRESSED.items(), *POSTPONED.items()])
)


def sentence_of(reason: str | None, wording: Wording) -> str | None:
    """The sentence for a reason of either list, in a language; None where it is none of them."""
    return None if reason not in _SENTENCES else wording.text(_SENTENCES[reason])
