"""The interpreter: each form is true to the millisecond, and says when time alone changes it.

Receipts are written as (hour, minor units); a window of an hour is (t − 1 h, t].
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.segment.rules.evaluating.tree import evaluate
from services.segment.rules.evaluating.verdict import Verdict
from services.segment.rules.happened import Details, Happened, pack
from services.segment.rules.reading import parse_rule
from services.segment.rules.series import COUNT
from services.segment.rules.view import View
from services.segment.rules.words import Attribute, Consent, FieldValue

HOUR = 3_600_000
NEVER = None


def receipt(
    time: int, version: int, total: int, *, coupon: bool = False, branch: str | None = None
) -> Happened:
    return Happened(time, version, 0, version, branch, total, pack(Details(coupon=coupon)))


def bought(*receipts: tuple[float, int], coupon: bool = False, branch: str | None = None) -> View:
    view = View()
    for version, (hour, total) in enumerate(receipts, start=1):
        view.add(receipt(int(hour * HOUR), version, total, coupon=coupon, branch=branch))
    return view


def count(op: str, value: int, within: str | None = "PT1H", **where: object) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "kind": "receipts",
        "aggregate": "count",
        "compare": {"op": op, "value": value},
    }
    if within is not None:
        rule["within"] = within
    if where:
        rule["where"] = where
    return rule


def total(op: str, value: int, within: str | None = "PT1H") -> dict[str, Any]:
    return {**count(op, value, within), "aggregate": "sum"}


def ask(rule: dict[str, Any], view: View, at: float) -> Verdict:
    return evaluate(parse_rule(rule), view, int(at))


def test_a_window_is_open_at_its_old_end_and_closed_at_its_new_one() -> None:
    view = bought((0, 100))
    rule = count(">=", 1)
    assert ask(rule, view, 0) == (True, HOUR)
    assert ask(rule, view, HOUR - 1) == (True, HOUR)
    assert ask(rule, view, HOUR) == (False, NEVER)


@pytest.mark.parametrize(
    ("op", "value", "verdict"),
    [
        # three receipts, at 0:00, 0:15 and 0:30; the window empties at 1:00, 1:15 and 1:30
        (">=", 3, (True, 1.0)),
        (">=", 1, (True, 1.5)),
        (">=", 0, (True, NEVER)),
        (">=", 4, (False, NEVER)),
        (">", 2, (True, 1.0)),
        (">", 3, (False, NEVER)),
        ("<=", 3, (True, NEVER)),
        ("<=", 1, (False, 1.25)),
        ("<", 1, (False, 1.5)),
        ("<", 0, (False, NEVER)),
        ("==", 3, (True, 1.0)),
        ("==", 2, (False, 1.0)),
        ("==", 0, (False, 1.5)),
        ("==", 4, (False, NEVER)),
    ],
)
def test_a_count_changes_when_the_receipt_that_matters_leaves(
    op: str, value: int, verdict: tuple[bool, float | None]
) -> None:
    view = bought((0, 1), (0.25, 1), (0.5, 1))
    truth, hours = verdict
    assert ask(count(op, value), view, HOUR / 2) == (truth, hours and hours * HOUR)


@pytest.mark.parametrize(
    ("op", "value", "verdict"),
    [
        # 500 at 0:00, 0 at 0:15, 300 at 0:30: the sum is 800, 300 from 1:00 on, 0 from 1:30 on
        (">=", 800, (True, 1.0)),
        (">=", 300, (True, 1.5)),
        (">=", 0, (True, NEVER)),
        (">=", 801, (False, NEVER)),
        ("<", 800, (False, 1.0)),
        ("<=", 299, (False, 1.5)),
        ("<=", 800, (True, NEVER)),
        ("==", 300, (False, 1.0)),
        ("==", 200, (False, NEVER)),
        ("==", 800, (True, 1.0)),
        ("<", -5, (False, NEVER)),
    ],
)
def test_a_sum_changes_when_the_receipt_that_matters_leaves(
    op: str, value: int, verdict: tuple[bool, float | None]
) -> None:
    view = bought((0, 500), (0.25, 0), (0.5, 300))
    truth, hours = verdict
    assert ask(total(op, value), view, HOUR / 2) == (truth, hours and hours * HOUR)


def test_receipts_of_one_moment_leave_together() -> None:
    view = bought((0, 100), (0, 100), (0.5, 100))
    assert ask(count("==", 2), view, HOUR / 2) == (False, NEVER)  # from 3 to 1 at 1:00
    assert ask(total("==", 200), view, HOUR / 2) == (False, NEVER)
    assert ask(count("==", 1), view, HOUR / 2) == (False, HOUR)


def test_a_negative_total_leaving_raises_the_sum() -> None:
    view = bought((0, -100), (0.5, 100))
    assert ask(total(">=", 100), view, HOUR / 2) == (False, HOUR)  # 0, then 100
    assert ask(total("==", 0), view, HOUR / 2) == (True, HOUR)
    assert ask(total(">=", 101), view, HOUR / 2) == (False, NEVER)


def test_ever_counts_everything_and_time_changes_nothing() -> None:
    view = bought((0, 100), (9, 0))
    assert ask(count("==", 2, within=None), view, 100 * HOUR) == (True, NEVER)
    assert ask(total("==", 100, within=None), view, 100 * HOUR) == (True, NEVER)


def test_a_receipt_of_nothing_is_a_receipt() -> None:
    assert ask(count(">=", 1), bought((0, 0)), 0).value
    assert ask(
        {"kind": "receipts", "aggregate": "first", "within": "PT1H"}, bought((0, 0)), 0
    ).value


def test_filters_let_through_only_what_satisfies_them_all() -> None:
    view = View()
    view.add(receipt(1, 1, 100, coupon=True, branch="1"))
    view.add(receipt(2, 2, 200, coupon=False, branch="1"))
    view.add(receipt(3, 3, 300, coupon=True, branch=None))
    at_least = {"op": ">=", "value": 200}
    assert ask(count("==", 2, branch=["1", "2"]), view, 3) == (True, HOUR + 1)
    assert ask(count("==", 2, coupon=True), view, 3) == (True, HOUR + 1)
    assert ask(count("==", 1, coupon=False), view, 3) == (True, HOUR + 2)
    assert ask(count("==", 2, total=at_least), view, 3) == (True, HOUR + 2)
    assert ask(count("==", 1, coupon=True, total=at_least), view, 3) == (True, HOUR + 3)
    assert ask(count("==", 0, branch=["1"], coupon=True, total=at_least), view, 3).value


def test_the_first_receipt_is_the_earliest_that_is_known() -> None:
    rule = {"kind": "receipts", "aggregate": "first", "within": "PT1H"}
    view = bought((2, 100))
    assert ask(rule, View(), 2 * HOUR) == (False, NEVER)
    assert ask(rule, view, 3 * HOUR - 1) == (True, 3 * HOUR)
    assert ask(rule, view, 3 * HOUR) == (False, NEVER)
    view.add(receipt(HOUR, 2, 100, coupon=False, branch=None))  # a late one, an hour before
    assert ask(rule, view, 2 * HOUR) == (False, NEVER)


@pytest.mark.parametrize(
    ("held", "test", "truth"),
    [
        ("a", {"op": "is", "value": "a"}, True),
        ("a", {"op": "is", "value": "b"}, False),
        (None, {"op": "is", "value": "a"}, False),
        ("a", {"op": "is_not", "value": "a"}, False),
        ("a", {"op": "is_not", "value": "b"}, True),
        (None, {"op": "is_not", "value": "a"}, True),
        ("b", {"op": "any_of", "values": ["a", "b"]}, True),
        ("c", {"op": "any_of", "values": ["a", "b"]}, False),
        (None, {"op": "any_of", "values": ["a"]}, False),
        (False, {"op": "known"}, True),
        (None, {"op": "known"}, False),
        (("a", "c"), {"op": "is", "value": "c"}, True),
        (("a", "c"), {"op": "is_not", "value": "c"}, False),
        (True, {"op": "is", "value": 1}, False),
        (0, {"op": "is", "value": False}, False),
        (1, {"op": "any_of", "values": [True, 1]}, True),
    ],
)
def test_an_attribute_is_compared_by_value_and_kind(
    held: FieldValue | None, test: dict[str, Any], *, truth: bool
) -> None:
    view = View()
    if held is not None:
        view.known.learn([Attribute("custom.x", held, 1)])
    rule = {"kind": "attribute", "field": "custom.x", "test": test}
    assert ask(rule, view, 0) == (truth, NEVER)


def test_of_two_values_for_one_field_that_of_the_later_version_holds() -> None:
    view = View()
    view.known.learn([Attribute("language", "de", 5)])
    view.known.learn([Attribute("language", "ru", 3)])  # learnt late
    rule = {"kind": "attribute", "field": "language", "test": {"op": "is", "value": "de"}}
    assert ask(rule, view, 0).value


def test_a_consent_is_as_the_last_word_of_the_stream_has_it() -> None:
    rule = {"kind": "consent", "topic": "news", "channel": "email"}
    view = View()
    assert not ask(rule, view, 0).value
    view.known.learn([Consent("news", "email", given=False, version=3)])
    view.known.learn([Consent("news", "email", given=True, version=2)])  # learnt late
    assert not ask(rule, view, 0).value
    view.known.learn([Consent("news", "sms", given=True, version=4)])
    assert not ask(rule, view, 0).value
    view.known.learn([Consent("news", "email", given=True, version=5)])
    assert ask(rule, view, 0) == (True, NEVER)


def joined(kind: str, *clauses: dict[str, Any]) -> dict[str, Any]:
    return {"kind": kind, "clauses": list(clauses)}


def test_what_all_clauses_make_true_lasts_until_the_first_of_them_changes() -> None:
    view = bought((0, 1), (0.5, 1))
    rule = joined("all", count(">=", 1), count(">=", 2))  # false at 1:30, and at 1:00
    assert ask(rule, view, HOUR / 2) == (True, HOUR)


def test_what_one_clause_makes_false_lasts_until_the_last_such_clause_changes() -> None:
    view = bought((0, 1), (0.5, 1))
    rule = joined("all", count("<", 1), count("<", 2))  # true at 1:30, and at 1:00
    assert ask(rule, view, HOUR / 2) == (False, 1.5 * HOUR)
    forever = count(">=", 9)
    assert ask(joined("all", count("<", 1), forever), view, HOUR / 2) == (False, NEVER)


def test_any_is_all_the_other_way_round() -> None:
    view = bought((0, 1), (0.5, 1))
    assert ask(joined("any", count(">=", 1), count(">=", 2)), view, HOUR / 2) == (True, 1.5 * HOUR)
    assert ask(joined("any", count("<", 1), count("<", 2)), view, HOUR / 2) == (False, HOUR)
    assert ask(joined("any", count("<", 1), count("<", 9)), view, HOUR / 2) == (True, NEVER)


def test_not_turns_the_truth_and_keeps_the_moment() -> None:
    rule = {"kind": "not", "clause": count(">=", 1)}
    assert ask(rule, bought((0, 1)), 0) == (False, HOUR)
    assert ask(rule, bought((0, 1)), HOUR) == (True, NEVER)


OPS = st.sampled_from([">=", ">", "<=", "<", "=="])


@settings(deadline=None)
@given(
    times=st.lists(st.integers(0, 12), max_size=8),
    totals=st.lists(st.integers(-2, 5), min_size=8, max_size=8),
    compare=st.tuples(OPS, st.integers(0, 8)),
    aggregate=st.sampled_from(["count", "sum"]),
    data=st.data(),
)
def test_the_next_moment_of_a_clause_is_exact(
    times: list[int],
    totals: list[int],
    compare: tuple[str, int],
    aggregate: str,
    data: st.DataObject,
) -> None:
    """Times in steps of a quarter of an hour; the window is an hour, so four steps."""
    step = HOUR // 4
    op, value = compare
    view = View()
    for version, (time, total_) in enumerate(zip(times, totals, strict=False)):
        if data.draw(st.booleans()):
            view.series("receipts", None, COUNT)  # a series grows as well as it is built
        view.add(receipt(time * step, version, total_, coupon=False, branch=None))
    rule = parse_rule({**count(op, value), "aggregate": aggregate})

    def truth(at: int) -> bool:
        inside = [t for i, t in zip(times, totals, strict=False) if at - HOUR < i * step <= at]
        number = len(inside) if aggregate == "count" else sum(inside)
        return bool(eval(f"{number} {op} {value}"))  # noqa: S307 - both numbers and op are ours

    start = max(times, default=0) * step
    changes = next(
        (at for at in range(start, start + HOUR + step, step) if truth(at) != truth(start)), None
    )
    assert evaluate(rule, view, start) == (truth(start), changes)
