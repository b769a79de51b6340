"""The job that takes an import of facts back, from its last fact to its first.

What the import brought is voided or withdrawn; what others had brought before stays, and so does
what the same file only repeated.
"""

from dataclasses import dataclass

import msgspec

from services.interaction.domain.imports import IMPORTS, import_stream_of
from services.interaction.handlers.importing.running import NEW, FactImport
from services.interaction.handlers.withdrawing import TakenBack, Wanted, Withdrawals
from shared.importing import undone_counted
from shared.jobs import Checkpoint, Flaw, Job, RowResult
from shared.jobs.job import LARGEST_ROW

CHUNK_FACTS = 200
SINCE = "since it was imported"


@dataclass(frozen=True, slots=True)
class Reverting(FactImport):
    """An import that can be taken back."""

    async def revert(self, job: Job, checkpoint: Checkpoint) -> None:
        """Take back each fact that it brought; one that was taken back stays so."""
        await self._ended(job)
        taking = Withdrawals(self.source.recorder.writer, self.source.clock)
        before, position = LARGEST_ROW, 0
        while page := await checkpoint.store.results_before(
            job.id, before=before, limit=CHUNK_FACTS
        ):
            before = page[-1].row
            todo = [each for each in page if each.outcome == NEW and each.undone is None]
            taken = await taking.take_back([_wanted(each) for each in todo], job.by)
            done = [_result(each, found) for each, found in zip(todo, taken, strict=True)]
            position = max(position, job.reached - before, checkpoint.job.position)
            await checkpoint(position, undone_counted(done), done)
        await checkpoint(job.reached)

    async def _ended(self, job: Job) -> None:
        """Nothing is history of it any more: one that was stopped half way ends here."""
        writer = self.source.recorder.writer
        state, _ = await writer.state(IMPORTS, import_stream_of(job.id))
        if state.open:
            await self.end(job, job.counts.get(NEW, 0))


def _wanted(result: RowResult) -> Wanted:
    undo = result.undo or {}
    return Wanted(result.id or "", undo.get("command", ""))


def _result(result: RowResult, found: TakenBack) -> RowResult:
    flaws = tuple(Flaw(f"{each} {SINCE}") for each in found.since)
    return msgspec.structs.replace(result, undone=found.undone, flaws=flaws)
