"""A new rule set over documents: who is shown to which glance, and what of them is read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shared.projection import Stepped
from shared.projector.glancing import Glancing
from shared.readmodel import RawDocument
from shared.testing.diaries import Habit, Habits, HabitSource, habits
from tests.unit.folding import log_of
from tests.unit.stepping import Room, SlowDocuments


@dataclass(slots=True)
class CountedDocuments(SlowDocuments):
    """Documents that note who was read whole."""

    whole: list[str] = field(default_factory=list)

    async def load(self, ids: Sequence[str]) -> Mapping[str, RawDocument]:
        self.whole += ids
        return await SlowDocuments.load(self, ids)


@dataclass(frozen=True, slots=True)
class Only:
    """Knows what some answer, and of nobody else."""

    known: Collection[str]
    unseen: frozenset[str] = frozenset({"seen"})
    shown: list[str] = field(default_factory=list)

    def __call__(self, habit: Habit) -> Mapping[str, Any] | None:
        self.shown.append(habit.id)
        return {"rules": 2} if habit.id in self.known else None


ALL = ("anna", "ben", "carl", "dora")


@dataclass(slots=True)
class Looked:
    """Four who wrote a line each, before rules of number 2, and the glances at them."""

    quick: Only
    closer: Only
    documents: CountedDocuments = field(default_factory=CountedDocuments)
    source: HabitSource = field(init=False)
    glancing: Glancing[Habit] = field(init=False)

    def __post_init__(self) -> None:
        def with_glances(rules: Habits) -> Stepped[Habit]:
            return replace(habits(rules), glances=(self.quick, self.closer))

        self.source = HabitSource(make=with_glances)
        self.glancing = Glancing(Room(self.documents, source=self.source).folder())

    async def write(self) -> None:
        """Everybody writes, and then the rules change."""
        await self.glancing.folder.fold(await log_of(*((name, "a line") for name in ALL)))
        self.documents.whole.clear()
        self.source.newest = Habits(2)
        await self.source.refresh()

    async def settle(self) -> list[str]:
        """Who is left to be revised."""
        glances = self.glancing.present()
        found = await self.documents.with_older_rules(range(20), 2, 100, glances[0].unseen)
        left = await self.glancing.settle(glances, found)
        assert all(raw["seen"] for raw in left)  # these are whole
        return sorted(raw["_id"] for raw in left)

    def rules(self) -> dict[str, int]:
        return {raw["_id"]: raw["rules"] for raw in self.documents.everything()}


async def test_who_is_not_settled_by_the_first_glance_is_read_whole_and_shown_to_the_next() -> None:
    looked = Looked(Only(("anna", "ben")), Only(("carl",)))
    await looked.write()
    assert await looked.settle() == ["dora"]
    assert looked.rules() == {"anna": 2, "ben": 2, "carl": 2, "dora": 1}
    assert sorted(looked.documents.whole) == sorted(looked.closer.shown) == ["carl", "dora"]


async def test_whom_the_first_glance_settles_is_not_read_again() -> None:
    looked = Looked(Only(ALL), Only(()))
    await looked.write()
    assert await looked.settle() == []
    assert (looked.documents.whole, looked.closer.shown) == ([], [])
    assert set(looked.rules().values()) == {2}


async def test_a_glance_that_settles_too_few_is_passed_over_until_the_rules_change() -> None:
    looked = Looked(Only(("anna",)), Only(("ben",)))
    await looked.write()
    assert await looked.settle() == ["carl", "dora"]
    assert looked.glancing.present() == (looked.closer,)
    looked.quick.shown.clear()
    looked.closer.shown.clear()
    assert await looked.settle() == ["carl", "dora"]
    assert (looked.quick.shown, sorted(looked.closer.shown)) == ([], ["carl", "dora"])
    looked.source.newest = Habits(3)
    await looked.source.refresh()
    assert looked.glancing.present() == (looked.quick, looked.closer)


async def test_who_was_written_meanwhile_stays_as_they_are() -> None:
    looked = Looked(Only(ALL), Only(()))
    await looked.write()
    glances = looked.glancing.present()
    found = await looked.documents.with_older_rules(range(20), 2, 100)
    await looked.glancing.folder.revise([raw for raw in found if raw["_id"] == "ben"], _again)
    before = {raw["_id"]: raw for raw in looked.documents.everything()}["ben"]
    await looked.glancing.settle(glances, found)
    assert {raw["_id"]: raw for raw in looked.documents.everything()}["ben"] == before
    assert looked.rules() == {"anna": 2, "ben": 1, "carl": 2, "dora": 2}


def _again(habit: Habit) -> tuple[Habit, Sequence[Any]]:
    habit.lines += 2
    return habit, ()
