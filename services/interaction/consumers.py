"""Kafka in: which read models this service keeps."""

from typing import Any

from services.interaction.projections import IDENTIFIERS, TOTALS
from shared.projection import Projection

PROJECTIONS: tuple[Projection[Any], ...] = (IDENTIFIERS, TOTALS)
