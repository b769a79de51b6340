"""The timeline: an entry per event, which follows its fact, however Kafka hands the log out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.interaction.domain.streams import stream_of
from services.interaction.domain.timeline import KINDS, Group
from services.interaction.projections.timeline import (
    TimelineEntry,
    fact_entry,
    place_of,
)
from services.interaction.queries.timeline import Asked
from services.interaction.queries.trees import Tree
from shared.access import Kind, Scope
from shared.decider import NewEvent
from shared.events.care import NoteAdded
from shared.events.customer import CustomerRegistered
from shared.events.deal import DealOpened, Terms
from shared.events.merging import CustomerErased, CustomerMerged, MergeReverted
from shared.events.moving import FactWithdrawn, StreamClosed
from shared.testing import DAY, logs_of, readings
from shared.testing.facts import tell
from tests.unit.timelines import (
    CHAIN,
    EVERYTHING,
    HOUR,
    MoveReason,
    Shop,
    busy_shop,
    move,
    moved,
    receipt,
)

WHOLE_NUMBERS = st.integers(0, 5)


async def test_there_is_an_entry_for_each_event_newest_first() -> None:
    shop = await busy_shop()
    await shop.tell("customer-ben", "ben", CustomerRegistered(surname="Petrov"))
    await shop.read()
    page = await shop.page("anna")
    assert [(entry.id, entry.type, entry.branch, entry.amount) for entry in page] == [
        ("fact|s1", "interaction.survey_answered.v1", "12", None),
        ("deal-d@2", "deal.won.v1", "13", 7),
        ("deal-d@1", "deal.opened.v1", "", 5_000),
        ("fact|r1", "interaction.receipt_recorded.v1", "12", 12_345),
        ("customer-anna@2", "customer.note_added.v1", "12", None),
        ("customer-anna@1", "customer.registered.v1", "12", None),
    ]
    assert page[3] == TimelineEntry(
        id="fact|r1",
        rev=1,
        versions={"interaction-anna": 1},
        customer="anna",
        place="2017-12-01T11:30:00.000Z|fact|r1",
        type="interaction.receipt_recorded.v1",
        group="purchase",
        time=DAY + 2 * HOUR,
        recorded=DAY,
        branch="12",
        channel="",
        source="/v1/facts/r1",
        said={"total": 12_345, "lines": 1},
        amount=12_345,
    )


async def test_personal_texts_are_sealed_in_the_documents_and_opened_at_reading() -> None:
    shop = await busy_shop()
    await shop.read()
    page = await shop.page("anna")
    everything = str(shop.entries.everything())
    assert "Likes tea" not in everything
    assert "Ivanova" not in everything
    assert await shop.timeline.texts(page) == {"fact|s1": "Good", "customer-anna@2": "Likes tea"}
    assert await shop.timeline.texts([]) == {}


async def test_an_erase_takes_the_texts_without_a_write_and_for_good() -> None:
    shop = await busy_shop()
    await shop.read()
    before = shop.entries.everything()
    await shop.keyring.erase(["anna"], "e1")
    assert await shop.timeline.texts(await shop.page("anna")) == {}
    assert shop.entries.everything() == before
    await shop.tell("customer-anna", "anna", CustomerErased(erase="e1", reason="request"), 9)
    # Read again from the first event on, into the same documents and into new ones.
    await shop.read()
    new = Shop(store=shop.store, keyring=shop.keyring)
    await new.read()
    for each in (shop, new):
        page = await each.page("anna")
        assert page[0].type == "customer.erased.v1"
        assert len(page) == 7
        assert await each.timeline.texts(page) == {}
        tree = await each.trees.of("anna")
        assert tree == Tree("anna", ("anna",), erased=True)


async def test_pages_are_taken_up_where_the_last_one_ended() -> None:
    shop = Shop()
    await shop.tell("customer-anna", "anna", CustomerRegistered())
    for number in range(10):
        # Two of each hour, so that a page may end between equal moments.
        await shop.record("anna", receipt(f"r{number}"), 1 + number // 2)
    await shop.read()
    seen, after = [], None
    while page := await shop.page("anna", after=after, limit=3):
        assert len(page) <= 3
        seen += [entry.id for entry in page]
        after = page[-1].place
    assert seen == [*(f"fact|r{number}" for number in range(9, -1, -1)), "customer-anna@1"]


@pytest.mark.parametrize("limit", [1, 3, 5, 100])
async def test_pages_reach_as_far_back_as_there_is_anything(limit: int) -> None:
    shop = Shop()
    await shop.tell("customer-anna", "anna", CustomerRegistered())
    # One tomorrow, some in the last weeks, the others 100 weeks ago and before.
    hours = [24, 0, -1, -24 * 7 * 11, -24 * 7 * 13, -24 * 7 * 100, -24 * 7 * 100 - 1, -24 * 365 * 9]
    for number, at in enumerate(hours):
        await shop.record("anna", receipt(f"r{number}"), at)
    await shop.read()
    seen: list[str] = []
    after: str | None = None
    asked = Asked(frozenset({Group.PURCHASE}))
    while page := await shop.page("anna", asked, after=after, limit=limit):
        seen += [entry.id for entry in page]
        after = page[-1].place
    assert seen == [f"fact|r{number}" for number in range(8)]
    nonsense = Asked(frozenset(Group))
    assert len(await shop.page("anna", nonsense, after="9", limit=100)) == 9
    assert await shop.page("anna", nonsense, after="0001-01-01T00:00:00.000Z|x") == []


@pytest.mark.parametrize(
    ("asked", "types"),
    [
        ({"groups": frozenset({Group.NOTE, Group.PURCHASE})}, ["receipt_recorded", "note_added"]),
        ({"types": frozenset({"deal.won.v1"})}, ["won"]),
        ({"branch": "13"}, ["won"]),
        ({"channel": "web"}, ["survey_answered"]),
        ({"since": DAY + 4 * HOUR}, ["survey_answered", "won"]),
        ({"until": DAY + HOUR}, ["registered"]),
        ({"since": DAY + HOUR, "until": DAY + 3 * HOUR}, ["receipt_recorded", "note_added"]),
        ({"groups": frozenset()}, []),
    ],
)
async def test_filters_leave_out_what_is_not_asked_for(
    asked: dict[str, Any], types: list[str]
) -> None:
    shop = await busy_shop()
    await shop.read()
    found = await shop.types("anna", Asked(**{"groups": frozenset(Group), **asked}))
    assert [name.partition(".")[2] for name in found] == types


async def test_a_caller_of_some_branches_sees_theirs_and_what_is_of_the_chain() -> None:
    shop = await busy_shop()
    await shop.tell("customer-anna", "anna", NoteAdded(note="m", text="of no branch"), 6)
    await shop.read()

    async def seen(*branches: str) -> list[str]:
        page = await shop.page("anna", narrow=Scope(Kind.FACT, frozenset(branches)))
        return [entry.id for entry in page]

    # The deal that was opened and the second note are of no branch.
    assert await seen("13") == ["customer-anna@3", "deal-d@2", "deal-d@1"]
    assert await seen("12", "14") == [
        "customer-anna@3", "fact|s1", "deal-d@1", "fact|r1", "customer-anna@2", "customer-anna@1",
    ]  # fmt: skip
    # Anna has never been at 14: she is none of theirs.
    assert await seen("14") == []


async def test_versions_of_facts_are_seen_once_they_are_here() -> None:
    shop = await busy_shop()
    await shop.read()
    assert [await shop.timeline.has("anna", version) for version in (1, 2, 3)] == [
        True, True, False,
    ]  # fmt: skip
    assert not await shop.timeline.has("ben", 1)


# Facts that change hands


async def test_a_fact_of_somebody_unknown_waits_in_their_stream_and_is_adopted() -> None:
    shop = Shop()
    await shop.tell("customer-anna", "anna", CustomerRegistered())
    fact = [NewEvent(receipt("r1"), DAY + HOUR, "12")]
    await tell(shop.writer, "unknown-7", "unknown-7", fact)
    await shop.read()
    assert shop.owners() == {"r1": "unknown-7"}
    closed = StreamClosed(to="anna", reason="adopted", move="m")
    await tell(shop.writer, "unknown-7", "unknown-7", [NewEvent(closed, DAY)])
    await move(shop, "unknown-7", "anna", [moved("r1", 1, "anna", hours=1)], "adopted")
    await shop.read()
    assert shop.owners() == {"r1": "anna"}
    page = await shop.page("anna")
    assert [entry.id for entry in page] == ["fact|r1", "interaction-anna@2", "customer-anna@1"]
    assert (page[0].time, page[0].branch, page[0].hops) == (DAY + HOUR, "12", 1)


async def test_the_highest_count_of_hops_has_the_entry_whatever_is_read_first() -> None:
    shop = Shop()
    await shop.record("anna", receipt("r1"))
    await move(shop, stream_of("anna"), "ben", [moved("r1", 1, "anna")])
    await move(shop, stream_of("ben"), "clara", [moved("r1", 2, "anna")])
    await move(shop, stream_of("clara"), "ben", [moved("r1", 3, "anna")], "reverted")
    logs = logs_of(shop.store.commits)
    for order in (logs, logs[::-1], [logs[1], logs[0], *logs[2:], *logs]):
        again = Shop(store=shop.store, keyring=shop.keyring)
        await again.read(order)
        assert again.owners() == {"r1": "ben"}
        # Once from Anna, once from Clara; and it went once.
        ended = [entry.type for entry in await again.timeline.page(
            Tree("ben", ("ben",)), EVERYTHING, CHAIN, None, 10)]  # fmt: skip
        assert ended.count("interaction.move_ended.v1") == 3


async def test_a_fact_that_is_withdrawn_has_no_entry_in_whatever_order_it_is_read() -> None:
    shop = Shop()
    await shop.tell("customer-anna", "anna", CustomerRegistered())
    fact = [NewEvent(receipt("r1"), DAY, "12")]
    await tell(shop.writer, "unknown-7", "unknown-7", fact)
    await move(shop, "unknown-7", "anna", [moved("r1", 1, "anna")], "adopted")
    gone = FactWithdrawn(fact="r1", withdrawn=moved("r1", 1, "anna"), reason="import_reverted")
    await shop.record("anna", gone)
    logs = logs_of(shop.store.commits)
    for order in (logs, logs[::-1], [*logs, *logs]):
        again = Shop(store=shop.store, keyring=shop.keyring)
        await again.read(order)
        assert await again.types("anna") == ["interaction.move_ended", "customer.registered"]
        # Who waits for it sees that it is here.
        assert await again.timeline.has("anna", 3)


async def test_a_merged_tree_answers_as_one_and_comes_apart_again() -> None:
    shop = Shop()
    for number, name in enumerate(("anna", "ben", "clara")):
        await shop.tell(f"customer-{name}", name, CustomerRegistered(), number)
        await shop.record(name, receipt(f"of-{name}"), 10 + number)
    await shop.tell("customer-clara", "clara", CustomerMerged(merge="m1", survivor="ben"), 20)
    await shop.tell("customer-ben", "ben", CustomerMerged(merge="m2", survivor="anna"), 21)
    await shop.read()
    whole = ["customer.merged", "customer.merged", *["interaction.receipt_recorded"] * 3,
             *["customer.registered"] * 3]  # fmt: skip
    for name in ("anna", "ben", "clara"):
        assert await shop.types(name) == whole
        assert (await shop.trees.of(name)) == Tree("anna", ("anna", "ben", "clara"))
    assert [entry.customer for entry in await shop.page("ben", limit=4)] == [
        "ben", "clara", "clara", "ben",
    ]  # fmt: skip
    reverted = MergeReverted(merge="m2", other="anna", role="loser")
    await shop.tell("customer-ben", "ben", reverted, 22)
    await shop.read()
    assert await shop.types("anna") == ["interaction.receipt_recorded", "customer.registered"]
    assert (await shop.trees.of("clara")) == Tree("ben", ("ben", "clara"))
    assert len(await shop.types("ben")) == 7


async def test_nobody_has_no_tree_and_a_survivor_that_is_not_there_yet_does_no_harm() -> None:
    shop = Shop()
    await shop.tell("customer-anna", "anna", CustomerRegistered())
    await shop.tell("customer-anna", "anna", CustomerMerged(merge="m", survivor="ben"))
    await shop.read()
    assert await shop.trees.of("nobody") is None
    assert await shop.trees.of("anna") == Tree("anna", ("anna",))


async def test_what_moves_in_a_type_that_came_later_is_passed_over() -> None:
    shop = Shop()
    new = moved("r1", 1, "anna").model_copy(update={"type": "interaction.boat_trip.v1"})
    await move(shop, stream_of("ben"), "anna", [new, moved("r2", 1, "anna")])
    await shop.read()
    assert shop.owners() == {"r2": "anna"}


# Any history


@dataclass(slots=True)
class Book:
    """What a plain recomputation knows: whose each fact is, and what else there was of whom."""

    customers: tuple[str, ...] = ("anna", "ben", "clara")
    home: dict[str, str] = field(default_factory=dict)
    at: dict[str, str] = field(default_factory=dict)
    hops: dict[str, int] = field(default_factory=dict)
    merged: dict[str, str] = field(default_factory=dict)
    merges: list[tuple[str, str]] = field(default_factory=list)
    others: dict[str, list[str]] = field(default_factory=dict)

    def living(self, customer: str) -> str:
        """Who the customer is now."""
        while customer in self.merged:
            customer = self.merged[customer]
        return customer

    def note(self, customer: str, kind: str) -> None:
        """An event that stays where it is."""
        self.others.setdefault(customer, []).append(kind)

    def of(self, customer: str) -> list[str]:
        """All entries of the customer's tree, in no order."""
        whole = {each for each in self.customers if self.living(each) == self.living(customer)}
        found = [f"fact {fact}" for fact, owner in self.at.items() if owner in whole]
        return sorted([*found, *(kind for each in whole for kind in self.others.get(each, ()))])


@st.composite
def histories(draw: st.DrawFn) -> Sequence[tuple[str, int, int]]:
    """Steps, each with two numbers that say whom and what."""
    steps = st.sampled_from(
        ["fact", "again", "unknown", "adopt", "merge", "revert", "hand", "deal"]
    )
    return draw(st.lists(st.tuples(steps, WHOLE_NUMBERS, WHOLE_NUMBERS), max_size=16))


@settings(max_examples=60, deadline=None)
@given(steps=histories(), data=st.data())
async def test_any_history_read_in_any_way_is_what_a_plain_recomputation_gives(
    steps: Sequence[tuple[str, int, int]], data: st.DataObject
) -> None:
    shop, book = Shop(), Book()
    life = Life(shop, book)
    for name in book.customers:
        await shop.tell(f"customer-{name}", name, CustomerRegistered())
        book.note(name, "customer.registered")
    for number, (step, first, second) in enumerate(steps):
        await life.live(step, number, (first, second))
    await shop.read(data.draw(readings(logs_of(shop.store.commits))))
    assert shop.owners() == book.at
    for name in book.customers:
        page = await shop.page(name)
        shown = [
            entry.id.replace("|", " ") if entry.id.startswith("fact|")
            else entry.type.removesuffix(".v1")
            for entry in page
        ]  # fmt: skip
        assert sorted(shown) == book.of(name)
        assert [entry.place for entry in page] == sorted(
            (entry.place for entry in page), reverse=True
        )


@dataclass(slots=True)
class Life:
    """Steps of a history, in the shop and in the book."""

    shop: Shop
    book: Book

    async def live(self, step: str, number: int, chosen: tuple[int, int]) -> None:
        """One step; `chosen` say whom and what it is about."""
        customers, facts = self.book.customers, sorted(self.book.at)
        one, other = (customers[each % len(customers)] for each in chosen)
        fact = facts[chosen[1] % len(facts)] if facts else ""
        match step:
            case "fact":
                await self.fact(f"f{number}", self.book.living(one))
            case "unknown":
                await self.unknown(f"f{number}", f"unknown-{chosen[0]}")
            case "adopt":
                await self.carry(f"unknown-{chosen[0]}", self.book.living(other), "adopted")
            case "merge":
                await self.merge(self.book.living(one), self.book.living(other), number)
            case "revert":
                await self.revert()
            case "deal":
                await self.deal(one, number)
            case _ if fact and not self.book.at[fact].startswith("unknown-"):
                await (self.again if step == "again" else self.by_hand)(fact, one)

    async def fact(self, fact: str, customer: str) -> None:
        """Record a fact."""
        await self.shop.record(customer, receipt(fact), int(fact[1:]))
        self.book.home[fact] = self.book.at[fact] = customer

    async def again(self, fact: str, _customer: str) -> None:
        """A fault of the writer would record a fact a second time: still one entry."""
        if fact not in self.book.hops:
            await self.shop.record(self.book.at[fact], receipt(fact), int(fact[1:]))

    async def unknown(self, fact: str, stream: str) -> None:
        """Record a fact of somebody unknown."""
        event = NewEvent(receipt(fact), DAY + int(fact[1:]) * HOUR, "12")
        await tell(self.shop.writer, stream, stream, [event])
        self.book.at[fact] = stream

    async def deal(self, customer: str, number: int) -> None:
        """Something that never moves."""
        opened = DealOpened(deal="d", pipeline="p", stage="s", terms=Terms(amount=number))
        await self.shop.tell(f"deal-{number}", customer, opened, number)
        self.book.note(customer, "deal.opened")

    async def merge(self, loser: str, survivor: str, number: int) -> None:
        """Two become one, unless they are."""
        if loser == survivor:
            return
        merged = CustomerMerged(merge=f"m{number}", survivor=survivor)
        await self.shop.tell(f"customer-{loser}", loser, merged)
        self.book.note(loser, "customer.merged")
        await self.carry(loser, survivor, "merged")
        self.book.merged[loser] = survivor
        self.book.merges.append((loser, survivor))

    async def revert(self) -> None:
        """The last merge is undone, if there is one."""
        if not self.book.merges:
            return
        loser, survivor = self.book.merges.pop()
        reverted = MergeReverted(merge="m", other=survivor, role="loser")
        await self.shop.tell(f"customer-{loser}", loser, reverted)
        self.book.note(loser, "customer.merge_reverted")
        del self.book.merged[loser]
        await self.carry(survivor, loser, "reverted")

    async def by_hand(self, fact: str, customer: str) -> None:
        """Somebody says whose a fact is."""
        target = self.book.living(customer)
        if self.book.at[fact] != target:
            self.book.home[fact] = target
            await self.carry(self.book.at[fact], target, "by_hand", only=fact)

    async def carry(
        self, source: str, target: str, reason: MoveReason, *, only: str | None = None
    ) -> None:
        """Move the facts that are to move, as the interaction service does."""
        book, unknown = self.book, source.startswith("unknown-")
        going = [fact for fact, owner in sorted(book.at.items()) if owner == source]
        if reason == "reverted":
            going = [fact for fact in going if book.living(book.home[fact]) == target]
        if only is not None:
            going = [only]
        if unknown and not going:
            return
        chunk = []
        for fact in going:
            book.home.setdefault(fact, target)
            book.hops[fact] = book.hops.get(fact, 0) + 1
            book.at[fact] = target
            chunk.append(moved(fact, book.hops[fact], book.home[fact], int(fact[1:])))
        await move(self.shop, source if unknown else stream_of(source), target, chunk, reason)
        book.note(target, "interaction.move_ended")
        if not unknown:
            book.note(source, "interaction.move_ended")


def test_places_order_as_moments_do() -> None:
    moments = [datetime.fromisoformat(text) for text in
               ("0999-01-01T00:00:00+00:00", "2017-12-31T23:59:59.999+00:00",
                "2018-01-01T02:00:00+03:00", "2018-01-01T00:00:00+00:00")]  # fmt: skip
    # 02:00 in Moscow is 23:00 the day before in UTC.
    assert sorted(moments, key=lambda at: place_of(at, "x")) == sorted(moments)
    assert place_of(moments[1], fact_entry("f")) == "2017-12-31T23:59:59.999Z|fact|f"


def test_what_a_sentence_shows_is_read_of_its_event() -> None:
    """Also where an event names another customer than the one whose entry it is."""
    unread = {
        (name, shown.path[0])
        for name, kind in KINDS.items()
        for shown in kind.shows.values()
        if shown.path and shown.path[0] not in kind.fields
    }
    assert unread == set()
