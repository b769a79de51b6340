"""The jobs that look through a file of facts and record it, chunk by chunk.

A fact's command is named by its source, so a fact is recorded once whoever brings it: the same file
again, its other half, a second importer at the same time, the till itself. What a killed runner had
recorded of its last chunk says so itself: its events carry the import's id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.interaction.handlers.importing.columns import FactReading
from services.interaction.handlers.importing.columnwise import ColumnReader
from services.interaction.handlers.importing.drafts import DRY_RUN, IMPORT
from services.interaction.handlers.importing.source import (
    CHUNK_FACTS,
    CHUNK_ROWS,
    Ready,
    Source,
    undoing,
)
from services.interaction.handlers.imports import begin_import, end_import
from shared.decider import Refused
from shared.envelope import decode
from shared.eventstore import Known
from shared.execute import Outcome
from shared.importing import Draft, counted
from shared.importing.grouping import Groups
from shared.jobs import Checkpoint, Flaw, Job, RowResult

NEW, REPEATED, CONFLICT = "new", "repeated", "conflict"
DIFFERS = "command-differs"
CLOSED = "import-not-open"
SENT_BEFORE = "was recorded before with another content: what stands is not changed"


@dataclass(frozen=True, slots=True)
class FactImport:
    """Records the facts of a file as history, in the order in which they stand."""

    source: Source
    name: str = IMPORT

    async def run(self, job: Job, checkpoint: Checkpoint) -> None:
        """From the job's position to the end of the file, which then is deleted."""
        draft = await self.source.sources.draft(job)
        await self._begin(job, draft)
        if job.position < draft.rows:
            async with self.source.groups(job, checkpoint) as (draft, reader, groups):
                await self._record(job, checkpoint, draft, reader, groups)
        await self.end(job, checkpoint.job.counts.get(NEW, 0))
        await self.source.sources.finish(draft)

    async def _begin(self, job: Job, draft: Draft[FactReading]) -> None:
        title, now = f"{draft.reading.facts} from a file", self.source.clock.now()
        await begin_import(self.source.recorder.writer, f"job|{job.id}|begin", job.id, title, now)

    async def end(self, job: Job, facts: int) -> None:
        """Say that all facts of the import are recorded, so that rules go on."""
        writer, now = self.source.recorder.writer, self.source.clock.now()
        await end_import(writer, f"job|{job.id}|end", job.id, facts, now)

    async def _record(
        self,
        job: Job,
        checkpoint: Checkpoint,
        draft: Draft[FactReading],
        reader: ColumnReader,
        groups: Groups,
    ) -> None:
        resumed, position = job.position > 0 or job.fence > 1, job.position
        await groups.skip(position)
        while chunk := await groups.take(CHUNK_ROWS, CHUNK_FACTS):
            read = await self.source.read(job, draft, reader, chunk)
            ready = [each for each in read if isinstance(each, Ready)]
            names = [each.sent.command.id for each in ready]
            store = self.source.recorder.writer.store
            before = await store.known(names) if names and not resumed else {}
            outcomes = await self.source.recorder.record([each.sent for each in ready], job.id)
            # Known before, and not by an earlier try of this chunk: somebody else has brought it.
            doubtful = [
                name
                for name, outcome in zip(names, outcomes, strict=True)
                if not isinstance(outcome, Refused) and outcome.repeated and name not in before
            ]
            ours = await self._ours(job, doubtful) if doubtful else frozenset()
            results = _results(read, outcomes, ours)
            position, resumed = position + len(chunk.rows), False
            await checkpoint(position, counted(results), results)

    async def _ours(self, job: Job, names: Sequence[str]) -> frozenset[str]:
        """Those commands that this job has recorded, though it was not answered."""
        store = self.source.recorder.writer.store
        known = await store.known(names)
        commits = await store.read(sorted({each.stream for each in known.values()}))
        histories = {
            (stream, envelope.streamversion): envelope.history
            for stream, found in commits.items()
            for commit in found
            for envelope in map(decode, commit.events)
        }
        return frozenset(
            name
            for name, each in known.items()
            if histories.get((each.stream, each.mark.version)) == job.id
        )


def _results(
    read: Sequence[Ready | list[RowResult]], outcomes: Sequence[Outcome], ours: frozenset[str]
) -> list[RowResult]:
    results: list[RowResult] = []
    following, mine = iter(outcomes), set(ours)
    for each in read:
        if isinstance(each, Ready):
            results += _result(each, next(following), mine)
        else:
            results += each
    return results


def _result(ready: Ready, outcome: Outcome, ours: set[str]) -> list[RowResult]:
    row, sent = ready.row, ready.sent.command
    if isinstance(outcome, Refused):
        if outcome.type == CLOSED:
            raise outcome
        return [_conflict(row)] if outcome.type == DIFFERS else ready.wrong(outcome)
    new = not outcome.repeated or sent.id in ours
    # Of two rows with one id the first has brought the fact.
    ours.discard(sent.id)
    return [
        RowResult(
            row=row,
            outcome=NEW if new else REPEATED,
            id=sent.data.fact,
            version=outcome.version,
            undo=dict(undoing(ready)) if new else None,
        )
    ]


def _conflict(row: int) -> RowResult:
    return RowResult(row=row, outcome=CONFLICT, flaws=(Flaw(SENT_BEFORE, "source_id"),))


@dataclass(slots=True)
class _Seen:
    """Facts of the same file that an import would have recorded by then: id and content."""

    said: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DryRun:
    """Says of each fact what an import would do, and does nothing."""

    source: Source
    name: str = DRY_RUN

    async def run(self, job: Job, checkpoint: Checkpoint) -> None:
        """The whole file, each time from its beginning: a row may have the id of one before."""
        async with self.source.groups(job, checkpoint) as (draft, reader, groups):
            # Rows of one receipt are together already: its id comes once.
            seen, position = None if draft.reading.shape.lines else _Seen(), 0
            while (left := job.position - position) > 0:
                # A chunk that was saved has ended with a fact, and so does this one.
                chunk = await groups.take(min(left, CHUNK_ROWS), CHUNK_FACTS)
                position += len(chunk.rows)
                self._known(await self.source.read(job, draft, reader, chunk), {}, seen)
            while chunk := await groups.take(CHUNK_ROWS, CHUNK_FACTS):
                read = await self.source.read(job, draft, reader, chunk)
                names = [each.sent.command.id for each in read if isinstance(each, Ready)]
                known = await self.source.recorder.writer.store.known(names) if names else {}
                results = self._known(read, known, seen)
                position += len(chunk.rows)
                await checkpoint(position, counted(results), results)

    def _known(
        self,
        read: Sequence[Ready | list[RowResult]],
        known: Mapping[str, Known],
        seen: _Seen | None,
    ) -> list[RowResult]:
        results: list[RowResult] = []
        for each in read:
            results += [_tried(each, known, seen)] if isinstance(each, Ready) else each
        return results


def _tried(ready: Ready, known: Mapping[str, Known], seen: _Seen | None) -> RowResult:
    sent, row = ready.sent, ready.row
    recorded = known.get(sent.command.id)
    name, content = hash(sent.command.id), hash(sent.hash)
    said = {} if seen is None else seen.said
    before = hash(recorded.mark.hash) if recorded is not None else said.get(name)
    if before is None:
        said[name] = content
        return RowResult(row=row, outcome=NEW)
    if before != content:
        return _conflict(row)
    return RowResult(row=row, outcome=REPEATED, id=sent.command.data.fact)
