"""What somebody wrote back: one stream each, so that it is noted once however often it is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.decider import Decider, NewEvent
from shared.events.contract import EventData
from shared.events.replies import ReplyReceived
from shared.ids import derived_id


def reply_id(provider: str, told: str) -> str:
    """Its id for ever; `told` is the provider's, which may say who wrote."""
    return derived_id("reply", provider, told)


def reply_stream(reply: str) -> str:
    """The stream of a reply."""
    return f"reply-{reply}"


@dataclass(frozen=True, slots=True)
class ReceiveReply:
    """Note what somebody wrote."""

    reply: ReplyReceived
    at: datetime


def _decide(command: ReceiveReply, state: bool) -> Sequence[NewEvent]:  # noqa: FBT001 - whether it is there
    return () if state else (NewEvent(command.reply, command.at),)


def _evolve(_state: bool, data: EventData) -> bool:  # noqa: FBT001 - whether it is there
    if isinstance(data, ReplyReceived):
        return True
    text = f"a reply has no event {data.type}"
    raise TypeError(text)


REPLY: Decider[ReceiveReply, bool] = Decider(bool, _decide, _evolve)
