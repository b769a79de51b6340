"""A rule set holds no more than its rules need, however many customers ask it."""

from itertools import combinations

from benchmarks.ruled import DEFINED
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import MOST_WITHOUT, LiveRule, RuleSet

RULE = {"kind": "receipts", "aggregate": "count", "compare": {"op": ">=", "value": 1}}
NAMES = [f"s{number}" for number in range(9)]


def rules() -> RuleSet:
    live = {
        name: LiveRule(1, parse_rule(dict(RULE)), DEFINED, f"segment-{name}@1", "correlation")
        for name in NAMES
    }
    return RuleSet(1, live, DEFINED, {}, (DEFINED,))


def test_what_customers_lack_together_is_remembered_and_no_more_than_some_of_it() -> None:
    whole = rules()
    # 9 over 3: 84 different lacks, more than are remembered.
    lacks = list(combinations(NAMES, 3))
    assert len(lacks) == 84 > MOST_WITHOUT
    for each in lacks:
        left = whole.without(each)
        assert set(left.rules) == set(NAMES) - set(each)
        assert set(left.held) == set(each)
        assert whole.without(each) is left
    assert len(whole._without) == MOST_WITHOUT  # noqa: SLF001 - what is held


def test_what_no_rule_looks_at_is_not_remembered() -> None:
    whole = rules()
    for number in range(100):
        assert whole.asking(f"field-{number}").rules == ()
    assert whole.asking("receipts") is whole.asking("receipts")
    assert list(whole._asking) == ["receipts"]  # noqa: SLF001 - what is held
