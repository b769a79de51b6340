"""Rules about facts of every kind: which are none and why, how they read, and what is kept."""

from typing import Any

import msgspec
import pytest

from services.segment.engine.amending import amend
from services.segment.engine.happening import happened, thousandths
from services.segment.engine.life import Life
from services.segment.engine.profile import Profile
from services.segment.engine.reported import Recorded, Returned, ReturnedLine, SoldLine, Visit
from services.segment.rules.evaluating.tree import evaluate
from services.segment.rules.happened import Happened, Names, details_of
from services.segment.rules.instants import UNITS, instant
from services.segment.rules.language.tree import look_back, reads, since, to_json
from services.segment.rules.reading import InvalidRule, parse_rule
from services.segment.rules.ruleset import NO_RULES
from services.segment.rules.sentences.tree import describe
from services.segment.rules.view import View
from shared.moves import Moved, Withdrawn
from shared.wording import Languages
from tests.unit.naive.record import HOUR, START

DAY = UNITS["day"]
ENGLISH = Languages().wording("en")
ONE = {"op": ">=", "value": 1}
NONE = {"op": "==", "value": 0}


def facts(kind: str = "receipts", aggregate: str = "count", **more: object) -> dict[str, Any]:
    compare = {} if aggregate in {"first", "last"} else {"compare": ONE}
    return {"kind": kind, "aggregate": aggregate, **compare, **more}


def sequence(**more: object) -> dict[str, Any]:
    return {
        "kind": "sequence", "first": {"facts": "visits"}, "then": {"facts": "receipts"},
        "direction": "after", "gap": "P7D", "within": "P30D", "compare": NONE, **more,
    }  # fmt: skip


MARCH = {"from": "2026-03-01T00:00:00+03:00", "to": "2026-04-01T00:00:00+03:00"}


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (
            facts(within="P30D", where={"branch": ["12"]}, compare={"op": ">=", "value": 3}),
            "bought ≥ 3 times within 30 days in branch 12",
        ),
        (facts("complaints", compare=NONE), "never complained"),
        (
            facts("visits", where={"state": ["missed"]}, within="P7D"),
            "visited within 7 days (missed)",
        ),
        (
            facts(
                aggregate="distinct", of="product", within="P7D",
                compare={"op": ">", "value": 4},
            ),
            "bought with > 4 different products within 7 days",
        ),
        (
            facts(aggregate="average", within="P7D", compare={"op": "<", "value": 1_000}),
            "the average of receipts within 7 days is < 10.00",
        ),
        (
            facts(
                aggregate="sum", of="quantity", within="P7D", where={"product": ["milk", "tea"]},
                compare={"op": ">=", "value": 3},
            ),
            "quantities bought within 7 days of product milk or tea sum to ≥ 3",
        ),
        (
            facts("surveys", "last", within="P7D", having={"score": {"op": "<", "value": 3}}),
            "answered a survey for the last time within 7 days, and that was with score < 3",
        ),
        (
            facts("receipts", "first", between=MARCH),
            (
                "bought for the first time from Feb 28, 2026, 9:00:00 PM"
                " until Mar 31, 2026, 9:00:00 PM"
            ),
        ),
        (sequence(), "visited within 30 days, and within 7 days after that did not buy"),
        (
            sequence(direction="before", compare={"op": ">=", "value": 2}),
            "visited within 30 days, and within 7 days before that bought ≥ 2 times",
        ),
        (
            facts(
                "notifications", within="P7D",
                where={"state": ["opened"], "campaign": ["spring"]},
            ),
            "opened a message of a campaign within 7 days of campaign spring",
        ),
        (
            facts(
                "calls", where={"direction": "in", "answered": False, "extra": {"line": [1, "x"]}},
                within="P7D",
            ),
            "had a call within 7 days from the customer not answered with line 1 or x",
        ),
    ],
)  # fmt: skip
def test_a_rule_reads_as_a_sentence_and_is_written_as_it_was(
    raw: dict[str, Any], sentence: str
) -> None:
    said = describe(parse_rule(raw), ENGLISH).replace("\u202f", " ")
    assert said == sentence
    assert parse_rule(to_json(parse_rule(raw))) == parse_rule(raw)


@pytest.mark.parametrize(
    ("raw", "path", "words"),
    [
        (facts("calls", where={"till": ["1"]}), "rule.where.till", "these are: answered"),
        (facts("visits", where={"state": ["come"]}), "rule.where.state", "booked, kept"),
        (facts("messages", "sum"), "rule.aggregate", "have no number"),
        (facts(aggregate="sum", of="minutes"), "rule.of", "total, amount, quantity"),
        (facts(aggregate="distinct"), "rule.of", "distinct can be: day, branch"),
        (facts(aggregate="distinct", of="page"), "rule.of", "can be: day"),
        (facts(of="total"), "rule.of", "is not needed"),
        (facts(compare=None), "rule.compare", "is needed"),
        (facts(aggregate="first", within="P1D", compare=ONE), "rule.compare", "is not part of"),
        (facts(aggregate="last"), "rule.within", "when the last one was"),
        (facts(having={"branch": ["1"]}), "rule.having", "`first` and `last` alone"),
        (facts(within="P1D", between=MARCH), "rule.between", "beside `within`"),
        (facts(between={"from": "2026-03-01", "to": "x"}), "rule.between.from", "with its zone"),
        (facts(between={**MARCH, "from": MARCH["to"]}), "rule.between.to", "later than"),
        (facts(within="P1D", where={"extra": {"a": []}}), "rule.where.extra.a", "at least 1"),
        (sequence(within="P7D"), "rule.within", "is longer than `gap`"),
        (sequence(compare={"op": ">", "value": -1}), "rule.compare.value", "0 or more"),
        (
            sequence(then={"facts": "calls", "where": {"page": ["x"]}}),
            "rule.then.where.page", "no filter",
        ),
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused_with_the_path_and_what_would_be_right(
    raw: dict[str, Any], path: str, words: str
) -> None:
    with pytest.raises(InvalidRule) as refused:
        parse_rule(raw)
    said = {error.field: error.message for error in refused.value.errors}
    assert path in said
    assert words in said[path]


@pytest.mark.parametrize(
    "raw",
    [
        facts(where={"coupon": True}),
        facts("page_views"),
        facts(aggregate="average"),
        facts(aggregate="first", within="P1D", where={"branch": ["1"]}),
        {key: value for key, value in sequence().items() if key != "within"},
    ],
)
def test_what_asks_of_all_time_and_is_not_counted_for_ever_says_what_to_do(
    raw: dict[str, Any],
) -> None:
    parse_rule(raw)  # as it may be in the log
    with pytest.raises(InvalidRule) as refused:
        parse_rule(raw, horizon=400 * DAY)
    (error,) = refused.value.errors
    assert error.field == "rule.within"
    assert "give `within` of up to 400 days" in error.message


def test_a_beginning_that_is_no_longer_kept_is_refused_with_the_first_that_is() -> None:
    raw = facts("visits", where={"branch": ["1"]}, between=MARCH)
    begin = instant(START) + 59 * DAY - 3 * HOUR  # the first of March in Moscow
    parse_rule(raw, horizon=400 * DAY, now=begin + 399 * DAY)
    with pytest.raises(InvalidRule) as refused:
        parse_rule(raw, horizon=400 * DAY, now=begin + 399 * DAY + 1)
    (error,) = refused.value.errors
    assert error.field == "rule.between.from"
    assert "begin at 2026-02-28T21:00:00.001Z or later" in error.message


def test_a_rule_knows_how_far_back_it_looks() -> None:
    assert look_back(parse_rule(sequence())) == 30 * DAY
    assert look_back(parse_rule(sequence(direction="before"))) == 37 * DAY
    assert since(parse_rule(facts(between=MARCH))) == instant(START) + 59 * DAY - 3 * HOUR
    assert since(parse_rule(facts(aggregate="first", between=MARCH))) is None
    assert reads(parse_rule(sequence())) == {"visits", "receipts"}


def test_a_form_of_old_is_read_as_that_of_today() -> None:
    old = {"kind": "not", "clause": {"kind": "first_receipt", "within": "P1D"}}
    new = {"kind": "not", "clause": facts(aggregate="first", within="P1D")}
    assert to_json(parse_rule(old)) == new


# What is kept, and what becomes of it

MILK = SoldLine("milk", "2", 300, ("food", "dairy"))
TEA = SoldLine("tea", "0.1005", 700)


def kept(data: object, at: int, version: int, names: Names) -> Happened:
    fact = happened(data, at, version, "1", lambda: names)
    assert fact is not None
    return fact


def basket(view: View, at: int = 0) -> None:
    data = Recorded("r", 1000, 0, (MILK, TEA), extra={"a": "pii:v1:k:s:x:y", "b": "y" * 201})
    view.add(kept(data, at, 1, view.names))


def truth(view: View, raw: dict[str, Any], at: int = HOUR) -> bool:
    return evaluate(parse_rule(raw), view, at).value


def test_lines_are_told_in_the_names_of_the_profile() -> None:
    view = View()
    basket(view)
    details = details_of(view.receipts[0])
    assert view.names.all == ["milk", "food", "dairy", "tea"]
    # 2 pieces, and 0.1005 in thousandths, half to even.
    assert [(line.product, line.quantity) for line in details.lines] == [(0, 2000), (3, 100)]
    assert "b" not in details.extra  # longer than a rule can name
    assert thousandths("0.0015") == 2
    assert thousandths("0.0025") == 2


def test_a_category_is_any_on_the_way_from_the_root_and_of_the_same_line() -> None:
    view = View()
    basket(view)
    week = {"within": "P7D"}
    assert truth(view, facts(**week, where={"category": ["food"]}))
    assert not truth(view, facts(**week, where={"category": ["food"], "product": ["tea"]}))
    quantity = facts(aggregate="sum", of="quantity", **week, where={"category": ["dairy"]})
    assert truth(view, {**quantity, "compare": {"op": "==", "value": 2}})
    amount = facts(aggregate="max", of="amount", **week, where={"product": ["tea"]})
    assert truth(view, {**amount, "compare": {"op": "==", "value": 700}})


def test_a_return_lowers_the_lines_that_came_back() -> None:
    profile = Profile(id="c", rules=0)
    life = Life(profile, NO_RULES)
    basket(life.view)
    back = Returned("r", 300, (ReturnedLine(1, "2", 300),))
    assert list(amend(life, back)) == ["receipts"]
    sold = facts(aggregate="sum", of="amount", within="P7D", where={"product": ["milk"]})
    # The line stays, as the receipt does: nothing is left of its amount.
    assert truth(life.view, {**sold, "compare": NONE})
    assert truth(life.view, facts(within="P7D", where={"product": ["milk"]}))
    assert life.view.tally("receipts").total == 700


def test_a_withdrawn_fact_never_was_also_where_it_is_not_kept_any_more() -> None:
    life = Life(Profile(id="c", rules=0), NO_RULES)
    visit = Visit(fact="v", visit="1", state="kept")
    life.take(kept(visit, 5 * HOUR, 1, life.view.names))
    life.take(kept(Visit(fact="w", visit="2", state="kept"), 400 * DAY, 2, life.view.names))
    life.clock = 400 * DAY
    life.trim(100 * DAY, None)
    assert [fact.version for fact in life.view.happened["visits"]] == [2]
    tally = life.view.tally("visits")
    assert (tally.count, tally.first) == (2, 5 * HOUR)
    told = msgspec.Raw(msgspec.json.encode(visit))
    when = START  # of the fact, which counts at 5:00 on the day of the epoch
    when = when.fromtimestamp(5 * 3600, when.tzinfo)
    gone = Moved("v", "interaction.visit_recorded.v1", when, when, told)
    assert list(amend(life, Withdrawn(gone))) == ["visits"]
    tally = life.view.tally("visits")
    assert (tally.count, tally.first, tally.let_go) == (1, 400 * DAY, b"")


def test_what_a_rule_needs_from_a_moment_on_is_kept_whatever_the_horizon() -> None:
    life = Life(Profile(id="c", rules=0), NO_RULES)
    for version, at in enumerate((1 * DAY, 2 * DAY, 3 * DAY), start=1):
        life.take(kept(Visit(fact=f"{version}", visit="1", state="kept"), at, version, Names()))
    life.clock = 400 * DAY
    life.trim(100 * DAY, 2 * DAY)
    assert [fact.version for fact in life.view.happened["visits"]] == [2, 3]


def test_a_missed_visit_counts_only_where_it_is_asked_for() -> None:
    view = View()
    view.add(kept(Visit(fact="v", visit="1", state="missed"), 0, 1, view.names))
    assert truth(view, facts("visits", compare=NONE))
    assert truth(view, facts("visits", within="P1D", where={"state": ["missed"]}))


def test_what_may_still_come_is_waited_for() -> None:
    view = View()
    view.add(kept(Visit(fact="v", visit="1", state="kept"), 0, 1, view.names))
    rule = parse_rule(sequence())
    assert evaluate(rule, view, HOUR) == (False, 7 * DAY)
    assert evaluate(rule, view, 7 * DAY) == (True, 30 * DAY)
    basket(view, 7 * DAY)  # on the last instant of the week
    assert evaluate(rule, view, 7 * DAY) == (False, None)
