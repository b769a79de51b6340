"""What totals say of a rule is what the interpreter says of the facts, or nothing."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.segment.engine.profile import take_view
from services.segment.engine.stepping import Engine
from services.segment.rules.evaluating.totals import by_totals, may_tell
from services.segment.rules.evaluating.tree import evaluate
from services.segment.rules.evaluating.verdict import Verdict
from services.segment.rules.happened import Happened
from services.segment.rules.instants import instant
from services.segment.rules.language.kinds import NUMBER_OF_KIND
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import RuleSet
from services.segment.rules.view import View
from tests.unit.naive.record import HOUR, START
from tests.unit.test_segment_engine_naive import CASES, RULES, Driven, Ended, Fact, happenings


@settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=CASES <= 120,
)
@given(st.data())
def test_what_totals_say_is_what_is_interpreted(data: st.DataObject) -> None:
    driven = Driven(Engine(RuleSet(0, {})))
    for one in data.draw(happenings({})):
        if isinstance(one, Fact | Ended):
            driven.happen(one, at_once=False)
    if driven.profile is None or driven.profile.clock is None:
        return
    totals, view = driven.profile.totals, take_view(driven.profile)
    rules = [parse_rule(data.draw(RULES)) for _ in range(5)]
    for after in data.draw(st.lists(st.integers(0, 30), min_size=1, max_size=5)):
        at = instant(driven.profile.clock) + after * HOUR
        for rule in rules:
            told = by_totals(rule, totals, at)
            assert told is None or told == evaluate(rule, view, at)


DAY = 24 * HOUR
NOW = instant(START) + 100 * DAY


def receipts(aggregate: str, *compare: str | int, **more: object) -> dict[str, Any]:
    rule: dict[str, Any] = {"kind": "receipts", "aggregate": aggregate, **more}
    if compare:
        rule["compare"] = dict(zip(("op", "value"), compare, strict=True))
    return rule


def bought(*ago: int) -> View:
    """A receipt of 1.00 so many days ago each."""
    view = View()
    for number, days in enumerate(sorted(ago, reverse=True), start=1):
        kind = NUMBER_OF_KIND["receipts"]
        view.add(Happened(NOW - days * DAY, number, kind, number, "b1", 100))
    return view


WITHIN = {"within": "P30D"}
OF_B1 = {"where": {"branch": ["b1"]}}
SPENT = {"within": "P30D", "of": "total"}
FAR = {"between": {"from": "2020-01-01T00:00:00Z", "to": "2020-02-01T00:00:00Z"}}


@pytest.mark.parametrize(
    ("rule", "ago"),
    [
        (receipts("count", ">=", 3, **WITHIN), (1, 2)),  # two ever are not three
        (receipts("count", ">=", 3, **WITHIN, **OF_B1), (1, 2)),  # nor in one branch
        (receipts("count", ">=", 1, **WITHIN), (90, 40)),  # the last is older than 30 days
        (receipts("count", ">=", 1, **WITHIN), (90, 4)),  # until 26 days from now
        (receipts("count", "==", 0, **WITHIN), (90, 40)),
        (receipts("count", "==", 0, **WITHIN), (90, 4)),
        (receipts("count", "<=", 2, **WITHIN), (3, 4)),
        (receipts("count", "==", 0), ()),
        (receipts("sum", ">=", 1, **SPENT), (40,)),
        (receipts("sum", ">=", 200), (40, 50)),
        (receipts("average", ">=", 1, **SPENT), (40,)),
        (receipts("min", "<=", 5, **SPENT), (40,)),
        (receipts("distinct", "<", 1, of="branch", **WITHIN), (40,)),
        (receipts("first", **WITHIN), (29, 2)),
        (receipts("last", **WITHIN), (29, 2)),
        (receipts("last", **FAR), (29, 2)),
        ({"kind": "not", "clause": receipts("count", ">=", 3, **WITHIN)}, (1,)),
    ],
)
def test_totals_alone_tell(rule: dict[str, Any], ago: tuple[int, ...]) -> None:
    parsed, view = parse_rule(rule), bought(*ago)
    assert may_tell(parsed)
    assert by_totals(parsed, view.tallies, NOW) == evaluate(parsed, view, NOW)


MANY = receipts("count", ">=", 2, **WITHIN)
"""Of who has bought twice, the last time within 30 days, only receipts tell."""
NEVER = receipts("count", ">=", 9, **WITHIN)
EVER = receipts("count", ">=", 1)
CITY = {"kind": "attribute", "field": "city", "test": {"op": "known"}}
VISITED = {"kind": "visits", "aggregate": "count", "within": "P30D"}
MISSED = {**VISITED, "where": {"state": ["missed"]}, "compare": {"op": ">=", "value": 1}}


@pytest.mark.parametrize("rule", [MANY, CITY, MISSED])
def test_of_some_only_facts_or_words_tell(rule: dict[str, Any]) -> None:
    assert by_totals(parse_rule(rule), bought(1, 90).tallies, NOW) is None


@pytest.mark.parametrize("rule", [CITY, MISSED])
def test_of_words_and_of_states_totals_tell_of_nobody(rule: dict[str, Any]) -> None:
    assert not may_tell(parse_rule(rule))


@pytest.mark.parametrize("other", [MANY, CITY])
def test_what_settles_a_join_for_good_says_all(other: dict[str, Any]) -> None:
    totals = bought(1, 90).tallies
    every = parse_rule({"kind": "all", "clauses": [other, NEVER]})
    one = parse_rule({"kind": "any", "clauses": [other, EVER]})
    assert by_totals(every, totals, NOW) == Verdict(value=False, next=None)
    assert by_totals(one, totals, NOW) == Verdict(value=True, next=None)


@pytest.mark.parametrize("other", [MANY, CITY])
def test_what_settles_nothing_leaves_it_to_the_others(other: dict[str, Any]) -> None:
    rule = parse_rule({"kind": "all", "clauses": [EVER, other]})
    assert by_totals(rule, bought(1, 90).tallies, NOW) is None


@pytest.mark.parametrize("ago", [(40,), (4,)])
def test_joined_clauses_last_as_long_as_the_interpreter_says(ago: tuple[int, ...]) -> None:
    lapsed = [EVER, receipts("count", "==", 0, **WITHIN), receipts("last", within="P60D")]
    for kind in ("all", "any"):
        rule, view = parse_rule({"kind": kind, "clauses": lapsed}), bought(*ago)
        assert by_totals(rule, view.tallies, NOW) == evaluate(rule, view, NOW)
