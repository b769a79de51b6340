"""Static lists: what they are, who is on them, and what follows from merges, reverts and erases."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.segment.domain import DefineSegment, References
from services.segment.domain.listing import (
    LISTING,
    Close,
    GiveBack,
    HandOver,
    PutOn,
    Receive,
    TakeBack,
    TakeOff,
)
from services.segment.domain.lists import LISTS, ArchiveList, NameList, list_stream
from services.segment.engine.explaining import explain
from services.segment.engine.profile import Profile
from services.segment.engine.stepping import HORIZON, Engine
from services.segment.engine.telling import ListCause as Why
from services.segment.engine.telling import Listed
from services.segment.handlers.definitions import Request, define
from services.segment.handlers.lists import archive_list, name_list
from services.segment.projections.lists import LIST_MEMBERS, ListMember, Reason, Told
from services.segment.projections.members import FOREVER
from services.segment.queries.lists import StaticLists, standing_lists
from services.segment.rules.instants import instant
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from services.segment.rules.sentences.tree import describe
from shared.clock import ManualClock
from shared.decider import Refused
from shared.envelope import Light
from shared.events.lists import (
    ListArchived,
    ListCause,
    ListCreated,
    ListEntered,
    ListLeft,
    ListRenamed,
    ListsClosed,
    ListsGivenBack,
    ListsHandedOver,
    ListsReceived,
    ListsTakenBack,
)
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.projection import Event
from shared.testing import given
from shared.wording import Languages

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ON_VIP: dict[str, Any] = {"kind": "list", "list": "vip", "inside": True}
CREATED = ListCreated(list="vip", title="VIP", by="owner")


def name(title: str = "VIP", called: str = "vip") -> NameList:
    return NameList(called, title, NOW, "owner")


def test_a_list_is_begun_and_renamed() -> None:
    given(LISTS).when(name(" VIP ")).then([CREATED])
    given(LISTS, [CREATED]).when(name()).then_nothing()
    renamed = ListRenamed(list="vip", title="Best", by="owner")
    given(LISTS, [CREATED]).when(name("Best")).then([renamed])


@pytest.mark.parametrize("called", ["", "VIP", "a--b", "-a", "x" * 61])
def test_a_name_is_one_that_can_stand_in_an_address(called: str) -> None:
    given(LISTS).when(name(called=called)).then_refused("invalid", "name")


@pytest.mark.parametrize("title", ["", "  ", "x" * 201])
def test_a_title_is_neither_empty_nor_endless(title: str) -> None:
    given(LISTS).when(name(title)).then_refused("invalid", "title")


def test_another_title_rests_on_the_version_that_is_known() -> None:
    def wrong(version: int | None) -> None:
        assert version == 1
        raise Refused("precondition-failed", 412, "It is another by now.")

    command = NameList("vip", "Best", NOW, "owner", wrong)
    given(LISTS, [CREATED]).when(command).then_refused("precondition-failed")


def test_a_list_is_archived_once_and_for_good() -> None:
    archived = ListArchived(list="vip", by="owner")
    archive = ArchiveList("vip", NOW, "owner")
    given(LISTS).when(archive).then_refused("not-found")
    given(LISTS, [CREATED]).when(archive).then([archived])
    given(LISTS, [CREATED, archived]).when(archive).then_nothing()
    given(LISTS, [CREATED, archived]).when(name()).then_refused("list-archived")


def test_what_segments_name_is_not_archived() -> None:
    archive = ArchiveList("vip", NOW, naming=("guests",))
    refusal = given(LISTS, [CREATED]).when(archive).then_refused("list-named")
    assert refusal.detail == "change or archive them first: guests"


# Who is on a list

HAND = ListCause(kind="hand", by="owner")
M1, M2 = (ListCause(kind="merge", merge=name, event=f"e-{name}") for name in ("m1", "m2"))


def entered(called: str, cause: ListCause = HAND) -> ListEntered:
    return ListEntered(list=called, cause=cause)


def left(called: str, cause: ListCause = HAND) -> ListLeft:
    return ListLeft(list=called, cause=cause)


def test_who_is_put_on_a_list_is_on_it_until_taken_off() -> None:
    put, take = PutOn("vip", HAND, NOW), TakeOff("vip", HAND, NOW)
    given(LISTING).when(take).then_nothing()
    given(LISTING).when(put).then([entered("vip")])
    given(LISTING, [entered("vip")]).when(put).then_nothing()
    given(LISTING, [entered("vip")]).when(take).then([left("vip")])
    given(LISTING, [entered("vip"), left("vip")]).when(put).then([entered("vip")])


def test_who_is_on_a_list_by_a_job_is_taken_off_by_its_revert_and_nobody_else_is() -> None:
    file = ListCause(kind="file", job="j1")
    take = TakeOff("vip", file, NOW, only="j1")
    given(LISTING, [entered("vip", file)]).when(take).then([left("vip", file)])
    again = [entered("vip", file), left("vip"), entered("vip")]
    given(LISTING, again).when(take).then_nothing()
    other = ListCause(kind="file", job="j2")
    given(LISTING, [entered("vip", other)]).when(take).then_nothing()


OVER = ListsHandedOver(merge="m1", survivor="s")
HANDED = [entered("b"), entered("a"), OVER, left("a", M1), left("b", M1)]


def test_who_is_merged_hands_the_lists_over_and_is_redirected() -> None:
    hand = HandOver("m1", "s", "e-m1", NOW)
    given(LISTING, HANDED[:2]).when(hand).then(HANDED[2:])
    given(LISTING).when(hand).then([OVER])
    given(LISTING, HANDED).when(hand).then_nothing()
    for command in (PutOn("vip", HAND, NOW), TakeOff("a", HAND, NOW)):
        assert given(LISTING, HANDED).when(command).then_refused("redirected").extra == {"to": "s"}


def test_a_revert_brings_back_what_was_handed_over() -> None:
    back = [ListsTakenBack(merge="m1"), entered("a", M1), entered("b", M1)]
    take = TakeBack("m1", "e-m1", NOW)
    given(LISTING, HANDED).when(take).then(back)
    given(LISTING, [*HANDED, *back]).when(take).then_nothing()
    given(LISTING, [*HANDED, *back]).when(PutOn("a", HAND, NOW)).then_nothing()
    given(LISTING, HANDED).when(TakeBack("m2", "e-m2", NOW)).then_nothing()


RECEIVED = [entered("b"), ListsReceived(merge="m1"), entered("a", M1)]
BROUGHT = frozenset({"a", "b"})


def test_the_survivor_gets_what_it_had_not_and_a_revert_takes_just_that() -> None:
    given(LISTING, RECEIVED[:1]).when(Receive("m1", BROUGHT, "e-m1", NOW)).then(RECEIVED[1:])
    given(LISTING, RECEIVED).when(GiveBack("m1", BROUGHT, "e-m1", NOW)).then([left("a", M1)])
    given(LISTING, RECEIVED).when(GiveBack("m2", BROUGHT, "e-m2", NOW)).then_nothing()


def test_what_a_person_has_put_on_since_stays_after_a_revert() -> None:
    since = [*RECEIVED, left("a"), entered("a")]
    given(LISTING, since).when(GiveBack("m1", BROUGHT, "e-m1", NOW)).then_nothing()


AWAY = [entered("own"), ListsHandedOver(merge="m2", survivor="t"), left("own", M2)]


def test_what_comes_to_who_was_merged_meanwhile_only_passes_through() -> None:
    receive = Receive("m1", frozenset({"a", "own"}), "e-m1", NOW)
    on = ListCause(kind="merge", merge="m2", event="e-m1")
    passed = [ListsReceived(merge="m1"), entered("a", M1), left("a", on)]
    given(LISTING, AWAY).when(receive).then(passed)
    give = GiveBack("m1", frozenset({"a", "own"}), "e-r1", NOW)
    back = [
        entered("a", ListCause(kind="merge", merge="m2", event="e-r1")),
        left("a", ListCause(kind="merge", merge="m1", event="e-r1")),
    ]
    given(LISTING, [*AWAY, *passed]).when(give).then(back)
    # What was taken back on the way does not come back with the outer merge.
    home = [ListsTakenBack(merge="m2"), entered("own", M2)]
    given(LISTING, [*AWAY, *passed, *back]).when(TakeBack("m2", "e-m2", NOW)).then(home)


def test_who_is_erased_leaves_all_lists_for_good() -> None:
    close = Close("x", "e-x", NOW)
    erased = ListCause(kind="erase", event="e-x")
    gone = [left("a", erased), left("b", erased), ListsClosed(erase="x")]
    given(LISTING, HANDED[:2]).when(close).then(gone)
    history = [*HANDED[:2], *gone]
    given(LISTING, history).when(close).then_nothing()
    given(LISTING, history).when(PutOn("a", HAND, NOW)).then_refused("not-found")
    for nothing in (
        TakeOff("a", HAND, NOW), HandOver("m1", "s", "e", NOW), TakeBack("m1", "e", NOW),
        Receive("m1", BROUGHT, "e", NOW), GiveBack("m1", BROUGHT, "e", NOW),
    ):  # fmt: skip
        given(LISTING, history).when(nothing).then_nothing()


def test_who_was_merged_and_is_erased_gets_nothing_back() -> None:
    history = [*HANDED, ListsClosed(erase="x")]
    given(LISTING, HANDED).when(Close("x", "e-x", NOW)).then([ListsClosed(erase="x")])
    given(LISTING, history).when(TakeBack("m1", "e-m1", NOW)).then_nothing()


def test_a_stream_holds_no_events_of_others() -> None:
    for decider in (LISTS, LISTING):
        with pytest.raises(TypeError, match="does not belong"):
            decider.fold([CREATED if decider is LISTING else entered("a")])


# Rules that name lists


def told(called: str, version: int, *, on: bool, kind: str = "hand") -> Event:
    light = Light(
        f"list.{'entered' if on else 'left'}.v1", "lists-c", version, NOW.replace(hour=version),
        NOW.replace(hour=version), msgspec.Raw(b""), "c", correlationid="till",
    )  # fmt: skip
    return Event(light, Listed(called, Why(kind)), 0)


def rules(**named: dict[str, Any]) -> RuleSet:
    live = {
        each: LiveRule(1, parse_rule(rule), NOW, f"segment-{each}@1", each)
        for each, rule in named.items()
    }
    return RuleSet(1, live, NOW)


def stepped(*events: Event) -> tuple[Profile, list[tuple[str, str, int, str, str | None]]]:
    engine, profile = Engine(rules(guests=ON_VIP, others={**ON_VIP, "inside": False})), None
    lines = []
    for event in events:
        profile, came = engine.step(profile, event)
        for each in came:
            data: Any = each.data
            what = data.type.split(".")[1]
            lines.append((what, data.segment, each.time.hour, data.cause.kind, data.cause.event))
    assert profile is not None
    return profile, lines


def test_a_change_of_a_list_moves_segments_at_once() -> None:
    _, lines = stepped(
        told("spring", 1, on=True), told("vip", 2, on=True), told("vip", 3, on=False)
    )
    assert lines == [
        ("entered", "others", 1, "event", "lists-c@1"),
        ("entered", "guests", 2, "event", "lists-c@2"),
        ("exited", "others", 2, "event", "lists-c@2"),
        ("exited", "guests", 3, "event", "lists-c@3"),
        ("entered", "others", 3, "event", "lists-c@3"),
    ]


def test_what_a_merge_brings_or_takes_has_the_merge_for_its_cause() -> None:
    _, lines = stepped(told("spring", 1, on=True), told("vip", 2, on=True, kind="merge"))
    assert {line[3] for line in lines if line[2] == 2} == {"merge"}


def test_what_was_told_last_holds_in_whatever_order_it_is_read() -> None:
    _, lines = stepped(told("vip", 2, on=False), told("vip", 1, on=True))
    assert [line[:2] for line in lines] == [("entered", "others")]


@pytest.mark.parametrize(("on", "version"), [(True, 1), (False, 2)])
def test_an_explanation_names_the_event_that_said_it_last(*, on: bool, version: int) -> None:
    events = [told("vip", 1, on=True), told("vip", 2, on=False)]
    profile, _ = stepped(*events[:version])
    found = explain(profile, parse_rule(ON_VIP), instant(NOW.replace(hour=9)))
    assert (found.true, found.value) == (on, on)
    assert [each.event for each in found.behind] == [f"lists-c@{version}"]


def test_nobody_is_on_a_list_of_which_nothing_was_said() -> None:
    profile, _ = stepped(told("spring", 1, on=True))
    found = explain(profile, parse_rule(ON_VIP), instant(NOW.replace(hour=9)))
    assert (found.true, found.value, found.behind) == (False, False, ())


def test_a_rule_about_a_list_is_said_in_words() -> None:
    wording = Languages().wording("en")
    assert describe(parse_rule(ON_VIP), wording) == "is on list vip"
    assert describe(parse_rule({**ON_VIP, "inside": False}), wording) == "is not on list vip"


def test_a_rule_that_names_no_list_of_use_is_refused_with_its_path() -> None:
    rule = parse_rule({"kind": "any", "clauses": [ON_VIP, {**ON_VIP, "list": "gone"}]})
    with pytest.raises(Refused) as refused:
        References({}, (), {"vip"}).require("new", rule)
    (error,) = refused.value.errors
    assert error.field == "rule.clauses[1].list"
    assert error.message == "there is no list gone that is not archived"


async def test_definitions_and_archives_know_of_each_other() -> None:
    clock, store = ManualClock(NOW), MemoryEventStore()
    writer = Writer(store, Keyring(MemoryKeyStore(), AESGCM(bytes(32))), clock, "segment")
    segment = DefineSegment("guests", "Guests", ON_VIP, NOW)
    with pytest.raises(Refused) as refused:
        await define(writer, HORIZON, Request("1", 1, NOW), segment)
    assert [each.field for each in refused.value.errors] == ["rule.list"]
    await name_list(writer, Request("2", 2, NOW), name())
    await define(writer, HORIZON, Request("3", 3, NOW), segment)
    with pytest.raises(Refused) as named:
        await archive_list(writer, Request("4", 4, NOW), "vip", None)
    assert named.value.type == "list-named"
    await name_list(writer, Request("5", 5, NOW), name("Spring", "spring"))
    await archive_list(writer, Request("6", 6, NOW), "spring", None)
    assert await standing_lists(store) == {"vip"}
    lists = StaticLists(writer)
    assert [(each, of.archived) for each, of in (await lists.all()).items()] == [
        ("spring", True), ("vip", False),
    ]  # fmt: skip
    with pytest.raises(Refused) as archived:
        await lists.require_standing("spring")
    assert archived.value.type == "list-archived"
    with pytest.raises(Refused) as missing:
        await lists.require("none")
    assert missing.value.type == "not-found"
    assert list_stream("vip") in await store.names("list-")


# Who is and was on a list


def fold(*events: Event) -> ListMember:
    member = None
    for event in events:
        assert LIST_MEMBERS.target(event) == "vip|c"
        member = LIST_MEMBERS.apply(member, event)
    assert member is not None
    return member


def read(version: int, hour: int, *, on: bool) -> Event:
    light = told("vip", version, on=on).light
    light = msgspec.structs.replace(light, time=NOW.replace(hour=hour))
    return Event(light, Told("vip", Reason("hand", by="owner")), 0)


def test_a_member_has_been_on_the_list_from_entering_until_just_before_leaving() -> None:
    member = fold(read(1, 1, on=True), read(2, 5, on=False), read(3, 7, on=True))
    assert member.current
    spans = [(stay.entered, stay.left) for stay in member.intervals]
    assert spans == [
        (NOW.replace(hour=1), NOW.replace(hour=5)), (NOW.replace(hour=7), FOREVER),
    ]  # fmt: skip


def test_no_stay_ends_before_it_began() -> None:
    (stay,) = fold(read(1, 5, on=True), read(2, 4, on=False)).intervals
    assert stay.left == stay.entered == NOW.replace(hour=5)


def test_no_stay_begins_before_the_last_one_ended() -> None:
    # Taken off at 5, and put on again at the moment of somebody who had asked for it at 4.
    last, again = fold(read(1, 1, on=True), read(2, 5, on=False), read(3, 4, on=True)).intervals
    assert last.left == again.entered == NOW.replace(hour=5)


def test_a_log_that_does_not_take_turns_is_told_of() -> None:
    with pytest.raises(ValueError, match="twice in a row"):
        fold(read(1, 1, on=True), read(2, 2, on=True))


def test_events_of_nobody_are_of_no_document() -> None:
    event = read(1, 1, on=True)
    nobody = msgspec.structs.replace(event.light, subject=None)
    assert LIST_MEMBERS.target(Event(nobody, event.data, 0)) is None


def test_what_two_merges_have_brought_leaves_with_the_last_of_them() -> None:
    second = Receive("m2", BROUGHT, "e-m2", NOW)
    # b is the customer's own, a came by the first merge.
    twice = [*RECEIVED, ListsReceived(merge="m2", also=("a",))]
    given(LISTING, RECEIVED).when(second).then(twice[-1:])
    for first, last, cause in (("m1", "m2", M2), ("m2", "m1", M1)):
        given_back = ListsGivenBack(merge=first, lists=("a",))
        give = GiveBack(first, BROUGHT, f"e-{first}", NOW)
        given(LISTING, twice).when(give).then([given_back])
        give = GiveBack(last, BROUGHT, f"e-{last}", NOW)
        given(LISTING, [*twice, given_back]).when(give).then([left("a", cause)])
