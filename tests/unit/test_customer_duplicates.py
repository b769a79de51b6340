"""Likely duplicates: who is compared with whom, how alike two are, and what becomes of a pair."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from services.customer.domain.likeness import LIKELY, Likeness, blocks, compare, latin, near, sound
from services.customer.handlers.duplicates import Pairing, likeliest
from services.customer.projections.duplicates import Candidate, Known, duplicates
from services.customer.queries.duplicates import MOST, Likely, Pair
from shared import telemetry
from shared.access import Kind, Scope
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.contract import EventData
from shared.events.customer import CustomerChanged, CustomerRegistered, Identifier
from shared.events.merging import (
    CustomerAbsorbed,
    CustomerErased,
    CustomerMerged,
    DuplicateDismissed,
    MergeReverted,
)
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import (
    MemoryDocuments,
    MemoryEventStore,
    MemoryKeyStore,
    MemoryLeases,
    MemoryParking,
)
from shared.projector import Folder
from shared.testing import DAY, logs_of
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import tell

SECRET = b"secret"
EVERYWHERE = Scope(Kind.CUSTOMER, None)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Иванов", "Ivanov"), ("Иванофф", "Iwanow"), ("Ёлкин", "Елкин"), ("Щукин", "Shchukin"),
     ("Юрий", "Yurij"), ("Müller", "MULLER")],
)  # fmt: skip
def test_a_name_sounds_alike_in_both_alphabets_and_with_slips(one: str, other: str) -> None:
    assert sound(one) == sound(other)


def test_letters_alone_make_a_name() -> None:
    assert latin(" О'Нил-Ёлкина ") == "onilelkina"
    assert sound("") == ""


@given(st.text("0123456789", min_size=10, max_size=10), st.integers(0, 9), st.integers(0, 9))
def test_phones_that_differ_by_one_digit_meet_in_a_block(
    digits: str, place: int, digit: int
) -> None:
    slips = [
        digits[:place] + str(digit) + digits[place + 1 :],
        digits[:place] + digits[place + 1 :],
    ]
    mine = set(blocks(Likeness(phones=[digits]), SECRET))
    for slip in slips:
        assert near(digits, slip)
        assert mine & set(blocks(Likeness(phones=[slip]), SECRET))


def test_names_that_changed_places_meet_where_the_birth_date_is_known() -> None:
    one = Likeness(surname="Иван", name="Петров", birth_date="1980-01-02")
    other = Likeness(surname="Petrov", name="Ivan", birth_date="1980-01-02")
    assert set(blocks(one, SECRET)) & set(blocks(other, SECRET))
    assert blocks(Likeness(surname="Иван", name="Петров"), SECRET) == []


def test_a_score_says_which_fields_made_it() -> None:
    anna = Likeness(surname="Иванова", name="Анна", birth_date="1980-01-02", phones=["491234567"])
    same = Likeness(surname="Ivanova", name="Anna", birth_date="1980-01-02", phones=["491234576"])
    # 30 × 1 + 20 × 1 + 35 + 35, at most 100.
    found = compare(anna, same)
    assert (found.points, found.fields) == (100, ("surname", "name", "birth_date", "phone"))
    # A sister of the same name as its mother: 30 + 20 − 30 for another birth date, + 10 city.
    born = Likeness(surname="Иванова", name="Анна", birth_date="2004-05-06", city="Пермь")
    mother = Likeness(surname="Иванова", name="Анна", birth_date="1980-01-02", city="Пермь")
    assert compare(born, mother).points == 30
    # Husband and wife with one phone: 30 − 10 + 35.
    husband = Likeness(surname="Иванова", name="Пётр", phones=["491234567"])
    assert compare(anna, husband).points == 55 < LIKELY


@dataclass(slots=True)
class Chain:
    """The read side of duplicates in memory."""

    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    pairs: MemoryDocuments = field(default_factory=MemoryDocuments)
    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    read: int = 0
    likely: Likely = field(init=False)
    pairing: Pairing = field(init=False)
    keyring: Keyring = field(default_factory=lambda: Keyring(MemoryKeyStore(), AESGCM(bytes(32))))

    def __post_init__(self) -> None:
        self.likely = Likely(MemoryQuestions(self.documents), MemoryQuestions(self.pairs))
        leases = MemoryLeases(ManualClock(DAY))
        self.pairing = Pairing(self.likely, self.documents, self.pairs, leases, "worker")

    async def told(self, customer: str, *events: EventData) -> None:
        """What happened to the customer, read and looked at."""
        writer = Writer(self.store, self.keyring, ManualClock(DAY), "customer")
        facts = [NewEvent(event, DAY) for event in events]
        await tell(writer, f"customer-{customer}", customer, facts)
        folder: Folder[Candidate] = Folder(
            duplicates(SECRET), self.documents, MemoryParking(), self.keyring
        )
        for log in logs_of(self.store.commits):
            await folder.fold(log)
        while await self.pairing.look():
            pass

    async def found(self, scope: Scope = EVERYWHERE) -> Sequence[Pair]:
        return await self.likely.page(scope, None, 100)

    async def names(self) -> list[tuple[str, str]]:
        return [pair.customers for pair in await self.found()]


def person(branch: str | None = None, **fields: str) -> CustomerRegistered:
    usual = {"surname": "Орлова", "name": "Анна", "birth_date": "1980-01-02"}
    return CustomerRegistered.model_validate({**usual, "home_branch": branch, **fields})


async def test_a_pair_is_found_from_either_side_and_the_best_comes_first() -> None:
    chain = Chain()
    await chain.told("b", person(city="Пермь"))
    assert await chain.names() == []
    await chain.told("a", person())
    await chain.told("c", person(city="Perm", surname="Orlova"))
    # a has no city: 85 with each; b and c 95.
    assert [(pair.customers, pair.score) for pair in await chain.found()] == [
        (("b", "c"), 95), (("a", "b"), 85), (("a", "c"), 85),
    ]  # fmt: skip
    first = (await chain.likely.page(EVERYWHERE, None, 1))[0]
    rest = await chain.likely.page(EVERYWHERE, first.place, 5)
    assert [pair.customers for pair in rest] == [("a", "b"), ("a", "c")]


async def test_a_pair_goes_when_what_made_it_changes() -> None:
    chain = Chain()
    await chain.told("a", person())
    await chain.told("b", person())
    assert await chain.names() == [("a", "b")]
    await chain.told("b", CustomerChanged(surname="Сидорова", cleared=("birth_date",)))
    assert await chain.names() == []
    await chain.told("b", CustomerChanged(surname="Орлова", birth_date="1980-01-02"))
    assert await chain.names() == [("a", "b")]


async def test_who_was_dismissed_is_not_suggested_again() -> None:
    chain = Chain()
    await chain.told("a", person())
    await chain.told("b", person())
    await chain.told("a", DuplicateDismissed(other="b"))
    await chain.told("b", CustomerChanged(city="Пермь"))
    assert await chain.names() == []


async def test_a_merged_pair_is_gone_and_comes_back_when_they_part() -> None:
    chain = Chain()
    await chain.told("a", person())
    await chain.told("b", person())
    await chain.told("b", CustomerMerged(merge="m", survivor="a"))
    await chain.told("a", CustomerAbsorbed(merge="m", other="b"))
    assert await chain.names() == []
    await chain.told("b", MergeReverted(merge="m", other="a", role="loser"))
    assert await chain.names() == [("a", "b")]


async def test_of_who_was_erased_nothing_is_left() -> None:
    chain = Chain()
    phone = Identifier(kind="phone", hash="h", epoch=1, value="+491234567", shared=True)
    await chain.told("a", person().model_copy(update={"identifiers": (phone,)}))
    await chain.told("b", person())
    await chain.told("a", CustomerErased(erase="e", reason="request"))
    assert await chain.names() == []
    kept = (await chain.documents.load(["a"]))["a"]
    assert {"_id", "rev", "versions", "removed"} == set(kept)


async def test_both_branches_must_be_the_callers() -> None:
    chain = Chain()
    await chain.told("a", person("1"))
    await chain.told("b", person("2"))
    assert await chain.found(Scope(Kind.CUSTOMER, frozenset({"1"}))) == []
    both = Scope(Kind.CUSTOMER, frozenset({"1", "2"}))
    assert len(await chain.found(both)) == 1


async def test_a_block_that_holds_too_many_is_passed_over_and_counted() -> None:
    chain = Chain()
    for number in range(MOST + 1):
        await chain.told(f"c{number:02}", person())
    before = telemetry.DUPLICATE_BLOCKS_PASSED_OVER._value.get()  # noqa: SLF001 - no other way to read one
    await chain.told("z", person())
    # Both of its blocks: surname, name and birth date; surname and birth date.
    after = telemetry.DUPLICATE_BLOCKS_PASSED_OVER._value.get()  # noqa: SLF001 - as above
    assert after - before == 2
    assert not [pair for pair in await chain.found() if "z" in pair.customers]


async def test_an_index_of_blocks_holds_no_name() -> None:
    chain = Chain()
    await chain.told("a", person())
    stored = (await chain.documents.load(["a"]))["a"]
    assert all(len(block) == 16 for block in stored["blocks"])
    assert blocks(Likeness(surname="Орлова", birth_date="1980-01-02"), b"other") != stored["blocks"]


def test_who_is_about_to_be_registered_is_compared_like_anybody() -> None:
    asked = Candidate(id="", surname="Orlova", name="Anna", birth_date="1980-01-02")
    alike = Candidate(id="a", surname="Орлова", name="Анна", birth_date="1980-01-02")
    family = Candidate(id="b", surname="Орлова", known=[Known("phone", "h", "+49", shared=True)])
    ((found, score),) = likeliest(asked, [family, alike], 5)
    assert (found.id, score.points) == ("a", 85)


async def test_what_somebody_shares_is_known_to_be_shared() -> None:
    chain = Chain()
    shared = Identifier(kind="phone", hash="h", epoch=1, value="+491234567", shared=True)
    own = Identifier(kind="phone", hash="o", epoch=1, value="+491234568")
    await chain.told("a", person().model_copy(update={"identifiers": (shared, own)}))
    assert await chain.likely.shared(["phone|h", "phone|o", "card|h"], SECRET) == {"phone|h"}
