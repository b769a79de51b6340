"""Finding what is bought together: a job that reads all baskets anew, asked for or by the clock.

It is made whole each time: half of it is read, half computed, and nothing in between is worth
keeping. Each product's document is complete in itself and guarded by its revision, so a run that
was killed leaves some of the run before, and the one that takes its place begins anew. Two at once
write the same, but for baskets that came in between.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from services.interaction.domain.affinity import MOST_LINES, Baskets, Counted, Measure, Partners
from services.interaction.queries.baskets import Receipts, take_up
from services.interaction.queries.recommendations import (
    ProductPartners,
    Recommendations,
    document_of,
    raw_of,
)
from shared.clock import Clock
from shared.eventstore import StoreUnavailable
from shared.ids import derived_id
from shared.jobs import Checkpoint, Job, Jobs
from shared.readmodel import Documents

KIND = "recommendations"
BY = "service:interaction"
WRITTEN_AT_ONCE = 500
LOOK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Recommending:
    """The kind of job; `documents` are those that `known` asks about."""

    receipts: Receipts
    documents: Documents
    known: Recommendations
    clock: Clock
    measure: Measure
    most_lines: int = MOST_LINES
    name: str = KIND

    async def run(self, _job: Job, checkpoint: Checkpoint) -> None:
        """Read all baskets, count, and write what was found; position and total are products."""
        at = self.clock.now()
        baskets = Baskets(self.most_lines)
        async for texts in self.receipts.pages():
            await asyncio.to_thread(take_up, baskets, texts)
            await checkpoint.refresh()
        counted = await asyncio.to_thread(Counted.of, baskets, at, self.measure)
        one_in = 2**baskets.thinned
        for begin, end in counted.parts():
            found = await asyncio.to_thread(counted.partners, begin, end)
            await self._write(found, at, one_in)
            await checkpoint(end, {"products": len(found)}, total=len(counted.names))
        await self._clear(at, checkpoint)

    async def _write(self, found: Sequence[Partners], at: datetime, one_in: int) -> None:
        for first in range(0, len(found), WRITTEN_AT_ONCE):
            some = found[first : first + WRITTEN_AT_ONCE]
            raws = await self.documents.load([each.product for each in some])
            present = {name: msgspec.convert(raw, ProductPartners) for name, raw in raws.items()}
            # Whoever was faster has found it as late.
            await self.documents.write(
                [document_of(each, at, one_in, present.get(each.product)) for each in some]
            )

    async def _clear(self, at: datetime, checkpoint: Checkpoint) -> None:
        """Take the partners off products that have none any more."""
        while old := await self.known.older(at, WRITTEN_AT_ONCE):
            lost = await self.documents.write(
                [raw_of(ProductPartners(id=each.id, rev=each.rev)) for each in old]
            )
            if len(lost) == len(old):
                return
            await checkpoint.refresh()


@dataclass(slots=True)
class Schedule:
    """Asks for the job once in each span of time, however many processes do so."""

    jobs: Jobs
    clock: Clock
    every: timedelta
    _last: int = field(default=-1)

    async def run(self) -> None:
        """Ask for it whenever its time has come, until cancelled."""
        while True:
            with suppress(StoreUnavailable):
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Ask for the job of this span, unless that was done."""
        seconds = self.every.total_seconds()
        span = int(self.clock.system_now().timestamp() // seconds)
        if span != self._last:
            job_id = derived_id(KIND, f"{seconds:g}", str(span))
            await self.jobs.begin(KIND, BY, {}, job_id=job_id)
            self._last = span
