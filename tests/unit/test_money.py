"""Money: whole minor units, rounded once, shown with both digits."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.money import show, to_minor


@pytest.mark.parametrize(
    ("amount", "minor"),
    [
        ("12.34", 1234),
        ("0.005", 1),  # half a cent goes away from zero
        ("-0.005", -1),
        ("0.0049", 0),
        ("1E+3", 100_000),
        ("-12.345", -1235),
        ("0.285", 29),  # as a binary fraction it would be 28.499…
    ],
)
def test_amounts_are_rounded_half_away_from_zero(amount: str, minor: int) -> None:
    assert to_minor(Decimal(amount)) == minor


@pytest.mark.parametrize(
    ("minor", "text"),
    [
        (0, "0.00"),
        (5, "0.05"),
        (-5, "-0.05"),
        (-123_405, "-1,234.05"),
        (459_603_958, "4,596,039.58"),
    ],
)
def test_minor_units_are_shown_for_people(minor: int, text: str) -> None:
    assert show(minor) == text


@given(st.integers(min_value=-(10**14), max_value=10**14))
def test_what_is_shown_is_what_was_meant(minor: int) -> None:
    assert to_minor(Decimal(show(minor).replace(",", ""))) == minor
