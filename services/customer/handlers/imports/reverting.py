"""The job that takes an import back, from its last row to its first."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from services.customer.domain.combining import COMBINED, COMBINED_CLAIMS, AnyCommand, Combined
from services.customer.domain.importing.undoing import EVERYTHING, Undoing, undo
from services.customer.domain.state import stream_of
from services.customer.handlers.imports.running import CustomerImport
from services.customer.handlers.imports.telling import History, histories_of
from shared.decider import Refused
from shared.envelope import Causation
from shared.execute import Command, Outcome
from shared.importing import undone_counted
from shared.jobs import Checkpoint, Flaw, Job, RowResult, row_command
from shared.jobs.job import LARGEST_ROW
from shared.keyring import keyed_hash

CHUNK_ROWS = 200
UNDOABLE = frozenset({"new", "changed"})
KEPT = "kept"
CHANGED_SINCE = "changed since"
TRIES = 5


@dataclass(frozen=True, slots=True)
class Reverting(CustomerImport):
    """An import that can be taken back."""

    async def revert(self, job: Job, checkpoint: Checkpoint) -> None:
        """Take back each row that recorded something; one that was taken back stays so."""
        before, position = LARGEST_ROW, 0
        while page := await checkpoint.store.results_before(
            job.id, before=before, limit=CHUNK_ROWS
        ):
            before, position = page[-1].row, position + len(page)
            todo = [each for each in page if each.outcome in UNDOABLE and each.undone is None]
            done = await self._take_back(job, todo)
            # Before a restart it may have come further than this.
            reached = max(position, checkpoint.job.position)
            await checkpoint(reached, undone_counted(done), done)

    async def _take_back(self, job: Job, todo: Sequence[RowResult]) -> Sequence[RowResult]:
        done: list[RowResult] = []
        # Of rows of one batch the later may have been recorded first: one that lost an identifier
        # to its neighbour was decided again. What was recorded last goes back first.
        todo = sorted(todo, key=lambda each: each.version or 0, reverse=True)
        while todo:
            wave: list[RowResult] = []
            rest: list[RowResult] = []
            met: set[str] = set()
            for each in todo:
                # Rows of one customer go one after another.
                (rest if each.id in met else wave).append(each)
                met.add(each.id or "")
            done += await self._wave(job, wave)
            todo = rest
        return done

    async def _wave(self, job: Job, wave: Sequence[RowResult]) -> Sequence[RowResult]:
        """Take back rows of different customers."""
        done: dict[int, RowResult] = {}
        for _ in range(TRIES):
            left = [each for each in wave if each.row not in done]
            if not left:
                break
            histories = await histories_of(self.source.writer, [each.id or "" for each in left])
            found = [(each, self._undo(job, each, histories[each.id or ""])) for each in left]
            outcomes = await self._undone(job, found)
            for each, undoing in found:
                outcome = outcomes.get(each.row)
                if isinstance(outcome, Refused) and outcome.type == "precondition-failed":
                    continue
                done[each.row] = _result(each, undoing, outcome)
        return [done.get(each.row) or _kept(each) for each in wave]

    def _undo(self, job: Job, result: RowResult, history: History) -> Undoing:
        told = history.told(job.id, result.row)
        return undo(told, result.id or "", job.by, self.source.clock.now())

    async def _undone(
        self, job: Job, found: Sequence[tuple[RowResult, Undoing]]
    ) -> dict[int, Outcome]:
        commands = [
            self._command(job, result, undoing) for result, undoing in found if undoing.parts
        ]
        outcomes = await self.source.writer.many(COMBINED, commands, claims=COMBINED_CLAIMS)
        rows = [result.row for result, undoing in found if undoing.parts]
        return dict(zip(rows, outcomes, strict=True))

    def _command(self, job: Job, result: RowResult, undoing: Undoing) -> Command[AnyCommand]:
        customer = result.id or ""
        name = f"{row_command(job.id, result.row)}|undo"
        return Command(
            id=name,
            hash=keyed_hash(self.source.rules.secret, "command", name),
            stream=stream_of(customer),
            key=customer,
            body=Combined(
                customer=customer,
                at=self.source.clock.now(),
                by=job.by,
                parts=undoing.parts,
            ),
            causation=Causation(correlation=name),
            subject=customer,
        )


def _result(result: RowResult, undoing: Undoing, outcome: Outcome | None) -> RowResult:
    if isinstance(outcome, Refused):
        return msgspec.structs.replace(
            result, undone=KEPT, flaws=(Flaw(outcome.detail or outcome.title),)
        )
    if undoing.kept == (EVERYTHING,):
        return _kept(result)
    flaws = tuple(Flaw(CHANGED_SINCE, name) for name in undoing.kept)
    if undoing.removes:
        return msgspec.structs.replace(result, undone="removed")
    if not flaws:
        return msgspec.structs.replace(result, undone="restored")
    undone = "partly" if undoing.parts else KEPT
    return msgspec.structs.replace(result, undone=undone, flaws=flaws)


def _kept(result: RowResult) -> RowResult:
    return msgspec.structs.replace(result, undone=KEPT, flaws=(Flaw(CHANGED_SINCE),))
