"""A list is filled from a file: rows name customers by an identifier of any kind, or by their id.

The jobs look through the file chunk by chunk. A row is one command, whose id is that of the row in
its job: killed anywhere, the job goes on and puts nobody on twice. It is taken back by taking off
who is on the list by this file still: whom a person has put on or taken off since is let be, and so
is who was merged since.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import msgspec

from services.segment.domain.listing import listing_stream
from services.segment.handlers.lists import Change, Entry, ListWriting
from services.segment.queries.holders import Holders
from services.segment.queries.lists import StaticLists
from services.segment.queries.profiles import Profiles
from shared.access import Kind, Permission, Principal, scope
from shared.clock import Clock
from shared.decider import FieldError, Refused, invalid
from shared.events.customer import IdentifierKind
from shared.events.lists import ListCause
from shared.execute import Outcome
from shared.files import Files
from shared.identifiers import IdentifierRules
from shared.importing import ERROR, Draft, Sources, counted, error_of, undone_counted
from shared.importing.reading import flawed
from shared.jobs import Checkpoint, Flaw, Job, RowResult, row_command
from shared.jobs.job import LARGEST_ROW
from shared.readmodel import Documents
from shared.tables import Row, Survey
from shared.tables.suggesting import Suggestion, Target, suggest

IMPORT, DRY_RUN = "list-import", "list-import-dry-run"
CHUNK_ROWS = 500
CUSTOMER = "customer"
USES: tuple[str, ...] = (CUSTOMER, *get_args(IdentifierKind))
ENTERED, THERE, UNKNOWN = "entered", "there", "unknown"
OFF, KEPT = "taken off", "kept"
SINCE = Flaw("is on the list for another reason by now, or no longer")
_NAMES: Mapping[str, tuple[str, ...]] = {
    CUSTOMER: ("customer", "customer id", "id", "клиент"),
    "phone": ("phone", "telephone", "mobile", "телефон", "мобильный"),
    "email": ("email", "e-mail", "mail", "почта", "эл. почта"),
    "card": ("card", "card number", "карта", "номер карты"),
    "external": ("external", "external id", "код", "внешний код"),
    "messenger": ("messenger", "мессенджер"),
    "social": ("social", "соцсеть"),
}


class ListReading(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which list the rows are for, and what each column is, by its place (None: left out)."""

    list: str
    columns: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class ListFiles:
    """The `Reader` of files of lists."""

    lists: StaticLists
    kind: str = IMPORT
    dry_run: str = DRY_RUN

    def stored(self, raw: Mapping[str, Any]) -> Draft[ListReading]:
        """A draft as it was stored."""
        return msgspec.convert(raw, Draft[ListReading])

    async def suggested(
        self, found: Survey, about: str
    ) -> tuple[ListReading, Sequence[Suggestion]]:
        """What is suggested for the list of a name. Raises `Refused` (404, 409)."""
        await self.lists.require_standing(about)
        targets = [Target(name, names, many=True) for name, names in _NAMES.items()]
        suggestions = suggest(found.header, [row.cells for row in found.sample], targets)
        uses = {each.column: each.target for each in suggestions}
        columns = tuple(uses.get(place) for place in range(len(found.header)))
        return ListReading(about, columns), suggestions

    def changed(
        self,
        reading: ListReading,
        columns: tuple[str | None, ...],
        how: Mapping[str, Any],  # noqa: ARG002 - there is nothing else to say
    ) -> ListReading:
        """The reading that a mapping says, for the same list."""
        return ListReading(reading.list, columns)

    async def require(self, reading: ListReading, header: Sequence[str]) -> None:
        """Raise `Refused` (422) that names each column that cannot be what it is said to be."""
        await self.lists.require_standing(reading.list)
        wrong = tuple(
            FieldError(f"columns.{name}", f"is one of {', '.join(USES)}")
            for name, use in zip(header, reading.columns, strict=True)
            if use is not None and use not in USES
        )
        if wrong:
            raise Refused("invalid", 422, "The input is not valid.", errors=wrong)
        if not any(reading.columns):
            raise invalid("columns", "has at least one that tells who is meant")

    def branches(self, calling: Principal) -> list[str] | None:
        """A list is of the whole chain. Raises `Refused` (403)."""
        calling.require(Permission.SEGMENTS_WRITE)
        scope(calling, Kind.SEGMENT).require(None)
        return None


@dataclass(frozen=True, slots=True)
class Source:
    """Where the jobs find what they need."""

    drafts: Documents
    files: Files
    writing: ListWriting
    lists: StaticLists
    holders: Holders
    profiles: Profiles
    rules: IdentifierRules
    clock: Clock

    @property
    def sources(self) -> Sources[ListReading]:
        """Where the files are."""
        return Sources(self.drafts, self.files, ListFiles(self.lists))

    async def found(
        self, rows: Sequence[Row], reading: ListReading
    ) -> Sequence[tuple[int, str | RowResult]]:
        """Of each row the customer, or why there is none."""
        read = [(row.number, self._read(row, reading)) for row in rows]
        named = [each for _, each in read if not isinstance(each, RowResult)]
        owners = await self.holders.owners({claim for each in named for claim in each.claims})
        known = await self.profiles.known([name for each in named for name in each.customers])
        return [
            (number, each if isinstance(each, RowResult) else _who(number, each, owners, known))
            for number, each in read
        ]

    def _read(self, row: Row, reading: ListReading) -> "_Named | RowResult":
        if (result := flawed(row)) is not None:
            return result
        customers, claims = [], []
        try:
            for use, cell in zip(reading.columns, row.cells, strict=True):
                value = cell.strip()
                if use == CUSTOMER and value:
                    customers.append(value)
                elif use is not None and value:
                    kind = msgspec.convert(use, IdentifierKind)
                    claims.append(self.rules.known(kind, value, use).claim_id)
        except Refused as refusal:
            return error_of(row.number, refusal)
        return _Named(customers, claims)


@dataclass(frozen=True, slots=True)
class _Named:
    """Who a row means: ids of customers, and claims on identifiers."""

    customers: Sequence[str]
    claims: Sequence[str]


def _who(
    row: int, named: _Named, owners: Mapping[str, str], known: frozenset[str]
) -> str | RowResult:
    found = {owners[claim] for claim in named.claims if claim in owners}
    found |= {customer for customer in named.customers if customer in known}
    if len(found) > 1:
        return RowResult(row=row, outcome=ERROR, flaws=(Flaw(f"means {len(found)} customers"),))
    return found.pop() if found else RowResult(row=row, outcome=UNKNOWN)


@dataclass(frozen=True, slots=True)
class ListImport:
    """Puts on the list whom the rows mean, and takes them off again; a `RevertibleKind`."""

    source: Source
    name: str = IMPORT

    async def run(self, job: Job, checkpoint: Checkpoint) -> None:
        """From the job's position to the end of the file, which then is deleted.

        Raises `Refused` once the list is archived.
        """
        position = job.position
        async with self.source.sources.rows(job) as (draft, table):
            await table.skip(position)
            while rows := await table.take(CHUNK_ROWS):
                await self.source.lists.require_standing(draft.reading.list)
                results = await self._chunk(job, draft.reading, rows)
                position += len(rows)
                await checkpoint(position, counted(results), results)
        await self.source.files.delete(draft.file)

    async def _chunk(
        self, job: Job, reading: ListReading, rows: Sequence[Row]
    ) -> Sequence[RowResult]:
        found = await self.source.found(rows, reading)
        meant = [(row, each) for row, each in found if isinstance(each, str)]
        entries = [Entry(row_command(job.id, row), customer) for row, customer in meant]
        outcomes = await self.source.writing.change(self._change(job, reading.list), entries)
        done = {
            row: _result(row, outcome) for (row, _), outcome in zip(meant, outcomes, strict=True)
        }
        return [each if isinstance(each, RowResult) else done[row] for row, each in found]

    async def revert(self, job: Job, checkpoint: Checkpoint) -> None:
        """Take off, from the last row to the first, who is on the list by this file still."""
        draft = await self.source.sources.draft(job)
        before, position = LARGEST_ROW, 0
        while page := await checkpoint.store.results_before(
            job.id, before=before, limit=CHUNK_ROWS
        ):
            before, position = page[-1].row, position + len(page)
            todo = [each for each in page if each.outcome == ENTERED and each.undone is None]
            done = await self._take_back(job, draft.reading.list, todo)
            await checkpoint(max(position, checkpoint.job.position), undone_counted(done), done)

    async def _take_back(
        self, job: Job, name: str, todo: Sequence[RowResult]
    ) -> Sequence[RowResult]:
        change = self._change(job, name, on=False)
        entries = [Entry(f"{row_command(job.id, each.row)}|revert", each.id or "") for each in todo]
        outcomes = await self.source.writing.change(change, entries)
        return [_taken(each, outcome) for each, outcome in zip(todo, outcomes, strict=True)]

    def _change(self, job: Job, name: str, *, on: bool = True) -> Change:
        cause = ListCause(kind="file", by=job.by, job=job.id)
        only = None if on else job.id
        return Change(name, on, cause, self.source.clock.now(), job.id, only)


@dataclass(frozen=True, slots=True)
class ListDryRun:
    """Says of each row whom it means, and does nothing."""

    source: Source
    name: str = DRY_RUN

    async def run(self, job: Job, checkpoint: Checkpoint) -> None:
        """From the job's position to the end of the file."""
        position = job.position
        async with self.source.sources.rows(job) as (draft, table):
            await table.skip(position)
            while rows := await table.take(CHUNK_ROWS):
                found = await self.source.found(rows, draft.reading)
                results = [
                    each
                    if isinstance(each, RowResult)
                    else RowResult(row=row, outcome="known", id=each)
                    for row, each in found
                ]
                position += len(rows)
                await checkpoint(position, counted(results), results)


def _result(row: int, outcome: Outcome) -> RowResult:
    if isinstance(outcome, Refused):
        return error_of(row, outcome)
    return RowResult(
        row=row,
        outcome=ENTERED if outcome.changed else THERE,
        id=outcome.stream.removeprefix(listing_stream("")),
        version=outcome.version,
    )


def _taken(result: RowResult, outcome: Outcome) -> RowResult:
    if isinstance(outcome, Refused) or not outcome.changed:
        return msgspec.structs.replace(result, undone=KEPT, flaws=(SINCE,))
    return msgspec.structs.replace(result, undone=OFF)
