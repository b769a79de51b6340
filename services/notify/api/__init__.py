"""HTTP of notify: decode, call a handler or a query."""

from services.notify.api.callbacks import CallbackApi
from services.notify.api.campaigns import CampaignApi
from services.notify.api.figures import FiguresApi
from services.notify.api.messages import MessageApi
from services.notify.api.policy import PolicyApi
from services.notify.api.preview import PreviewApi
from services.notify.api.series import SeriesApi
from services.notify.api.steering import SteeringApi

__all__ = [
    "CallbackApi",
    "CampaignApi",
    "FiguresApi",
    "MessageApi",
    "PolicyApi",
    "PreviewApi",
    "SeriesApi",
    "SteeringApi",
]
