"""What the jobs of imports share: the draft, the rows of its file, and results that quote nothing.

Flaws name fields and say what would be right; no cell is ever repeated.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic

import msgspec

from shared.decider import Refused
from shared.eventstore import StoreUnavailable
from shared.files import Files
from shared.importing.drafts import (
    TRIES,
    Draft,
    Reader,
    ReadingT,
    Sorted,
    gone,
    raw_of,
    unreadable,
)
from shared.importing.grouping import Groups, Keys, merged, places_of, sorted_files
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

    @asynccontextmanager
    async def grouped(
        self, job: Job, keys: Keys, by: str, most: int, passed: Callable[[], Awaitable[None]]
    ) -> AsyncIterator[tuple[Draft[ReadingT], Groups]]:
        """The draft of a job, and its rows by group; `by` stands for what `keys` rest on.

        The first time the file is looked through, and sorted where it has to be. Raises as `rows`
        does, and for a group of more than `most` rows.
        """
        order = await self._order(job, keys, by, most, passed)
        async with self.rows(job) as (draft, table):
            if not order.files:
                yield draft, Groups(table, keys)
                return
            opened = [await self.files.open(each) for each in order.files]
            async with merged(self.files, opened, table.header) as whole:
                yield draft, Groups(whole, keys)

    async def _order(
        self, job: Job, keys: Keys, by: str, most: int, passed: Callable[[], Awaitable[None]]
    ) -> Sorted:
        async with self.rows(job) as (draft, table):
            if draft.sorted is not None and draft.sorted.by == by:
                return draft.sorted
            places = await places_of(table, keys, most, passed)
        if places is None:
            return await self._note(job, Sorted(by))
        async with self.rows(job) as (draft, table):
            files = await sorted_files(self.files, table, places, draft.by, passed)
        order = await self._note(job, Sorted(by, files))
        if order.files != files:
            await self.forget(files)
        return order

    async def _note(self, job: Job, order: Sorted) -> Sorted:
        """Remember the order; of two runners the first one's counts."""
        for _ in range(TRIES):
            draft = await self.draft(job)
            if draft.sorted is not None and draft.sorted.by == order.by:
                return draft.sorted
            changed = msgspec.structs.replace(draft, rev=draft.rev + 1, sorted=order)
            if not await self.drafts.write([raw_of(changed)]):
                return order
        raise StoreUnavailable("the import changes too fast")

    async def forget(self, files: Sequence[str]) -> None:
        """Delete files before their time."""
        for each in files:
            await self.files.delete(each)

    async def finish(self, draft: Draft[ReadingT]) -> None:
        """Nothing of the file is needed any more."""
        await self.forget([draft.file, *(draft.sorted.files if draft.sorted else ())])


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
    return dict(Counter(result.outcome for result in results))


def undone_counted(results: Sequence[RowResult]) -> dict[str, int]:
    """What became of how many that were to be taken back."""
    return dict(Counter(result.undone for result in results if result.undone is not None))
