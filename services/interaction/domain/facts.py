"""When a fact can be recorded.

A fact's ids, its own and that of the command, are made of its source's id alone: whoever sends it,
by whatever way, it is recorded once. So most facts need no history to be decided.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from shared.decider import Decider, NewEvent, invalid
from shared.events.contract import EventData
from shared.events.hot import HotReceipt
from shared.events.interaction import Fact
from shared.ids import derived_id

AHEAD = timedelta(days=1)
"""A till's clock may be ahead of the chain's by this much."""


def command_id(source: str, branch: str | None, source_id: str) -> str:
    """The id of the command that records a fact: the same for all who send it."""
    return f"{source}|{branch or ''}|{source_id}"


def fact_id(source: str, branch: str | None, source_id: str) -> str:
    """The id of a fact, for ever."""
    return derived_id("fact", source, branch or "", source_id)


class RecordFact(msgspec.Struct, frozen=True, kw_only=True):
    """Record what a source says has happened.

    `time` is by the source's clock, `now` by the chain's. The source and the branch hold no `|`.
    """

    data: Fact | HotReceipt
    branch: str | None
    time: datetime
    now: datetime

    @property
    def id(self) -> str:
        """The id of the command."""
        return command_id(self.data.source, self.branch, self.data.source_id)


def decide_fact(command: RecordFact, _state: None) -> Sequence[NewEvent]:
    """The fact as an event, or why it cannot be one."""
    check_clock(command.time, command.now)
    data = command.data.as_data() if isinstance(command.data, HotReceipt) else command.data
    return [NewEvent(data, command.time, command.branch)]


def check_clock(time: datetime, now: datetime) -> None:
    """Raise `Refused` for a clock that cannot be right."""
    if time > now + AHEAD:
        raise invalid("time", "is more than a day ahead of the chain's clock")


def _nothing() -> None:
    """A stream of facts is not read to decide."""


def _still_nothing(_state: None, _data: EventData) -> None:
    """Whatever was recorded, the next fact does not ask for it."""


FACTS: Decider[RecordFact, None] = Decider(_nothing, decide_fact, _still_nothing)
