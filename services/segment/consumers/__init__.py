"""Kafka in: the read models, the rules that the profiles are stepped with, and reactions."""

from collections.abc import Mapping
from typing import Any

from services.segment.consumers import lists, zones
from services.segment.consumers.lists import ListReaction
from services.segment.consumers.rules import LiveRules
from services.segment.consumers.zones import ZoneReaction
from services.segment.projections import ACTIVITY, members_v2
from services.segment.projections.holders import HOLDERS
from services.segment.projections.lists import LIST_MEMBERS
from services.segment.projections.waves import WAVES
from shared.projection import Projection

__all__ = ["PROJECTIONS", "ListReaction", "LiveRules", "ZoneReaction", "readers"]

PROJECTIONS: tuple[Projection[Any], ...] = (members_v2, ACTIVITY, WAVES, LIST_MEMBERS, HOLDERS)


async def readers() -> Mapping[str, tuple[str, ...]]:
    """Group → topics of the reactions, for what is told of progress."""
    return {each.GROUP: each.TOPICS for each in (zones, lists)}
