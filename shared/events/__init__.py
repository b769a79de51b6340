"""The public contract: every event type of every service, by its CloudEvents type."""

from collections.abc import Mapping
from types import MappingProxyType

from shared.events import (
    automation,
    budgets,
    campaign,
    care,
    company,
    configuration,
    coupons,
    customer,
    deal,
    forms,
    imports,
    interaction,
    lists,
    merging,
    moving,
    notification,
    points,
    prediction,
    preferences,
    product,
    replies,
    reports,
    segment,
    sending,
    series,
    single,
    suppression,
    task,
)
from shared.events.contract import EventData

EVENT_TYPES: Mapping[str, type[EventData]] = MappingProxyType(
    {
        event.type: event
        for module in (
            customer,
            care,
            configuration,
            company,
            deal,
            automation,
            forms,
            merging,
            interaction,
            moving,
            imports,
            points,
            product,
            task,
            segment,
            prediction,
            lists,
            campaign,
            series,
            notification,
            sending,
            preferences,
            budgets,
            single,
            reports,
            suppression,
            replies,
            coupons,
        )
        for event in module.EVENTS
    }
)
"""CloudEvents type → model of its data."""

_TOPICS = {
    "customer": "customer.events.v1",
    "company": "customer.events.v1",
    "field": "customer.events.v1",
    "category": "customer.events.v1",
    "status": "customer.events.v1",
    "directory": "customer.events.v1",
    "branch": "customer.events.v1",
    "employee": "customer.events.v1",
    "automation": "customer.events.v1",
    "form": "customer.events.v1",
    "deal": "deal.events.v1",
    "pipeline": "deal.events.v1",
    "interaction": "interaction.events.v1",
    "task": "interaction.events.v1",
    "points": "interaction.events.v1",
    "product": "interaction.events.v1",
    "product_category": "interaction.events.v1",
    "segment": "segment.events.v1",
    "prediction": "segment.events.v1",
    "list": "list.events.v1",
    "campaign": "notification.events.v1",
    "message": "notification.events.v1",
    "sending": "notification.events.v1",
    "series": "notification.events.v1",
    "journey": "notification.events.v1",
    "preference": "notification.events.v1",
    "address": "notification.events.v1",
    "reply": "notification.events.v1",
    "coupon": "notification.events.v1",
    "referral": "notification.events.v1",
}

TOPICS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "customer": ("customer.events.v1", "deal.events.v1"),
        "interaction": ("interaction.events.v1",),
        "segment": ("segment.events.v1", "list.events.v1"),
        "notify": ("notification.events.v1",),
    }
)
"""Service → the topics that it alone publishes."""


def topic_of(event_type: str, service: str) -> str:
    """The topic of an event; `import.*` go to the first topic of the importing service."""
    family = event_type.partition(".")[0]
    if family == "import":
        return TOPICS[service][0]
    return _TOPICS[family]


IMPORTING = frozenset({"customer", "interaction"})
"""The services that take imports in, and so publish `import.*` on a topic of theirs."""


def published_by(service: str) -> Mapping[str, Mapping[str, type[EventData]]]:
    """Topic → event type → model, of what a service publishes."""
    topics: dict[str, dict[str, type[EventData]]] = {topic: {} for topic in TOPICS[service]}
    for name, model in EVENT_TYPES.items():
        if name.startswith("import.") and service not in IMPORTING:
            continue
        topic = topic_of(name, service)
        if topic in topics:
            topics[topic][name] = model
    return topics
