"""The read side of notify: the only files with filters."""

from services.notify.queries.effects import Effect, Effects
from services.notify.queries.figures import Figures, Outcomes, Part
from services.notify.queries.journeys import Journeys
from services.notify.queries.queue import Queue, Search
from services.notify.queries.recipients import Places, Recipients

__all__ = [
    "Effect",
    "Effects",
    "Figures",
    "Journeys",
    "Outcomes",
    "Part",
    "Places",
    "Queue",
    "Recipients",
    "Search",
]
