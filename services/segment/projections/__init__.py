"""Read models of the segment service, as pure folds."""

from services.segment.projections.members import (
    FOREVER,
    Because,
    Interval,
    Member,
    member_id,
    members_v1,
)
from services.segment.projections.profiles import profiles_v1

__all__ = ["FOREVER", "Because", "Interval", "Member", "member_id", "members_v1", "profiles_v1"]
