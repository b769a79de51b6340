"""What follows from somebody's leaving and from a branch's closing, whatever was killed meanwhile.

It is read off the configuration, not remembered: every process looks at each leaver and each branch
again when it starts, and everything done here may be done twice. Keys are refused first, then the
job begins under an id that follows from the event.
"""

from dataclasses import dataclass, field
from functools import partial

import structlog

from services.customer.domain.configuration.chosen import Configuration
from services.customer.handlers.configuration import ConfigurationBook
from shared.access import ApiKeys, prefix_of
from shared.ids import derived_id
from shared.jobs import Jobs
from shared.recurring import again_and_again

FOLLOW_SECONDS = 1.0
BY = "service:customer"
HAND_OVER = "hand_over"
MOVE_HOME = "move_home_customers"

log = structlog.stdlib.get_logger(__name__)


def hand_over_job(employee: str, left_version: int) -> str:
    """The id of the job that hands over what an employee had."""
    return derived_id(HAND_OVER, employee, str(left_version))


def move_home_job(branch: str, heir_version: int) -> str:
    """The id of the job that moves the home customers of a branch."""
    return derived_id(MOVE_HOME, branch, str(heir_version))


@dataclass(slots=True)
class Departures:
    """Takes keys away and begins jobs; several processes may do so at once."""

    book: ConfigurationBook
    keys: ApiKeys
    jobs: Jobs
    _seen: int = 0
    _settled: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Follow the configuration until cancelled."""
        await again_and_again(self.settle, FOLLOW_SECONDS, partial(log.warning, "departures wait"))

    async def settle(self) -> None:
        """Do what follows from the configuration as it is."""
        now = await self.book.fresh()
        if now.number == self._seen:
            return
        await self._take_keys(now)
        await self._begin_jobs(now)
        self._seen = now.number

    async def _take_keys(self, now: Configuration) -> None:
        for employee in now.employees.items.values():
            for principal in employee.keys_of_old - self._settled:
                prefix = prefix_of(principal)
                if prefix is not None and await self.keys.revoke(prefix):
                    log.info("a key is revoked, its holder has left", prefix=prefix)
                self._settled.add(principal)

    async def _begin_jobs(self, now: Configuration) -> None:
        for name, employee in now.employees.items.items():
            if employee.left is not None and employee.successor is not None:
                params = {"employee": name, "successor": employee.successor}
                await self._begin(HAND_OVER, hand_over_job(name, employee.left_version), params)
        for name, branch in now.branches.items.items():
            if branch.heir is not None:
                params = {"branch": name, "heir": branch.heir}
                await self._begin(MOVE_HOME, move_home_job(name, branch.heir_version), params)

    async def _begin(self, kind: str, job_id: str, params: dict[str, str]) -> None:
        if job_id not in self._settled:
            await self.jobs.begin(kind, BY, params, job_id=job_id)
            self._settled.add(job_id)
