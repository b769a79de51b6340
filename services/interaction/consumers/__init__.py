"""Kafka in: which read models this service keeps."""

from typing import Any

from services.interaction.projections.identifiers import IDENTIFIERS
from services.interaction.projections.products import PRODUCTS
from services.interaction.projections.timeline import TIMELINE
from shared.projection import Projection

PROJECTIONS: tuple[Projection[Any], ...] = (IDENTIFIERS, PRODUCTS, TIMELINE)
"""Beside totals, which are made with the chain's zone."""
