"""Parked events are replayed in order by whoever owns them, and nothing passes them meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from shared.eventstore import StoreUnavailable
from shared.memory import MemoryDocuments, MemoryParking
from shared.projection import Projection
from shared.projector import Folder
from shared.readmodel import ParkedEvent
from shared.testing import Log
from shared.testing.diaries import Diary, diaries, shelves
from tests.unit.folding import Desk, log_of


@dataclass(slots=True)
class TroubledParking(MemoryParking):
    """Parking that is away for a while: `absences` counts the calls that fail."""

    absences: int = 0
    asked: int = 0

    async def release(self, events: Sequence[ParkedEvent]) -> None:
        if self.absences:
            self.absences -= 1
            raise StoreUnavailable
        await MemoryParking.release(self, events)

    async def park(self, events: Sequence[ParkedEvent]) -> None:
        self.asked += 1
        await MemoryParking.park(self, events)


LINES = (
    ("anna", "1"), ("anna", "!2"), ("ben", "1"), ("anna", "3"), ("ben", "2"),
    ("anna", "4"), ("anna", "5"), ("ben", "3"),
)  # fmt: skip


async def parked_desk(
    projection: Projection[Diary] | None = None,
) -> tuple[Desk, TroubledParking, Log]:
    """Five of the lines were read. Anna's second is broken, so it and her third are parked."""
    parking = TroubledParking()
    desk = Desk(projection or diaries(), parking=parking)
    log = await log_of(*LINES)
    await desk.folder.fold(log[:5])
    return desk, parking, log


async def test_a_replay_applies_in_order_and_later_events_go_on_after_it() -> None:
    desk, parking, log = await parked_desk()
    folder = desk.another(diaries(mended=True))
    await folder.assigned([0])
    # Still parked, though it could be applied now: nobody has asked.
    await folder.replay([0])
    await folder.fold(log[5:6])
    assert desk.lines()["anna"] == ["1"]
    assert await parking.request_replay(b"anna") == 3
    await folder.replay([0])
    await folder.fold(log[6:])
    assert desk.lines() == {"anna": ["1", "!2", "3", "4", "5"], "ben": ["1", "2", "3"]}
    assert await parking.count() == 0


async def test_a_new_owner_knows_what_is_parked_and_parks_behind_it() -> None:
    desk, parking, log = await parked_desk()
    folder = desk.another(diaries(mended=True))
    await folder.assigned([0])
    await folder.fold(log[5:])
    assert desk.lines() == {"anna": ["1"], "ben": ["1", "2", "3"]}
    # Lines 2 and 3, and now 4 and 5.
    assert await parking.count() == 4


async def test_a_rewind_over_parked_events_parks_nothing_twice() -> None:
    desk, parking, log = await parked_desk()
    fresh = desk.another(diaries())
    await fresh.assigned([0])
    await fresh.fold(log[:5])
    await desk.folder.fold(log[1:5])
    # Lines 2 and 3; and 1, which was applied before and is passed over by a replay.
    assert [offset for offset, *_ in await desk.parked()] == [0, 1, 3]
    assert desk.lines() == {"anna": ["1"], "ben": ["1", "2"]}
    mended = desk.another(diaries(mended=True))
    await mended.assigned([0])
    await parking.request_replay(None)
    await mended.replay([0])
    assert desk.lines() == {"anna": ["1", "!2", "3"], "ben": ["1", "2"]}


async def test_replayed_events_that_come_again_change_nothing() -> None:
    desk, parking, log = await parked_desk()
    folder = desk.another(diaries(mended=True))
    await folder.assigned([0])
    await parking.request_replay(None)
    await folder.replay([0])
    before = list(desk.documents.everything())
    await folder.fold(log[:5])
    assert list(desk.documents.everything()) == before


async def test_what_fails_again_stays_parked_and_waits_until_it_is_asked_for_again() -> None:
    desk, parking, log = await parked_desk()
    await parking.request_replay(None)
    for _ in range(5):
        await desk.folder.replay([0])
    # Once when it was parked, once for the one replay that was asked for.
    assert parking.asked == 2
    await desk.folder.fold(log[5:6])
    assert desk.lines()["anna"] == ["1"]
    assert [offset for offset, *_ in await desk.parked()] == [1, 3, 5]
    assert not any(event.replay for event in await parking.parked([0]))
    mended = desk.another(diaries(mended=True))
    await mended.assigned([0])
    await parking.request_replay(None)
    await mended.replay([0])
    assert desk.lines()["anna"] == ["1", "!2", "3", "4"]


@pytest.mark.parametrize("away", ["documents", "parking"])
async def test_a_database_away_in_the_middle_of_a_replay_lets_nothing_pass(away: str) -> None:
    # It would not notice a gap by itself.
    mended = diaries(mended=True, gapless=False)
    desk, parking, log = await parked_desk(diaries(gapless=False))
    folder = desk.another(mended)
    await folder.assigned([0])
    await parking.request_replay(b"anna")
    if away == "documents":
        desk.documents.absences = 1
    else:
        parking.absences = 1
    with pytest.raises(StoreUnavailable):
        await folder.replay([0])
    await folder.fold(log[5:6])
    await folder.replay([0])
    await folder.fold(log[6:])
    await parking.request_replay(b"anna")
    await folder.replay([0])
    assert desk.lines()["anna"] == ["1", "!2", "3", "4", "5"]
    assert await parking.count() == 0


async def test_a_replay_fills_every_document_that_the_key_has_events_for() -> None:
    documents, parking = MemoryDocuments(), MemoryParking()
    log = await log_of(("anna", "a1"), ("anna", "!b"), ("ben", "c"), ("anna", "c"), ("anna", "a2"))
    await Folder(shelves(), documents, parking).fold(log)
    folder = Folder(shelves(mended=True), documents, parking)
    await folder.assigned([0])
    await parking.request_replay(None)
    await folder.replay([0])
    shelved = {raw["_id"]: raw["owners"] for raw in documents.everything()}
    assert shelved == {"a": ["anna", "anna"], "c": ["ben", "anna"], "b": ["anna"]}


async def test_keys_of_other_partitions_are_none_of_our_business() -> None:
    desk, parking, _ = await parked_desk()
    folder = desk.another(diaries(mended=True))
    await folder.assigned([1])
    await parking.request_replay(None)
    await folder.replay([1])
    assert desk.lines()["anna"] == ["1"]
    assert await parking.count() == 2
