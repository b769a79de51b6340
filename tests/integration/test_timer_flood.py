"""Very many timers due at one moment, on a real server, while receipts flow.

How long a receipt waits meanwhile is the row `timers` of the benchmarks: seconds gate nowhere.
"""

import os

from benchmarks.rows.timers import TURNS, Flood
from shared.mongo.events import COMMITS
from shared.testing import MongoSpace

TIMERS = 20_000 if os.environ.get("REGULARS_LONG_TESTS") else 2_000
"""The slowest server at hand takes minutes to write twenty thousand profiles."""


async def test_a_flood_of_timers_flows_between_the_receipts(
    mongo: MongoSpace,
) -> None:
    flood = Flood(mongo.database("segment"), TIMERS)
    await flood.begin()
    await flood.flow(5)
    await flood.rise()
    assert await flood.left() == TIMERS
    high = await flood.flow(TURNS)
    # Receipts come in all the time, and every turn wakes 20 or more.
    assert high.woken >= 20 * TURNS
    await flood.ebb()
    assert await flood.left() == 0
    # Everybody left the segment once; receipts of others move nobody.
    assert await flood.database.collection(COMMITS).count({}) == TIMERS
