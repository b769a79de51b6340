"""Why a record of the inbox waits or becomes a dead letter, in words that hold nothing of it.

Paths in the input are told as far as they are our own names: what a source has called a field of
its own may be anything.
"""

import re
from functools import cache

from services.interaction.handlers.facts import UNKNOWN_CUSTOMER
from services.interaction.handlers.incoming import KINDS
from services.interaction.handlers.places import UNDER_WAY, UNKNOWN_FACT
from shared.dead_letters import DeadLetter
from shared.decider import FieldError, Refused
from shared.records import RawRecord

WAITING = frozenset({UNKNOWN_CUSTOMER.type, UNKNOWN_FACT.type, UNDER_WAY.type})
"""Refusals that time may heal: out of order is normal."""
PLACE_FULL = Refused("too-much-waits", 503, "Too much waits already for it to wait too.")
WAITED_TOO_LONG = Refused(
    "waited-too-long", 409, "The customer or receipt that it names has not come in time."
)
FAILED = Refused("internal", 500, "Something went wrong here.")
SOMETHING = "…"


def letter_of(record: RawRecord, why: Refused) -> DeadLetter:
    """The record as it was, and why it was not taken; `detail` is left out: it may quote."""
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp,
        key=record.key,
        value=record.value,
        reason=why.type,
        title=why.title,
        errors=tuple(FieldError(_plain(each.field), each.message) for each in why.errors),
    )


def _plain(path: str) -> str:
    steps = path.split(".")
    return ".".join(step if step.isdecimal() or step in _names() else SOMETHING for step in steps)


@cache
def _names() -> frozenset[str]:
    """All names of fields and kinds that a path of ours may hold."""
    schemas = str([kind.model_json_schema() for kind in KINDS.values()])
    return frozenset(re.findall(r"'(\w+)'", schemas))
