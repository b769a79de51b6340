"""Profiles that cannot be given what they lack now do not keep the others from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from services.segment.consumers import rebuilding
from services.segment.consumers.rebuilding import BringingBack, generation_name
from services.segment.domain.rebuild import Rebuild
from services.segment.engine.profile import Profile
from services.segment.engine.stepping import Engine
from services.segment.projections import profiles_v2
from services.segment.rules.instants import instant
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from shared.clock import ManualClock
from shared.memory import MemoryDocuments, MemoryParking
from shared.projection import Stepped
from shared.projector import SteppedFolder
from shared.projector.folder import raw_document

NOW = datetime(2026, 6, 15, tzinfo=UTC)
FAR = parse_rule({
    "kind": "receipts", "aggregate": "count", "compare": {"op": ">=", "value": 1},
    "within": "P500D",
})  # fmt: skip
LET_GO = instant(NOW - timedelta(days=450))
LIMIT = 300
"""Slices after which whoever is not brought back will never be."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Implements `SteppedSource` and `Live`: one rule, that looks back further than was kept."""

    engine: Engine = field(
        default_factory=lambda: Engine(
            RuleSet(1, {"far": LiveRule(1, FAR, NOW, "segment-far@1", "far")}, NOW)
        )
    )

    number: int = 1

    @property
    def stepped(self) -> Stepped[Profile]:
        return profiles_v2(self.engine)

    async def refresh(self) -> None:
        """There is nothing newer."""


async def base(documents: MemoryDocuments, ids: Sequence[str]) -> None:
    """Profiles that lack what the rule needs, at version 2 of their streams."""
    profiles = [
        Profile(id=each, rev=1, rules=1, clock=NOW, partition=int(each[1:]) % 2,
                versions={f"customer-{each}": 2}, forgets=True, lost=LET_GO, lacks=["far"])
        for each in ids
    ]  # fmt: skip
    assert await documents.write([raw_document(each) for each in profiles]) == set()


async def folded(documents: MemoryDocuments, ids: Sequence[str], *, version: int) -> None:
    """Their twins, who have let go of nothing, at a version of their streams."""
    profiles = [
        Profile(id=each, rev=1, rules=0, clock=NOW, versions={f"customer-{each}": version})
        for each in ids
    ]
    assert await documents.write([raw_document(each) for each in profiles]) == set()


def lacking(documents: MemoryDocuments) -> set[str]:
    return {raw["_id"] for raw in documents.everything() if raw.get("lacks")}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody rests between two slices."""
    monkeypatch.setattr(rebuilding, "SECONDS", 0.0)


def owner(documents: MemoryDocuments, twins: MemoryDocuments) -> BringingBack:
    rules = Rules()
    folder = SteppedFolder(
        rules.stepped.projection, documents, MemoryParking(), None,
        source=rules, stepped_documents=documents, clock=ManualClock(NOW), service="segment",
        append_deadline=timedelta(seconds=2),
    )  # fmt: skip
    present = Rebuild(1, begun=NOW, active=True, number=1)
    generations = {generation_name(1): twins}
    return BringingBack(folder, rules, lambda: present, generations.__getitem__)


async def rounds(bringing: BringingBack, *, blocked: frozenset[str] = frozenset()) -> None:
    for _ in range(LIMIT):
        await bringing.run_slice([0, 1], blocked)


@pytest.mark.usefixtures("at_once")
async def test_who_cannot_be_brought_back_now_keeps_nobody_from_it() -> None:
    documents, twins = MemoryDocuments(), MemoryDocuments()
    late = [f"c{number:05}" for number in range(150)]
    ready = [f"c{number:05}" for number in range(150, 300)]
    await base(documents, [*late, *ready])
    await folded(twins, ready, version=2)
    # These stand where their twins do not stand yet: three slices of them, before all others.
    await folded(twins, late, version=1)
    await rounds(owner(documents, twins))
    assert lacking(documents) == set(late)


@pytest.mark.usefixtures("at_once")
async def test_who_could_not_be_brought_back_is_when_their_turn_comes_again() -> None:
    documents, twins = MemoryDocuments(), MemoryDocuments()
    everybody = [f"c{number:05}" for number in range(120)]
    await base(documents, everybody)
    bringing = owner(documents, twins)
    await rounds(bringing)
    assert lacking(documents) == set(everybody)
    await folded(twins, everybody, version=2)
    await rounds(bringing, blocked=frozenset(everybody[:60]))
    assert lacking(documents) == set(everybody[:60])
    await rounds(bringing)
    assert lacking(documents) == set()


@pytest.mark.usefixtures("at_once")
async def test_only_the_owner_of_a_partition_brings_back_who_is_in_it() -> None:
    documents, twins = MemoryDocuments(), MemoryDocuments()
    everybody = [f"c{number:05}" for number in range(120)]
    await base(documents, everybody)
    await folded(twins, everybody, version=2)
    bringing = owner(documents, twins)
    await bringing.run_slice([0, 1], ())
    left = lacking(documents)
    assert len(left) == 120 - rebuilding.SLICE
    # The other partition has gone to somebody else, with those that were about to have their turn.
    for _ in range(LIMIT):
        await bringing.run_slice([1], ())
    assert lacking(documents) == {each for each in left if int(each[1:]) % 2 == 0}
    profile = msgspec.convert((await documents.load(["c00000"]))["c00000"], Profile)
    assert profile.partition == 0
