"""Kafka in: which read models this service keeps."""

from typing import Any

from services.interaction.projections.identifiers import IDENTIFIERS
from services.interaction.projections.products import PRODUCTS
from services.interaction.projections.timeline import TIMELINE
from services.interaction.projections.totals import TOTALS
from shared.projection import Projection

PROJECTIONS: tuple[Projection[Any], ...] = (IDENTIFIERS, PRODUCTS, TIMELINE, TOTALS)
