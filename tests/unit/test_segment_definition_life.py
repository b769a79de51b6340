"""The life of a definition: on trial, held, released, taken back; and what stands meanwhile."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.segment.domain import (
    ArchiveSegment,
    Brake,
    DefineSegment,
    HoldWave,
    Release,
    RestoreDefinition,
    Segment,
    SettleTrial,
    TakeBack,
    evolve,
    rule_set,
    segment_stream,
    segments,
)
from shared.envelope import Causation, Envelope, Placed, decode, encode
from shared.events.contract import EventData
from shared.events.segment import (
    DefinitionHeld,
    DefinitionReleased,
    DefinitionWithdrawn,
    SegmentArchived,
    SegmentDefined,
    WaveHeld,
    WaveReleased,
)
from shared.testing import given

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BEHAVIOUR = segments(timedelta(days=400))
NEW: dict[str, Any] = {"kind": "receipts", "aggregate": "first", "within": "P14D"}
OLDER: dict[str, Any] = {"kind": "not", "clause": NEW}
FIRST = SegmentDefined(segment="new", definition=1, title="New", rule=NEW)
TRIAL = SegmentDefined(segment="new", definition=2, title="Old", rule=OLDER, trial=True, by="key-1")
HELD = DefinitionHeld(segment="new", definition=2, entering=300, leaving=1, base=1_000)
RELEASED = DefinitionReleased(segment="new", definition=2, by="key-2")
WITHDRAWN = DefinitionWithdrawn(segment="new", definition=2, by="key-2")
WAVE = WaveHeld(segment="new", moved=201, base=1_000, since=NOW)
CALM = WaveReleased(segment="new", by="key-2")
BRAKE = Brake()


def define(**changes: Any) -> DefineSegment:  # noqa: ANN401 - fields of any kind
    command: dict[str, Any] = {"name": "new", "title": "Old", "rule": OLDER, "at": NOW}
    return DefineSegment(**(command | {"by": "key-1", "large": True} | changes))


def counted(entering: int, leaving: int, base: int, definition: int = 2) -> SettleTrial:
    return SettleTrial("new", definition, entering, leaving, base, BRAKE, NOW)


RELEASE = Release("new", "key-2", NOW)
TAKE_BACK = TakeBack("new", "key-2", NOW, underway=True)


# Defining


def test_a_changed_rule_is_on_trial_where_there_are_many_customers() -> None:
    given(BEHAVIOUR, [FIRST]).when(define()).then([TRIAL])


def test_so_is_the_first_rule() -> None:
    first = TRIAL.model_copy(update={"definition": 1})
    given(BEHAVIOUR).when(define()).then([first])


def test_a_definition_stands_at_once_where_there_are_few_customers() -> None:
    second = TRIAL.model_copy(update={"trial": None})
    given(BEHAVIOUR, [FIRST]).when(define(large=False)).then([second])


def test_another_title_moves_nobody_and_is_on_no_trial() -> None:
    renamed = SegmentDefined(segment="new", definition=2, title="Newer", rule=NEW, by="key-1")
    given(BEHAVIOUR, [FIRST]).when(define(title="Newer", rule=NEW)).then([renamed])


def test_the_same_as_what_is_on_trial_changes_nothing() -> None:
    given(BEHAVIOUR, [FIRST, TRIAL]).when(define()).then_nothing()


def test_the_rule_that_stands_may_be_said_again_while_another_is_on_trial() -> None:
    again = SegmentDefined(segment="new", definition=3, title="New", rule=NEW, by="key-1")
    given(BEHAVIOUR, [FIRST, TRIAL]).when(define(title="New", rule=NEW)).then([again])
    assert folded(FIRST, TRIAL, again).trial == 0


def test_what_was_taken_back_may_be_defined_again() -> None:
    again = TRIAL.model_copy(update={"definition": 3})
    given(BEHAVIOUR, [FIRST, TRIAL, WITHDRAWN]).when(define()).then([again])


def test_an_old_version_is_defined_again_as_a_new_one() -> None:
    second = TRIAL.model_copy(update={"trial": None})
    restore = RestoreDefinition("new", 1, NOW, by="key-3")
    third = SegmentDefined(segment="new", definition=3, title="New", rule=NEW, by="key-3")
    given(BEHAVIOUR, [FIRST, second]).when(restore).then([third])


@pytest.mark.parametrize("number", [0, 2])
def test_only_a_version_that_there_was_is_restored(number: int) -> None:
    restore = RestoreDefinition("new", number, NOW)
    given(BEHAVIOUR, [FIRST]).when(restore).then_refused("invalid", "definition")


def test_a_restored_version_rests_on_what_was_seen() -> None:
    seen: list[int | None] = []
    restore = RestoreDefinition("new", 1, NOW, seen.append)
    second = TRIAL.model_copy(update={"trial": None})
    back = SegmentDefined(segment="new", definition=3, title="New", rule=NEW)
    given(BEHAVIOUR, [FIRST, second]).when(restore).then([back])
    assert seen == [2]


@pytest.mark.parametrize(
    "command", [RestoreDefinition("new", 1, NOW), RELEASE, TAKE_BACK, ArchiveSegment("new", NOW)]
)
def test_what_was_never_defined_is_not_there(command: Any) -> None:  # noqa: ANN401 - any command
    given(BEHAVIOUR).when(command).then_refused("not-found")


# Counted


def test_a_trial_that_moves_few_enough_stands() -> None:
    # 20 % of 1,000 are 200.
    stands = DefinitionReleased(segment="new", definition=2)
    given(BEHAVIOUR, [FIRST, TRIAL]).when(counted(150, 50, 1_000)).then([stands])


def test_a_trial_that_moves_more_is_held() -> None:
    held = DefinitionHeld(segment="new", definition=2, entering=150, leaving=51, base=1_000)
    given(BEHAVIOUR, [FIRST, TRIAL]).when(counted(150, 51, 1_000)).then([held])


@pytest.mark.parametrize("after", [HELD, RELEASED, WITHDRAWN])
def test_a_trial_is_settled_once(after: EventData) -> None:
    given(BEHAVIOUR, [FIRST, TRIAL, after]).when(counted(0, 0, 1_000)).then_nothing()


def test_counts_of_another_definition_settle_nothing() -> None:
    given(BEHAVIOUR, [FIRST, TRIAL]).when(counted(0, 0, 1_000, definition=1)).then_nothing()


# A yes, and a stop


def test_a_person_releases_a_held_definition() -> None:
    given(BEHAVIOUR, [FIRST, TRIAL, HELD]).when(RELEASE).then([RELEASED])


def test_a_person_need_not_wait_for_the_count() -> None:
    given(BEHAVIOUR, [FIRST, TRIAL]).when(RELEASE).then([RELEASED])


def test_a_person_lets_a_wave_go_on() -> None:
    given(BEHAVIOUR, [FIRST, WAVE]).when(RELEASE).then([CALM])


def test_a_definition_that_replaces_a_held_one_needs_one_yes() -> None:
    given(BEHAVIOUR, [FIRST, WAVE, TRIAL]).when(RELEASE).then([RELEASED])
    assert folded(FIRST, WAVE, TRIAL, RELEASED).wave is None


def test_where_nothing_is_held_there_is_nothing_to_release() -> None:
    given(BEHAVIOUR, [FIRST]).when(RELEASE).then_refused("nothing-held")


def test_a_trial_is_taken_back_counted_or_not() -> None:
    given(BEHAVIOUR, [FIRST, TRIAL]).when(TAKE_BACK).then([WITHDRAWN])
    given(BEHAVIOUR, [FIRST, TRIAL, HELD]).when(TAKE_BACK).then([WITHDRAWN])


def test_what_is_half_evaluated_is_taken_back_and_the_former_stands_again() -> None:
    given(BEHAVIOUR, [FIRST, TRIAL, RELEASED]).when(TAKE_BACK).then([WITHDRAWN])
    after = folded(FIRST, TRIAL, RELEASED, WITHDRAWN)
    assert (after.stands, after.title) == (1, "New")


def test_the_first_definition_that_is_taken_back_leaves_nothing_standing() -> None:
    gone = DefinitionWithdrawn(segment="new", definition=1, by="key-2")
    given(BEHAVIOUR, [FIRST]).when(TAKE_BACK).then([gone])
    assert folded(FIRST, gone).stands == 0


def test_what_is_evaluated_over_all_is_not_taken_back() -> None:
    done = TakeBack("new", "key-2", NOW, underway=False)
    given(BEHAVIOUR, [FIRST]).when(done).then_refused("nothing-to-stop")


def test_nothing_is_taken_back_twice() -> None:
    given(BEHAVIOUR, [FIRST, TRIAL, RELEASED, WITHDRAWN]).when(TAKE_BACK).then_refused(
        "nothing-to-stop"
    )


# Waves


def hold(version: int) -> HoldWave:
    return HoldWave("new", version, 201, 1_000, NOW, NOW)


def test_a_wave_is_held_at_the_version_at_which_it_was_counted() -> None:
    given(BEHAVIOUR, [FIRST]).when(hold(1)).then([WAVE])


def test_what_was_counted_of_another_version_holds_nothing() -> None:
    given(BEHAVIOUR, [FIRST, WAVE, CALM]).when(hold(1)).then_nothing()


def test_a_wave_is_held_once_and_only_of_what_stands() -> None:
    given(BEHAVIOUR, [FIRST, WAVE]).when(hold(2)).then_nothing()
    given(BEHAVIOUR, [TRIAL.model_copy(update={"definition": 1})]).when(hold(1)).then_nothing()


def test_another_rule_ends_a_hold_and_another_title_does_not() -> None:
    other = SegmentDefined(segment="new", definition=2, title="New", rule=OLDER)
    renamed = SegmentDefined(segment="new", definition=2, title="Newer", rule=NEW)
    assert folded(FIRST, WAVE, other).wave is None
    assert folded(FIRST, WAVE, renamed).wave is not None


def test_an_archived_segment_waits_for_nothing() -> None:
    after = folded(FIRST, WAVE, TRIAL, SegmentArchived(segment="new"))
    assert (after.stands, after.trial, after.toll, after.wave) == (0, 0, None, None)


# What all of it means


def folded(*events: EventData) -> Segment:
    state = Segment()
    for event in events:
        state = evolve(state, event)
    return state


def log(*events: EventData) -> list[Envelope]:
    """The events of one stream, recorded a minute apart."""
    stream = segment_stream("new")
    return [
        decode(encode(Placed(data, "segment", stream, number, at(number), at(number), WHY)))
        for number, data in enumerate(events, start=1)
    ]


def at(number: int) -> datetime:
    return NOW + timedelta(minutes=number)


WHY = Causation(correlation="c")


def test_a_trial_asks_nobody_whether_counted_held_or_taken_back() -> None:
    alone = rule_set(log(FIRST))
    assert rule_set(log(FIRST, TRIAL)) == alone
    assert rule_set(log(FIRST, TRIAL, HELD)) == alone
    assert rule_set(log(FIRST, TRIAL, HELD, WITHDRAWN)) == alone


def test_a_released_definition_stands_since_its_release() -> None:
    rules = rule_set(log(FIRST, TRIAL, HELD, RELEASED))
    live = rules.rules["new"]
    assert (rules.number, rules.at) == (2, at(4))
    assert (live.definition, live.defined_at, live.event) == (2, at(4), "segment-new@4")


def test_what_is_taken_back_makes_the_former_stand_since_then() -> None:
    live = rule_set(log(FIRST, TRIAL, RELEASED, WITHDRAWN)).rules["new"]
    assert (live.definition, live.defined_at, live.event) == (1, at(4), "segment-new@4")


def test_a_held_rule_is_set_aside_and_stands_anew_when_it_is_released() -> None:
    held = rule_set(log(FIRST, WAVE))
    assert (dict(held.rules), held.held["new"].definition, held.number) == ({}, 1, 2)
    again = rule_set(log(FIRST, WAVE, CALM))
    assert (dict(again.held), again.rules["new"].defined_at, again.number) == ({}, at(3), 3)


def test_a_set_knows_which_rules_are_new_to_whom() -> None:
    rules = rule_set(log(FIRST, TRIAL, RELEASED))
    names = [[name for name, _ in rules.changed_since(number)] for number in (0, 1, 2)]
    # Whoever has seen the second set may have seen another second one, recorded at that time.
    assert names == [["new"], ["new"], ["new"]]
    other = decode(
        encode(
            Placed(
                FIRST.model_copy(update={"segment": "other"}),
                "segment", segment_stream("other"), 1, at(9), at(9), WHY,
            )
        )
    )  # fmt: skip
    both = rule_set([*log(FIRST), other])
    assert [name for name, _ in both.changed_since(1)] == ["new", "other"]
    assert [name for name, _ in both.changed_since(2)] == ["other"]
    assert both.number_of(both.rules["other"]) == 2
