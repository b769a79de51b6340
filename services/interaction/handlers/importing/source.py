"""What the jobs of imports of facts share: files in groups of rows, and rows as facts."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import ValidationError

from services.interaction.handlers.facts import Recorder, SentFact
from services.interaction.handlers.importing.columns import FactReading, Shape
from services.interaction.handlers.importing.drafts import FactFiles
from services.interaction.handlers.importing.rows import Item, RowReader
from services.interaction.handlers.incoming import FactInput
from services.interaction.handlers.incoming.hot import HotReceiptInput, hot_receipt
from services.interaction.handlers.incoming.receipts import MAX_LINES
from shared.access import Kind, Scope
from shared.clock import Clock
from shared.decider import Refused
from shared.eventstore import body_hash
from shared.files import Files
from shared.http import refusal_of
from shared.identifiers import IdentifierRules
from shared.importing import Draft, Sources
from shared.importing.grouping import Groups
from shared.jobs import Checkpoint, Job, RowResult
from shared.readmodel import Documents
from shared.tables import Row

CHUNK_ROWS = 5_000
CHUNK_FACTS = 1_000
"""A chunk ends with whichever comes first, and never within a fact."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A fact of a file that can be recorded, and the rows that it is of."""

    item: Item
    sent: SentFact


@dataclass(frozen=True, slots=True)
class Source:
    """Where the jobs of imports find what they need; `zone` is the chain's."""

    drafts: Documents
    files: Files
    recorder: Recorder
    rules: IdentifierRules
    clock: Clock
    zone: str = "UTC"

    @property
    def sources(self) -> Sources[FactReading]:
        """Where the files are."""
        return Sources(self.drafts, self.files, FactFiles())

    @asynccontextmanager
    async def groups(
        self, job: Job, checkpoint: Checkpoint
    ) -> AsyncIterator[tuple[Draft[FactReading], RowReader, Groups]]:
        """The rows of a job's file, those of one fact together, in the same order each time."""
        draft = await self.sources.draft(job)
        reader = RowReader(draft.reading, self.rules, self.zone)
        by = body_hash(reader.key_columns())
        async with self.sources.grouped(job, reader.key, by, MAX_LINES, checkpoint.refresh) as (
            draft,
            groups,
        ):
            yield draft, reader, groups

    async def read(
        self, job: Job, draft: Draft[FactReading], reader: RowReader, groups: Sequence[list[Row]]
    ) -> Sequence[Ready | list[RowResult]]:
        """What each group of rows is: a fact, or the results that say why it is none."""
        branches = job.params.get("branches")
        narrow = Scope(Kind.FACT, None if branches is None else frozenset(branches))

        def work() -> Sequence[Ready | list[RowResult]]:
            return [self._one(draft.reading.shape, reader, each, narrow) for each in groups]

        # Reading is work of the processor: meanwhile leases are kept and callers answered.
        return await asyncio.to_thread(work)

    def _one(
        self, shape: Shape, reader: RowReader, rows: list[Row], narrow: Scope
    ) -> Ready | list[RowResult]:
        item = reader.item(rows)
        if not isinstance(item, Item):
            return item
        try:
            fact = _fact(shape, item.content)
            narrow.require(fact.branch)
            return Ready(item, fact.sent(self.rules, self.clock.now()))
        except Refused as refusal:
            return item.wrong(refusal)


def _fact(shape: Shape, content: bytes) -> FactInput | HotReceiptInput:
    """The JSON as a fact of its kind. Raises `Refused`."""
    if shape.kind == "receipts" and (receipt := hot_receipt(content)) is not None:
        return receipt
    try:
        return shape.model.model_validate_json(content)
    except ValidationError as error:
        raise refusal_of(error) from error


def undoing(ready: Ready) -> Mapping[str, str]:
    """What is needed to take a fact back."""
    return {"command": ready.sent.command.id}
