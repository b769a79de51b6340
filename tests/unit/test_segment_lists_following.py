"""Lists follow customers who are merged, parted and erased, in whatever order that is heard of."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from services.segment.consumers.lists import heard_of, react
from services.segment.domain.listing import LISTING, listing_stream
from services.segment.handlers.lists import UNDER_WAY, Change, Entry, ListWriting
from services.segment.handlers.merging import ListMerging
from services.segment.queries.profiles import Profiles
from shared.clock import ManualClock
from shared.decider import Refused
from shared.envelope import decode
from shared.events.lists import ListCause, ListEntered
from shared.execute import Done, Outcome, Writer
from shared.keyring import Keyring
from shared.memory import MemoryDocuments, MemoryEventStore, MemoryKeyStore
from shared.readmodel import RawDocument
from shared.testing.collections import MemoryQuestions
from shared.testing.reading import LoggedRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PEOPLE, LISTS = "abcd", ("x", "y")
HAND = ListCause(kind="hand", by="owner")


def record(customer: str, version: int, kind: str, **data: str) -> LoggedRecord:
    event = {
        "specversion": "1.0", "id": f"customer-{customer}@{version}",
        "source": "regulars/customer", "type": f"customer.{kind}.v1",
        "time": "2026-01-01T00:00:00.000Z", "recordedtime": "2026-01-01T00:00:00.000Z",
        "stream": f"customer-{customer}", "streamversion": version, "correlationid": "owner|1",
        "subject": customer, "data": data,
    }  # fmt: skip
    value = json.dumps(event, separators=(",", ":")).encode()
    return LoggedRecord("customer.events.v1", 0, version, customer.encode(), value)


async def profiles(*rows: RawDocument) -> Profiles:
    documents = MemoryDocuments()
    assert await documents.write([{**raw, "rev": 1} for raw in rows]) == set()
    return Profiles(MemoryQuestions(documents))


async def opened(known: str = PEOPLE) -> "Desk":
    return Desk(await profiles(*({"_id": name, "rules": 0} for name in known)))


@dataclass
class Desk:
    """The lists of a service in memory."""

    known: Profiles

    def __post_init__(self) -> None:
        clock = ManualClock(NOW)
        keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
        self.writer = Writer(MemoryEventStore(), keyring, clock, "segment")
        self.merging = ListMerging(self.writer, clock)
        self.writing = ListWriting(self.writer, self.known)
        self.asked = 0

    async def hear(self, *records: LoggedRecord) -> None:
        await react(self.merging, records)

    async def say(self, customer: str, name: str, *, on: bool = True) -> Outcome:
        self.asked += 1
        change = Change(name, on, HAND, NOW, "owner|1")
        (outcome,) = await self.writing.change(change, [Entry(f"hand|{self.asked}", customer)])
        return outcome

    async def on(self, customer: str) -> set[str]:
        state, _ = await self.writer.state(LISTING, listing_stream(customer))
        assert state.on == await self.told(customer)
        return set(state.on)

    async def told(self, customer: str) -> frozenset[str]:
        """By the two events that subscribers read, which take turns for each list."""
        stream = listing_stream(customer)
        here: frozenset[str] = frozenset()
        for commit in (await self.writer.store.read([stream])).get(stream, ()):
            for event in map(decode, commit.events):
                if event.type in {"list.entered.v1", "list.left.v1"}:
                    assert (event.subject, commit.key) == (customer, customer)
                    name = json.loads(bytes(event.data))["list"]
                    entered = event.type == ListEntered.type
                    assert (name in here) is not entered
                    here = here | {name} if entered else here - {name}
        return here


MERGED = record("a", 5, "merged", merge="m1", survivor="b")
REVERTED = record("a", 6, "merge_reverted", merge="m1", other="b", role="loser")
ERASED = record("a", 7, "erased", erase="e1", reason="request")


async def test_the_lists_of_who_is_merged_go_to_the_survivor_and_come_back() -> None:
    desk = await opened()
    await desk.say("a", "x")
    await desk.say("b", "y")
    await desk.hear(MERGED)
    assert (await desk.on("a"), await desk.on("b")) == (set(), {"x", "y"})
    await desk.hear(REVERTED)
    assert (await desk.on("a"), await desk.on("b")) == ({"x"}, {"y"})


async def test_who_was_merged_is_put_on_lists_at_the_survivor() -> None:
    desk = await opened()
    await desk.hear(MERGED)
    outcome = await desk.say("a", "x")
    assert isinstance(outcome, Done)
    assert outcome.stream == "lists-b"
    assert await desk.on("b") == {"x"}
    # It is said again: nothing more happens.
    again = await desk.say("a", "x")
    assert isinstance(again, Done)
    assert not again.changed


async def test_who_is_not_known_or_was_erased_is_refused() -> None:
    desk = await opened("a")
    strange = await desk.say("nobody", "x")
    assert isinstance(strange, Refused)
    assert (strange.type, strange.status) == ("not-found", 404)
    assert await desk.writer.store.names("lists-") == []
    await desk.say("a", "x")
    await desk.hear(ERASED)
    assert await desk.on("a") == set()
    erased = await desk.say("a", "x")
    assert isinstance(erased, Refused)
    assert erased.status == 404


async def test_who_is_erased_is_known_to_profiles_no_more() -> None:
    known = await profiles({"_id": "a", "removed": True}, {"_id": "b"})
    assert await known.known(["a", "b", "c"]) == {"b"}


async def test_what_is_heard_again_undoes_nothing_that_people_did_since() -> None:
    desk = await opened()
    for who in "ab":
        await desk.say(who, "x")
    await desk.hear(MERGED)
    await desk.say("b", "x", on=False)
    await desk.hear(MERGED)
    assert await desk.on("b") == set()


async def test_while_only_one_of_two_merges_was_heard_of_nobody_is_sent_in_circles() -> None:
    desk = await opened()
    await desk.say("a", "x")
    await desk.hear(MERGED)
    # a and b parted, and b became a: the parting is told in another partition, and comes later.
    await desk.hear(record("b", 9, "merged", merge="m2", survivor="a"))
    assert await desk.say("a", "y") == UNDER_WAY
    await desk.hear(REVERTED)
    assert (await desk.on("a"), await desk.on("b")) == ({"x"}, set())


async def test_what_two_merges_have_brought_stays_when_the_one_heard_of_first_is_reverted() -> None:
    desk = await opened()
    for who in "ab":
        await desk.say(who, "x")
    # a went to d and came back, and went to b, who went to d: of b it is heard before a came back.
    await desk.hear(record("a", 1, "merged", merge="m1", survivor="d"))
    await desk.hear(record("b", 1, "merged", merge="m3", survivor="d"))
    await desk.hear(record("a", 2, "merge_reverted", merge="m1", other="d", role="loser"))
    assert await desk.on("d") == {"x"}
    await desk.hear(record("a", 3, "merged", merge="m2", survivor="b"))
    assert [await desk.on(who) for who in "abd"] == [set(), set(), {"x"}]
    await desk.hear(record("b", 2, "merge_reverted", merge="m3", other="d", role="loser"))
    assert [await desk.on(who) for who in "abd"] == [set(), {"x"}, set()]


def test_what_cannot_be_read_or_is_of_nobody_is_passed_over() -> None:
    broken = LoggedRecord("t", 0, 1, b"a", MERGED.value.replace(b'"merge":"m1",', b""))
    other = record("a", 1, "registered")
    nobody = LoggedRecord("t", 0, 1, b"a", MERGED.value.replace(b'"subject":"a",', b""))
    found = heard_of([broken, other, nobody, MERGED])
    assert [heard.event for heard, _ in found] == ["customer-a@5"]


# By definition


@dataclass
class Naive:
    """Who is on which list, and how that came, when everything is heard of at once."""

    on: dict[str, set[str]] = field(default_factory=lambda: {who: set() for who in PEOPLE})
    into: dict[str, str] = field(default_factory=dict)
    merges: list[tuple[str, str, str, set[str], set[str]]] = field(default_factory=list)
    erased: set[str] = field(default_factory=set)

    def root(self, who: str) -> str:
        return self.root(self.into[who]) if who in self.into else who

    def say(self, who: str, name: str, *, on: bool) -> None:
        root = self.root(who)
        if root in self.erased:
            return
        if on:
            self.on[root].add(name)
            return
        self.on[root].discard(name)
        for _, _, survivor, _, gained in self.merges:
            if survivor == root:
                gained.discard(name)

    def merge(self, merge: str, loser: str, survivor: str) -> None:
        here, there = self.on[loser], self.on[survivor]
        self.merges.append((merge, loser, survivor, here, here - there))
        self.on[loser], self.on[survivor] = set(), there | here
        self.into[loser] = survivor

    def revert(self) -> tuple[str, str, str]:
        """The last one: it is the outermost."""
        merge, loser, survivor, gave, gained = self.merges.pop()
        self.on[survivor] -= gained
        self.on[loser] = gave
        del self.into[loser]
        return merge, loser, survivor

    def erase(self, root: str) -> list[str]:
        tree = [who for who in PEOPLE if self.root(who) == root]
        self.erased |= set(tree)
        self.merges = [each for each in self.merges if each[1] not in tree]
        for who in tree:
            self.on[who] = set()
        return tree


def happenings(data: st.DataObject, naive: Naive, versions: dict[str, int]) -> list[LoggedRecord]:
    """What the customer service says of one more thing, or nothing where nothing can be done."""
    roots = [who for who in PEOPLE if who not in naive.into and who not in naive.erased]
    what = data.draw(st.sampled_from(["merge", "merge", "merge", "revert", "revert", "erase"]))

    def told(who: str, kind: str, **said: str) -> LoggedRecord:
        versions[who] = versions.get(who, 0) + 1
        return record(who, versions[who], kind, **said)

    if what == "merge" and len(roots) > 1:
        loser, survivor = data.draw(st.permutations(roots))[:2]
        merge = f"m{sum(versions.values())}"
        naive.merge(merge, loser, survivor)
        return [told(loser, "merged", merge=merge, survivor=survivor)]
    if what == "revert" and naive.merges:
        merge, loser, survivor = naive.revert()
        return [
            told(loser, "merge_reverted", merge=merge, other=survivor, role="loser"),
            told(survivor, "merge_reverted", merge=merge, other=loser, role="survivor"),
        ]
    if what == "erase" and roots and data.draw(st.integers(0, 3)) == 0:
        tree = naive.erase(data.draw(st.sampled_from(roots)))
        return [told(who, "erased", erase="e", reason="law") for who in tree]
    return []


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_lists_are_where_people_and_merges_have_put_them(data: st.DataObject) -> None:
    async def live() -> None:
        desk, naive, versions = await opened(), Naive(), dict[str, int]()
        heard: list[LoggedRecord] = []
        for _ in range(data.draw(st.integers(3, 14))):
            if data.draw(st.booleans()):
                who, name = data.draw(st.sampled_from(PEOPLE)), data.draw(st.sampled_from(LISTS))
                on = data.draw(st.sampled_from([True, True, False]))
                naive.say(who, name, on=on)
                await desk.say(who, name, on=on)
            else:
                records = happenings(data, naive, versions)
                await desk.hear(*records)
                heard += records
            if heard and data.draw(st.integers(0, 4)) == 0:
                await desk.hear(*heard)
            assert {who: await desk.on(who) for who in PEOPLE} == naive.on

    asyncio.run(live())


def one_of_the_orders(data: st.DataObject, told: Sequence[LoggedRecord]) -> list[LoggedRecord]:
    """Each customer's in their order, and else any."""
    left = {who: [each for each in told if each.key == who.encode()] for who in PEOPLE}
    order = []
    while waiting := [who for who in PEOPLE if left[who]]:
        order.append(left[data.draw(st.sampled_from(waiting))].pop(0))
    return order


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_heard_of_first_the_lists_are_the_same_in_the_end(data: st.DataObject) -> None:
    async def live() -> None:
        desk, naive, versions = await opened(), Naive(), dict[str, int]()
        for who in PEOPLE:
            for name in data.draw(st.sets(st.sampled_from(LISTS))):
                naive.say(who, name, on=True)
                await desk.say(who, name)
        told = [
            each
            for _ in range(data.draw(st.integers(2, 8)))
            for each in happenings(data, naive, versions)
        ]
        order = one_of_the_orders(data, told)
        for heard, each in enumerate(order):
            await desk.hear(each)
            if data.draw(st.integers(0, 4)) == 0:
                await desk.hear(*order[: heard + 1])
        assert {who: await desk.on(who) for who in PEOPLE} == naive.on

    asyncio.run(live())
