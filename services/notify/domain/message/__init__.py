"""Messages: what may happen to one, and what follows from what. Pure."""

from services.notify.domain.message.commands import (
    BeginSending,
    Defer,
    FallBack,
    GiveUp,
    HoldOut,
    MessageCommand,
    Postpone,
    RecordFailed,
    RecordReport,
    RecordSent,
    RecordUncertain,
    Schedule,
    Suppress,
    Told,
)
from services.notify.domain.message.deciding import MAX_REFUSALS, MESSAGE
from services.notify.domain.message.state import (
    BUCKETS,
    OPEN,
    Message,
    Stage,
    bucket_of,
    message_id,
    message_stream,
)

__all__ = [
    "BUCKETS",
    "MAX_REFUSALS",
    "MESSAGE",
    "OPEN",
    "BeginSending",
    "Defer",
    "FallBack",
    "GiveUp",
    "HoldOut",
    "Message",
    "MessageCommand",
    "Postpone",
    "RecordFailed",
    "RecordReport",
    "RecordSent",
    "RecordUncertain",
    "Schedule",
    "Stage",
    "Suppress",
    "Told",
    "bucket_of",
    "message_id",
    "message_stream",
]
