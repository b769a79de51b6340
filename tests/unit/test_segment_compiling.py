"""Rules that are written out as one function say what the interpreter says."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.segment.engine.profile import take_view
from services.segment.engine.stepping import Engine
from services.segment.rules import ruleset
from services.segment.rules.compiling import fuse
from services.segment.rules.evaluating.tree import evaluate
from services.segment.rules.instants import instant
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LEAST_FUSED, LiveRule, RuleSet
from tests.unit.naive.record import HOUR, START
from tests.unit.test_segment_engine_naive import CASES, RULES, Driven, Ended, Fact, happenings

EVER = {"kind": "receipts", "aggregate": "count", "compare": {"op": ">=", "value": 1}}
NAMES = ("one", "two", "three")


@settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=CASES <= 120,
)
@given(st.data())
def test_what_is_fused_is_what_is_interpreted(data: st.DataObject) -> None:
    driven = Driven(Engine(RuleSet(0, {})))
    for one in data.draw(happenings({})):
        if isinstance(one, Fact | Ended):
            driven.happen(one, at_once=False)
    if driven.profile is None:
        return
    view = take_view(driven.profile)
    view.inside = inside = set(data.draw(st.lists(st.sampled_from(NAMES), unique=True)))
    rules = [(name, parse_rule(data.draw(RULES))) for name in NAMES]
    groups = {name: data.draw(st.sampled_from("ab")) for name in NAMES}
    fused = fuse([(name, groups[name], rule) for name, rule in rules])
    for after in data.draw(st.lists(st.integers(0, 30), min_size=1, max_size=3)):
        at = instant(START) + after * HOUR
        due: dict[str, int] = {}
        changes = dict(fused(view, at, due, inside))
        expected: dict[str, int] = {}
        for name, rule in rules:
            value, following = evaluate(rule, view, at)
            assert changes.get(name, name in inside) is value
            if following is not None:
                group = groups[name]
                expected[group] = min(following, expected.get(group, following))
        assert due == expected


def live(raw: dict[str, Any]) -> LiveRule:
    return LiveRule(1, parse_rule(raw), START, "segment-x@1", "chain")


def test_what_is_due_already_is_only_made_earlier() -> None:
    within = {**EVER, "within": "P1D"}
    driven = Driven(Engine(RuleSet(0, {})))
    driven.happen(
        Fact("receipt", 0, 0, None, {"total": 100, "coupon_lines": 0}, version=1), at_once=False
    )
    assert driven.profile is not None
    view = take_view(driven.profile)
    fused = fuse([("x", "g", parse_rule(within))])
    tomorrow = instant(START) + 24 * HOUR
    for before, after in ((tomorrow - 1, tomorrow - 1), (tomorrow + 1, tomorrow)):
        due = {"g": before}
        assert fused(view, instant(START), due, {"x"}) == []
        assert due == {"g": after}


def test_who_names_a_segment_or_is_named_is_asked_in_turn() -> None:
    rules = {f"r{n}": live({**EVER, "within": f"P{n + 1}D"}) for n in range(LEAST_FUSED + 1)}
    rules["outer"] = live({"kind": "segment", "segment": "r0"})
    asked = RuleSet(1, rules, START).asking("receipts")
    assert asked.fused is not None
    assert [name for name, _ in asked.alone] == ["r0"]
    assert RuleSet(1, rules, START).asking_all.alone[-1][0] == "outer"


def test_few_rules_are_not_worth_writing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = {f"r{n}": live(EVER) for n in range(LEAST_FUSED - 1)}
    assert RuleSet(1, rules, START).asking("receipts").fused is None
    monkeypatch.setattr(ruleset, "LEAST_FUSED", 1)
    assert RuleSet(1, rules, START).asking("receipts").fused is not None
