"""The wave brake: who would move too many at once is noticed, and held for a person's yes.

One process at a time looks, by lease, which is for economy alone: a definition on trial is counted
by a job whose id follows from it, a wave is held at the very version of the segment at which it was
counted, and a note of an evaluation's end is made once. So whatever was killed is done again, and
done twice it changes nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from services.segment.domain import Brake, HoldWave
from services.segment.handlers.definitions import Request, StandingRules, carry_out
from services.segment.handlers.trials import BY, TRIAL, trial_job
from services.segment.queries.brake import Base, Evaluations, Movements
from services.segment.queries.definitions import Defined
from services.segment.rules.ruleset import RuleSet, waiting_name
from shared import telemetry
from shared.clock import Clock
from shared.execute import Writer
from shared.jobs import Jobs
from shared.readmodel import Leases
from shared.recurring import again_and_again

LEASE = "wave-brake"
LEASE_SECONDS = 15.0
LOOK_SECONDS = 1.0
WORK_SHARE = 0.1
"""Of the time that looking may take: the more there is to count, the rarer it is looked."""
BASE_SECONDS = 30.0
"""How long the number of customers is good for: to count them is to read an index whole."""

log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class BrakeWatch:
    """Looks at definitions and movements; `run` is a task of every worker."""

    writer: Writer
    base: Base
    movements: Movements
    evaluations: Evaluations
    jobs: Jobs
    leases: Leases
    owner: str
    clock: Clock
    horizon: timedelta
    brake: Brake
    _counted: tuple[float, int] = (float("-inf"), 0)
    _begun: set[str] = field(default_factory=set)
    _finished: set[tuple[str, int]] = field(default_factory=set)
    _standing: StandingRules = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is read before the first look."""
        self._standing = StandingRules(self.writer.store)

    async def run(self) -> None:
        """Look while the lease is ours, until cancelled."""
        await again_and_again(self._hold, LOOK_SECONDS, partial(log.warning, "the brake waits"))

    async def _hold(self) -> None:
        """Look again and again; returns when somebody else has the lease."""
        loop = asyncio.get_running_loop()
        lease = await self.leases.acquire(LEASE, self.owner, LEASE_SECONDS)
        while lease is not None:
            began = loop.time()
            await self.look()
            pause = (loop.time() - began) / WORK_SHARE
            await asyncio.sleep(min(max(pause, LOOK_SECONDS), LEASE_SECONDS / 3))
            lease = await self.leases.renew(lease, LEASE_SECONDS)

    async def look(self) -> None:
        """Do what follows from what there is. Raises `StoreUnavailable`."""
        standing = await self._standing.whole()
        rules = standing.rules
        defined = [each for each in standing.segments if not each.segment.archived]
        await self._count_trials(defined, rules)
        await self._hold_waves(defined, rules)
        await self._note_ends(rules)
        self._tell(defined)

    async def _count_trials(self, defined: Sequence[Defined], rules: RuleSet) -> None:
        for each in defined:
            number = each.segment.trial
            job = trial_job(each.name, number)
            if number and each.segment.toll is None and job not in self._begun:
                if not await self._can_be_counted(waiting_name(each.name, number), rules):
                    continue
                params = {"segment": each.name, "definition": number}
                await self.jobs.begin(TRIAL, BY, params, job_id=job)
                self._begun.add(job)

    async def _can_be_counted(self, name: str, rules: RuleSet) -> bool:
        """Whether everybody keeps what the definition on trial looks back to."""
        waiting = rules.waiting.get(name)
        if waiting is None:
            return True
        late = await self.base.oldest() < rules.number_of(waiting)
        return not late and not await self.base.lacking([name], limit=1)

    async def _hold_waves(self, defined: Sequence[Defined], rules: RuleSet) -> None:
        base = await self._base()
        if not self.brake.watches(base):
            return
        for each in defined:
            live = rules.rules.get(each.name)
            if live is not None:
                await self._hold_if_wave(each, live.defined_at, base)

    async def _hold_if_wave(self, each: Defined, stands_since: datetime, base: int) -> None:
        """What was let through before the rule stood as it does is not counted again."""
        now = self.clock.now()
        since = max(now - self.brake.period, stands_since)
        moved = await self.movements.since(each.name, since, self.brake.limit(base))
        if not self.brake.too_many(moved, base):
            return
        moved = await self.movements.since(each.name, since)
        command = HoldWave(each.name, each.version, moved, base, since.astimezone(UTC), now)
        request = Request(f"wave|{each.name}|{each.version}", each.version, now)
        done = await carry_out(self.writer, self.horizon, request, command)
        if not done.repeated:
            log.error(
                "a segment is held: too many were moved",
                alarm="segment-held", segment=each.name, moved=moved, base=base,
            )  # fmt: skip

    async def _note_ends(self, rules: RuleSet) -> None:
        oldest = await self.base.oldest()
        for name, live in rules.every:
            key = (name, live.definition)
            if key in self._finished or oldest < rules.number_of(live):
                continue
            if await self.base.lacking([name], limit=1):
                continue
            await self.evaluations.note(name, live.definition, live.defined_at, self.clock.now())
            self._finished.add(key)

    async def _base(self) -> int:
        now = asyncio.get_running_loop().time()
        counted, base = self._counted
        if now - counted > BASE_SECONDS or not self.brake.watches(base):
            base = await self.base.count()
            self._counted = (now, base)
        return base

    def _tell(self, defined: Sequence[Defined]) -> None:
        waves = sum(each.segment.wave is not None for each in defined)
        tolls = sum(each.segment.toll is not None for each in defined)
        telemetry.SEGMENTS_HELD.labels("wave").set(waves)
        telemetry.SEGMENTS_HELD.labels("definition").set(tolls)
