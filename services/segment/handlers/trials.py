"""A definition on trial is counted: whom would it move, if it stood?

Counting is a job, customer by customer in ranges of their ids, beside live traffic; nothing is
written but where it stands, so a worker killed at any point costs a range. What was counted settles
the trial: few enough let the definition stand at once, more wait for a person's yes. Each customer
counts as it was when it was looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from services.segment.domain import Brake, SettleTrial
from services.segment.engine.moving import Toll, toll_of
from services.segment.engine.profile import Profile
from services.segment.handlers.definitions import Request, carry_out, load_rules
from services.segment.queries.definitions import Definitions
from services.segment.queries.profiles import Profiles
from services.segment.rules.instants import instant
from services.segment.rules.reading import parse_rule
from shared.clock import Clock
from shared.execute import Writer
from shared.ids import derived_id
from shared.jobs.job import Job, RowResult
from shared.jobs.ports import JobStore
from shared.jobs.runner import Checkpoint

log = structlog.stdlib.get_logger(__name__)

TRIAL = "count_trial"
BY = "service:segment"
RANGE = 500
_PLACE = 1
"""The row under which the job keeps the last customer that was counted."""


def trial_job(segment: str, definition: int) -> str:
    """The id of the job that counts a definition."""
    return derived_id(TRIAL, segment, str(definition))


@dataclass(frozen=True, slots=True)
class TrialCount:
    """Counts definitions on trial; implements `JobKind`."""

    writer: Writer
    definitions: Definitions
    profiles: Profiles
    jobs: JobStore
    clock: Clock
    horizon: timedelta
    brake: Brake
    name: str = TRIAL

    async def run(self, job: Job, checkpoint: Checkpoint) -> None:
        """Count from where it stands, and settle the trial."""
        segment, number = job.params["segment"], job.params["definition"]
        defined = await self.definitions.get(segment)
        if defined is None or defined.segment.trial != number:
            return
        rule = parse_rule(dict(defined.segment.rule))
        rules = await load_rules(self.writer.store)
        at = instant(self.clock.now())
        async for found in self.profiles.ranges(await self._last(job), RANGE):
            toll = toll_of(found, segment, rule, rules, at)
            await self._save(checkpoint, found, toll)
        counts = checkpoint.job.counts
        command = SettleTrial(
            segment, number, counts.get("entering", 0), counts.get("leaving", 0),
            counts.get("base", 0), self.brake, self.clock.now(),
        )  # fmt: skip
        request = Request(f"trial|{segment}|{number}", number, command.at)
        await carry_out(self.writer, self.horizon, request, command)
        if self.brake.too_many(command.entering + command.leaving, command.base):
            log.error(
                "a definition is held: it would move too many",
                alarm="segment-held", segment=segment, definition=number,
                entering=command.entering, leaving=command.leaving, base=command.base,
            )  # fmt: skip

    async def _last(self, job: Job) -> str | None:
        if not job.position:
            return None
        (place,) = await self.jobs.results(job.id, after=_PLACE - 1, limit=1)
        return place.id

    async def _save(self, checkpoint: Checkpoint, found: Sequence[Profile], toll: Toll) -> None:
        counts = {"base": toll.base, "entering": toll.entering, "leaving": toll.leaving}
        place = RowResult(row=_PLACE, outcome="counted", id=found[-1].id)
        await checkpoint(checkpoint.job.position + len(found), counts, [place])
