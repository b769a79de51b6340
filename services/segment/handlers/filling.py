"""A list is filled, at once, with who is in a segment, or whom a rule or a prediction means.

A job, customer by customer in ranges of their ids, beside live traffic. The moment is that of the
asking, also when the job goes on after a standstill; who is on the list already stays as they came.
The id of each command is made of the job and the customer: killed and done again, it changes
nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.segment.engine.moving import means
from services.segment.handlers.lists import Change, Entry, ListWriting
from services.segment.queries.lists import StaticLists
from services.segment.queries.members import Members
from services.segment.queries.predictions import Predictions, Wanted
from services.segment.queries.profiles import Profiles
from services.segment.queries.rules import PresentRules
from services.segment.rules.instants import instant
from services.segment.rules.reading import parse_rule
from shared.decider import Refused
from shared.events.contract import show_moment
from shared.events.lists import ListCause
from shared.events.prediction import ParametersFitted
from shared.execute import Outcome
from shared.ids import derived_id
from shared.jobs import Checkpoint, Job
from shared.jobs.job import RowResult
from shared.jobs.ports import JobStore

FILL = "fill_list"
RANGE = 500
_PLACE = 1
"""The row under which the job keeps the last customer that was looked at."""


def fill_job(command_id: str) -> str:
    """The id of the job that somebody asked for under a command's id."""
    return derived_id(FILL, command_id)


@dataclass(frozen=True, slots=True)
class ListFill:
    """Fills lists; implements `JobKind`."""

    lists: StaticLists
    writing: ListWriting
    members: Members
    profiles: Profiles
    rules: PresentRules
    jobs: JobStore
    predictions: Predictions
    name: str = FILL

    async def run(self, job: Job, checkpoint: Checkpoint) -> None:
        """Go on from where it stands. Raises `Refused` once the list is archived."""
        name, at = job.params["list"], datetime.fromisoformat(job.params["at"])
        cause = ListCause(kind="filter", by=job.by, job=job.id)
        change = Change(name, on=True, cause=cause, at=at, correlation=job.id)
        after = await self._last(job)
        while True:
            found, last = await self._found(job, at, after)
            if last is None:
                return
            await self.lists.require_standing(name)
            entries = [Entry(f"job|{job.id}|{each}", each) for each in found]
            outcomes = await self.writing.change(change, entries)
            place = RowResult(row=_PLACE, outcome="looked at", id=last)
            done = checkpoint.job.position + len(found)
            await checkpoint(done, _counted(outcomes), [place])
            after = last

    async def _last(self, job: Job) -> str | None:
        places = await self.jobs.results(job.id, after=_PLACE - 1, limit=1)
        return places[0].id if places else None

    async def _found(
        self, job: Job, at: datetime, after: str | None
    ) -> tuple[Sequence[str], str | None]:
        """The next whom it means, and the last customer that was looked at; None at the end."""
        segment, prediction = job.params.get("segment"), job.params.get("prediction")
        if prediction is not None:
            fitted = ParametersFitted.model_validate(job.params["fitted"])
            return await self.predictions.of_whom(Wanted(**prediction), fitted, at, after, RANGE)
        if segment is not None:
            members = (await self.members.page(segment, at, after, RANGE))[:RANGE]
            found = [each.customer for each in members]
            return found, found[-1] if found else None
        rule = parse_rule(dict(job.params["rule"]))
        looked = await self.profiles.after(after, RANGE)
        rules = await self.rules.get()
        meant = [each.id for each in looked if means(rule, each, rules, instant(at))]
        return meant, looked[-1].id if looked else None


def _counted(outcomes: Sequence[Outcome]) -> Counter[str]:
    return Counter(
        each.type if isinstance(each, Refused) else "entered" if each.changed else "there"
        for each in outcomes
    )


def asked_for(name: str, at: datetime, what: Mapping[str, object]) -> Mapping[str, object]:
    """The parameters of the job.

    `what` is one of `segment` (its members), `rule` (whom it means), or `prediction` (`Wanted`)
    with the parameters that were `fitted` by then.
    """
    return {"list": name, "at": show_moment(at), **what}
