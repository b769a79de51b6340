"""Why in and why not: clause by clause, now and at an earlier moment, and when it changes."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.segment.engine import explaining
from services.segment.engine.explaining import MOST_FACTS, Behind, Explained, explain
from services.segment.engine.profile import Profile
from services.segment.engine.replaying import replay, truths
from services.segment.engine.reported import Recorded
from services.segment.engine.stepping import Engine
from services.segment.engine.telling import ConsentWord, Registered
from services.segment.rules.dealings import (
    Deal,
    DealHolder,
    DealStand,
    DealTerms,
    Task,
    TaskStand,
    TaskTerms,
)
from services.segment.rules.instants import instant
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from services.segment.rules.words import Contact, Told, Word
from shared.decider import NewEvent
from shared.envelope import Light
from shared.events.segment import SegmentEntered
from shared.projection import Event

CASES = int(os.environ.get("HYPOTHESIS_CASES", "60"))
COUNT = {"kind": "receipts", "aggregate": "count"}
EVER = {**COUNT, "compare": {"op": ">=", "value": 1}}
QUIET = {**COUNT, "within": "P30D", "compare": {"op": "==", "value": 0}}
LAPSED = {"kind": "all", "clauses": [EVER, QUIET]}
SPENT = {**COUNT, "aggregate": "sum", "within": "P10D", "compare": {"op": ">=", "value": 300}}
NEWS = {"kind": "consent", "topic": "news", "channel": "email"}
AT_12 = {"kind": "attribute", "field": "home_branch", "test": {"op": "is", "value": "12"}}


def day(days: float) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=days)


def at(days: float) -> int:
    return instant(day(days))


def event(data: object, kind: str, version: int, days: float) -> Event:
    stream = f"{kind.partition('.')[0]}-c1"
    light = Light(kind, stream, version, day(days), day(days), msgspec.Raw(b""), "c1")
    return Event(light, data, 7)


def receipt(version: int, days: float, total: int = 100) -> Event:
    return event(Recorded(str(version), total, 0), "interaction.receipt_recorded.v1", version, days)


def registered(version: int, days: float, branch: str) -> Event:
    return event(Registered(home_branch=branch), "customer.registered.v1", version, days)


def consent(version: int, days: float, *, given: bool) -> Event:
    word = "given" if given else "withdrawn"
    return event(ConsentWord("news", "email"), f"customer.consent_{word}.v1", version, days)


def profile_of(*events: Event, horizon: timedelta = timedelta(days=400)) -> Profile:
    engine, profile = Engine(RuleSet(0, {}), horizon), None
    for one in events:
        profile, _ = engine.step(profile, one)
    assert profile is not None
    return profile


def explained(rule: dict[str, Any], days: float, *events: Event) -> Explained:
    return explain(profile_of(*events), parse_rule(rule), at(days))


def test_each_clause_says_what_it_found_and_since_when_and_until_when() -> None:
    why = explained(LAPSED, 45, receipt(1, 0), receipt(2, 12))
    ever, quiet = why.clauses
    # The last receipt left the 30 days on day 42, and nothing but a receipt ends that.
    assert (why.true, why.since, why.until) == (True, at(42), None)
    assert (ever.true, ever.value, ever.since, ever.of) == (True, 2, None, 2)
    assert ever.behind == (
        Behind("interaction-c1@2", at(12), 100),
        Behind("interaction-c1@1", at(0), 100),
    )
    assert (quiet.true, quiet.value, quiet.since, quiet.behind) == (True, 0, at(42), ())


def test_why_not_says_when_it_will_change_by_itself() -> None:
    why = explained(LAPSED, 20, receipt(1, 0), receipt(2, 12))
    assert (why.true, why.since, why.until) == (False, None, at(42))
    quiet = why.clauses[1]
    assert (quiet.true, quiet.value, quiet.until, quiet.of) == (False, 2, at(42), 2)


def test_an_earlier_moment_is_explained_by_what_had_happened_then() -> None:
    events = [registered(1, 0, "9"), receipt(1, 1, 200), receipt(2, 5, 100), registered(2, 8, "12")]
    then = explained({"kind": "any", "clauses": [SPENT, AT_12]}, 6, *events)
    spent, at_12 = then.clauses
    assert (spent.true, spent.value, spent.since, spent.until) == (True, 300, at(5), at(11))
    assert (at_12.true, at_12.value) == (False, "9")
    assert at_12.behind == (Behind("customer-c1@1"),)
    now = explained({"kind": "any", "clauses": [SPENT, AT_12]}, 12, *events)
    spent, at_12 = now.clauses
    assert (spent.true, spent.value, spent.since) == (False, 100, at(11))
    assert (at_12.true, at_12.value, at_12.since) == (True, "12", at(8))
    assert (now.true, now.since) == (True, at(5))


def test_before_anything_is_known_nothing_is_true() -> None:
    why = explained({"kind": "not", "clause": EVER}, -1, receipt(1, 0))
    assert (why.true, why.since, why.clauses[0].true) == (False, None, False)


def test_not_more_facts_are_named_than_can_be_read() -> None:
    why = explained(EVER, 30, *[receipt(n, n) for n in range(1, 26)])
    assert why.of == 25
    assert [each.event for each in why.behind] == [
        f"interaction-c1@{n}" for n in range(25, 25 - MOST_FACTS, -1)
    ]


def test_what_is_no_longer_kept_one_by_one_still_counts() -> None:
    profile = profile_of(receipt(1, 0), receipt(2, 1), receipt(3, 40), horizon=timedelta(days=30))
    assert len(profile.receipts) == 1
    why = explain(profile, parse_rule({**EVER, "compare": {"op": ">=", "value": 3}}), at(41))
    assert (why.true, why.value, why.since, why.of) == (True, 3, at(40), 1)
    before = explain(profile, parse_rule({**EVER, "compare": {"op": ">=", "value": 2}}), at(20))
    assert (before.true, before.value, before.behind) == (True, 2, ())


def test_a_timer_that_changes_nothing_is_looked_beyond() -> None:
    rule = {**COUNT, "within": "P10D", "compare": {"op": ">=", "value": 1}}
    either = {"kind": "any", "clauses": [rule, {**rule, "within": "P5D"}]}
    why = explained(either, 1, receipt(1, 0))
    assert why.until == at(10)
    assert [clause.until for clause in why.clauses] == [at(10), at(5)]


HAPPENINGS = st.lists(
    st.tuples(
        st.sampled_from(["receipt", "registered", "given", "withdrawn"]),
        st.sampled_from([0.25, 1, 5, 10, 29.5, 30, 31]),
        st.sampled_from([0, 100, 300]),
        st.sampled_from(["9", "12"]),
    ),
    min_size=1,
    max_size=12,
)
RULES = st.recursive(
    st.sampled_from([EVER, QUIET, SPENT, NEWS, AT_12]),
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {
                "kind": st.sampled_from(["all", "any"]),
                "clauses": st.lists(inner, min_size=1, max_size=3),
            }
        ),
        st.fixed_dictionaries({"kind": st.just("not"), "clause": inner}),
    ),
    max_leaves=4,
)


@settings(max_examples=CASES, deadline=None)
@given(happenings=HAPPENINGS, raw=RULES)
def test_where_nothing_comes_late_a_replay_is_what_was_logged(
    happenings: list[tuple[str, float, int, str]], raw: dict[str, Any]
) -> None:
    rule = parse_rule(raw)
    live = LiveRule(1, rule, day(-1000), "segment-x@1", "chain")
    engine = Engine(RuleSet(1, {"x": live}, day(-1000)))
    profile, now, versions = None, 0.0, {"c": 0, "i": 0}
    log = list[NewEvent]()
    for kind, wait, total, branch in happenings:
        now += wait
        versions["i" if kind == "receipt" else "c"] += 1
        if kind == "receipt":
            one = receipt(versions["i"], now, total)
        elif kind == "registered":
            one = registered(versions["c"], now, branch)
        else:
            one = consent(versions["c"], now, given=kind == "given")
        profile, events = engine.step(profile, one)
        log += events
    assert profile is not None
    profile, events = engine.wake(profile, day(now + 100))
    log += events
    (course,) = replay(profile, [rule], at(now + 100) - 1).asked
    changes = course.changes if course.changes[0][1] else course.changes[1:]
    assert [(moment, truth) for moment, truth in changes] == [
        (instant(each.time), isinstance(each.data, SegmentEntered)) for each in log
    ]


@pytest.mark.parametrize("days", [3, 12, 41.999, 42])
def test_an_explanation_agrees_with_the_course_of_the_rule(days: float) -> None:
    profile = profile_of(receipt(1, 0), receipt(2, 12))
    rule = parse_rule(LAPSED)
    (course,) = replay(profile, [rule], at(100)).asked
    assert explain(profile, rule, at(days)).true is course.at(at(days))


def test_of_very_many_facts_the_last_are_looked_at_to_say_since_when(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    facts = [receipt(number, number) for number in range(1, 31)]
    # Bought on every day, it was so often enough from day 5 and from day 25 on.
    soon, late = ({**COUNT, "compare": {"op": ">=", "value": least}} for least in (5, 25))
    assert [explained(rule, 40, *facts).since for rule in (soon, late)] == [at(5), at(25)]
    monkeypatch.setattr(explaining, "MOST_WORK", 20 * 30)  # twenty moments of one clause
    why, whole = explained(soon, 40, *facts), explained(late, 40, *facts)
    # The last twenty are those from day 11 on.
    assert (why.true, why.value, why.since) == (True, 30, None)
    assert whole.since == at(25)


@settings(max_examples=CASES, deadline=None)
@given(
    st.lists(st.integers(0, 60), max_size=8).map(sorted),
    st.lists(st.integers(-1, 90), min_size=1, max_size=6).map(sorted),
    st.sampled_from([EVER, QUIET, LAPSED, SPENT, {"kind": "not", "clause": EVER}]),
    st.sampled_from([timedelta(days=400), timedelta(days=20)]),
)
def test_the_truths_at_some_moments_are_those_of_the_whole_course(
    days: list[int], moments: list[int], raw: dict[str, Any], horizon: timedelta
) -> None:
    facts = [receipt(number, time) for number, time in enumerate(days, start=1)]
    profile = profile_of(registered(1, 0, "12"), *facts, horizon=horizon)
    rule = parse_rule(raw)
    # What was let go of counts from the beginning: before that nothing is known.
    moments = [each for each in moments if horizon.days > 60 or each >= 60]
    (course,) = replay(profile, [rule], at(90)).asked
    asked = [at(each) for each in moments]
    assert truths(profile, rule, asked) == [course.at(each) for each in asked]


DEAL = Deal(
    "d", at(1), DealTerms(1, 500, "new", "web", "12"), DealStand(1, "open", "p", "s", at(1))
)
TASK = Task("t", at(1), TaskTerms(1, "call", "e1", "12", at(90)), TaskStand(1, "open"))
PHONE = Contact("phone", "h", there=True, there_version=1)
AT_LEAST_ONE = {"op": ">=", "value": 1}
OPEN = {"where": {"state": "open", "branch": ["12"]}, "compare": AT_LEAST_ONE}


@pytest.mark.parametrize(
    ("raw", "held", "told"),
    [
        ({"kind": "deals", **OPEN}, DEAL, Deal("d", holder=DealHolder(2, "e2"))),
        ({"kind": "deals", **OPEN}, DEAL, Deal("d", stand=DealStand(2, "open", "p", "s2", at(5)))),
        ({"kind": "tasks", **OPEN}, TASK, Task("t", stand=TaskStand(2, "open"))),
        ({"kind": "tasks", **OPEN}, TASK, Task("t", terms=TaskTerms(2, "call", "e2", "12", at(9)))),
        (
            {"kind": "identifier", "identifier": "phone", "test": {"op": "known"}},
            PHONE,
            Contact("phone", "h", there=False, there_version=0, state="verified", state_version=2),
        ),
    ],
)
def test_what_was_told_by_events_that_are_kept_no_more_stays_known(
    raw: dict[str, Any], held: Word, told: Word
) -> None:
    # Of two events the last alone is kept, and tells one part of what is held.
    after: Any = told
    words = [after.after(held)]
    profile = Profile(
        id="c1", partition=7, rules=0, clock=day(5), words=words, told=[Told(at(5), 2, [told])]
    )
    why = explain(profile, parse_rule(raw), at(6))
    assert (why.true, why.of) == (True, 1)


def test_a_segment_that_is_left_in_time_ends_what_names_it() -> None:
    weekly = {**COUNT, "within": "P7D", "compare": AT_LEAST_ONE}
    live = LiveRule(1, parse_rule(weekly), day(-9), "segment-weekly@1", "chain")
    around = RuleSet(1, {"weekly": live}, day(-9))
    member = {"kind": "segment", "segment": "weekly"}
    monthly = {**COUNT, "within": "P30D", "compare": AT_LEAST_ONE}
    raw = {"kind": "all", "clauses": [member, monthly]}
    why = explain(profile_of(receipt(1, 1)), parse_rule(raw), at(2), around)
    inside, bought = why.clauses
    # The receipt of day 1 leaves the week on day 8, and the month on day 31.
    assert (why.until, inside.until, bought.until) == (at(8), at(8), at(31))
    assert (why.true, inside.value) == (True, True)
