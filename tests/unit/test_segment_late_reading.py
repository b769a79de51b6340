"""Events that are read later than rules were defined, and rules that come back out of a circle.

Days count from 1 January 2026.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from services.segment.engine.glancing import Glance
from services.segment.engine.profile import Profile
from services.segment.engine.reported import Recorded
from services.segment.engine.stepping import Engine
from services.segment.rules.instants import instant
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from shared.envelope import Light
from shared.projection import Event

COUNT = {"kind": "receipts", "aggregate": "count"}
BOUGHT = {**COUNT, "compare": {"op": ">=", "value": 1}}
OFTEN = {**COUNT, "compare": {"op": ">=", "value": 9}}
QUIET = {**COUNT, "within": "P30D", "compare": {"op": "==", "value": 0}}
LAPSED = {"kind": "all", "clauses": [BOUGHT, QUIET]}
NEW = {**COUNT, "aggregate": "first", "within": "P14D"}


def day(number: int) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)


def rule_set(*moments: int, **rules: tuple[int, dict[str, Any]]) -> RuleSet:
    """Rules with the days on which they were defined; `moments` are those of all definitions."""
    live = {
        name: LiveRule(1, parse_rule(rule), day(at), f"segment-{name}@1", "chain")
        for name, (at, rule) in rules.items()
    }
    told = tuple(day(at) for at in moments)
    return RuleSet(len(told), live, told[-1], moments=told)


def receipt_on(number: int, history: str | None = None) -> Event:
    kind, moment = "interaction.receipt_recorded.v1", day(number)
    light = Light(
        kind, "interaction-c1", 1, moment, moment, msgspec.Raw(b""), "c1", history=history
    )
    return Event(light, Recorded("1", 100, 0), 7)


TWO = rule_set(5, 10, lapsed=(5, LAPSED), bought=(10, BOUGHT))
THREE = rule_set(5, 10, 20, lapsed=(5, LAPSED), bought=(10, BOUGHT), new=(20, NEW))
# The receipt of day 1 leaves the 30 days on day 31.
DUE = {"receipts": instant(day(31))}


def lapses_in_time(profile: Profile) -> None:
    assert profile.due == DUE
    for glance in Glance.all_of(Engine(THREE)):
        assert glance(profile) == {"rules": 3, "clock": day(20)}
    revised, events = Engine(THREE).revise(profile, day(20))
    # The new rule has nothing to wait for: the first receipt is older than 14 days on day 20.
    assert (revised.due, events) == (DUE, [])
    _, events = Engine(THREE).wake(revised, day(99))
    assert [event.time for event in events] == [day(31)]


def test_a_rule_that_was_defined_after_the_first_event_and_asked_by_it_keeps_its_timer() -> None:
    profile, _ = Engine(TWO).step(None, receipt_on(1))
    lapses_in_time(profile)


def test_so_it_is_where_an_import_ended_before_the_rule_was_defined() -> None:
    profile, _ = Engine(TWO).step(None, receipt_on(1, history="i"))
    profile, _ = Engine(TWO).live(profile, "i", day(2))
    lapses_in_time(profile)


def test_timers_are_not_lost_while_others_fire_before_newer_rules() -> None:
    staff = {"kind": "attribute", "field": "internal", "test": {"op": "is", "value": False}}
    lapsed = {"kind": "all", "clauses": [BOUGHT, QUIET, staff]}
    older: dict[str, tuple[int, dict[str, Any]]] = {
        "new": (3, NEW),
        "lapsed": (5, lapsed),
        "often": (10, OFTEN),
    }
    profile, _ = Engine(rule_set(3, 5, 10, **older)).step(None, receipt_on(1))
    engine = Engine(rule_set(3, 5, 10, 20, **older, bought=(20, BOUGHT)))
    woken, events = engine.wake(profile, day(19))
    # The first receipt is no longer new on day 15; what lapses on day 31 waits on.
    assert [event.time for event in events] == [day(15)]
    assert (woken.rules, woken.due) == (3, {"field internal,receipts": instant(day(31))})


def test_a_rule_that_comes_back_out_of_a_circle_is_asked() -> None:
    names_one = {"kind": "any", "clauses": [BOUGHT, {"kind": "segment", "segment": "one"}]}
    names_two = {"kind": "segment", "segment": "two"}
    circle = rule_set(1, 2, 5, one=(1, names_two), two=(2, names_one))
    assert set(circle.rules) == {"one"}
    profile, events = Engine(circle).step(None, receipt_on(6))
    assert not events
    mended = rule_set(1, 2, 5, 10, one=(10, OFTEN), two=(2, names_one))
    profile, events = Engine(mended).revise(profile, day(10))
    # Nobody enters the other segment, so that alone would not ask the one which names it.
    assert [event.time for event in events] == [day(10)]
    assert set(profile.memberships) == {"two"}
