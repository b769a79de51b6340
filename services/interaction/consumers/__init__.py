"""Kafka in: which read models this service keeps."""

from typing import Any

from services.interaction.projections.agenda import AGENDA
from services.interaction.projections.identifiers import IDENTIFIERS
from services.interaction.projections.points import POINTS
from services.interaction.projections.products import PRODUCTS
from services.interaction.projections.staff import STAFF
from services.interaction.projections.task_owners import TASK_OWNERS
from services.interaction.projections.task_sources import CALLEES, DEAL_DUTIES
from services.interaction.projections.tills import TILLS
from services.interaction.projections.timeline import TIMELINE
from services.interaction.projections.waiting import WAITING
from shared.projection import Projection

PROJECTIONS: tuple[Projection[Any], ...] = (
    IDENTIFIERS,
    POINTS,
    PRODUCTS,
    TILLS,
    TIMELINE,
    WAITING,
    AGENDA,
    TASK_OWNERS,
    STAFF,
    DEAL_DUTIES,
    CALLEES,
)
"""Beside totals, which are made with the chain's zone."""
