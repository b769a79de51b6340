"""What the jobs of an import share: the rows of its file, and what they are planned upon."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from services.customer.domain.customer import CUSTOMER
from services.customer.domain.importing.planning import Known, Setting, owners
from services.customer.domain.importing.rows import RowInput, read_row
from services.customer.domain.state import Customer, stream_of
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.imports.drafts import Draft, gone, unreadable
from shared.clock import Clock
from shared.decider import Refused
from shared.execute import Writer
from shared.files import Files
from shared.identifiers import IdentifierRules
from shared.jobs import Flaw, Job, RowResult
from shared.readmodel import Documents
from shared.tables import Row, TableError
from shared.tables.stored import StoredTable, stored_table

CHUNK_ROWS = 500
ERROR = "error"


@dataclass(frozen=True, slots=True)
class Source:
    """Where the jobs of imports find what they need."""

    drafts: Documents
    files: Files
    writer: Writer
    book: ConfigurationBook
    rules: IdentifierRules
    clock: Clock

    @asynccontextmanager
    async def rows(self, job: Job) -> AsyncIterator[tuple[Draft, StoredTable]]:
        """The draft of a job, and its table.

        Raises `Refused` where the file is gone, or cannot be read any further.
        """
        draft = await self.draft(job)
        try:
            file = await self.files.open(draft.file)
        except Refused as refusal:
            raise gone() from refusal
        try:
            async with stored_table(self.files, file, draft.form) as table:
                yield draft, table
        except TableError as error:
            raise unreadable(error) from error

    async def draft(self, job: Job) -> Draft:
        """The draft that the job is of."""
        name: str = job.params["import"]
        return msgspec.convert((await self.drafts.load([name]))[name], Draft)

    async def setting(self, draft: Draft, job: Job) -> Setting:
        """What the rows of the next chunk share."""
        branches = job.params.get("branches")
        return Setting(
            reading=draft.reading,
            configuration=await self.book.fresh(),
            by=job.by,
            at=self.clock.now(),
            branches=None if branches is None else frozenset(branches),
        )

    def read(self, row: Row, setting: Setting) -> RowInput | RowResult:
        """What a row says, or why it says nothing."""
        if row.flaw is not None:
            return RowResult(row=row.number, outcome=ERROR, flaws=(Flaw(row.flaw),))
        try:
            return read_row(
                row.cells, setting.reading, setting.configuration, self.rules, setting.at
            )
        except Refused as refusal:
            return error_of(row.number, refusal)

    async def known(self, rows: Sequence[RowInput]) -> Known:
        """Who has the identifiers of the rows, and what is written down of them."""
        ids = sorted({each.claim_id for row in rows for each in row.identifiers})
        claims = await self.writer.store.claims(ids)
        found = {owner for row in rows for owner in owners(row, claims)}
        return Known(claims, await self.states(sorted(found)))

    async def states(self, customers: Sequence[str]) -> Mapping[str, Customer]:
        """The customers as their own streams have them."""
        if not customers:
            return {}
        histories = await self.writer.histories([stream_of(each) for each in customers])
        return {
            each: CUSTOMER.fold(histories[stream_of(each)][0])
            for each in customers
            if stream_of(each) in histories
        }


def error_of(row: int, refusal: Refused) -> RowResult:
    """The result of a row that was refused: fields and reasons, never what stood there."""
    flaws = tuple(Flaw(each.message, each.field) for each in refusal.errors)
    return RowResult(
        row=row, outcome=ERROR, flaws=flaws or (Flaw(refusal.detail or refusal.title),)
    )


def counted(results: Sequence[RowResult]) -> dict[str, int]:
    """How many of the results have which outcome."""
    counts: dict[str, int] = {}
    for result in results:
        counts[result.outcome] = counts.get(result.outcome, 0) + 1
    return counts
