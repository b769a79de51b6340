"""The rules of points: how they change, and what receipts earn by them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.interaction.domain.points.rules import (
    MAX_RATES,
    RULES,
    DefineRules,
    PointsRules,
    Sold,
    after,
    earning_of,
    most_payable,
    percent_of,
)
from shared.events.points import EarningLine, PointsExpired, PointsRulesDefined, Rate
from shared.testing import DAY
from shared.testing.specification import given


def rules(**more: Any) -> PointsRulesDefined:  # noqa: ANN401 - any fields of the event
    found: dict[str, Any] = {
        "rates": (Rate(percent=500),),
        "point_value": 1,
        "payable_percent": 3000,
        "hold_minutes": 60,
        "since": DAY,
        **more,
    }
    return PointsRulesDefined(**found)


def whatever(_version: int | None) -> None:
    """The change rests on no version."""


def define(rests_on: Callable[[int | None], None] = whatever, **more: Any) -> DefineRules:  # noqa: ANN401 - any fields of the event
    return DefineRules(rules=rules(**more), at=DAY, rests_on=rests_on)


def test_rules_are_told_whole_each_time_and_equal_ones_are_no_change() -> None:
    given(RULES).when(define()).then([rules()])
    given(RULES, [rules()]).when(define(since=DAY + timedelta(days=1))).then_nothing()


def test_a_change_says_which_version_it_rests_on() -> None:
    seen: list[int | None] = []
    given(RULES).when(define(seen.append)).then([rules()])
    given(RULES, [rules()]).when(define(seen.append, life="P1Y")).then([rules(life="P1Y")])
    assert seen == [None, 1]


def test_what_was_earned_stays_so_rules_do_not_begin_in_the_past() -> None:
    early = DAY - timedelta(milliseconds=1)
    given(RULES).when(define(since=early)).then_refused("invalid", "since")


def test_rules_do_not_begin_before_those_that_are_still_to_come() -> None:
    coming = rules(since=DAY + timedelta(days=2))
    given(RULES, [coming]).when(define(life="P1Y")).then_refused("rules-still-to-come")


@pytest.mark.parametrize("life", ["1Y", "P0D", "P1H", "P1Y6M", "P11Y", "P4000D", ""])
def test_a_life_has_one_unit_and_ends(life: str) -> None:
    given(RULES).when(define(life=life)).then_refused("invalid", "life")


def test_pending_ends_as_well() -> None:
    given(RULES).when(define(pending_days=3_661)).then_refused("invalid", "pending_days")


def test_each_category_and_branch_has_one_rate() -> None:
    twice = (Rate(percent=1, category="a"), Rate(percent=2), Rate(percent=2, category="a"))
    given(RULES).when(define(rates=twice)).then_refused("invalid", "rates.2")
    many = tuple(Rate(percent=1, category=str(number)) for number in range(MAX_RATES + 1))
    given(RULES).when(define(rates=many)).then_refused("invalid", "rates")


def test_a_moment_goes_by_the_last_rules_that_have_begun() -> None:
    later = DAY + timedelta(days=2)
    state = PointsRules((rules(), rules(life="P1Y", since=later)))
    assert state.at(DAY - timedelta(milliseconds=1)) is None
    assert state.at(later - timedelta(milliseconds=1)) == (1, state.versions[0])
    assert state.at(later) == (2, state.versions[1])
    assert (PointsRules().version, PointsRules().newest) == (0, None)


def test_rules_have_no_other_events() -> None:
    with pytest.raises(TypeError, match="have no event"):
        RULES.evolve(PointsRules(), PointsExpired(lot="a", points=1))


RATES = (
    Rate(percent=100),
    Rate(percent=200, branch="12"),
    Rate(percent=300, category="food"),
    Rate(percent=400, category="food", branch="12"),
    Rate(percent=0, category="tea"),
)


@pytest.mark.parametrize(
    ("categories", "branch", "percent"),
    [
        ((), "7", 100),
        ((), "12", 200),
        (("food",), "7", 300),
        (("food", "bread"), "7", 300),  # a child of the category
        (("food", "bread"), "12", 400),  # of equal depth the one with the branch
        (("food", "tea"), "12", 0),  # the deeper category, though the other names the branch
        (("toys",), "7", 100),
    ],
)
def test_the_most_particular_rate_counts(
    categories: tuple[str, ...], branch: str, percent: int
) -> None:
    assert percent_of(rules(rates=RATES), categories, branch) == percent


def test_a_product_for_which_there_is_no_rate_earns_nothing() -> None:
    assert percent_of(rules(rates=()), ("food",), "12") == 0


def points(lines: list[Sold], paid: int = 0, **more: Any) -> int:  # noqa: ANN401 - any fields of the event
    found = earning_of((1, rules(**more)), lines, "12", paid)
    return 0 if found is None else found.points


def test_points_are_a_part_of_what_was_paid_rounded_down_once() -> None:
    # 5 % of 119 + 119 = 11.9; rounded line by line it would be 5 + 5.
    assert points([Sold(119), Sold(119)]) == 11


def test_a_point_may_be_worth_more_than_a_minor_unit() -> None:
    assert points([Sold(12_345)], point_value=100) == 6  # 617.25 minor units


def test_a_small_receipt_earns_nothing() -> None:
    assert (points([Sold(999)], minimum=1000), points([Sold(1000)], minimum=1000)) == (0, 50)


def test_a_receipt_that_comes_to_nothing_earns_nothing() -> None:
    assert points([Sold(1000), Sold(-1000)]) == 0
    assert points([Sold(19)]) == 0  # 0.95


def test_what_points_paid_earns_nothing_unless_the_rules_say_so() -> None:
    assert points([Sold(1000), Sold(1000)], paid=500) == 75  # 5 % of 1500
    assert points([Sold(1000), Sold(1000)], paid=500, on_points_paid=True) == 100
    assert points([Sold(1000)], paid=5000) == 0


def test_all_lines_bear_together_what_points_paid() -> None:
    found = earning_of((3, rules()), [Sold(1), Sold(1), Sold(-5), Sold(998)], "12", 495)
    assert found is not None
    # 495 + 5 of 1000: after the first line 0.5 are borne, after the second 1, after the last 500.
    assert found.lines == (
        EarningLine(line=1, amount=1, base=1, percent=500),
        EarningLine(line=2, amount=1, base=0, percent=500),
        EarningLine(line=4, amount=998, base=499, percent=500),
    )
    assert (found.points, found.rules) == (25, 3)


def test_what_a_line_gives_back_earns_nothing_whoever_paid() -> None:
    # 5 % of 1000 - 900, and of what points left of that.
    assert points([Sold(1000), Sold(-900)]) == 5
    assert points([Sold(-900), Sold(1000)], on_points_paid=True, paid=50) == 5
    assert points([Sold(1000), Sold(-900)], paid=40) == 3


def test_lines_without_a_rate_are_left_out() -> None:
    lines = [Sold(1000, ("tea",)), Sold(1000, ("food",))]
    found = earning_of((1, rules(rates=(Rate(percent=500, category="food"),))), lines, None, 0)
    assert found is not None
    assert [line.line for line in found.lines] == [2]


@pytest.mark.parametrize(
    ("begin", "life", "end"),
    [
        ("2018-01-31", "P1M", "2018-02-28"),
        ("2016-02-29", "P1Y", "2017-02-28"),
        ("2018-11-30", "P3M", "2019-02-28"),
        ("2018-12-01", "P12M", "2019-12-01"),
        ("2018-01-31", "P30D", "2018-03-02"),
        ("2018-01-01", "P2W", "2018-01-15"),
    ],
)
def test_a_life_ends_on_a_day_that_there_is(begin: str, life: str, end: str) -> None:
    moment = datetime.fromisoformat(begin).replace(hour=9, tzinfo=UTC)
    assert after(moment, life) == datetime.fromisoformat(end).replace(hour=9, tzinfo=UTC)


def test_points_live_for_ever_where_the_rules_do_not_say_otherwise() -> None:
    assert after(DAY, None) is None


@pytest.mark.parametrize(
    ("total", "value", "most"), [(1000, 1, 300), (999, 1, 299), (1000, 7, 42), (-5, 1, 0)]
)
def test_points_pay_for_a_part_of_a_receipt(total: int, value: int, most: int) -> None:
    assert most_payable(rules(point_value=value), total) == most
