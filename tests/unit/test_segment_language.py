"""The rule language: what is a rule, what is none and why, and how each reads as a sentence."""

import json
from typing import Any

import pytest

from services.segment.rules.instants import show_span, span
from services.segment.rules.language.kinds import FACT_NAMES
from services.segment.rules.language.tree import look_back, reads, rule_schema, to_json
from services.segment.rules.reading import InvalidRule, parse_rule
from services.segment.rules.sentences.tree import describe
from shared.wording import Languages

DAY = 86_400_000
HAS_BOUGHT = {"kind": "receipts", "aggregate": "count", "compare": {"op": ">=", "value": 1}}
LATER = "2026-03-01T00:00:00Z"
NOT_LATELY = {
    "kind": "receipts",
    "aggregate": "count",
    "within": "P30D",
    "compare": {"op": "==", "value": 0},
}
DEMO: dict[str, tuple[dict[str, Any], str]] = {
    "lapsed-30": (
        {"kind": "all", "clauses": [HAS_BOUGHT, NOT_LATELY]},
        "bought at least once and did not buy within 30 days",
    ),
    "frequent": (
        {
            "kind": "receipts",
            "aggregate": "count",
            "within": "P30D",
            "compare": {"op": ">=", "value": 8},
        },
        "bought ≥ 8 times within 30 days",
    ),
    "big-spender": (
        {
            "kind": "receipts",
            "aggregate": "sum",
            "within": "P90D",
            "compare": {"op": ">=", "value": 100_000},
        },
        "receipts within 90 days sum to ≥ 1,000.00",
    ),
    "bought-once": (
        {"kind": "receipts", "aggregate": "count", "compare": {"op": "==", "value": 1}},
        "bought exactly 1 time",
    ),
    "new": (
        {"kind": "receipts", "aggregate": "first", "within": "P14D"},
        "bought for the first time within 14 days",
    ),
    "coupon": (
        {
            "kind": "receipts",
            "aggregate": "count",
            "within": "P60D",
            "where": {"coupon": True},
            "compare": {"op": ">=", "value": 1},
        },
        "bought within 60 days with a coupon",
    ),
}

ENGLISH = Languages().wording("en")


def attribute(test: dict[str, Any], field: str = "home_branch") -> dict[str, Any]:
    return {"kind": "attribute", "field": field, "test": test}


@pytest.mark.parametrize("name", DEMO)
def test_the_six_of_the_demo_are_rules_and_sentences(name: str) -> None:
    raw, sentence = DEMO[name]
    rule = parse_rule(raw)
    assert describe(rule, ENGLISH) == sentence
    assert to_json(rule) == raw


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (
            {
                "kind": "receipts",
                "aggregate": "sum",
                "within": "PT36H",
                "where": {
                    "branch": ["12", "14"],
                    "coupon": False,
                    "total": {"op": ">", "value": 1050},
                },
                "compare": {"op": "<", "value": 123_456},
            },
            (
                "receipts within 1 day 12 hours in branch 12 or 14 without a coupon"
                " of > 10.50 each sum to < 1,234.56"
            ),
        ),
        (
            {
                "kind": "receipts",
                "aggregate": "count",
                "within": "P1W",
                "compare": {"op": "<=", "value": 1},
            },
            "bought ≤ 1 time within 7 days",
        ),
        (
            {
                "kind": "receipts",
                "aggregate": "count",
                "within": "PT90M",
                "compare": {"op": "<", "value": 1},
            },
            "did not buy within 1 hour 30 minutes",
        ),
        (attribute({"op": "is", "value": "12"}), "home branch is 12"),
        (attribute({"op": "is_not", "value": "de"}, "language"), "language is not de"),
        (
            attribute({"op": "any_of", "values": [3, "x", True]}, "custom.size"),
            "size is 3 or x or yes",
        ),
        (attribute({"op": "known"}, "acquisition"), "source of acquisition is known"),
        (
            {"kind": "consent", "topic": "marketing", "channel": "email"},
            "agrees to marketing by email",
        ),
        (
            {
                "kind": "any",
                "clauses": [
                    {"kind": "all", "clauses": [HAS_BOUGHT, NOT_LATELY]},
                    {"kind": "not", "clause": attribute({"op": "is", "value": "male"}, "gender")},
                ],
            },
            "(bought at least once and did not buy within 30 days) or not (gender is male)",
        ),
    ],
)
def test_every_form_reads_as_a_sentence(raw: dict[str, Any], sentence: str) -> None:
    assert describe(parse_rule(raw), ENGLISH) == sentence


@pytest.mark.parametrize(
    ("raw", "path", "words"),
    [
        (None, "rule", "must be an object"),
        (["x"], "rule", "must be an object, not a list"),
        ({}, "rule.kind", "is needed"),
        ({"kind": "recipts"}, "rule.kind", "'receipts'"),
        ({"kind": "all", "clauses": []}, "rule.clauses", "at least 1"),
        ({"kind": "not"}, "rule.clause", "is needed"),
        ({"kind": "not", "clause": "x"}, "rule.clause", "must be an object, not a text"),
        (
            {"kind": "all", "clauses": [HAS_BOUGHT, {**NOT_LATELY, "withn": "P1D"}]},
            "rule.clauses[1].withn",
            "is not part of this form",
        ),
        (
            {"kind": "not", "clause": {"kind": "first_receipt", "within": "P1M"}},
            "rule.clause.within",
            "say it in days, such as P30D",
        ),
        ({"kind": "first_receipt", "within": "30 days"}, "rule.within", "PT36H"),
        ({"kind": "first_receipt", "within": "P0D"}, "rule.within", "longer than nothing"),
        ({"kind": "first_receipt", "within": "P99999D"}, "rule.within", "at most 100 years"),
        ({"kind": "first_receipt"}, "rule.within", "is needed"),
        ({**HAS_BOUGHT, "aggregate": "avg"}, "rule.aggregate", "'average'"),
        ({**HAS_BOUGHT, "compare": {"op": "op", "value": 1}}, "rule.compare.op", "'>='"),
        ({**HAS_BOUGHT, "compare": {"op": ">", "value": 1.5}}, "rule.compare.value", "integer"),
        ({**HAS_BOUGHT, "compare": {"op": ">", "value": True}}, "rule.compare.value", "integer"),
        ({**HAS_BOUGHT, "compare": {"op": ">", "value": -1}}, "rule.compare.value", "0 or more"),
        ({**HAS_BOUGHT, "compare": {"op": ">", "value": 10**16}}, "rule.compare.value", "less"),
        ({**NOT_LATELY, "where": {}}, "rule.where", "names no filter"),
        ({**NOT_LATELY, "where": {"branch": []}}, "rule.where.branch", "at least 1"),
        (attribute({"op": "is", "value": 5}), "rule.test.value", "home_branch is a text"),
        (attribute({"op": "any_of", "values": ["man"]}, "gender"), "rule.test.values", "'female'"),
        (attribute({"op": "isnt", "value": "5"}), "rule.test.op", "'is_not'"),
        (attribute({"op": "known"}, "nickname"), "rule.field", "home_branch"),
        ({"kind": "consent", "topic": "x", "channel": "fax"}, "rule.channel", "'email'"),
        (
            {**HAS_BOUGHT, "between": {"from": "0001-01-01T00:00:00+14:00", "to": LATER}},
            "rule.between.from",
            "years 1 to 9999",
        ),
    ],
)
def test_what_is_no_rule_is_refused_with_the_path_and_what_would_be_right(
    raw: object, path: str, words: str
) -> None:
    with pytest.raises(InvalidRule) as refused:
        parse_rule(raw)
    assert [error.field for error in refused.value.errors] == [path]
    assert words in refused.value.errors[0].message


def test_all_errors_are_named_at_once() -> None:
    with pytest.raises(InvalidRule) as refused:
        parse_rule({"kind": "all", "clauses": [{"kind": "first_receipt"}, {"kind": "x"}]})
    paths = [error.field for error in refused.value.errors]
    assert paths == ["rule.clauses[0].within", "rule.clauses[1].kind"]
    assert str(refused.value).startswith("rule.clauses[0].within: is needed to say when")


def nested(depth: int) -> dict[str, Any]:
    """A rule of that many levels: the clause at the bottom is one."""
    raw = HAS_BOUGHT
    for _ in range(depth - 1):
        raw = {"kind": "not", "clause": raw}
    return raw


def test_a_rule_is_eight_levels_deep_at_most() -> None:
    parse_rule(nested(8))
    with pytest.raises(InvalidRule, match="goes 8 levels deep at most"):
        parse_rule(nested(9))
    with pytest.raises(InvalidRule, match="goes 8 levels deep at most"):
        parse_rule(nested(100_000))


def test_a_rule_has_a_hundred_clauses_at_most() -> None:
    parse_rule({"kind": "all", "clauses": [HAS_BOUGHT] * 99})  # and itself: 100
    with pytest.raises(InvalidRule, match="has 100 clauses at most"):
        parse_rule({"kind": "all", "clauses": [HAS_BOUGHT] * 100})
    wide = {"kind": "any", "clauses": [HAS_BOUGHT] * 60}
    with pytest.raises(InvalidRule, match="has 100 clauses at most"):
        parse_rule({"kind": "all", "clauses": [wide, wide]})


@pytest.mark.parametrize(
    ("raw", "path", "message"),
    [
        ([None], "rule.clauses[0]", "must be an object, not null"),
        ([True], "rule.clauses[0]", "must be an object, not true or false"),
        ([{**HAS_BOUGHT, "where": {"branch": "12"}}], "rule.clauses[0].where.branch",
         "must be a list, not a text"),
        ([{**HAS_BOUGHT, "where": {"extra": ["a"]}}], "rule.clauses[0].where.extra",
         "must be an object, not a list"),
    ],
)  # fmt: skip
def test_what_stands_at_a_place_is_named_as_json_has_it(raw: Any, path: str, message: str) -> None:  # noqa: ANN401 - any JSON
    with pytest.raises(InvalidRule) as refused:
        parse_rule({"kind": "all", "clauses": raw})
    assert [(error.field, error.message) for error in refused.value.errors] == [(path, message)]


def test_a_new_rule_names_ten_thousand_values_at_most() -> None:
    branches = [str(number) for number in range(1000)]
    clauses = [{**HAS_BOUGHT, "within": "P7D", "where": {"branch": branches}}] * 10
    # Ten thousand branches, and the words of the clauses.
    with pytest.raises(InvalidRule, match="rule: names 10,000 values at most"):
        parse_rule({"kind": "any", "clauses": clauses}, horizon=30 * DAY)
    parse_rule({"kind": "any", "clauses": clauses[1:]}, horizon=30 * DAY)
    parse_rule({"kind": "any", "clauses": clauses})  # what is in a log is read


def test_lists_in_lists_are_refused_however_deep_they_go() -> None:
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep]
    with pytest.raises(InvalidRule, match="must be an object, not a list"):
        parse_rule({"kind": "all", "clauses": deep})


def test_a_rule_that_looks_back_beyond_what_is_kept_is_refused_with_a_sentence() -> None:
    raw = {"kind": "all", "clauses": [HAS_BOUGHT, {"kind": "not", "clause": NOT_LATELY}]}
    parse_rule(raw, horizon=30 * DAY)
    with pytest.raises(InvalidRule) as refused:
        parse_rule(raw, horizon=29 * DAY)
    (error,) = refused.value.errors
    assert error.field == "rule.clauses[1].clause.within"
    assert error.message.startswith("looks back 30 days, but facts are kept one by one for 29")


def test_the_first_receipt_is_kept_for_all_time_and_so_looks_back_as_far_as_it_likes() -> None:
    parse_rule({"kind": "first_receipt", "within": "P3650D"}, horizon=DAY)


@pytest.mark.parametrize(
    ("text", "milliseconds", "shown"),
    [
        ("P30D", 30 * DAY, "30 days"),
        ("P2W", 14 * DAY, "14 days"),
        ("PT36H", 36 * 3_600_000, "1 day 12 hours"),
        ("P1DT2H3M", DAY + 2 * 3_600_000 + 3 * 60_000, "1 day 2 hours 3 minutes"),
        ("PT1M", 60_000, "1 minute"),
    ],
)
def test_spans_are_exact(text: str, milliseconds: int, shown: str) -> None:
    assert span(text) == milliseconds
    assert show_span(milliseconds) == shown


@pytest.mark.parametrize(
    "text", ["P", "PT", "P1DT", "P1W2D", "-P1D", "P1.5D", "PT30S", "p1d", "P1D\n", ""]
)
def test_what_is_no_span_says_how_one_is_written(text: str) -> None:
    with pytest.raises(ValueError, match="write an ISO 8601 duration"):
        span(text)


@pytest.mark.parametrize("text", ["P1M", "P2Y", "P1Y6M", "P1M2D"])
def test_months_and_years_have_no_fixed_length(text: str) -> None:
    with pytest.raises(ValueError, match="no fixed length"):
        span(text)


def test_the_order_of_keys_and_absent_filters_make_no_other_rule() -> None:
    shuffled = dict(reversed(NOT_LATELY.items())) | {"where": None}
    assert to_json(parse_rule(shuffled)) == NOT_LATELY


def test_a_rule_knows_what_it_looks_at() -> None:
    everything = {
        "kind": "any",
        "clauses": [
            DEMO["lapsed-30"][0],
            DEMO["big-spender"][0],
            attribute({"op": "known"}),
            {"kind": "not", "clause": {"kind": "consent", "topic": "x", "channel": "sms"}},
        ],
    }
    rule = parse_rule(everything)
    assert reads(rule) == {"receipts", "field home_branch", "consent x|sms", "contacts"}
    assert look_back(rule) == 90 * DAY
    assert reads(parse_rule(DEMO["new"][0])) == {"receipts"}


def test_the_schema_is_json_and_closes_every_form() -> None:
    schema = json.loads(json.dumps(rule_schema()))
    forms = schema["$defs"]
    assert {"All", "AnyOf", "Not", "Facts", "Sequence", "Attribute", "Consent"} <= set(forms)
    assert all(form["additionalProperties"] is False for form in forms.values())
    assert set(schema["discriminator"]["mapping"]) == {
        "all", "any", "not", *FACT_NAMES, "sequence", "attribute", "consent", "segment", "list",
        "random", "rfm", "rfm_cell", "percentile", "identifier", "date", "age", "deals", "tasks",
    }  # fmt: skip
    assert "?P<" not in json.dumps(schema)  # named groups are Python's, not JSON Schema's
