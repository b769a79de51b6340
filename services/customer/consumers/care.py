"""Kafka in: the rules that care is stepped with."""

from dataclasses import dataclass, field
from functools import partial

import structlog

from services.customer.engine.document import Care
from services.customer.engine.rules import NO_RULES
from services.customer.engine.stepping import CareEngine
from services.customer.handlers.care import load_care_rules
from services.customer.projections.care import care_v1
from shared.eventstore import EventStore
from shared.projection import Stepped
from shared.recurring import again_and_again

POLL_SECONDS = 1.0

log = structlog.stdlib.get_logger(__name__)


def _no_rules() -> Stepped[Care]:
    return care_v1(CareEngine(NO_RULES))


@dataclass(slots=True)
class LiveCareRules:
    """The present rule set as a stepping; implements `SteppedSource`."""

    store: EventStore
    number: int = 0
    stepped: Stepped[Care] = field(default_factory=_no_rules)
    _read: dict[str, int] = field(default_factory=dict)

    async def refresh(self) -> None:
        """Take up a newer rule set, if there is one. Raises `StoreUnavailable`."""
        rules = await load_care_rules(self.store, self._read)
        if rules is not None and rules.number > self.number:
            self.stepped = care_v1(CareEngine(rules))
            self.number = rules.number
            log.info("rules of care taken up", number=rules.number)

    async def follow(self) -> None:
        """Keep it fresh until cancelled."""
        await again_and_again(
            self.refresh, POLL_SECONDS, partial(log.warning, "rules of care unread")
        )
