"""HTTP of the segment service: decode, call a handler or a query."""

from services.segment.api.definitions import DefinitionApi
from services.segment.api.explaining import ExplainingApi
from services.segment.api.members import MemberApi
from services.segment.api.previewing import PreviewApi
from services.segment.api.speaking import Speech

__all__ = ["DefinitionApi", "ExplainingApi", "MemberApi", "PreviewApi", "Speech"]
