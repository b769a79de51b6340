"""The list of customers, folded from three topics that come in no order between them."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from services.customer.projections.directory import (
    DIRECTORY,
    BranchTotals,
    Contact,
    DirectoryEntry,
    Grant,
)
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events import care, merging
from shared.events.contract import EventData
from shared.events.customer import (
    ConsentGiven,
    CustomerRegistered,
    Evidence,
    Identifier,
    RecordFields,
)
from shared.events.interaction import ReceiptRecorded, ReceiptReturned, ReceiptVoided
from shared.events.moving import FactsMoved, MovedFact, MoveEnded
from shared.events.segment import Cause, SegmentEntered, SegmentExited
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.moments import milliseconds, with_moment
from shared.testing import DAY, Log, logs_of, read, readings
from shared.testing.facts import tell

ANNA, BORIS = "anna", "boris"
TOPICS = ("customer", "interaction", "segment")
STREAMS = {"customer": "customer", "interaction": "interaction", "segment": "membership"}
KEYRING = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
BECAUSE = Cause(kind="time")
MARKETING = ConsentGiven(topic="marketing", channel="sms", evidence=Evidence(source="till"))
REGISTERED = CustomerRegistered(surname="Ivanova", home_branch="1")
MERGED = merging.CustomerMerged(merge="m", survivor=BORIS)
ERASED = merging.CustomerErased(erase="e", reason="request")
Life = Sequence[tuple[str, EventData | NewEvent]]


def phone(number: int, *, preferred: bool | None = None) -> Identifier:
    return Identifier(kind="phone", hash=f"h{number}", epoch=1, preferred=preferred)


def receipt(total: int, branch: str, day: float) -> NewEvent:
    """A basket of so many minor units, paid some days after the beginning."""
    paid = ReceiptRecorded(
        fact="f", source="pos", source_id="1", total=total, coupon_lines=0, lines=()
    )
    return NewEvent(paid, on(day), branch)


def returned(total: int, branch: str, bought: float, day: float) -> NewEvent:
    """So many minor units given back, of a basket that was paid some days before."""
    back = ReceiptReturned(
        fact="r", source="pos", source_id="2", receipt="f", bought=on(bought), total=total, lines=()
    )
    return NewEvent(back, on(day), branch)


def voided(total: int, branch: str, bought: float, day: float) -> NewEvent:
    """A basket that was a mistake; so much of it had not been returned."""
    gone = ReceiptVoided(
        fact="v", source="pos", source_id="3", receipt="f", bought=on(bought), bought_at=branch,
        total=total, lines=(),
    )  # fmt: skip
    return NewEvent(gone, on(day), branch)


def moving(direction: str, *facts: NewEvent) -> tuple[EventData, EventData]:
    """The facts change hands, in one part, and the end of their move."""
    move = f"{direction}-{len(facts)}"
    moved = [
        MovedFact(
            fact="f", type=each.data.type, time=each.time, recordedtime=each.time,
            branch=each.branch, home=ANNA, hops=1,
            data=each.data.model_dump(mode="json", exclude_none=True),
        )
        for each in facts
    ]  # fmt: skip
    said = {"move": move, "direction": direction, "reason": "merged", "other": BORIS}
    return (
        FactsMoved.model_validate({**said, "facts": tuple(moved)}),
        MoveEnded.model_validate(said),
    )


def at(*days: float) -> bytes:
    """Moments as they are packed."""
    packed = b""
    for day in days:
        packed = with_moment(packed, milliseconds(on(day)))
    return packed


def on(day: float) -> datetime:
    return DAY + timedelta(days=day)


def entered(segment: str) -> SegmentEntered:
    return SegmentEntered(segment=segment, definition=1, cause=BECAUSE)


def exited(segment: str) -> SegmentExited:
    return SegmentExited(segment=segment, definition=1, cause=BECAUSE)


async def told(life: Life) -> Sequence[Log]:
    """What was told of whom, as each topic has it: one log per topic and customer."""
    lines: dict[str, dict[str, list[NewEvent]]] = {topic: defaultdict(list) for topic in TOPICS}
    for who, event in life:
        new = event if isinstance(event, NewEvent) else NewEvent(event, DAY)
        lines[new.data.type.partition(".")[0]][who].append(new)
    logs: list[Log] = []
    for topic, of_topic in lines.items():
        store = MemoryEventStore()
        writer = Writer(store, KEYRING, ManualClock(DAY), topic)
        for who, events in of_topic.items():
            await tell(writer, f"{STREAMS[topic]}-{who}", who, events)
        logs += [[replace(record, topic=topic) for record in log] for log in logs_of(store.commits)]
    return logs


async def listed(life: Life) -> Mapping[str, DirectoryEntry]:
    """The entries, each log read once."""
    return await read(DIRECTORY, await told(life), KEYRING)


async def anna_after(*events: EventData | NewEvent) -> DirectoryEntry:
    return (await listed([(ANNA, each) for each in events]))[ANNA]


# --- Receipts and segments -----------------------------------------------------------------------


async def test_receipts_are_counted_by_branch_and_together() -> None:
    entry = await anna_after(
        REGISTERED, receipt(1_000, "1", 3), receipt(501, "2", 1), receipt(-300, "1", 2)
    )
    # 1000 - 300 at branch 1, 501 at branch 2: 1201 together, of which each is 400 and a third.
    assert (entry.spent, entry.visits, entry.average) == (1_201, 3, 400)
    assert (entry.first_visit, entry.last_visit) == (on(1), on(3))
    assert entry.at_branches == [
        BranchTotals("1", 2, 700, on(2), on(3), bought=at(2, 3)),
        BranchTotals("2", 1, 501, on(1), on(1), bought=at(1)),
    ]
    assert entry.branches == ["1", "2"]
    # Counted from 10^16, so that numbers of either sign compare as texts.
    assert entry.sort["spent"] == f"-1{10**16 + 1_201}|{ANNA}"
    assert {"in:1", "in:2"} <= set(entry.marks)


async def test_a_return_lowers_the_net_of_its_branch_and_is_no_visit() -> None:
    entry = await anna_after(
        REGISTERED, receipt(1_000, "1", 3), returned(400, "2", bought=3, day=5)
    )
    assert (entry.spent, entry.visits, entry.last_visit) == (600, 1, on(3))
    assert entry.at_branches[1] == BranchTotals("2", spent=-400)
    # Home and the receipt are at branch 1; who took something back saw no receipt.
    assert entry.branches == ["1"]


async def test_a_void_gives_back_the_visit_and_the_ends() -> None:
    entry = await anna_after(
        REGISTERED,
        receipt(1_000, "1", 3),
        receipt(200, "1", 8),
        returned(150, "1", bought=8, day=8),
        voided(50, "1", bought=8, day=9),
    )
    assert (entry.spent, entry.visits, entry.last_visit) == (1_000, 1, on(3))
    empty = await anna_after(REGISTERED, receipt(7, "2", 3), voided(7, "2", bought=3, day=4))
    assert (empty.at_branches, empty.branches, empty.first_visit) == ([], ["1"], None)


async def test_receipts_that_change_hands_count_at_the_end_of_their_move() -> None:
    sold = receipt(1_000, "1", 3)
    part, end = moving("in", sold, returned(100, "1", bought=3, day=4))
    begun = await anna_after(REGISTERED, part)
    assert (begun.spent, begun.visits, len(begun.pending)) == (0, 0, 1)
    entry = await anna_after(REGISTERED, part, end)
    assert (entry.spent, entry.visits, entry.pending) == (900, 1, [])
    there = await anna_after(REGISTERED, sold, receipt(5, "2", 9), *moving("out", sold))
    assert (there.spent, there.visits, there.first_visit) == (5, 1, on(9))


async def test_a_void_that_overtakes_the_end_of_a_move_leaves_nothing() -> None:
    part, end = moving("in", receipt(1_000, "1", 3))
    entry = await anna_after(REGISTERED, part, voided(1_000, "1", bought=3, day=4), end)
    assert (entry.spent, entry.visits, entry.at_branches) == (0, 0, [])


async def test_tasks_of_a_customer_leave_no_trace_in_the_list() -> None:
    (log,) = await told([(ANNA, receipt(5, "1", 0))])
    elsewhere = [
        replace(each, value=each.value.replace(b"interaction-anna", b"task-1")) for each in log
    ]
    assert await read(DIRECTORY, [elsewhere], KEYRING) == {}


async def test_the_mean_of_money_given_back_is_rounded_down() -> None:
    # -5 / 2 = -2.5
    entry = await anna_after(receipt(-2, "1", 0), receipt(-3, "1", 0))
    assert (entry.spent, entry.average) == (-5, -3)


async def test_who_has_receipts_and_is_not_registered_is_in_no_list() -> None:
    entry = await anna_after(receipt(100, "1", 0), entered("vip"))
    assert (entry.shelf, entry.sort, entry.marks) == (None, {}, [])
    assert (entry.spent, entry.segments) == (100, ["vip"])


async def test_segments_are_those_that_were_entered_and_not_left() -> None:
    entry = await anna_after(
        REGISTERED, entered("vip"), entered("lapsed"), exited("vip"), exited("new"), entered("big")
    )
    assert entry.segments == ["big", "lapsed"]
    assert [each for each in entry.marks if each.startswith("segment:")] == [
        "segment:big",
        "segment:lapsed",
    ]


# --- Care ----------------------------------------------------------------------------------------


async def test_care_is_what_was_said_last() -> None:
    rule = care.Grant(category="gold", by="rule:r")
    person = care.Grant(category="gold", by="person")
    entry = await anna_after(
        REGISTERED,
        care.TagsChanged(added=("b", "a")),
        care.TagsChanged(added=("c",), removed=("b",)),
        care.CategoriesChanged(given=(rule, person)),
        care.CategoriesChanged(withdrawn=(rule,)),
        care.DiscountChanged(by="person", discount=500),
        care.DiscountChanged(by="rule:r", discount=1_000),
        care.DiscountChanged(by="rule:s", discount=1_500),
        care.DiscountChanged(by="rule:s"),
        care.StatusChanged(status="active"),
        care.ResponsibleAssigned(employee="clara"),
        care.CustomerBlacklisted(),
    )
    assert (entry.tags, entry.categories) == (["a", "c"], [Grant("gold", "person")])
    assert entry.discounts == {"person": 500, "rule:r": 1_000}
    assert (entry.status, entry.responsible, entry.blacklisted) == ("active", "clara", True)
    # The greatest of 5 % and 10 %, in hundredths of a percent.
    assert entry.sort["granted_discount"] == f"-1{10**16 + 1_000}|{ANNA}"
    marks = {"tag:a", "tag:c", "category:gold", "status:active", "responsible:clara", "home:1"}
    assert marks <= set(entry.marks)
    assert "tag:b" not in entry.marks


async def test_care_ends() -> None:
    entry = await anna_after(
        REGISTERED,
        care.CustomerBlacklisted(),
        care.BlacklistingEnded(cause="lifted"),
        care.ResponsibleAssigned(employee="clara"),
        care.ResponsibleAssigned(previous="clara"),
    )
    assert (entry.blacklisted, entry.responsible) == (False, None)


async def test_archived_ones_stand_on_a_shelf_of_their_own_until_they_are_restored() -> None:
    archived = care.CustomerArchived(by="person")
    entry = await anna_after(REGISTERED, archived, receipt(100, "1", 0))
    assert (entry.archived, entry.shelf) == (True, "~")
    assert {key[0] for key in entry.sort.values()} == {"~"}
    entry = await anna_after(REGISTERED, archived, care.CustomerRestored(by="person"))
    assert (entry.archived, entry.shelf) == (False, "-")
    assert {key[0] for key in entry.sort.values()} == {"-"}


# --- Merges --------------------------------------------------------------------------------------

ABSORBED = merging.CustomerAbsorbed(
    merge="m",
    other=ANNA,
    identifiers=(phone(1),),
    consents=(merging.ConsentState(topic="news", channel="sms", given=True),),
    fields=RecordFields(city="Riga"),
    tags=("vip",),
    categories=(care.Grant(category="gold", by="person"),),
    discounts=(merging.DiscountGrant(by="person", discount=500),),
    status="active",
    responsible="clara",
    blacklist=merging.Blacklisting(),
)
SURVIVOR_REVERTED = merging.MergeReverted(
    merge="m",
    other=ANNA,
    role="survivor",
    released=(merging.ReleasedIdentifier(kind="phone", hash="h1", epoch=2),),
    consents=(merging.ConsentState(topic="news", channel="sms"),),
    cleared=("city", "status", "responsible", "blacklist"),
    tags_removed=("vip",),
    categories_withdrawn=(care.Grant(category="gold", by="person"),),
    discounts_withdrawn=("person",),
)
LOSER_REVERTED = merging.MergeReverted(
    merge="m", other=BORIS, role="loser", identifiers=(phone(1),)
)
SURVIVOR = CustomerRegistered(surname="Ivanova", identifiers=(phone(2),))


async def test_who_was_merged_is_in_no_list_and_keeps_their_receipts() -> None:
    entry = await anna_after(REGISTERED, receipt(100, "1", 0), MERGED, receipt(50, "1", 1))
    assert (entry.shelf, entry.merged_into, entry.sort, entry.marks) == (None, BORIS, {}, [])
    # 100 + 50
    assert (entry.spent, entry.visits) == (150, 2)


async def test_a_survivor_is_found_and_shown_by_what_the_other_brings() -> None:
    entry = (await listed([(BORIS, SURVIVOR), (BORIS, ABSORBED)]))[BORIS]
    assert entry.absorbed == [ANNA]
    assert entry.contacts == [Contact("phone", "h2"), Contact("phone", "h1")]
    assert entry.found_by == ["phone|h2", "phone|h1"]
    assert entry.consents == ["news|sms"]
    assert (entry.surname, entry.city, entry.tags) == ("Ivanova", "Riga", ["vip"])
    assert (entry.categories, entry.discounts) == ([Grant("gold", "person")], {"person": 500})
    assert (entry.status, entry.responsible, entry.blacklisted) == ("active", "clara", True)


async def test_a_reverted_merge_leaves_the_survivor_as_it_was_and_gives_the_other_back() -> None:
    before: Life = [(ANNA, REGISTERED), (BORIS, SURVIVOR), (BORIS, MARKETING)]
    alone = await listed(before)
    after = await listed(
        [*before, (ANNA, MERGED), (BORIS, ABSORBED), (ANNA, LOSER_REVERTED),
         (BORIS, SURVIVOR_REVERTED)]
    )  # fmt: skip
    # Registered and agreed, merged and reverted.
    assert alone[BORIS].versions == {"customer-boris": 2}
    alone[BORIS].versions = {"customer-boris": 2 + 2}
    assert after[BORIS] == alone[BORIS]
    assert (after[ANNA].merged_into, after[ANNA].shelf) == (None, "-")
    assert after[ANNA].found_by == ["phone|h1"]


# --- Erases --------------------------------------------------------------------------------------


def tombstone(who: str, **versions: int) -> DirectoryEntry:
    return DirectoryEntry(
        id=who,
        removed=True,
        erased=True,
        versions={f"{topic}-{who}": version for topic, version in versions.items()},
    )


async def test_nothing_is_left_of_who_was_erased_but_what_became_of_them() -> None:
    life = (REGISTERED, care.TagsChanged(added=("vip",)), receipt(100, "1", 0), entered("vip"))
    # Registered, tagged, erased.
    expected = tombstone(ANNA, customer=3, interaction=1, membership=1)
    assert await anna_after(*life, ERASED) == expected


@pytest.mark.parametrize(
    "late",
    [receipt(100, "1", 0), entered("vip"), exited("vip")],
    ids=["a receipt", "an entry", "an exit"],
)
async def test_what_comes_after_an_erase_wakes_nobody(late: EventData | NewEvent) -> None:
    # The customer's log is read before those of the other topics.
    entry = await anna_after(REGISTERED, ERASED, late)
    kind = (late.data if isinstance(late, NewEvent) else late).type.partition(".")[0]
    assert entry == tombstone(ANNA, **{"customer": 2, STREAMS[kind]: 1})


async def test_an_erased_tree_still_says_who_was_whom() -> None:
    found = await listed(
        [(BORIS, SURVIVOR), (BORIS, ABSORBED), (BORIS, ERASED), (ANNA, REGISTERED), (ANNA, MERGED),
         (ANNA, ERASED)]
    )  # fmt: skip
    assert (found[BORIS].absorbed, found[BORIS].erased) == ([ANNA], True)
    assert (found[ANNA].merged_into, found[ANNA].erased) == (BORIS, True)
    assert found[BORIS].contacts == found[ANNA].contacts == []


# --- Whatever Kafka does -------------------------------------------------------------------------

EVENTS: Sequence[EventData] = (
    REGISTERED,
    SURVIVOR,
    MARKETING,
    MERGED,
    ABSORBED,
    LOSER_REVERTED,
    SURVIVOR_REVERTED,
    care.TagsChanged(added=("a",), removed=("vip",)),
    care.TagsChanged(added=("vip",)),
    care.CategoriesChanged(given=(care.Grant(category="gold", by="person"),)),
    care.CategoriesChanged(withdrawn=(care.Grant(category="gold", by="person"),)),
    care.DiscountChanged(by="person", discount=700),
    care.DiscountChanged(by="person"),
    care.StatusChanged(status="left"),
    care.ResponsibleAssigned(),
    care.CustomerBlacklisted(),
    care.BlacklistingEnded(cause="expired"),
    care.CustomerArchived(by="person"),
    care.CustomerRestored(by="person"),
)
LIVES = st.lists(
    st.tuples(
        st.sampled_from([ANNA, BORIS]),
        st.one_of(
            st.sampled_from(EVENTS),
            st.builds(entered, st.sampled_from(["vip", "new"])),
            st.builds(exited, st.sampled_from(["vip", "new"])),
            st.builds(
                receipt, st.integers(-999, 9_999), st.sampled_from(["1", "2"]), st.integers(0, 9)
            ),
            st.builds(
                returned,
                st.integers(0, 999),
                st.sampled_from(["1", "2"]),
                st.integers(0, 9),
                st.integers(0, 9),
            ),
        ),
    ),
    max_size=20,
)
"""More than a shop would record: the fold believes its log."""


@settings(max_examples=150, deadline=None)
@given(LIVES, st.sets(st.sampled_from([ANNA, BORIS])), st.data())
def test_repeating_rewinding_and_mixing_topics_change_nothing_in_the_list(
    life: Life, erased: set[str], data: st.DataObject
) -> None:
    async def run() -> None:
        whole = [*life, *((who, ERASED) for who in sorted(erased))]
        logs = await told(whole)
        entries = await read(DIRECTORY, data.draw(readings(logs)), KEYRING)
        assert entries == await read(DIRECTORY, logs, KEYRING)
        for who, entry in entries.items():
            mine = [event for name, event in life if name == who]
            paid = [each.data for each in mine if isinstance(each, NewEvent)]
            totals = [each.total for each in paid if isinstance(each, ReceiptRecorded)]
            back = [each.total for each in paid if isinstance(each, ReceiptReturned)]
            gone = who in erased
            assert (entry.erased, entry.removed) == (gone, gone)
            net = sum(totals) - sum(back)
            assert (entry.spent, entry.visits) == ((0, 0) if gone else (net, len(totals)))
            if gone:
                # Its versions and who was whom apart, it is as empty as one that never lived.
                bare = tombstone(who)
                bare.versions, bare.merged_into = entry.versions, entry.merged_into
                bare.absorbed = entry.absorbed
                assert entry == bare

    asyncio.run(run())
