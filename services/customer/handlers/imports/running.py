"""The jobs that look through a file and record it, chunk by chunk.

A row is one command, whose id is that of the row in its job. A chunk that a killed runner left half
done is asked for by these ids first: what was recorded counts as what it was, and is not looked up
again, where it would find itself. Rows of one chunk that share an identifier go one after another.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.customer.domain.combining import COMBINED, COMBINED_CLAIMS
from services.customer.domain.importing.planning import Known, Planned, Setting, plan
from services.customer.domain.importing.rows import RowInput
from services.customer.domain.state import stream_of
from services.customer.handlers.customers import new_customer_id
from services.customer.handlers.imports.drafts import DRY_RUN, IMPORT
from services.customer.handlers.imports.reading import CHUNK_ROWS, Source
from services.customer.handlers.imports.telling import histories_of
from shared.decider import Refused
from shared.envelope import Causation
from shared.execute import Command, Outcome
from shared.importing import counted, error_of
from shared.jobs import Checkpoint, Job, RowResult, row_command
from shared.keyring import keyed_hash
from shared.tables import Row

TRIES = 5
AGAIN = frozenset({"identifier-taken", "merged"})
"""Refusals that say that the plan was made on what stands no longer."""
DUPLICATE = "duplicate"


@dataclass(slots=True)
class _Waiting:
    """A row that has no result yet."""

    number: int
    row: RowInput
    tries: int = 0


@dataclass(frozen=True, slots=True)
class CustomerImport:
    """Records the rows of a file."""

    source: Source
    name: str = IMPORT

    async def run(self, job: Job, checkpoint: Checkpoint) -> None:
        """From the job's position to the end of the file, which then is deleted."""
        async with self.source.rows(job) as (draft, table):
            resumed, position = job.position > 0 or job.fence > 1, job.position
            await table.skip(position)
            while rows := await table.take(CHUNK_ROWS):
                setting = await self.source.setting(draft, job)
                results = await self._chunk(job, rows, setting, resumed=resumed)
                position, resumed = position + len(rows), False
                await checkpoint(position, counted(results), results)
        await self.source.files.delete(draft.file)

    async def _chunk(
        self, job: Job, rows: Sequence[Row], setting: Setting, *, resumed: bool
    ) -> Sequence[RowResult]:
        results = await self._recorded(job, rows) if resumed else {}
        waiting: deque[_Waiting] = deque()
        for row in rows:
            if row.number in results:
                continue
            read = self.source.read(row, setting)
            if isinstance(read, RowResult):
                results[row.number] = read
            else:
                waiting.append(_Waiting(row.number, read))
        while waiting:
            wave = _wave(waiting)
            again = await self._record(job, wave, setting, results)
            waiting.extendleft(reversed(again))
        return [results[row.number] for row in rows]

    async def _recorded(self, job: Job, rows: Sequence[Row]) -> dict[int, RowResult]:
        """The results of those rows that a runner before has recorded."""
        ids = {row_command(job.id, row.number): row.number for row in rows}
        known = await self.source.writer.store.known(list(ids))
        if not known:
            return {}
        customers = {name: each.stream.removeprefix(stream_of("")) for name, each in known.items()}
        histories = await histories_of(self.source.writer, sorted(set(customers.values())))
        return {
            ids[name]: RowResult(
                row=ids[name],
                outcome="new" if customer == new_customer_id(name) else "changed",
                id=customer,
                version=known[name].mark.version,
                fields=histories[customer].names(job.id, ids[name]),
            )
            for name, customer in customers.items()
        }

    async def _record(
        self,
        job: Job,
        wave: Sequence[_Waiting],
        setting: Setting,
        results: dict[int, RowResult],
    ) -> Sequence[_Waiting]:
        """Plan and carry out rows that share no identifier; gives those to be planned again."""
        known = await self.source.known([each.row for each in wave])
        planned: list[tuple[_Waiting, Planned]] = []
        for each in wave:
            found = _plan(job, each, known, setting)
            if isinstance(found, RowResult):
                results[each.number] = found
            else:
                planned.append((each, found))
        outcomes = await self._carry_out(job, planned)
        again = []
        for (each, found), outcome in zip(planned, outcomes, strict=True):
            if isinstance(outcome, Refused) and outcome.type in AGAIN and each.tries < TRIES:
                each.tries += 1
                again.append(each)
            else:
                results[each.number] = _result(each.number, found, outcome)
        return again

    async def _carry_out(
        self, job: Job, planned: Sequence[tuple[_Waiting, Planned]]
    ) -> Sequence[Outcome]:
        return await self.source.writer.many(
            COMBINED,
            [
                Command(
                    id=name,
                    # Nothing else is ever asked under the id of a row.
                    hash=keyed_hash(self.source.rules.secret, "command", name),
                    stream=stream_of(found.customer),
                    key=found.customer,
                    body=found.command,
                    causation=Causation(correlation=name),
                    subject=found.customer,
                )
                for each, found in planned
                if found.command is not None and (name := row_command(job.id, each.number))
            ],
            claims=COMBINED_CLAIMS,
        )


@dataclass(slots=True)
class _Seen:
    """Rows of the same file that an import would have recorded by then."""

    rows: dict[str, int] = field(default_factory=dict)
    said: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DryRun:
    """Says of each row what an import would do, and does nothing."""

    source: Source
    name: str = DRY_RUN

    async def run(self, job: Job, checkpoint: Checkpoint) -> None:
        """The whole file, each time from its beginning: a row may be of somebody met before."""
        async with self.source.rows(job) as (draft, table):
            seen, position = _Seen(), 0
            while rows := await table.take(_step(position, job.position)):
                setting = await self.source.setting(draft, job)
                position += len(rows)
                if position <= job.position:
                    self._meet(rows, setting, seen)
                    continue
                results = await self._chunk(job, rows, setting, seen)
                await checkpoint(position, counted(results), results)

    def _meet(self, rows: Sequence[Row], setting: Setting, seen: _Seen) -> None:
        """Remember who is in rows that were looked through before a restart."""
        for row in rows:
            read = self.source.read(row, setting)
            if isinstance(read, RowInput):
                _twin(row.number, read, seen)

    async def _chunk(
        self, job: Job, rows: Sequence[Row], setting: Setting, seen: _Seen
    ) -> Sequence[RowResult]:
        read = {row.number: self.source.read(row, setting) for row in rows}
        known = await self.source.known(
            [each for each in read.values() if isinstance(each, RowInput)]
        )
        return [
            each
            if isinstance(each, RowResult)
            else _twin(number, each, seen) or _tried(job, number, each, known, setting)
            for number, each in read.items()
        ]


def _step(position: int, reached: int) -> int:
    """How many rows to take: no chunk is partly looked through already."""
    return min(CHUNK_ROWS, reached - position) if position < reached else CHUNK_ROWS


def _twin(number: int, row: RowInput, seen: _Seen) -> RowResult | None:
    """The result of a row about somebody whom the same file has told of before.

    It is compared with that row alone: what it adds is told by the names of all that it says.
    """
    claims = [each.claim_id for each in row.identifiers]
    first = next((seen.rows[claim] for claim in claims if claim in seen.rows), None)
    said = hash((row.identifiers, repr(row.fields), row.tags, row.consents))
    for claim in claims:
        seen.rows.setdefault(claim, number)
    seen.said[number] = said
    if first is None:
        return None
    if seen.said[first] == said:
        return RowResult(row=number, outcome=DUPLICATE)
    kinds = {each.kind for each in row.identifiers}
    names = {*row.fields.model_fields_set, *kinds} - {"custom"}
    return RowResult(row=number, outcome="changed", fields=tuple(sorted(names)))


def _tried(job: Job, number: int, row: RowInput, known: Known, setting: Setting) -> RowResult:
    found = _plan(job, _Waiting(number, row), known, setting)
    if isinstance(found, RowResult):
        return found
    customer = None if found.outcome == "new" else found.customer
    return RowResult(row=number, outcome=found.outcome, id=customer, fields=found.fields)


def _wave(waiting: deque[_Waiting]) -> Sequence[_Waiting]:
    """Take the first rows that share no identifier; the others stay, in their order."""
    wave: list[_Waiting] = []
    rest: list[_Waiting] = []
    met: set[str] = set()
    while waiting:
        each = waiting.popleft()
        claims = {identifier.claim_id for identifier in each.row.identifiers}
        (rest if met & claims else wave).append(each)
        met |= claims
    waiting.extend(rest)
    return wave


def _plan(job: Job, each: _Waiting, known: Known, setting: Setting) -> Planned | RowResult:
    """The plan of a row; a result where there is nothing to carry out."""
    new_id = new_customer_id(row_command(job.id, each.number))
    try:
        found = plan(each.row, new_id, known, setting)
    except Refused as refusal:
        return error_of(each.number, refusal)
    if found.command is None:
        return RowResult(row=each.number, outcome=found.outcome, id=found.customer)
    return found


def _result(number: int, planned: Planned, outcome: Outcome) -> RowResult:
    if isinstance(outcome, Refused):
        return error_of(number, outcome)
    return RowResult(
        row=number,
        outcome=planned.outcome if outcome.changed else DUPLICATE,
        id=planned.customer,
        version=outcome.version,
        fields=planned.fields if outcome.changed else (),
    )
