"""Clocks: the chain's may stand or be shifted, the system's never, both in UTC milliseconds."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import ManualClock, SystemClock, to_milliseconds

NOON = datetime(2017, 12, 1, 12, tzinfo=UTC)


def test_moments_are_cut_to_milliseconds_and_brought_to_utc() -> None:
    east = timezone(timedelta(hours=3))
    moment = datetime(2017, 12, 1, 15, 0, 0, 123_999, tzinfo=east)
    assert to_milliseconds(moment) == NOON + timedelta(milliseconds=123)
    assert to_milliseconds(moment).tzinfo is UTC


@given(st.datetimes(timezones=st.timezones(), min_value=datetime(2, 1, 1)))  # noqa: DTZ001 - a bound
def test_cutting_loses_less_than_a_millisecond_and_is_done_once(moment: datetime) -> None:
    cut = to_milliseconds(moment)
    assert timedelta(0) <= moment.astimezone(UTC) - cut < timedelta(milliseconds=1)
    assert to_milliseconds(cut) == cut
    assert cut.microsecond % 1000 == 0


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        to_milliseconds(datetime(2017, 12, 1))  # noqa: DTZ001 - that is the point


def test_a_frozen_clock_stands_while_the_systems_goes_on() -> None:
    clock = SystemClock(frozen_at=NOON)
    before = clock.system_now()
    assert clock.now() == NOON
    assert clock.at_system(before + timedelta(days=400)) == NOON
    assert clock.system_now() >= before > NOON


def test_a_shifted_clock_is_ahead_by_its_shift() -> None:
    clock = SystemClock(shift=timedelta(days=-30, microseconds=-1))
    moment = datetime(2026, 1, 31, tzinfo=UTC)
    # A microsecond before the first of January, cut to its millisecond.
    assert clock.at_system(moment) == datetime(2025, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    behind = clock.system_now() - clock.now()
    assert timedelta(days=30) - timedelta(seconds=5) < behind <= timedelta(days=30, milliseconds=1)


def test_a_clock_that_is_not_told_otherwise_shows_the_systems_time() -> None:
    clock = SystemClock()
    assert clock.at_system(NOON) == NOON
    assert abs(clock.now() - clock.system_now()) < timedelta(seconds=5)
    assert clock.system_now().microsecond % 1000 == 0


def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(NOON)
    clock.advance(timedelta(hours=1, microseconds=1500))
    assert clock.now() == clock.system_now() == NOON + timedelta(hours=1, milliseconds=1)
    assert clock.at_system(NOON) == NOON
