"""What robots ask for is carried out: changes as commands on deals, calls by way of the outbox.

Both are named by the request, so that who is killed in between repeats harmlessly. A chain of
causes that is too deep is a circle of robots: it is not carried out, and an alarm tells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from services.customer.engine.robots import RobotRules, robot_rules
from services.customer.handlers.deals import Deals, Request, Settled
from shared import telemetry
from shared.decider import Refused
from shared.envelope import Causation, decode
from shared.events.deal import RobotField, Words
from shared.eventstore import EventStore, body_hash
from shared.outbox import Letter, Outbox

PIPELINES = "configuration-pipelines"
DEEPEST = 8
"""Causes before a command; a longer chain runs in a circle."""

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WantedChange:
    """A change that a robot asks for."""

    request: str
    deal: str
    field: RobotField
    value: str
    at: datetime
    why: Causation


@dataclass(frozen=True, slots=True)
class Robots:
    """Carries out what robots ask for."""

    deals: Deals
    outbox: Outbox

    async def call(self, letters: Sequence[Letter]) -> None:
        """Have other systems told. Raises `StoreUnavailable`."""
        await self.outbox.put([each for each in letters if not _too_deep(each.depth, each.id)])

    async def change(self, wanted: WantedChange) -> None:
        """Change a deal; one that cannot be changed so is left as it is, and the log says why."""
        if _too_deep(wanted.why.depth, wanted.request):
            return
        content = [wanted.deal, wanted.field, wanted.value]
        request = Request(f"robot|{wanted.request}", body_hash(content), wanted.at, why=wanted.why)
        try:
            await self._carry_out(request, wanted)
            telemetry.ROBOTS.labels("done").inc()
        except Refused as refusal:
            telemetry.ROBOTS.labels("refused").inc()
            log.info("robot refused", deal=wanted.deal, refusal=refusal.type)

    async def _carry_out(self, request: Request, wanted: WantedChange) -> Settled:
        deal, value = wanted.deal, wanted.value
        match wanted.field:
            case "stage":
                return await self.deals.move(request, deal, value)
            case "responsible":
                return await self.deals.assign(request, deal, value)
            case "deal_type" | "source" | "expected_close":
                return await self.deals.change(request, deal, {wanted.field: value}, Words())


def _too_deep(depth: int, request: str) -> bool:
    if depth <= DEEPEST:
        return False
    telemetry.ROBOTS.labels("too_deep").inc()
    log.error("robots run in a circle", request=request, depth=depth)
    return True


async def load_robot_rules(store: EventStore) -> RobotRules:
    """The robots of all pipelines as they are. Raises `StoreUnavailable`."""
    commits = (await store.read([PIPELINES])).get(PIPELINES, [])
    return robot_rules(decode(text) for commit in commits for text in commit.events)
