"""What is known of a customer, by definition: the oracle's part for record, dates, deals and tasks.

A fact here has `kind`, `version`, `stream`, `data`, and counts from an instant; instants are
milliseconds after START. Each form is followed word by word over the facts that count by then:
folded stream by stream in the order of versions, and days are looked at one by one.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = 3_600_000
ZONE = "Asia/Kolkata"
ZONES = {"1": "America/New_York", "2": "Pacific/Auckland"}
"""Branch 3 has none that is known."""

LENGTHS = {"PT1H": HOUR, "PT90M": HOUR * 3 // 2, "PT5H": 5 * HOUR}
DAY_COUNTS = {"P1D": 1, "P2D": 2, "P1W": 7, "P366D": 366}
NUMBERS = {"discount", "misuse"}
SEVERAL = {"tags", "categories"}
YES_NO = {"archived", "blacklisted", "internal"}


class Told(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def stream(self) -> str: ...
    @property
    def data(self) -> Any: ...  # noqa: ANN401 - as its kind has it
    @property
    def counts_from(self) -> int: ...


def in_turn(facts: Sequence[Told], *kinds: str) -> list[Told]:
    return sorted((f for f in facts if f.kind in kinds), key=lambda fact: fact.version)


def held_value(facts: Sequence[Told], name: str) -> object:
    """The value of a field; None where there is none."""
    if name in NUMBERS | SEVERAL:
        return items(facts, name)
    value: object = False if name in YES_NO else None
    for fact in in_turn(facts, "registered", "changed", "flag"):
        match fact.kind:
            case "flag" if fact.data[0] == name:
                value = fact.data[1]
            case "registered" if name in fact.data:
                value = fact.data[name]
            case "changed":
                value = fact.data["set"].get(name, value)
                if name in fact.data["cleared"]:
                    value = False if name in YES_NO else None
    return value


def items(facts: Sequence[Told], name: str) -> object:
    if name == "misuse":
        suspected: set[str] = set()
        for fact in in_turn(facts, "misuse"):
            what, days = fact.data
            suspected = suspected | set(days) if what == "suspected" else suspected - set(days)
        return len(suspected)
    if name == "discount":
        granted = {fact.data[0]: fact.data[1] for fact in in_turn(facts, "discount")}
        return max((value for value in granted.values() if value is not None), default=0)
    there: set[Any] = set()
    for fact in in_turn(facts, name):
        came, gone = fact.data
        there = (there | set(came)) - set(gone)
    found = {each[0] for each in there} if name == "categories" else there
    return tuple(sorted(found)) or None


def same(one: object, other: object) -> bool:
    return type(one) is type(other) and bool(one == other)


def compared(value: int, test: dict[str, Any]) -> bool:
    wanted: int = test["value"]
    return {
        ">=": value >= wanted,
        ">": value > wanted,
        "<=": value <= wanted,
        "<": value < wanted,
        "==": value == wanted,
    }[test["op"]]


def satisfies(value: object, test: dict[str, Any]) -> bool:
    several = value if isinstance(value, tuple) else (value,)
    texts = [each.casefold() for each in several if isinstance(each, str)]
    match test["op"]:
        case "known":
            return value is not None
        case "contains":
            return any(test["value"].casefold() in text for text in texts)
        case "begins":
            return any(text.startswith(test["value"].casefold()) for text in texts)
        case "between":
            return between(value, test["low"], test["high"])
        case "is" | "is_not" | "any_of":
            wanted = test["values"] if test["op"] == "any_of" else [test["value"]]
            found = any(same(one, other) for one in several for other in wanted)
            return not found if test["op"] == "is_not" else found
    return type(value) is int and compared(value, test)


def between(value: object, low: object, high: object) -> bool:
    if isinstance(low, str):
        day = as_date(value)
        return day is not None and as_date(low) <= day <= as_date(high)  # type: ignore[operator]  # both are dates
    return type(value) is int and low <= value <= high  # type: ignore[operator]  # both are numbers


def as_date(value: object) -> date | None:
    try:
        found = date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        return None
    return found if found.isoformat() == value else None


# Lists


def on_list(facts: Sequence[Told], name: str) -> bool:
    """What was said last of the list."""
    said = [fact.data[0] for fact in in_turn(facts, "list") if fact.data[1] == name]
    return said[-1:] == ["entered"]


# Contact points and consents


def contacts(facts: Sequence[Told]) -> dict[tuple[str, str], str]:
    """Kind and hash → what is known of it."""
    there: dict[tuple[str, str], str] = {}
    for fact in in_turn(facts, "identifier"):
        what, kind, hashed, state = fact.data
        if what == "added":
            there[kind, hashed] = state or "unverified"
        elif what == "removed":
            there.pop((kind, hashed), None)
        elif (kind, hashed) in there and state is not None:
            there[kind, hashed] = state
    return there


def consent(facts: Sequence[Told], topic: str, channel: str | None) -> str:
    said: dict[tuple[str, str | None], bool] = {}
    for fact in in_turn(facts, "consent"):
        on, by, given, contact = fact.data
        if on != topic:
            continue
        said[by, contact] = given
        if not given and contact is None:
            said |= {place: False for place in said if place[0] == by}
    reachable = {hashed for _, hashed in contacts(facts)}
    heard = {place: given for place, given in said.items() if channel in {None, place[0]}}
    if any(given and (c is None or c in reachable) for (_, c), given in heard.items()):
        return "given"
    return "withdrawn" if not all(heard.values()) else "unknown"


def identifier(facts: Sequence[Told], rule: dict[str, Any]) -> bool:
    states = [state for (kind, _), state in contacts(facts).items() if kind == rule["identifier"]]
    test = rule["test"]
    if test["op"] == "known":
        return bool(states)
    if test["op"] in {"verified", "bad"}:
        return test["op"] in states
    return compared(len(states), test)


# Days


def zone_of(facts: Sequence[Told], rule: dict[str, Any]) -> ZoneInfo:
    if rule.get("zone") != "branch":
        return ZoneInfo(ZONE)
    return ZoneInfo(ZONES.get(str(held_value(facts, "home_branch")), ZONE))


def local_day(at: int, zone: ZoneInfo) -> date:
    return (START + timedelta(milliseconds=at)).astimezone(zone).date()


def dated(facts: Sequence[Told], rule: dict[str, Any], at: int) -> bool:
    zone = zone_of(facts, rule)
    today, day = local_day(at, zone), date_of(facts, rule["field"], zone)
    if day is None:
        return False
    test = rule["test"]
    ahead = [today + timedelta(k) for k in range(DAY_COUNTS.get(test.get("within", "P1D"), 1))]
    behind = [today - timedelta(k) for k in range(len(ahead))]
    if not rule.get("yearly"):
        low = as_date(test.get("low", test.get("day")))
        high = as_date(test.get("high", test.get("day")))
        return {
            "next": day in ahead,
            "last": day in behind,
            "today": day == today,
            "passed": day < today,
            "on": day == low,
            "between": low is not None and high is not None and low <= day <= high,
        }[test["op"]]
    if test["op"] in {"on", "between"}:
        return in_part(test.get("low", test.get("day")), test.get("high", test.get("day")), day)
    year = [date(today.year, 1, 1) + timedelta(k) for k in range(366)]
    wanted = {
        "next": ahead,
        "last": behind,
        "today": [today],
        "passed": [each for each in year if each < today],
    }[test["op"]]
    return any(each.year > day.year and is_anniversary(each, day) for each in wanted)


def is_anniversary(day: date, of: date) -> bool:
    if (of.month, of.day) == (2, 29) and day.year % 4:
        return (day.month, day.day) == (3, 1)
    return (day.month, day.day) == (of.month, of.day)


def in_part(low: str, high: str, day: date) -> bool:
    place = day.strftime("%m-%d")
    return low <= place <= high if low <= high else place >= low or place <= high


def date_of(facts: Sequence[Told], name: str, zone: ZoneInfo) -> date | None:
    receipts = [fact.counts_from for fact in facts if fact.kind == "receipt"]
    if name in {"first_receipt", "last_receipt"}:
        ends = {"first_receipt": min, "last_receipt": max}[name]
        return local_day(ends(receipts), zone) if receipts else None
    if name == "registered":
        told = in_turn(facts, "registered")
        return local_day(told[-1].counts_from, zone) if told else None
    return as_date(held_value(facts, name))


def aged(facts: Sequence[Told], rule: dict[str, Any], at: int) -> bool:
    zone = zone_of(facts, rule)
    today, born = local_day(at, zone), date_of(facts, "birth_date", zone)
    if born is None or today < born:
        return False
    years = sum(birthday(born, year) <= today for year in range(born.year + 1, today.year + 1))
    test = rule["test"]
    return between(years, test["low"], test["high"]) if "low" in test else compared(years, test)


def birthday(born: date, year: int) -> date:
    days = [date(year, month, 1) + timedelta(born.day - 1) for month in (born.month,)]
    return next(day for day in days if is_anniversary(day, born))


# Deals and tasks


def dealings(facts: Sequence[Told], kind: str) -> Iterator[dict[str, Any]]:
    """Each deal or task as its last events have it; none of which the first is not known yet."""
    streams = sorted({fact.stream for fact in facts if fact.kind == kind})
    for stream in streams:
        told = [fact for fact in in_turn(facts, kind) if fact.stream == stream]
        if not any(fact.data[0] == "begun" for fact in told):
            continue
        state: dict[str, Any] = {}
        for fact in told:
            what, values = fact.data
            state |= values
            if what == "begun":
                state["begun"] = fact.counts_from
            if "state" in values:
                state["since"] = fact.counts_from
        if state["state"] != "gone":
            yield state


def deals(facts: Sequence[Told], rule: dict[str, Any], at: int) -> bool:
    where = rule.get("where", {})
    count = sum(deal_counts(deal, where, at) for deal in dealings(facts, "deal"))
    return compared(count, rule["compare"])


def deal_counts(deal: dict[str, Any], where: dict[str, Any], at: int) -> bool:
    closed = deal["since"] if deal["state"] != "open" else None
    checks: dict[str, Callable[[Any], bool]] = {
        "state": lambda wanted: deal["state"] == wanted,
        "stage": lambda wanted: deal["stage"] in wanted,
        "responsible": lambda wanted: deal["responsible"] in wanted,
        "branch": lambda wanted: deal["branch"] in wanted,
        "amount": lambda wanted: compared(deal["amount"], wanted),
        "in_stage": lambda span: deal["state"] == "open" and deal["since"] + LENGTHS[span] <= at,
        "opened": lambda span: at - LENGTHS[span] < deal["begun"],
        "closed": lambda span: closed is not None and at - LENGTHS[span] < closed,
    }
    return all(checks[name](wanted) for name, wanted in where.items())


def tasks(facts: Sequence[Told], rule: dict[str, Any], at: int) -> bool:
    where = rule.get("where", {})
    count = sum(task_counts(task, where, at) for task in dealings(facts, "task"))
    return compared(count, rule["compare"])


def task_counts(task: dict[str, Any], where: dict[str, Any], at: int) -> bool:
    ended = task["since"] if task["state"] in {"completed", "cancelled"} else None
    overdue = task["state"] == "open" and task["due"] is not None and task["due"] <= at
    checks: dict[str, Callable[[Any], bool]] = {
        "state": lambda wanted: overdue if wanted == "overdue" else task["state"] == wanted,
        "kind": lambda wanted: task["kind"] in wanted,
        "responsible": lambda wanted: task["responsible"] in wanted,
        "outcome": lambda wanted: ended is not None and task.get("outcome") in wanted,
        "planned": lambda span: at - LENGTHS[span] < task["begun"],
        "ended": lambda span: ended is not None and at - LENGTHS[span] < ended,
    }
    return all(checks[name](wanted) for name, wanted in where.items())


def truth(rule: dict[str, Any], facts: Sequence[Told], at: int) -> bool | None:
    """By the facts that count at the instant; None for a form of another room."""
    match rule["kind"]:
        case "attribute":
            return satisfies(held_value(facts, rule["field"]), rule["test"])
        case "consent":
            state = consent(facts, rule["topic"], rule.get("channel"))
            return bool(state == rule.get("state", "given"))
        case "identifier":
            return identifier(facts, rule)
        case "list":
            return on_list(facts, rule["list"]) is rule["inside"]
        case "date":
            return dated(facts, rule, at)
        case "age":
            return aged(facts, rule, at)
        case "deals":
            return deals(facts, rule, at)
        case "tasks":
            return tasks(facts, rule, at)
    return None


def edges(facts: Sequence[Told], written: str, begin: int, end: int) -> Iterator[int]:
    """Every instant from begin to end at which one of these forms may change by time."""
    if "'deals'" in written or "'tasks'" in written:
        for fact in facts:
            if fact.kind in {"deal", "task"}:
                yield from (fact.counts_from + span for span in LENGTHS.values())
                due = fact.data[1].get("due")
                if due is not None:
                    yield due
    if "'date'" in written or "'age'" in written:
        for zone in {ZONE, *ZONES.values()}:
            day = local_day(begin, ZoneInfo(zone)) - timedelta(1)
            while (at := midnight(day, zone)) <= end:
                yield at
                day += timedelta(1)


def midnight(day: date, zone: str) -> int:
    begin = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return (begin - START) // timedelta(milliseconds=1)
