"""HTTP of notify: decode, call a handler or a query."""

from services.notify.api.campaigns import CampaignApi
from services.notify.api.messages import MessageApi
from services.notify.api.policy import PolicyApi
from services.notify.api.preview import PreviewApi
from services.notify.api.steering import SteeringApi

__all__ = ["CampaignApi", "MessageApi", "PolicyApi", "PreviewApi", "SteeringApi"]
