"""What the jobs of imports share: the draft, the rows of its file, and results that quote nothing.

Flaws name fields and say what would be right; no cell is ever repeated.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic

from shared.decider import Refused
from shared.files import Files
from shared.importing.drafts import Draft, Reader, ReadingT, gone, unreadable
from shared.jobs import Flaw, Job, RowResult
from shared.readmodel import Documents
from shared.tables import Row, TableError
from shared.tables.stored import StoredTable, stored_table

ERROR = "error"


@dataclass(frozen=True, slots=True)
class Sources(Generic[ReadingT]):
    """Where the jobs of imports find their files."""

    drafts: Documents
    files: Files
    reader: Reader[ReadingT]

    async def draft(self, job: Job) -> Draft[ReadingT]:
        """The draft that the job is of."""
        name: str = job.params["import"]
        return self.reader.stored((await self.drafts.load([name]))[name])

    @asynccontextmanager
    async def rows(self, job: Job) -> AsyncIterator[tuple[Draft[ReadingT], StoredTable]]:
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


def flawed(row: Row) -> RowResult | None:
    """The result of a row that is no row of the table."""
    if row.flaw is None:
        return None
    return RowResult(row=row.number, outcome=ERROR, flaws=(Flaw(row.flaw),))


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
