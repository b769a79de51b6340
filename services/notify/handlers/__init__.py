"""What notify does: campaigns on request, messages by itself."""

from services.notify.handlers.audience import Audiences
from services.notify.handlers.book import CampaignBook, Entry, Start
from services.notify.handlers.buckets import Buckets
from services.notify.handlers.campaigns import Request, define, start, stop
from services.notify.handlers.dispatcher import Dispatcher
from services.notify.handlers.examining import Examination, Plan
from services.notify.handlers.scheduling import Occasion, schedule

__all__ = [
    "Audiences",
    "Buckets",
    "CampaignBook",
    "Dispatcher",
    "Entry",
    "Examination",
    "Occasion",
    "Plan",
    "Request",
    "Start",
    "define",
    "schedule",
    "start",
    "stop",
]
