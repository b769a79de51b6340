"""What the jobs of imports of facts share: files in groups of rows, and rows as facts."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pydantic import ValidationError

from services.interaction.handlers.facts import Recorder, SentFact
from services.interaction.handlers.importing.columns import FactReading, Shape
from services.interaction.handlers.importing.columnwise import ColumnReader
from services.interaction.handlers.importing.drafts import FactFiles
from services.interaction.handlers.importing.rows import Item, RowReader
from services.interaction.handlers.incoming import FactInput
from services.interaction.handlers.incoming.hot import HotReceiptInput, hot_receipt
from services.interaction.handlers.incoming.receipts import MAX_LINES
from shared.access import Kind, Scope
from shared.clock import Clock
from shared.decider import Refused
from shared.events.customer import IdentifierKind
from shared.eventstore import body_hash
from shared.files import Files
from shared.http import refusal_of
from shared.identifiers import IdentifierRules, KnownIdentifier
from shared.importing import Draft, Sources
from shared.importing.grouping import Chunk, Groups
from shared.importing.values import REMEMBERED
from shared.jobs import Checkpoint, Job, RowResult
from shared.readmodel import Documents

CHUNK_ROWS = 10_000
CHUNK_FACTS = 1_000
"""A chunk ends with whichever comes first, and never within a fact."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A fact of a file that can be recorded, and where the rows stand that it is of."""

    sent: SentFact
    chunk: Chunk
    begin: int
    end: int
    reader: RowReader

    @property
    def row(self) -> int:
        """The number of its first row, by which its result is known."""
        return self.chunk.rows.numbers[self.begin]

    def wrong(self, refusal: Refused) -> list[RowResult]:
        """The results where it was refused."""
        return self.reader.refused(self.chunk.group(self.begin, self.end), refusal)


@dataclass(frozen=True, slots=True)
class RememberedRules(IdentifierRules):
    """Reads an identifier once that comes again: files name their customers many times."""

    found: dict[tuple[str, str], KnownIdentifier] = field(default_factory=dict, repr=False)

    def known(self, kind: IdentifierKind, value: str, path: str) -> KnownIdentifier:
        """The normal form and hash. Raises `Refused` that names the field at `path`."""
        if (known := self.found.get((kind, value))) is None:
            if len(self.found) >= REMEMBERED:
                self.found.clear()
            known = self.found[kind, value] = IdentifierRules.known(self, kind, value, path)
        return known


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
    ) -> AsyncIterator[tuple[Draft[FactReading], ColumnReader, Groups]]:
        """The rows of a job's file, those of one fact together, in the same order each time."""
        draft = await self.sources.draft(job)
        rules = RememberedRules(self.rules.secret, self.rules.region)
        reader = ColumnReader(RowReader(draft.reading, rules, self.zone))
        by = body_hash(reader.key_columns())
        async with self.sources.grouped(job, reader.keys, by, MAX_LINES, checkpoint.refresh) as (
            draft,
            groups,
        ):
            yield draft, reader, groups

    async def read(
        self, job: Job, draft: Draft[FactReading], reader: ColumnReader, chunk: Chunk
    ) -> Sequence[Ready | list[RowResult]]:
        """What each group of rows is: a fact, or the results that say why it is none."""
        branches = job.params.get("branches")
        narrow = Scope(Kind.FACT, None if branches is None else frozenset(branches))

        def work() -> Sequence[Ready | list[RowResult]]:
            contents = reader.contents(chunk)
            return [
                self._one(draft.reading.shape, reader.rows, narrow, content, chunk, *bounds)
                for content, bounds in zip(contents, chunk.bounds, strict=True)
            ]

        # Reading is work of the processor: meanwhile leases are kept and callers answered.
        return await asyncio.to_thread(work)

    def _one(  # noqa: PLR0917 - where the rows of a fact stand, and how they are read
        self,
        shape: Shape,
        reader: RowReader,
        narrow: Scope,
        content: bytes | None,
        chunk: Chunk,
        begin: int,
        end: int,
    ) -> Ready | list[RowResult]:
        if content is None:
            item = reader.item(chunk.group(begin, end))
            if not isinstance(item, Item):
                return item
            content = item.content
        try:
            fact = _fact(shape, content)
            narrow.require(fact.branch)
            sent = fact.sent(reader.rules, self.clock.now())
        except Refused as refusal:
            return reader.refused(chunk.group(begin, end), refusal)
        return Ready(sent, chunk, begin, end, reader)


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
