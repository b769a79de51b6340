"""Jobs that hand over what somebody left behind, and take it back as it was.

A job writes down first what there is to hand over, each as a row of its own, then does the rows;
so it goes on wherever it was cut off, and a revert takes back exactly what it did, and nothing that
came later. The read models that it looks in may lag behind: it looks again until a look, a while
after the last row, finds nothing more.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from services.customer.domain.commands import AssignResponsible, ChangeRecord
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.customers import Request, carry_out
from services.customer.handlers.deals import Deals
from services.customer.handlers.deals import Request as DealRequest
from services.customer.queries.holdings import Holding, Holdings
from services.customer.queries.records import Records
from shared.clock import Clock
from shared.decider import Refused
from shared.events.customer import RecordFields
from shared.eventstore import body_hash
from shared.execute import Writer
from shared.jobs import Checkpoint, Flaw, Job, RowResult, row_command

CHUNK = 100
SETTLE_SECONDS = 2.0
"""Longer than a process may go on with an older configuration, and a read model usually lags."""
WAITING, DONE, UNCHANGED, REFUSED = "waiting", "handed_over", "unchanged", "refused"
ATTEMPTS = 10


class HandsOver(Protocol):
    """What one kind of job hands over, and how."""

    @property
    def field(self) -> str:
        """The name of what changes."""
        ...

    def find(self, job: Job) -> AsyncIterator[Sequence[Holding]]:
        """What there is to hand over now."""
        ...

    async def check(self, job: Job, *, back: bool) -> None:
        """Raise `Refused` where whoever takes over cannot."""
        ...

    async def give(self, job: Job, holding: Holding, command: str, *, back: bool) -> bool:
        """Hand one thing over, or back; False where it is in other hands by now."""
        ...


@dataclass(frozen=True, slots=True)
class HandOver:
    """A kind of job; implements `RevertibleKind`."""

    name: str
    hands: HandsOver
    settle_seconds: float = SETTLE_SECONDS

    async def run(self, job: Job, checkpoint: Checkpoint) -> None:
        """Hand everything over, until nothing more is found."""
        await self.hands.check(job, back=False)
        known = await self._known(checkpoint)
        while True:
            await self._work_off(checkpoint)
            added = await self._look(checkpoint, known)
            if added == 0:
                await asyncio.sleep(self.settle_seconds)
                added = await self._look(checkpoint, known)
            if added == 0:
                return

    async def revert(self, job: Job, checkpoint: Checkpoint) -> None:
        """Give back what is still in the hands that it was put into; what cannot be, is told."""
        await self.hands.check(job, back=True)
        while checkpoint.job.position < job.reached:
            rows = await self._rows(checkpoint, job.reached)
            results = [await self._undo(job, row) for row in rows]
            counts = Counter(row.undone for row in results if row.undone is not None)
            await checkpoint(rows[-1].row, dict(counts), results)

    async def _undo(self, job: Job, row: RowResult) -> RowResult:
        if row.outcome != DONE or row.undone is not None:
            return row
        command = row_command(job.id, row.row) + "|undo"
        try:
            given = await self.hands.give(job, _holding(row), command, back=True)
        except Refused as refusal:
            flaw = Flaw(refusal.detail or refusal.title, self.hands.field)
            return msgspec.structs.replace(row, undone="not_given_back", flaws=(flaw,))
        return msgspec.structs.replace(row, undone="given_back" if given else "in_other_hands")

    async def _known(self, checkpoint: Checkpoint) -> set[str]:
        """What the job has written down already."""
        known: set[str] = set()
        after, total = 0, checkpoint.job.total or 0
        while after < total:
            rows = await checkpoint.store.results(checkpoint.job.id, after=after, limit=CHUNK)
            if not rows:
                break
            known |= {row.id for row in rows if row.row <= total and row.id is not None}
            after = rows[-1].row
        return known

    async def _look(self, checkpoint: Checkpoint, known: set[str]) -> int:
        """Write down what is there and was not known, in rows from 1 on; gives how much."""
        job = checkpoint.job
        row = begun = job.total or 0
        async for found in self.hands.find(job):
            fresh = [each for each in found if each.id not in known]
            results = [
                RowResult(row=number, outcome=WAITING, id=each.id, undo={"kind": each.kind})
                for number, each in enumerate(fresh, row + 1)
            ]
            known |= {each.id for each in fresh}
            row += len(fresh)
            await checkpoint(job.position, results=results)
        # Only now do they count: a look that was cut off is made anew.
        await checkpoint(job.position, total=row)
        return row - begun

    async def _work_off(self, checkpoint: Checkpoint) -> None:
        """Do the rows that are written down and not done."""
        total = checkpoint.job.total or 0
        while checkpoint.job.position < total:
            rows = await self._rows(checkpoint, total)
            results = [await self._do(checkpoint.job, row) for row in rows]
            counts = Counter(result.outcome for result in results)
            await checkpoint(rows[-1].row, dict(counts), results)

    async def _rows(self, checkpoint: Checkpoint, end: int) -> Sequence[RowResult]:
        position = checkpoint.job.position
        return await checkpoint.store.results(
            checkpoint.job.id, after=position, limit=min(CHUNK, end - position)
        )

    async def _do(self, job: Job, row: RowResult) -> RowResult:
        holding = _holding(row)
        try:
            given = await self.hands.give(job, holding, row_command(job.id, row.row), back=False)
        except Refused as refusal:
            flaw = Flaw(refusal.detail or refusal.title, self.hands.field)
            return RowResult(row=row.row, outcome=REFUSED, id=row.id, flaws=(flaw,), undo=row.undo)
        outcome = DONE if given else UNCHANGED
        fields = (self.hands.field,) if given else ()
        return RowResult(row=row.row, outcome=outcome, id=row.id, fields=fields, undo=row.undo)


def _holding(row: RowResult) -> Holding:
    kind = (row.undo or {}).get("kind", "customer")
    return Holding(kind, row.id or "")


@dataclass(frozen=True, slots=True)
class FromEmployee:
    """Customers and open deals go from one employee to another: `{employee, successor}`."""

    writer: Writer
    book: ConfigurationBook
    deals: Deals
    holdings: Holdings
    clock: Clock
    field: str = "responsible"

    def find(self, job: Job) -> AsyncIterator[Sequence[Holding]]:
        """Whatever the employee answers for."""
        return self.holdings.of_employee(job.params["employee"])

    async def check(self, job: Job, *, back: bool) -> None:
        """Whoever takes over works here."""
        _giver, taker = _ends(job, "employee", "successor", back=back)
        if not (await self.book.fresh()).employees.works(taker):
            raise Refused(
                "not-working", 409, "Nobody can take over who does not work here.", "see who does"
            )

    async def give(self, job: Job, holding: Holding, command: str, *, back: bool) -> bool:
        """Assign one customer or deal."""
        giver, taker = _ends(job, "employee", "successor", back=back)
        at = self.clock.now()
        hashed = body_hash([holding.kind, holding.id, giver, taker])
        if holding.kind == "deal":
            request = DealRequest(command, hashed, at)
            return (await self.deals.assign(request, holding.id, taker, instead_of=giver)).changed
        assign = AssignResponsible(
            customer=holding.id, at=at, employee=taker, instead_of=giver, by=job.by
        )
        return (await carry_out(self.writer, Request(command, hashed, at), assign)).changed


@dataclass(frozen=True, slots=True)
class FromBranch:
    """Home customers go from one branch to another: `{branch, heir}`."""

    writer: Writer
    book: ConfigurationBook
    records: Records
    holdings: Holdings
    clock: Clock
    field: str = "home_branch"

    def find(self, job: Job) -> AsyncIterator[Sequence[Holding]]:
        """Whoever has the branch as home."""
        return self.holdings.of_branch(job.params["branch"])

    async def check(self, job: Job, *, back: bool) -> None:
        """The branch that gets them is open."""
        _giver, taker = _ends(job, "branch", "heir", back=back)
        if not (await self.book.fresh()).branches.is_open(taker):
            raise Refused(
                "branch-closed", 409, "The branch is closed.", "open it, then go on with the job"
            )

    async def give(self, job: Job, holding: Holding, command: str, *, back: bool) -> bool:
        """Give one customer another home, unless they have one already."""
        giver, taker = _ends(job, "branch", "heir", back=back)
        at = self.clock.now()
        request = Request(command, body_hash([holding.id, giver, taker]), at)
        if await _done_before(self.writer, command):
            return True
        for _ in range(ATTEMPTS):
            record = await self.records.get(holding.id)
            if record.state.record.home_branch != giver:
                return False
            change = ChangeRecord(
                customer=record.id,
                at=at,
                fields=RecordFields(home_branch=taker),
                if_match=frozenset({record.state.version}),
                by=job.by,
            )
            try:
                return (await carry_out(self.writer, request, change)).changed
            except Refused as refusal:
                if refusal.type != "precondition-failed":
                    raise
        raise Refused("changing", 409, "The customer changes too fast.", "try again later")


async def _done_before(writer: Writer, command: str) -> bool:
    """Whether a runner that was cut off did it: then things are as it left them."""
    return command in await writer.store.known([command])


def _ends(job: Job, giver: str, taker: str, *, back: bool) -> tuple[str, str]:
    """From whom to whom: the other way round on the way back."""
    one, two = job.params[giver], job.params[taker]
    return (two, one) if back else (one, two)
