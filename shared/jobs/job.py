"""A job is long work that survives its worker: where it stands, and what may become of it.

Everything here is pure: a transition gives the next job, or refuses. A job is written whole, where
its `rev` is one more than the stored one, so that a wish of a caller (stop, pause) and a runner's
progress never undo each other. The runner that holds the job's lease is known by its `fence`;
whoever was frozen finds a higher one, and can set nothing back.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from shared.decider import Refused

State = Literal[
    "waiting", "running", "paused", "done", "failed", "stopped", "reverting", "reverted"
]
Wish = Literal["stop", "pause"]
ACTIVE: frozenset[State] = frozenset({"waiting", "running", "reverting"})
"""States in which a runner is wanted."""
RESTING: frozenset[State] = frozenset({"paused", "done", "failed", "stopped", "reverted"})
"""States that only a caller's wish ends."""
MAX_COUNTS = 50
LARGEST_ROW = 10**10 - 1


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One job.

    `position` counts the rows that are done, `total` those that there are, where that is known;
    `counts` says how many of them had which outcome. `by` is the id of the principal that began
    it. `params` belong to the kind and are shown to nobody. While `undoing`, rows are taken back:
    `reached` is how many had been done.
    """

    id: str = msgspec.field(name="_id")
    kind: str
    state: State
    by: str
    created_at: datetime
    rev: int = 0
    begun_at: datetime | None = None
    ended_at: datetime | None = None
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    position: int = 0
    total: int | None = None
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    problem: str | None = None
    fence: int = 0
    wish: Wish | None = None
    undoing: bool = False
    reached: int = 0

    @property
    def resting(self) -> bool:
        """Whether nothing happens with it until somebody asks."""
        return self.state in RESTING


class Flaw(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with a row: the field, if it is one, and what would be right; no value."""

    message: str
    field: str | None = None


class RowResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one row.

    `id` and `version` name what it made or changed; `fields` are the names of what changed; `undo`
    is what the kind needs to take it back, and holds nothing personal; `undone` says what became
    of that.
    """

    row: int
    outcome: str
    id: str | None = None
    version: int | None = None
    fields: tuple[str, ...] = ()
    flaws: tuple[Flaw, ...] = ()
    undo: dict[str, Any] | None = None
    undone: str | None = None


def begun(
    *,
    job_id: str,
    kind: str,
    by: str,
    at: datetime,
    params: Mapping[str, Any],
    total: int | None = None,
) -> Job:
    """A new job that waits for a runner."""
    return Job(
        id=job_id,
        kind=kind,
        state="waiting",
        by=by,
        created_at=at,
        params=dict(params),
        total=total,
    )


def taken(job: Job, fence: int, at: datetime) -> Job | None:
    """The job in the hands of the runner with the fence; None when there is nothing to run."""
    if job.state not in ACTIVE or fence <= job.fence:
        return None
    return _next(
        job,
        state="reverting" if job.undoing else "running",
        fence=fence,
        begun_at=job.begun_at or at,
        ended_at=None,
    )


def advanced(job: Job, position: int, counts: Mapping[str, int], total: int | None = None) -> Job:
    """The job after a chunk: `counts` are added to those that it has."""
    summed = {
        name: job.counts.get(name, 0) + counts.get(name, 0) for name in {**job.counts, **counts}
    }
    if len(summed) > MAX_COUNTS:
        message = f"a job of kind {job.kind} counts more than {MAX_COUNTS} things"
        raise ValueError(message)
    return _next(
        job,
        position=position,
        counts=summed,
        total=job.total if total is None else total,
    )


def completed(job: Job, at: datetime) -> Job:
    """The job whose work is done."""
    return _rested(job, "reverted" if job.undoing else "done", at)


def failed(job: Job, problem: str, at: datetime) -> Job:
    """The job whose work cannot go on; `problem` names nobody."""
    return _next(job, state="failed", ended_at=at, wish=None, problem=problem)


def halted(job: Job, at: datetime) -> Job:
    """The job after its runner has followed the wish."""
    return _rested(job, "paused" if job.wish == "pause" else "stopped", at)


def wished(job: Job, wish: Wish, at: datetime) -> Job:
    """The job that somebody wants to stop or pause: at once, or after the chunk in hand.

    Raises `Refused` (409) for one that rests already; a paused one may be stopped.
    """
    if job.state == "waiting" or (job.state == "paused" and wish == "stop"):
        return _rested(job, "paused" if wish == "pause" else "stopped", at)
    if job.resting:
        raise _conflict(job, "it does not run")
    return _next(job, wish=wish)


def resumed(job: Job) -> Job:
    """The job that goes on where it rested. Raises `Refused` (409) for one that is at its end."""
    if job.state not in {"paused", "stopped", "failed"}:
        raise _conflict(job, "only what was paused, stopped or failed goes on")
    return _next(
        job, state="reverting" if job.undoing else "waiting", ended_at=None, problem=None, wish=None
    )


def reverted(job: Job) -> Job:
    """The job that is to be taken back, from its first row to the last that was done.

    Raises `Refused` (409) while it runs, and for one that is taken back already.
    """
    if job.state not in {"done", "failed", "stopped", "paused"} or job.undoing:
        raise _conflict(job, "only what has ended can be taken back, and once")
    return _next(
        job,
        state="reverting",
        undoing=True,
        reached=job.position,
        position=0,
        total=job.position,
        ended_at=None,
        problem=None,
        wish=None,
    )


def _rested(job: Job, state: State, at: datetime) -> Job:
    return _next(job, state=state, ended_at=at, wish=None)


def _next(job: Job, **changes: Any) -> Job:  # noqa: ANN401 - fields of many types
    return msgspec.structs.replace(job, rev=job.rev + 1, **changes)


def _conflict(job: Job, reason: str) -> Refused:
    return Refused(
        "job-state",
        409,
        "The job is in no state for that.",
        reason,
        extra={"state": job.state},
    )
