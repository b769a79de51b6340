"""The rules that the profiles are stepped with."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import structlog

from services.segment.engine.profile import Profile
from services.segment.engine.stepping import HORIZON, Engine
from services.segment.handlers.definitions import StandingRules
from services.segment.projections import profiles_v2
from services.segment.rules.ruleset import NO_RULES
from shared.eventstore import EventStore
from shared.projection import Stepped
from shared.recurring import again_and_again

POLL_SECONDS = 1.0

log = structlog.stdlib.get_logger(__name__)


def _no_rules() -> Stepped[Profile]:
    return profiles_v2(Engine(NO_RULES))


@dataclass(slots=True)
class LiveRules:
    """The present rule set as a stepping; implements `SteppedSource`.

    A rule set is built beside the one in use and swapped in whole, never changed.
    """

    store: EventStore
    horizon: timedelta = HORIZON
    number: int = 0
    engine: Engine = field(default_factory=lambda: Engine(NO_RULES))
    stepped: Stepped[Profile] = field(default_factory=_no_rules)
    _standing: StandingRules = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is read before the first refresh."""
        self._standing = StandingRules(self.store)

    async def refresh(self) -> None:
        """Take up a newer rule set, if there is one."""
        rules = await self._standing.get()
        if rules.number > self.number:
            # Thousands of rules are written out for seconds, during which events are folded.
            await asyncio.to_thread(rules.prepare)
            self.engine = Engine(rules, self.horizon)
            self.stepped = profiles_v2(self.engine)
            self.number = rules.number
            log.info("rule set taken up", number=rules.number, segments=len(rules.rules))

    async def follow(self) -> None:
        """Keep it fresh until cancelled."""
        await again_and_again(self.refresh, POLL_SECONDS, partial(log.warning, "rules unread"))
