"""Definitions of segments: given a history, when a command, then these events."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.segment.domain import (
    ArchiveSegment,
    DefineSegment,
    Segment,
    evolve,
    rule_of,
    rule_set,
    segment_stream,
    segments,
)
from services.segment.rules.language.tree import to_json
from shared.decider import Refused
from shared.envelope import Causation, Envelope, Placed, decode, encode
from shared.events.contract import EventData
from shared.events.imports import ImportEnded
from shared.events.segment import (
    DefinitionReleased,
    DefinitionWithdrawn,
    SegmentArchived,
    SegmentDefined,
)
from shared.testing import given

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HORIZON = timedelta(days=400)
BEHAVIOUR = segments(HORIZON)
NEW: dict[str, Any] = {"kind": "receipts", "aggregate": "first", "within": "P14D"}
COUNTED: dict[str, Any] = {
    "kind": "receipts", "aggregate": "count", "compare": {"op": ">=", "value": 1}
}  # fmt: skip
OLDER: dict[str, Any] = {"kind": "not", "clause": NEW}
FIRST = SegmentDefined(segment="new", definition=1, title="New ones", rule=NEW)
SECOND = SegmentDefined(segment="new", definition=2, title="Older ones", rule=OLDER)
ARCHIVED = SegmentArchived(segment="new")


def define(**changes: Any) -> DefineSegment:  # noqa: ANN401 - fields of any kind
    command: dict[str, Any] = {"name": "new", "title": "New ones", "rule": NEW, "at": NOW}
    return DefineSegment(**(command | changes))


def test_a_segment_is_defined() -> None:
    given(BEHAVIOUR).when(define()).then([FIRST])


def test_the_title_is_kept_without_spaces_around_it() -> None:
    given(BEHAVIOUR).when(define(title="  New ones ")).then([FIRST])


def test_another_rule_is_a_new_version() -> None:
    given(BEHAVIOUR, [FIRST]).when(define(title="Older ones", rule=OLDER)).then([SECOND])


def test_another_title_is_a_new_version() -> None:
    renamed = SegmentDefined(segment="new", definition=2, title="Newcomers", rule=NEW)
    given(BEHAVIOUR, [FIRST]).when(define(title="Newcomers")).then([renamed])


def test_the_same_again_is_nothing_however_it_is_written() -> None:
    given(BEHAVIOUR, [FIRST]).when(define(rule=dict(reversed(NEW.items())))).then_nothing()


def test_an_archived_segment_can_be_defined_again_also_as_it_was() -> None:
    again = SegmentDefined(segment="new", definition=2, title="New ones", rule=NEW)
    given(BEHAVIOUR, [FIRST, ARCHIVED]).when(define()).then([again])


def test_a_segment_is_archived_once() -> None:
    archive = ArchiveSegment("new", NOW)
    given(BEHAVIOUR, [FIRST]).when(archive).then([ARCHIVED])
    given(BEHAVIOUR, [FIRST, ARCHIVED]).when(archive).then_nothing()


def test_what_was_never_defined_cannot_be_archived() -> None:
    given(BEHAVIOUR).when(ArchiveSegment("new", NOW)).then_refused("not-found")


@pytest.mark.parametrize("name", ["", "New", "new_ones", "-new", "new-", "a--b", "ä", "n" * 61])
def test_a_name_is_small_letters_digits_and_single_hyphens(name: str) -> None:
    given(BEHAVIOUR).when(define(name=name)).then_refused("invalid", "name")


@pytest.mark.parametrize("title", ["", "   ", "t" * 201])
def test_a_title_is_needed_and_short(title: str) -> None:
    given(BEHAVIOUR).when(define(title=title)).then_refused("invalid", "title")


def test_a_rule_that_is_none_is_refused_with_its_path() -> None:
    refusal = (
        given(BEHAVIOUR)
        .when(define(rule={"kind": "receipts", "aggregate": "first", "within": "P1M"}))
        .then_refused("invalid", "rule.within")
    )
    assert refusal.status == 422
    assert "say it in days" in refusal.errors[0].message


def test_a_rule_that_looks_back_beyond_the_horizon_deepens_profiles() -> None:
    within = {**COUNTED, "within": "P400D"}
    (event,) = BEHAVIOUR.decide(define(rule=within), Segment())
    assert isinstance(event.data, SegmentDefined)
    assert event.data.deepens is None
    further: list[dict[str, Any]] = [
        {**COUNTED, "within": "P401D"},
        {**COUNTED, "where": {"branch": ["12"]}},
        {**COUNTED, "between": {"from": "2020-01-01T00:00:00Z", "to": "2021-01-01T00:00:00Z"}},
    ]
    for rule in further:
        (event,) = BEHAVIOUR.decide(define(rule=rule), Segment())
        assert isinstance(event.data, SegmentDefined)
        assert event.data.deepens


def test_a_rule_that_is_not_saved_is_asked_of_what_profiles_keep() -> None:
    with pytest.raises(Refused) as caught:
        rule_of({**COUNTED, "within": "P401D"}, HORIZON, NOW)
    assert [error.field for error in caught.value.errors] == ["rule.within"]


def test_what_waits_for_deeper_profiles_is_kept_for_and_stands_in_the_way_of_nothing() -> None:
    deep = SegmentDefined(
        segment="new", definition=2, title="Deep", rule={**COUNTED, "within": "P500D"},
        trial=True, deepens=True,
    )  # fmt: skip
    told = [envelope(FIRST, 1, 0), envelope(deep, 2, 5)]
    rules = rule_set(told)
    assert (rules.number, list(rules.rules), list(rules.waiting)) == (2, ["new"], ["new#2"])
    # The rule that stands is not defined again by the one that waits.
    assert rules.rules["new"].defined_at == NOW
    assert rules.look_back == 500 * 24 * 3600 * 1000
    released = DefinitionReleased(segment="new", definition=2)
    rules = rule_set([*told, envelope(released, 3, 9)])
    assert (rules.number, rules.rules["new"].definition, list(rules.waiting)) == (3, 2, [])
    gone = DefinitionWithdrawn(segment="new", definition=2)
    rules = rule_set([*told, envelope(gone, 3, 9)])
    assert (rules.number, rules.rules["new"].definition, list(rules.waiting)) == (3, 1, [])


def test_a_foreign_event_in_the_stream_is_a_fault() -> None:
    with pytest.raises(TypeError, match="does not belong"):
        evolve(BEHAVIOUR.initial(), ImportEnded(import_id="i", facts=0))


# The rule set


def envelope(data: EventData, version: int, minutes: int, segment: str = "new") -> Envelope:
    """An event as the log has it, recorded so many minutes after NOW."""
    moment = NOW + timedelta(minutes=minutes)
    why = Causation(correlation=f"chain-{minutes}")
    stream = segment_stream(segment)
    return decode(encode(Placed(data, "segment", stream, version, moment, moment, why)))


def test_no_definitions_are_the_empty_rule_set() -> None:
    rules = rule_set([])
    assert (rules.number, dict(rules.rules)) == (0, {})


def test_a_rule_set_holds_the_last_definition_of_each_segment_that_lives() -> None:
    other = SegmentDefined(segment="old", definition=1, title="Old", rule=OLDER)
    gone = SegmentDefined(segment="gone", definition=1, title="Gone", rule=OLDER)
    rules = rule_set(
        [
            envelope(FIRST, 1, 0),
            envelope(gone, 1, 1, "gone"),
            envelope(SECOND, 2, 2),
            envelope(other, 1, 3, "old"),
            envelope(SegmentArchived(segment="gone"), 2, 4, "gone"),
        ]
    )
    assert rules.number == 5
    assert rules.at == NOW + timedelta(minutes=4)
    assert list(rules.rules) == ["new", "old"]
    live = rules.rules["new"]
    assert (live.definition, live.defined_at) == (2, NOW + timedelta(minutes=2))
    assert (live.event, live.correlation) == ("segment-new@2", "chain-2")
    assert to_json(live.rule) == OLDER


def test_the_order_of_reading_and_repetition_make_no_other_rule_set() -> None:
    events = [envelope(FIRST, 1, 0), envelope(SECOND, 2, 2), envelope(ARCHIVED, 3, 3)]
    assert rule_set(events) == rule_set([*reversed(events), *events])


def test_events_of_other_types_are_passed_over() -> None:
    ended = envelope(ImportEnded(import_id="i", facts=0), 1, 9, "other")
    assert rule_set([envelope(FIRST, 1, 0), ended]).number == 1


def test_another_definition_rests_on_the_version_that_was_seen() -> None:
    told: list[int | None] = []
    given(BEHAVIOUR).when(define(rests_on=told.append)).then([FIRST])
    given(BEHAVIOUR, [FIRST]).when(define(rests_on=told.append)).then_nothing()
    second = define(title="Older ones", rule=OLDER, rests_on=told.append)
    given(BEHAVIOUR, [FIRST]).when(second).then([SECOND])
    # Nothing was there, then nothing had to change, and at last there was the first version.
    assert told == [None, 1]
