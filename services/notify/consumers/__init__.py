"""Kafka in: the triggers, which make messages of what happens."""

from services.notify.consumers.triggers import (
    READER,
    Triggers,
    topics_of,
    trigger_group,
    triggered,
)

__all__ = ["READER", "Triggers", "topics_of", "trigger_group", "triggered"]
