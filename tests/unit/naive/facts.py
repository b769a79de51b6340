"""What happened to a customer, by definition: the oracle's part for facts of every kind.

A fact here has `kind` (`receipt`, or the name of its kind), `version`, `branch`, `data` as its
event has them, and counts from an instant; instants are milliseconds after START.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from hashlib import blake2b
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from tests.unit.naive.record import HOUR, START, ZONE, compared, same

KINDS = (
    "receipts", "visits", "orders", "calls", "meetings", "messages", "complaints", "surveys",
    "page_views", "referrals", "notifications",
)  # fmt: skip
SPANS = {"PT1H": HOUR, "PT90M": HOUR * 3 // 2, "PT2H": 2 * HOUR, "PT5H": 5 * HOUR}
COUNTED = {"visits": {"kept", "walked_in"}, "orders": {"placed"}, "notifications": {"sent"}}
NUMBERS = {
    "receipts": "total", "visits": "minutes", "orders": "total", "calls": "seconds",
    "meetings": "minutes", "surveys": "score", "page_views": "seconds",
}  # fmt: skip
MILLISECOND = timedelta(milliseconds=1)


class Happened(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def branch(self) -> str | None: ...
    @property
    def data(self) -> Any: ...  # noqa: ANN401 - as its kind has it
    @property
    def counts_from(self) -> int: ...


def is_fact(kind: str) -> bool:
    return kind == "receipt" or kind in KINDS


def truth(rule: dict[str, Any], facts: Sequence[Happened], at: int) -> bool | None:
    if rule["kind"] == "sequence":
        return sequence(rule, facts, at)
    if rule["kind"] == "first_receipt":  # as it was said once
        return truth({**rule, "kind": "receipts", "aggregate": "first"}, facts, at)
    if rule["kind"] not in KINDS:
        return None
    passing = passed(facts, rule["kind"], rule.get("where"))
    if rule["aggregate"] in {"first", "last"}:
        ends = sorted(passing, key=lambda fact: (fact.counts_from, fact.version, turn(fact)))
        if not ends:
            return False
        end = ends[0] if rule["aggregate"] == "first" else ends[-1]
        having = rule.get("having")
        return bool(windowed([end], rule, at)) and (having is None or passes(end, having))
    value = figure(rule, windowed(passing, rule, at))
    return value is not None and compared(value, rule["compare"])  # type: ignore[arg-type]  # fractions compare too


def turn(fact: Happened) -> int:
    """Messages have streams of their own, so moment and version may be the same: a hash decides."""
    if fact.kind != "notifications":
        return 0
    name = f"{fact.data['message']}@{fact.version}".encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big", signed=True)


def figure(rule: dict[str, Any], facts: Sequence[Happened]) -> int | Fraction | None:
    where = rule.get("where", {})
    match rule["aggregate"]:
        case "count":
            return len(facts)
        case "distinct":
            return len({thing for fact in facts for thing in things(fact, rule["of"], where)})
    numbers = [number(fact, rule.get("of"), rule["kind"], where) for fact in facts]
    there = [each for each in numbers if each is not None]
    match rule["aggregate"]:
        case "sum":
            return sum(there, Fraction(0))
        case "average":
            return sum(there, Fraction(0)) / len(there) if there else None
        case "min":
            return min(there, default=None)
        case _:
            return max(there, default=None)


def passed(facts: Sequence[Happened], kind: str, where: dict[str, Any] | None) -> list[Happened]:
    """Those of a kind that pass; where no state is named, those in a state that counts."""
    kind_of = {"receipts": "receipt"}.get(kind, kind)
    of_kind = [fact for fact in facts if fact.kind == kind_of]
    if kind in COUNTED and (where is None or "state" not in where):
        of_kind = [fact for fact in of_kind if fact.data["state"] in COUNTED[kind]]
    return [fact for fact in of_kind if where is None or passes(fact, where)]


def windowed(facts: Sequence[Happened], rule: dict[str, Any], at: int) -> list[Happened]:
    if "within" in rule:
        span = SPANS[rule["within"]]
        return [fact for fact in facts if at - span < fact.counts_from <= at]
    if "between" in rule:
        begin, end = (after_start(rule["between"][each]) for each in ("from", "to"))
        return [fact for fact in facts if begin <= fact.counts_from < end]
    return list(facts)


def after_start(text: str) -> int:
    return (datetime.fromisoformat(text) - START) // MILLISECOND


def passes(fact: Happened, where: dict[str, Any]) -> bool:
    return all(has(fact, name, wanted, where) for name, wanted in where.items())


def has(fact: Happened, name: str, wanted: Any, where: dict[str, Any]) -> bool:  # noqa: ANN401 - as the filter has it
    data = fact.data
    match name:
        case "branch":
            return fact.branch in wanted
        case "employee" if fact.kind == "receipt":
            return data.get("cashier") in wanted
        case "coupon" if isinstance(wanted, bool):
            return (data["coupon_lines"] > 0) is wanted
        case "coupon":
            return any(code in wanted for code in data.get("coupons", ()))
        case "product" | "category" if fact.kind in {"receipt", "orders"}:
            return bool(list(lines(fact, where)))
        case "answered" | "direction":
            return bool(data[name] == wanted)
        case "answer":
            return any(
                each["question"] == wanted["question"]
                and each.get("score") is not None
                and compared(each["score"], wanted["score"])
                for each in data.get("answers", ())
            )
        case "extra":
            return all(
                any(same(data.get("extra", {}).get(key), value) for value in values)
                for key, values in wanted.items()
            )
    value = data.get(name)
    if isinstance(wanted, dict):
        return value is not None and compared(value, wanted)
    return value in wanted


def lines(fact: Happened, where: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The lines that pass the filters on product and category, both."""
    for line in fact.data.get("lines", ()):
        products, categories = where.get("product"), where.get("category")
        of_product = products is None or line["product"] in products
        of_category = categories is None or any(
            each in categories for each in line.get("categories", ())
        )
        if of_product and of_category:
            yield line


def number(fact: Happened, of: str | None, kind: str, where: dict[str, Any]) -> Fraction | None:
    name = of or NUMBERS[kind]
    if name in {"amount", "quantity"}:
        there = [Fraction(line[name]) for line in lines(fact, where)]
        return sum(there, Fraction(0)) if there else None
    value = fact.data.get(name)
    return None if value is None else Fraction(value)


def things(fact: Happened, of: str, where: dict[str, Any]) -> set[object]:
    match of:
        case "day":
            moment = START + fact.counts_from * MILLISECOND
            return {moment.astimezone(ZoneInfo(ZONE)).date()}
        case "branch":
            return set() if fact.branch is None else {fact.branch}
        case "product" if fact.kind in {"receipt", "orders"}:
            return {line["product"] for line in lines(fact, where)}
        case "employee" if fact.kind == "receipt":
            return {fact.data.get("cashier")} - {None}
    return {fact.data.get(of)} - {None}


def sequence(rule: dict[str, Any], facts: Sequence[Happened], at: int) -> bool:
    """Some first fact in the window has so many others; what may still come is awaited."""
    gap, after = SPANS[rule["gap"]], rule["direction"] == "after"
    others = passed(facts, rule["then"]["facts"], rule["then"].get("where"))
    for first in windowed(
        passed(facts, rule["first"]["facts"], rule["first"].get("where")), rule, at
    ):
        time = first.counts_from
        if after:
            count = sum(time < other.counts_from <= time + gap for other in others)
        else:
            count = sum(time - gap <= other.counts_from < time for other in others)
        may_change = after and at < time + gap and rule["compare"]["op"] not in {">=", ">"}
        if compared(count, rule["compare"]) and not may_change:
            return True
    return False


def looks_deep(rule: dict[str, Any]) -> bool:
    """Whether it asks for more than the last five hours and what is counted for ever."""
    inner = [*rule.get("clauses", ()), *([rule["clause"]] if "clause" in rule else [])]
    if rule["kind"] == "sequence":
        return "within" not in rule or rule["direction"] == "before"
    if rule["kind"] not in KINDS:
        return any(looks_deep(each) for each in inner)
    plain = "where" not in rule and rule["kind"] != "page_views"
    if rule["aggregate"] == "first":
        return not (plain and ("having" not in rule or "within" in rule))
    totals = rule["aggregate"] == "count" or (
        rule["aggregate"] == "sum" and rule.get("of") in {None, NUMBERS.get(rule["kind"])}
    )
    return "within" not in rule and not ("between" not in rule and plain and totals)
