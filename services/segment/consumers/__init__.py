"""Kafka in: the read models, the rules that the profiles are stepped with, and reactions."""

from typing import Any

from services.segment.consumers.rules import LiveRules
from services.segment.consumers.zones import ZoneReaction, readers
from services.segment.projections import ACTIVITY, members_v2
from services.segment.projections.waves import WAVES
from shared.projection import Projection

__all__ = ["PROJECTIONS", "LiveRules", "ZoneReaction", "readers"]

PROJECTIONS: tuple[Projection[Any], ...] = (members_v2, ACTIVITY, WAVES)
