"""Call lists: a task for each member of a segment, or for each of some customers, by a job.

Whom it is for is written down first, in one look; then each has a task, whose id follows from the
list and the customer: done again by another process, it is planned once, and somebody who was two
customers is called once.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from services.interaction.handlers.tasks import Planning, Request, Tasks
from services.interaction.projections.task_owners import TaskOwner
from services.interaction.queries.task_owners import TaskOwners, TaskSources
from shared.decider import Refused
from shared.envelope import Causation
from shared.events.contract import Part
from shared.events.task import TaskOrigin, TaskTerms, TaskWords
from shared.execute import Outcome
from shared.ids import derived_id
from shared.jobs import Checkpoint, Flaw, Job, RowResult, row_command

CALL_LIST = "call_list"
CHUNK = 200
WAITING, PLANNED, REFUSED, OTHER_BRANCH = "waiting", "planned", "refused", "other_branch"


class CallListWish(Part):
    """What a call list is to be: kept as the parameters of its job.

    `branches` are those whose customers it may be for (None: all); `by` who wants it.
    """

    hash: str
    title: str
    terms: TaskTerms
    escalates: bool
    segment: str | None = None
    customers: tuple[str, ...] = ()
    responsibles: tuple[str, ...] = ()
    branches: tuple[str, ...] | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class CallLists:
    """The kind of job; implements `JobKind`."""

    tasks: Tasks
    owners: TaskOwners
    sources: TaskSources
    name: str = CALL_LIST

    async def run(self, job: Job, checkpoint: Checkpoint) -> None:
        """Write down whom it is for, then plan a task for each."""
        wish = CallListWish.model_validate(job.params)
        if job.total is None:
            await self._look(wish, checkpoint)
        total = checkpoint.job.total or 0
        while checkpoint.job.position < total:
            position = checkpoint.job.position
            rows = await checkpoint.store.results(
                job.id, after=position, limit=min(CHUNK, total - position)
            )
            results = await self._plan(job, wish, rows)
            counts = Counter(each.outcome for each in results)
            await checkpoint(rows[-1].row, dict(counts), results)

    async def _look(self, wish: CallListWish, checkpoint: Checkpoint) -> None:
        row = 0
        async for customers in self._members(wish):
            results = [
                RowResult(row=number, outcome=WAITING, id=customer)
                for number, customer in enumerate(customers, row + 1)
            ]
            row += len(results)
            await checkpoint(0, results=results)
        # Only now do they count: a look that was cut off is made anew.
        await checkpoint(0, total=row)

    async def _members(self, wish: CallListWish) -> AsyncIterator[Sequence[str]]:
        if wish.segment is None:
            customers = list(dict.fromkeys(wish.customers))
            for begin in range(0, len(customers), CHUNK):
                yield customers[begin : begin + CHUNK]
            return
        after = ""
        while found := await self.sources.members(wish.segment, after, CHUNK):
            yield [each.id for each in found]
            after = found[-1].id

    async def _plan(
        self, job: Job, wish: CallListWish, rows: Sequence[RowResult]
    ) -> list[RowResult]:
        owners = await self.owners.some({row.id for row in rows if row.id is not None})
        asked: list[tuple[Request, Planning]] = []
        results: dict[int, RowResult] = {}
        for row in rows:
            owner = await self._living(owners.get(row.id or ""))
            if owner is None:
                results[row.row] = _flawed(row, REFUSED, "nobody is known by this id")
            elif wish.branches is not None and owner.home_branch not in wish.branches:
                results[row.row] = _flawed(row, OTHER_BRANCH, "is a customer of another branch")
            else:
                asked.append(_asked(job, wish, row, owner))
        outcomes = iter(await self.tasks.plan_all(asked))
        plannings = iter(planning for _, planning in asked)
        return [
            results.get(row.row) or _result(row, next(plannings), next(outcomes)) for row in rows
        ]

    async def _living(self, owner: TaskOwner | None) -> TaskOwner | None:
        """The owner, or who they are by now; None for nobody, and for who was erased."""
        if owner is not None and owner.survivor is not None:
            living = await self.owners.living(owner.id)
            owner = (await self.owners.some([living])).get(living)
        return None if owner is None or owner.erased is not None else owner


def _asked(
    job: Job, wish: CallListWish, row: RowResult, owner: TaskOwner
) -> tuple[Request, Planning]:
    turn = None
    if wish.responsibles:
        turn = wish.responsibles[(row.row - 1) % len(wish.responsibles)]
    terms = wish.terms.model_copy(
        update={
            "responsible": turn,
            "branch": wish.terms.branch or owner.home_branch,
            "call_list": job.id,
        }
    )
    planning = Planning(
        task=derived_id("task", job.id, owner.id),
        terms=terms,
        customer=owner.id,
        words=TaskWords(title=wish.title),
        origin=TaskOrigin(kind="call_list", name=wish.segment),
        escalates=wish.escalates,
    )
    command = row_command(job.id, row.row)
    request = Request(command, "", terms.since, by=wish.by, why=Causation(correlation=command))
    return request, planning


def _flawed(row: RowResult, outcome: str, message: str) -> RowResult:
    return RowResult(row=row.row, outcome=outcome, id=row.id, flaws=(Flaw(message),))


def _result(row: RowResult, planning: Planning, outcome: Outcome) -> RowResult:
    if isinstance(outcome, Refused):
        return _flawed(row, REFUSED, outcome.detail or outcome.title)
    return RowResult(row=row.row, outcome=PLANNED, id=planning.task, version=outcome.version)
