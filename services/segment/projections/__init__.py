"""Read models of the segment service, as pure folds."""

from services.segment.projections.activity import ACTIVITY, Activity
from services.segment.projections.members import (
    FOREVER,
    Because,
    Interval,
    Member,
    member_id,
    members_v2,
)
from services.segment.projections.profiles import profiles_v2

__all__ = [
    "ACTIVITY",
    "FOREVER",
    "Activity",
    "Because",
    "Interval",
    "Member",
    "member_id",
    "members_v2",
    "profiles_v2",
]
