"""What notify does: campaigns on request, messages by itself."""

from services.notify.handlers.anniversaries import Anniversaries
from services.notify.handlers.audience import Audiences
from services.notify.handlers.book import CampaignBook, Entry, Start, Version
from services.notify.handlers.buckets import Buckets
from services.notify.handlers.calendars import Calendars
from services.notify.handlers.campaigns import Request, define, pause, resume, start, stop
from services.notify.handlers.dispatcher import Dispatcher
from services.notify.handlers.examining import Examination
from services.notify.handlers.finishing import Finishing
from services.notify.handlers.plans import Plan
from services.notify.handlers.scheduling import Occasion, schedule

__all__ = [
    "Anniversaries",
    "Audiences",
    "Buckets",
    "Calendars",
    "CampaignBook",
    "Dispatcher",
    "Entry",
    "Examination",
    "Finishing",
    "Occasion",
    "Plan",
    "Request",
    "Start",
    "Version",
    "define",
    "pause",
    "resume",
    "schedule",
    "start",
    "stop",
]
