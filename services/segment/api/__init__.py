"""HTTP of the segment service: decode, call a handler or a query."""

from services.segment.api.analytics import AnalyticsApi
from services.segment.api.definitions import DefinitionApi
from services.segment.api.explaining import ExplainingApi
from services.segment.api.history import HistoryApi
from services.segment.api.members import MemberApi
from services.segment.api.portraits import PortraitApi
from services.segment.api.predictions import PredictionApi
from services.segment.api.previewing import PreviewApi
from services.segment.api.ready import ReadyApi
from services.segment.api.speaking import Speech
from services.segment.api.standing import Standings
from services.segment.api.steering import SteeringApi

__all__ = [
    "AnalyticsApi",
    "DefinitionApi",
    "ExplainingApi",
    "HistoryApi",
    "MemberApi",
    "PortraitApi",
    "PredictionApi",
    "PreviewApi",
    "ReadyApi",
    "Speech",
    "Standings",
    "SteeringApi",
]
