"""What ledgers of points tell: the history of one, and who has points whose life ends soon."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from services.interaction.domain.points.ledger import ledger_stream
from services.interaction.projections.points import PointsEntry
from shared.access import Scope
from shared.envelope import decode
from shared.events.contract import EventData, show_moment
from shared.eventstore import Head
from shared.execute import Writer
from shared.readmodel import Questions


@dataclass(frozen=True, slots=True)
class LedgerEvent:
    """An event of a ledger with its place; moments are the envelope's."""

    version: int
    data: EventData
    time: datetime
    recorded: datetime
    branch: str | None


async def ledger_of(writer: Writer, customer: str) -> Sequence[LedgerEvent]:
    """Everything that a customer's stream of points tells, the oldest first, in the clear."""
    stream = ledger_stream(customer)
    commits = (await writer.store.read([stream])).get(stream, ())
    envelopes = [decode(text) for commit in commits for text in commit.events]
    events, _head = (await writer.histories([stream])).get(stream, ((), Head()))
    return [
        LedgerEvent(
            version=envelope.streamversion,
            data=data,
            time=datetime.fromisoformat(envelope.time),
            recorded=datetime.fromisoformat(envelope.recordedtime),
            branch=envelope.branch,
        )
        # Of what was written between the two questions the first one knows nothing.
        for envelope, data in zip(envelopes, events, strict=False)
    ]


@dataclass(frozen=True, slots=True)
class PointsEntries:
    """Questions to the read model of points."""

    collection: Questions

    async def expiring(
        self, scope: Scope, before: datetime, after: str | None, limit: int
    ) -> Sequence[PointsEntry]:
        """Customers of whose points some expire before a moment, the earliest first.

        `after` is the key of the last one of the page before. A caller of some branches is shown
        those who have earned there.
        """
        where: dict[str, Any] = {
            "expiry": {"$gt": "" if after is None else after, "$lt": show_moment(before)}
        }
        if scope.branches is not None:
            where["branches"] = {"$in": sorted(scope.branches)}
        found = await self.collection.find(where, sort=[("expiry", 1)], limit=limit)
        return [msgspec.convert(raw, PointsEntry) for raw in found]
