"""The rule set is made anew only where something was recorded since, and then at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.segment.api.standing import Standings
from services.segment.domain import DefineSegment
from services.segment.engine.stepping import HORIZON
from services.segment.handlers.definitions import Request, StandingRules, define, load_rules
from services.segment.queries.brake import Base, Evaluations, Movements
from services.segment.queries.definitions import Definitions
from shared.clock import ManualClock
from shared.eventstore import Commit
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import MemoryDocuments, MemoryEventStore, MemoryJobs, MemoryKeyStore
from shared.testing.collections import MemoryQuestions

NOW = datetime(2026, 6, 15, tzinfo=UTC)
BOUGHT: dict[str, Any] = {
    "kind": "receipts", "aggregate": "count", "compare": {"op": ">=", "value": 1}
}  # fmt: skip


@dataclass(slots=True)
class CountedStore(MemoryEventStore):
    """Counts how often whole streams are read."""

    reads: int = 0

    async def read(self, streams: Sequence[str]) -> Mapping[str, Sequence[Commit]]:
        self.reads += 1
        return await MemoryEventStore.read(self, streams)


async def defined(store: MemoryEventStore, name: str, number: int) -> None:
    writer = Writer(store, Keyring(MemoryKeyStore(), AESGCM(bytes(32))), ManualClock(NOW), "s")
    rule = {**BOUGHT, "compare": {"op": ">=", "value": number}}
    command = DefineSegment(name, name, rule, NOW)
    await define(writer, HORIZON, Request(f"{name}-{number}", rule, NOW), command)


async def test_segments_and_the_rules_that_they_make_are_of_one_reading() -> None:
    store = CountedStore()
    for number, name in enumerate(("bought", "often"), start=1):
        await defined(store, name, number)
    notes = MemoryDocuments()
    profiles = MemoryQuestions(notes)
    standings = Standings(
        store, Base(profiles), Movements(profiles), Evaluations(notes), MemoryJobs()
    )
    before = store.reads
    look = await standings.look()
    assert store.reads == before + 1
    assert [each.name for each in look.standing.segments] == ["bought", "often"]
    assert look.rules == await load_rules(store)
    watched = await StandingRules(store).whole()
    writer = Writer(store, Keyring(MemoryKeyStore(), AESGCM(bytes(32))), ManualClock(NOW), "s")
    assert watched.segments == look.standing.segments == await Definitions(writer).all()


async def test_who_asks_again_reads_no_definition_unless_one_is_new() -> None:
    store = CountedStore()
    standing = StandingRules(store)
    await defined(store, "bought", 1)
    first = await standing.get()
    reads = store.reads
    assert [await standing.get() for _ in range(3)] == [first] * 3
    assert store.reads == reads
    # A new segment, and a new version of one that there was.
    await defined(store, "often", 5)
    assert (await standing.get()).rules.keys() == {"bought", "often"}
    await defined(store, "bought", 2)
    newest = await standing.get()
    assert (newest.number, newest.rules["bought"].definition) == (3, 2)
