"""What the jobs of an import share: the rows of its file, and what they are planned upon."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from services.customer.domain.customer import CUSTOMER
from services.customer.domain.importing.columns import FileReading
from services.customer.domain.importing.planning import Known, Setting, owners
from services.customer.domain.importing.rows import RowInput, read_row
from services.customer.domain.state import Customer, stream_of
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.imports.drafts import CustomerFiles
from shared.clock import Clock
from shared.decider import Refused
from shared.execute import Writer
from shared.files import Files
from shared.identifiers import IdentifierRules
from shared.importing import Draft, Sources, error_of
from shared.importing.reading import flawed
from shared.jobs import Job, RowResult
from shared.readmodel import Documents
from shared.tables import Row
from shared.tables.stored import StoredTable

CHUNK_ROWS = 500


@dataclass(frozen=True, slots=True)
class Source:
    """Where the jobs of imports find what they need."""

    drafts: Documents
    files: Files
    writer: Writer
    book: ConfigurationBook
    rules: IdentifierRules
    clock: Clock

    @property
    def sources(self) -> Sources[FileReading]:
        """Where the files are."""
        return Sources(self.drafts, self.files, CustomerFiles(self.book))

    def rows(self, job: Job) -> AbstractAsyncContextManager[tuple[Draft[FileReading], StoredTable]]:
        """The draft of a job, and its table."""
        return self.sources.rows(job)

    async def setting(self, draft: Draft[FileReading], job: Job) -> Setting:
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
        if (result := flawed(row)) is not None:
            return result
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
