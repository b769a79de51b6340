"""HTTP of the segment service: decode, call a handler or a query."""

from services.segment.api.definitions import DefinitionApi
from services.segment.api.members import MemberApi

__all__ = ["DefinitionApi", "MemberApi"]
