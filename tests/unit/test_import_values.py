"""Numbers, amounts and moments as people write them in files."""

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from shared.identifiers import IdentifierRules
from shared.importing.values import (
    Mark,
    MoneyUnit,
    WrongCell,
    identifier,
    local_moment,
    money,
    number,
    whole,
)

SAMARA = ZoneInfo("Europe/Samara")


@pytest.mark.parametrize(
    ("text", "mark", "expected"),
    [
        ("12", "", "12"),
        ("-1.5", "", "-1.5"),
        ("1,5", "", "1.5"),
        ("1 234,5", "", "1234.5"),
        ("1.234,56", "", "1234.56"),
        ("1,234.56", "", "1234.56"),
        ("1.234.567", "", "1234567"),
        ("1,234,567", "", "1234567"),
        ("1.234", "", "1.234"),
        ("1.234", ",", "1234"),
        ("1,234", ".", "1234"),
        ("1'234.5", "", "1234.5"),
        ("2.7800000000000002", "", "2.7800000000000002"),
    ],
)
def test_a_number_is_read_with_its_mark(text: str, mark: Mark, expected: str) -> None:
    assert number(text, mark) == Decimal(expected)


@pytest.mark.parametrize("text", ["", "x", "1.2.3", "1,23,4.5", "1e400", "nan", "9" * 20])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(WrongCell):
        number(text)


@pytest.mark.parametrize(
    ("text", "unit", "mark", "cents"),
    [
        ("12", "major", "", 1200),
        ("12.5", "major", "", 1250),
        ("1 234,50 ₽", "major", "", 123_450),
        ("$12.34", "major", "", 1234),
        ("12,34 руб.", "major", "", 1234),
        ("(2.50)", "major", "", -250),
        ("-2.50", "major", "", -250),
        ("2.7800000000000002", "major", "", 278),
        ("0.125", "major", "", 13),
        ("1234", "minor", "", 1234),
        ("1,234", "major", ".", 123_400),
        ("1,234", "major", ",", 123),
    ],
)
def test_an_amount_becomes_minor_units(text: str, unit: MoneyUnit, mark: Mark, cents: int) -> None:
    assert money(text, unit, mark) == cents


@pytest.mark.parametrize(
    ("text", "unit"), [("1,234", "major"), ("1.234", "major"), ("12.5", "minor"), ("much", "major")]
)
def test_an_amount_that_could_be_two_is_refused(text: str, unit: MoneyUnit) -> None:
    with pytest.raises(WrongCell):
        money(text, unit)


def test_a_whole_number_has_no_decimals() -> None:
    assert (whole("12"), whole("12.0")) == (12, 12)
    with pytest.raises(WrongCell, match="a whole number"):
        whole("1.5")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Samara is four hours ahead of UTC.
        ("2017-12-31T18:30:00", "2017-12-31T14:30:00+00:00"),
        ("2017-12-31 18:30", "2017-12-31T14:30:00+00:00"),
        ("2017-12-31T18:30:00+01:00", "2017-12-31T17:30:00+00:00"),
        ("2017-12-31T18:30:00Z", "2017-12-31T18:30:00+00:00"),
        ("31.12.2017 18:30:15", "2017-12-31T14:30:15+00:00"),
        ("31.12.2017", "2017-12-30T20:00:00+00:00"),
        ("31/12/2017 6:30 PM", "2017-12-31T14:30:00+00:00"),
        ("31/12/2017, 12:30 am", "2017-12-30T20:30:00+00:00"),
        ("2017.12.31 18:30", "2017-12-31T14:30:00+00:00"),
    ],
)
def test_a_moment_without_an_offset_is_in_the_zone(text: str, expected: str) -> None:
    assert local_moment(text, "dmy", SAMARA) == datetime.fromisoformat(expected)


def test_months_come_first_where_the_file_says_so() -> None:
    found = local_moment("12/31/2017 6:30 PM", "mdy", SAMARA)
    assert found.isoformat() == "2017-12-31T14:30:00+00:00"


@pytest.mark.parametrize("text", ["", "soon", "18:30", "31.12.2017 25:00", "31.02.2017 10:00"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(WrongCell):
        local_moment(text, "dmy", SAMARA)


def test_a_phone_without_its_plus_is_found() -> None:
    rules = IdentifierRules(b"s" * 32, None)
    assert identifier(rules, "phone", "79161234567", "phone").value == "+79161234567"
