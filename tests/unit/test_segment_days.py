"""Clauses about calendar days, in zones whose clocks change, and over years with 29 February."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.segment.rules.days import begin_of, day_of, years_between
from services.segment.rules.evaluating.tree import evaluate
from services.segment.rules.instants import instant, moment
from services.segment.rules.reading import parse_rule
from services.segment.rules.surroundings import Surroundings
from services.segment.rules.view import View
from services.segment.rules.words import Attribute
from tests.unit.naive import record
from tests.unit.naive.record_histories import AGED, DATED

DAY = 24 * 60 * 60 * 1000
BERLIN = "Europe/Berlin"  # clocks go forward on 29 March 2026, and back on 25 October 2026


def at(text: str, zone: str = "UTC") -> int:
    """The instant of a local time."""
    return instant(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def viewed(zone: str = "UTC", branches: Any = None, **fields: Any) -> View:  # noqa: ANN401 - values of any kind
    view = View()
    view.surroundings = Surroundings(zone, branches or {})
    view.known.learn(Attribute(name, value, 1) for name, value in fields.items())
    return view


def asked(view: View, test: dict[str, Any], when: int, **more: object) -> tuple[bool, int | None]:
    raw = {"kind": "date", "field": "birth_date", "test": test, **more}
    value, changes = evaluate(parse_rule(raw), view, when)
    return value, changes


@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        (BERLIN, date(2026, 3, 29), "2026-03-28T23:00:00+00:00"),
        (BERLIN, date(2026, 3, 30), "2026-03-29T22:00:00+00:00"),  # that day had 23 hours
        (BERLIN, date(2026, 10, 26), "2026-10-25T23:00:00+00:00"),  # and the one before 25
        ("Africa/Cairo", date(2025, 4, 25), "2025-04-24T22:00:00+00:00"),  # midnight is skipped
        ("America/Havana", date(2025, 11, 2), "2025-11-02T04:00:00+00:00"),  # midnight comes twice
        ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00:00+00:00"),  # no 30 December there
    ],
)
def test_a_day_begins_at_its_first_midnight_or_where_the_clocks_skip_it(
    zone: str, day: date, begins: str
) -> None:
    begin = begin_of(day.toordinal(), zone)
    assert moment(begin) == datetime.fromisoformat(begins)
    assert day_of(begin, zone) == day.toordinal()
    assert day_of(begin - 1, zone) < day.toordinal()


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
def test_the_ends_of_time_lie_in_days_of_every_zone(zone: str) -> None:
    """A till whose clock was never set sends the first moment that there is."""
    first, last = (
        instant(datetime.min.replace(tzinfo=UTC)),
        instant(datetime.max.replace(tzinfo=UTC)),
    )
    days = [day_of(each, zone) for each in (first, first + 3 * DAY, last - 3 * DAY, last)]
    assert days == sorted(days)
    view = View()
    view.surroundings = Surroundings(zone, {})
    view.known.learn([Attribute("registered", first, 1)])
    rule = {"kind": "date", "field": "registered", "test": {"op": "passed"}}
    assert evaluate(parse_rule(rule), view, at("2026-01-01")) == (True, None)


def test_days_follow_one_another_where_the_clocks_go_back_over_midnight() -> None:
    # In Newfoundland they went back from 0:01 to 23:01, so that 0:00 came twice.
    midnight = datetime(2010, 11, 7, 2, 30, tzinfo=UTC)
    days = [day_of(instant(midnight + timedelta(minutes=k)), "America/St_Johns") for k in range(90)]
    assert days == sorted(days)
    assert days[0] == date(2010, 11, 7).toordinal()


BIRTHDAY = {"op": "today"}


def test_a_birthday_is_a_day_of_the_zone_also_when_that_has_23_hours() -> None:
    view = viewed(BERLIN, birth_date="1990-03-29")
    eve, begin, end = (at(f"2026-03-{day}T00:00", BERLIN) for day in (28, 29, 30))
    assert end - begin == 23 * 60 * 60 * 1000
    assert asked(view, BIRTHDAY, eve, yearly=True) == (False, begin)
    assert asked(view, BIRTHDAY, begin - 1, yearly=True) == (False, begin)
    assert asked(view, BIRTHDAY, begin, yearly=True) == (True, end)
    assert asked(view, BIRTHDAY, end - 1, yearly=True) == (True, end)
    next_year = at("2027-03-29T00:00", BERLIN)
    assert asked(view, BIRTHDAY, end, yearly=True) == (False, next_year)


def test_who_was_born_on_29_february_has_the_birthday_on_1_march_of_common_years() -> None:
    view = viewed(birth_date="2008-02-29")
    truths = {
        text: asked(view, BIRTHDAY, at(text), yearly=True)[0]
        for text in ("2026-02-28", "2026-03-01", "2028-02-28", "2028-02-29", "2028-03-01")
    }
    assert truths == {
        "2026-02-28": False, "2026-03-01": True,
        "2028-02-28": False, "2028-02-29": True, "2028-03-01": False,
    }  # fmt: skip


def aged(view: View, when: int, **test: object) -> tuple[bool, int | None]:
    value, changes = evaluate(parse_rule({"kind": "age", "test": test}), view, when)
    return value, changes


def test_age_changes_as_the_birthday_begins() -> None:
    view = viewed(BERLIN, birth_date="2008-02-29")
    grown = at("2026-03-01T00:00", BERLIN)
    assert aged(view, grown - 1, op=">=", value=18) == (False, grown)
    assert aged(view, grown, op=">=", value=18) == (True, None)
    assert aged(view, grown, op="between", low=18, high=19) == (
        True, at("2028-02-29T00:00", BERLIN)
    )  # fmt: skip
    assert years_between(date(2008, 2, 29).toordinal(), date(2026, 2, 28).toordinal()) == 17


def test_nobody_has_an_age_before_being_born_or_without_a_date_of_birth() -> None:
    born = at("2026-05-01")
    assert aged(viewed(birth_date="2026-05-01"), born - DAY, op="<", value=18) == (False, born)
    assert aged(viewed(birth_date="2026-05-01"), born, op="<", value=18)[0]
    assert aged(viewed(), born, op="<", value=18) == (False, None)
    assert aged(viewed(birth_date="sometime"), born, op="<", value=18) == (False, None)


@pytest.mark.parametrize(
    ("test", "first", "past"),
    [
        ({"op": "next", "within": "P7D"}, "2026-06-09", "2026-06-16"),  # 9th to 15th
        ({"op": "next", "within": "P1D"}, "2026-06-15", "2026-06-16"),
        ({"op": "last", "within": "P1W"}, "2026-06-15", "2026-06-22"),  # 15th to 21st
        ({"op": "today"}, "2026-06-15", "2026-06-16"),
        ({"op": "passed"}, "2026-06-16", None),
    ],
)
def test_a_date_comes_near_and_goes_by(test: dict[str, Any], first: str, past: str | None) -> None:
    view = viewed(**{"custom.contract": "2026-06-15"})
    begin, end = at(first), None if past is None else at(past)
    of = {"field": "custom.contract"}
    assert asked(view, test, begin - 1, **of) == (False, begin)
    assert asked(view, test, begin, **of) == (True, end)
    if end is not None:
        assert asked(view, test, end, **of) == (False, None)


def test_the_days_of_a_branch_are_those_of_its_zone() -> None:
    branches = {"12": "Asia/Kamchatka"}  # 12 hours before UTC
    begin = at("2026-06-14T12:00")
    view = viewed("UTC", branches, birth_date="1990-06-15", home_branch="12")
    assert asked(view, BIRTHDAY, begin, yearly=True, zone="branch") == (True, begin + DAY)
    assert asked(view, BIRTHDAY, begin, yearly=True) == (False, begin + DAY // 2)
    elsewhere = viewed("UTC", branches, birth_date="1990-06-15", home_branch="13")
    assert asked(elsewhere, BIRTHDAY, begin, yearly=True, zone="branch")[0] is False


def test_the_anniversary_of_a_registration_begins_a_year_after_it() -> None:
    view = viewed(registered=at("2025-12-31T22:30"))
    of = {"field": "registered", "yearly": True}
    assert asked(view, BIRTHDAY, at("2025-12-31T23:00"), **of) == (False, at("2026-12-31"))
    assert asked(view, BIRTHDAY, at("2026-12-31"), **of) == (True, at("2027-01-01"))
    moscow = viewed("Europe/Moscow", registered=at("2025-12-31T22:30"))  # there it was 1:30
    assert asked(moscow, BIRTHDAY, at("2027-01-01T00:00", "Europe/Moscow"), **of)[0]


def test_a_day_of_the_year_may_lie_round_its_end() -> None:
    view = viewed(birth_date="1990-01-05")
    when = at("2026-06-01")
    assert asked(view, {"op": "between", "low": "12-20", "high": "01-10"}, when, yearly=True)[0]
    assert not asked(view, {"op": "between", "low": "01-06", "high": "12-31"}, when, yearly=True)[0]
    assert asked(view, {"op": "on", "day": "01-05"}, when, yearly=True) == (True, None)


def test_an_anniversary_that_is_years_away_comes_by_itself() -> None:
    view = viewed(**{"custom.x": "2031-05-05"})
    begin = at("2032-05-05")
    assert asked(view, BIRTHDAY, at("2026-01-01"), field="custom.x", yearly=True) == (False, begin)
    assert asked(view, BIRTHDAY, begin, field="custom.x", yearly=True)[0]


# Against days looked at one by one

ZONES = [BERLIN, "America/New_York", "Pacific/Auckland", "Asia/Kolkata", "Africa/Cairo"]
BIRTHS = ["2008-02-29", "2004-02-29", "1990-12-31", "2026-01-01", "1998-03-29", "2026-10-25"]
HOURS = 30_000
"""From 2024 on, some three and a half years."""


@dataclass(frozen=True)
class Said:
    data: Any
    kind: str = "registered"
    version: int = 1
    stream: str = "customer-c1"
    counts_from: int = 0


def naively(rule: dict[str, Any], said: Said, zone: str, when: int) -> bool:
    facts = [said] if said.counts_from <= when else []
    before, record.ZONE = record.ZONE, zone
    try:
        return bool(record.truth(rule, facts, when - instant(record.START)))
    finally:
        record.ZONE = before


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_days_are_counted_as_if_each_was_looked_at(data: st.DataObject) -> None:
    rule = data.draw(st.one_of(DATED, AGED))
    zone = data.draw(st.sampled_from(ZONES))
    birth = data.draw(st.sampled_from(BIRTHS))
    begin = at("2024-01-01") + data.draw(st.integers(0, HOURS)) * 60 * 60 * 1000
    registered = instant(record.START) - 800 * DAY
    view = viewed(
        zone, record.ZONES, birth_date=birth, registered=registered,
        **{"custom.d": birth, "home_branch": data.draw(st.sampled_from(["1", "2", "3"]))},
    )  # fmt: skip
    home = view.known.on(Attribute, "home_branch")
    assert home is not None
    fields = {"birth_date": birth, "custom.d": birth, "home_branch": home.value}
    said = Said(fields, counts_from=registered - instant(record.START))
    value, changes = evaluate(parse_rule(rule), view, begin)
    assert value is naively(rule, said, zone, begin)
    # Until the next instant nothing changes: looked at as each day begins, and just before it.
    last = begin + 500 * DAY if changes is None else min(changes, begin + 500 * DAY)
    own = zone if rule.get("zone") != "branch" else record.ZONES.get(str(home.value), zone)
    day = day_of(begin, own) + 1
    while (midnight := begin_of(day, own)) < last:
        assert naively(rule, said, zone, midnight) is value
        assert naively(rule, said, zone, midnight - 1) is value
        day += 1
    if changes is not None:
        assert naively(rule, said, zone, changes - 1) is value
        assert moment(changes).astimezone(ZoneInfo(own)).time().hour in {0, 1}
