"""The read models of notify: who can be reached, what is to be sent, and what became of it."""

from services.notify.projections.effects import CAMPAIGN_EFFECTS, CustomerEffects
from services.notify.projections.figures import (
    CAMPAIGN_FIGURES,
    MessageFigures,
    campaign_figures_of,
)
from services.notify.projections.places import PLACES, Place
from services.notify.projections.queue import QUEUE, QueuedMessage, queued
from services.notify.projections.recipients import (
    RECIPIENTS,
    Absorption,
    Membership,
    Recipient,
)
from services.notify.projections.told import Contact

__all__ = [
    "CAMPAIGN_EFFECTS",
    "CAMPAIGN_FIGURES",
    "PLACES",
    "QUEUE",
    "RECIPIENTS",
    "Absorption",
    "Contact",
    "CustomerEffects",
    "Membership",
    "MessageFigures",
    "Place",
    "QueuedMessage",
    "Recipient",
    "campaign_figures_of",
    "queued",
]
