"""What callers say of how a campaign is sent: told back as it was said, or refused by its field."""

from typing import Any

import pytest

from services.notify.api.campaign_input import CampaignInput
from services.notify.api.delivery import Delivery
from services.notify.domain.delivery import check_delivery
from shared.decider import Refused
from shared.events.campaign import Budget, OnDate, OnEvent, OnLeaving
from tests.unit.test_notify_dispatcher import DEFINED

SAID: dict[str, Any] = {
    "title": "We miss you",
    "trigger": {"kind": "on_entering", "segment": "lapsed"},
    "channel": "email",
    "topic": "marketing",
    "template": {"subject": "s", "text": "t"},
    "start": "2018-01-02T00:00:00Z",
}
HOW = {
    "purpose": "service",
    "priority": 9,
    "max_age": "P2D",
    "while_member": True,
    "fallback": ["sms"],
    "fallback_after": "PT2H",
    "caps": "drop",
    "attribution_days": 14,
    "budget": {"messages": 1_000, "per_minute": 60, "per_day": 500},
}


def test_how_a_campaign_is_sent_is_told_back_as_it_was_said() -> None:
    definition = CampaignInput.model_validate(SAID | HOW).definition("c")
    shown = Delivery(**{name: getattr(definition, name) for name in Delivery.model_fields})
    assert shown.model_dump(mode="json") == HOW


def test_what_is_not_said_is_advertising_that_waits() -> None:
    definition = CampaignInput.model_validate(SAID).definition("c")
    assert (definition.purpose, definition.caps, definition.fallback) == ("advertising", "wait", ())


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"max_age": "P1M"}, "max_age"),
        ({"budget": Budget()}, "budget"),
        ({"fallback": ("email",)}, "fallback"),
        ({"fallback": ("sms", "sms")}, "fallback"),
        # Who has left is no member, and of an event or a date there is no segment to ask about.
        ({"while_member": True, "trigger": OnLeaving(segment="lapsed")}, "while_member"),
        ({"while_member": True, "trigger": OnEvent(event="visit.recorded.v1")}, "while_member"),
        (
            {"while_member": True, "trigger": OnDate(field="birth_date", at="10:00")},
            "while_member",
        ),
    ],
)
def test_what_cannot_be_kept_to_is_refused_by_its_field(
    changed: dict[str, Any], field: str
) -> None:
    with pytest.raises(Refused) as refused:
        check_delivery(DEFINED.model_copy(update=changed))
    assert refused.value.errors[0].field == field
