"""The receipts of very many customers at once, as arrays: for figures that are sums over them.

Staff and tests (`internal`) are left out. Who was erased stays in: what they bought is statistics.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.moments import WIDTH, milliseconds
from shared.readmodel import RawDocument, Scans

Numbers = npt.NDArray[np.int64]
_READ: Mapping[str, Any] = {
    "registered": 1, "home_branch": 1, "city": 1, "acquisition": 1, "internal": 1, "away": 1,
    "erased": 1, "branches": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Receipts:
    """Some customers: `people` are their documents, in whose order the arrays number them.

    `moments` (milliseconds) are those of all receipts, by customer; `owners` says of each whose it
    is, by the place in `people`.
    """

    people: Sequence[RawDocument]
    owners: Numbers
    moments: Numbers


def receipts_of(people: Sequence[RawDocument], branch: str | None = None) -> Receipts:
    """The receipts of the customers, at one branch or at all."""
    packed: list[bytes] = []
    counts: list[int] = []
    for raw in people:
        mine = [
            each.get("bought", b"")
            for each in raw.get("branches", ())
            if branch is None or each["branch"] == branch
        ]
        packed += mine
        counts.append(sum(map(len, mine)) // WIDTH)
    moments = np.frombuffer(b"".join(packed), dtype="<i8").astype(np.int64)
    owners = np.repeat(np.arange(len(people), dtype=np.int64), counts)
    return Receipts(people, owners, moments)


async def everybody(collection: Scans) -> AsyncIterator[list[RawDocument]]:
    """All customers who count in figures, some at a time."""
    async for batch in collection.batches({}, fields=_READ):
        yield [raw for raw in batch if not raw.get("internal")]


def known_since(raw: RawDocument) -> int | None:
    """The milliseconds since which there is such a customer; None of who is somebody else now."""
    registered = raw.get("registered")
    if registered is None or raw.get("away"):
        return None
    return milliseconds(registered)
