"""The read models of notify: who can be reached, what is to be sent, and what became of it."""

from services.notify.projections.figures import CAMPAIGN_FIGURES, CampaignFigures, figures_id
from services.notify.projections.places import PLACES, Place
from services.notify.projections.queue import QUEUE, QueuedMessage, queued
from services.notify.projections.recipients import (
    RECIPIENTS,
    Membership,
    Recipient,
)
from services.notify.projections.told import Contact

__all__ = [
    "CAMPAIGN_FIGURES",
    "PLACES",
    "QUEUE",
    "RECIPIENTS",
    "CampaignFigures",
    "Contact",
    "Membership",
    "Place",
    "QueuedMessage",
    "Recipient",
    "figures_id",
    "queued",
]
