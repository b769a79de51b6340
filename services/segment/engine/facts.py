"""What events say that rules can ask for, read from their bytes by structs of just those fields.

A fact counts from when it happened, but never after it was recorded: a till whose clock is ahead
must not put a receipt into tomorrow's windows.
"""

from collections.abc import Callable, Mapping

import msgspec

from services.segment.engine import dealing, telling
from services.segment.engine.dealing import dealing_of
from services.segment.engine.happening import happened, notified
from services.segment.engine.record import words_of
from services.segment.engine.reported import MOVING_FACTS, NOTIFICATIONS, Notified
from services.segment.rules.happened import Happened, Names, details_of
from services.segment.rules.instants import instant
from services.segment.rules.language.kinds import NUMBER_OF_KIND
from services.segment.rules.words import Told
from shared.events.merging import CustomerErased, CustomerMerged
from shared.events.moving import FactWithdrawn
from shared.moves import MOVES, Withdrawn
from shared.projection import Event

Fact = Happened | Told
CUSTOMER_STREAM = "customer-"


class Merged(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.merged`: this customer is another one."""


class Erased(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.erased`: this customer is nobody."""


READS: Mapping[str, type[msgspec.Struct]] = {
    **telling.READS,
    **dealing.READS,
    CustomerMerged.type: Merged,
    CustomerErased.type: Erased,
    **MOVING_FACTS,
    **MOVES,
    **NOTIFICATIONS,
    FactWithdrawn.type: Withdrawn,
}
"""The types that are facts about a customer → what is read of their data."""


def fact_of(event: Event, names: Callable[[], Names]) -> Fact | None:
    """The fact that an event tells; None where rules can ask nothing about it.

    `names` are those of the customer's profile, which new ones join.
    """
    light, data = event.light, event.data
    time = min(instant(light.time), instant(light.recordedtime))
    if isinstance(data, Notified):
        return notified(data, light.type, time, light.streamversion)
    fact = happened(data, time, light.streamversion, light.branch, names)
    if fact is not None:
        return fact
    words = words_of(light, data) or dealing_of(light, data)
    if not words:
        return None
    own = light.stream.startswith(CUSTOMER_STREAM)
    return Told(time, light.streamversion, [*words], None if own else light.stream)


def event_of(fact: Fact, customer: str) -> str:
    """The id of the event that told the fact: the streams of a customer are public."""
    if not isinstance(fact, Happened):
        return f"{fact.stream or CUSTOMER_STREAM + customer}@{fact.version}"
    if fact.kind == NUMBER_OF_KIND["notifications"]:
        return f"message-{details_of(fact).message}@{fact.version}"
    return f"interaction-{customer}@{fact.version}"


def in_order(fact: Fact) -> tuple[int, int, bool, str, int]:
    """The order in which a past is lived: time, version, and what is told before what happened."""
    if isinstance(fact, Happened):
        return fact.time, fact.version, True, "", fact.key
    return fact.time, fact.version, False, fact.stream or "", 0
