"""How a segment stands: what is evaluated and how far, what waits, and what it was before."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from services.segment.domain import Segment
from services.segment.handlers.definitions import Standing, load_standing
from services.segment.handlers.trials import trial_job
from services.segment.queries.brake import Base, Evaluations, Movements
from services.segment.queries.definitions import Defined
from services.segment.rules.ruleset import LiveRule, RuleSet, waiting_name
from shared.eventstore import EventStore
from shared.jobs.ports import JobStore

Stage = Literal["rebuilding", "counting", "evaluating", "finished"]


class HeldView(BaseModel):
    """Too many customers would be moved, or were: a person has to say yes."""

    why: Literal["definition", "wave"]
    base: int = Field(description="customers that there were")
    entering: int | None = Field(default=None, description="who would enter by the definition")
    leaving: int | None = Field(default=None, description="who would leave by the definition")
    moved: int | None = Field(default=None, description="who was moved by what happened")
    since: datetime | None = Field(default=None, description="from when on they were counted")


class EvaluationView(BaseModel):
    """How far the base is evaluated by the definition, or counted while it is on trial.

    While it is `rebuilding`, customers who are not done lack facts that the rule looks back to.
    """

    stage: Stage
    done: int
    of: int
    finished_at: datetime | None = None


class StandingView(BaseModel):
    """What is evaluated, and what waits."""

    stands: int | None = Field(description="version of the definition that is evaluated")
    trial: int | None = Field(description="version that waits to be counted, or for a yes")
    held: HeldView | None
    evaluation: EvaluationView | None


class VersionView(BaseModel):
    """One version of a definition."""

    definition: int
    title: str
    rule: dict[str, Any]
    sentence: str = Field(description="the rule in words")
    at: datetime = Field(description="when it was defined")
    by: str | None = Field(description="id of the principal who defined it, where that is known")
    stands: bool = Field(description="it is the one that is evaluated")
    trial: bool = Field(description="it waits to be counted, or for a yes")


class VersionList(BaseModel):
    """All versions, the newest first."""

    segment: str
    items: list[VersionView]


@dataclass(frozen=True, slots=True)
class Standings:
    """Says how segments stand, by what there is at one moment."""

    store: EventStore
    base: Base
    movements: Movements
    evaluations: Evaluations
    jobs: JobStore

    async def look(self) -> "Look":
        """The rules and the base as they are now, for one answer."""
        standing = await load_standing(self.store)
        base, oldest = await self.base.count(), await self.base.oldest()
        lacking = await self.base.lacking(standing.rules.needs.keys(), limit=1)
        return Look(self, standing, base, oldest, rebuilding=bool(lacking))


@dataclass(frozen=True, slots=True)
class Look:
    """One moment: the definitions as they were read once, and the base.

    `oldest` is the lowest rule set that any customer was evaluated with. `rebuilding`:
    somebody does not keep enough for some rule.
    """

    standings: Standings
    standing: Standing
    base: int
    oldest: int
    rebuilding: bool = False

    @property
    def rules(self) -> RuleSet:
        """The rules that stand."""
        return self.standing.rules

    async def of(self, defined: Defined) -> StandingView:
        """How the segment stands."""
        segment = defined.segment
        return StandingView(
            stands=segment.stands or None,
            trial=segment.trial or None,
            held=_held(segment),
            evaluation=await self._evaluation(defined),
        )

    async def underway(self, defined: Defined) -> bool:
        """Whether customers are left to be asked about the definition that stands."""
        live = self.rules.rules.get(defined.name)
        if live is None:
            return False
        return self.oldest < self.rules.number_of(live) or await self._lacking(defined.name) > 0

    async def _evaluation(self, defined: Defined) -> EvaluationView | None:
        segment = defined.segment
        if segment.trial:
            if segment.toll is not None:
                return None
            name = waiting_name(defined.name, segment.trial)
            waiting = self.rules.waiting.get(name)
            if waiting is not None and (left := await self._left(name, waiting)):
                return self._rebuilding(left)
            job = await self.standings.jobs.get(trial_job(defined.name, segment.trial))
            done = 0 if job is None else job.position
            return EvaluationView(stage="counting", done=min(done, self.base), of=self.base)
        live = self.rules.rules.get(defined.name)
        if live is None:
            return None
        number = self.rules.number_of(live)
        if await self._lacking(defined.name):
            return self._rebuilding(await self._left(defined.name, live))
        if self.oldest < number:
            left = await self.standings.base.left(number)
            return EvaluationView(stage="evaluating", done=max(0, self.base - left), of=self.base)
        finished = await self.standings.evaluations.finished(
            defined.name, live.definition, live.defined_at
        )
        return EvaluationView(stage="finished", done=self.base, of=self.base, finished_at=finished)

    def _rebuilding(self, left: int) -> EvaluationView:
        return EvaluationView(stage="rebuilding", done=max(0, self.base - left), of=self.base)

    async def _left(self, name: str, live: LiveRule) -> int:
        """How many have not taken up the rule, or do not keep enough for it."""
        number = self.rules.number_of(live)
        late = await self.standings.base.left(number) if self.oldest < number else 0
        return late + await self._lacking(name)

    async def _lacking(self, name: str) -> int:
        return await self.standings.base.lacking([name]) if self.rebuilding else 0


def _held(segment: Segment) -> HeldView | None:
    if segment.toll is not None:
        toll = segment.toll
        return HeldView(
            why="definition", base=toll.base, entering=toll.entering, leaving=toll.leaving
        )
    if segment.wave is not None:
        wave = segment.wave
        return HeldView(why="wave", base=wave.base, moved=wave.moved, since=wave.since)
    return None


def version_views(
    defined: Defined, moments: Mapping[int, datetime], sentences: Mapping[int, str]
) -> list[VersionView]:
    """The versions of a segment, the newest first."""
    segment = defined.segment
    return [
        VersionView(
            definition=each.number,
            title=each.title,
            rule=dict(each.rule or {}),
            sentence=sentences[each.number],
            at=moments[each.number],
            by=each.by,
            stands=each.number == segment.stands,
            trial=each.number == segment.trial,
        )
        for each in reversed(segment.versions)
    ]
