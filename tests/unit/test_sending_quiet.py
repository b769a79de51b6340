"""Quiet hours against a clock on the wall that is read minute by minute."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.notify.domain.quiet import Stretch, is_quiet, next_allowed, open_minutes

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = Stretch(time(21), time(9))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_moment_outside_is_allowed_at_once() -> None:
    # 12:00 in Berlin in winter (+1).
    assert next_allowed(at("2026-01-05 11:00"), BERLIN, [NIGHT]) == at("2026-01-05 11:00")


def test_a_message_of_the_night_waits_for_nine_on_the_recipients_clock() -> None:
    # 23:00 in Berlin is 22:00 UTC in winter; nine there is eight in UTC.
    assert next_allowed(at("2026-01-05 22:00"), BERLIN, [NIGHT]) == at("2026-01-06 08:00")
    # The same in the small hours, before the stretch of yesterday evening has ended.
    assert next_allowed(at("2026-01-06 02:00"), BERLIN, [NIGHT]) == at("2026-01-06 08:00")


def test_the_begin_is_quiet_and_the_end_is_not() -> None:
    assert is_quiet(at("2026-01-05 20:00"), BERLIN, [NIGHT])
    assert not is_quiet(at("2026-01-06 08:00"), BERLIN, [NIGHT])


def test_a_night_in_which_the_clock_changes_still_ends_at_nine() -> None:
    # On 29 March 2026 Berlin goes from +1 to +2: nine is seven in UTC; on 25 October back to +1.
    assert next_allowed(at("2026-03-28 22:00"), BERLIN, [NIGHT]) == at("2026-03-29 07:00")
    assert next_allowed(at("2026-10-24 22:00"), BERLIN, [NIGHT]) == at("2026-10-25 08:00")


def test_an_end_that_the_clock_jumps_over_is_where_it_lands() -> None:
    # 02:30 is not shown on 29 March: 01:59:59 is followed by 03:00, at 01:00 UTC.
    short = Stretch(time(22), time(2, 30))
    assert next_allowed(at("2026-03-28 23:00"), BERLIN, [short]) == at("2026-03-29 01:00")


def test_an_hour_that_comes_twice_is_quiet_both_times() -> None:
    # On 25 October 02:00-03:00 comes twice: 00:00-01:00 UTC and 01:00-02:00 UTC.
    half = Stretch(time(2), time(2, 30))
    assert next_allowed(at("2026-10-25 00:10"), BERLIN, [half]) == at("2026-10-25 00:30")
    assert is_quiet(at("2026-10-25 01:10"), BERLIN, [half])
    assert next_allowed(at("2026-10-25 01:10"), BERLIN, [half]) == at("2026-10-25 01:30")


def test_a_clock_put_back_out_of_quiet_hours_ends_them() -> None:
    # 02:30-04:00 is quiet; at 03:00 (01:00 UTC) the wall shows 02:00 again, which is not.
    late = Stretch(time(2, 30), time(4))
    assert next_allowed(at("2026-10-25 00:45"), BERLIN, [late]) == at("2026-10-25 01:00")


def test_stretches_of_a_weekend_begin_on_their_days() -> None:
    # Saturday from midnight on and all Sunday: 2026-01-10 is a Saturday.
    weekend = [
        Stretch(time(0), time(12), frozenset({6})),
        Stretch(time(12), time(0), frozenset({6})),
        Stretch(time(0), time(12), frozenset({7})),
        Stretch(time(12), time(0), frozenset({7})),
    ]
    assert next_allowed(at("2026-01-10 10:00"), ZoneInfo("UTC"), weekend) == at("2026-01-12 00:00")
    # Five days of 24 hours are open.
    assert open_minutes(weekend) == 5 * 24 * 60


def test_a_week_without_an_open_hour_has_no_next_moment() -> None:
    always = [Stretch(time(0), time(12)), Stretch(time(12), time(0))]
    assert open_minutes(always) == 0
    with pytest.raises(ValueError, match="all hours are quiet"):
        next_allowed(at("2026-01-10 10:00"), BERLIN, always)


TIMES = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
STRETCHES = st.builds(Stretch, TIMES, TIMES, st.frozensets(st.integers(1, 7), max_size=3)).filter(
    lambda stretch: stretch.begin != stretch.end
)
ZONES = st.sampled_from(
    ["Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "America/St_Johns", "Pacific/Apia"]
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(STRETCHES, min_size=1, max_size=2),
    ZONES,
    st.sampled_from(["2026-03-28", "2026-10-24", "2026-04-04", "2026-10-03", "2026-06-01"]),
    st.integers(0, 3 * 24 * 60),
)
def test_it_is_the_first_minute_whose_wall_shows_no_quiet_time(
    stretches: list[Stretch], name: str, day: str, minutes: int
) -> None:
    assume(open_minutes(stretches) > 24 * 60)
    zone, moment = ZoneInfo(name), at(day) + timedelta(minutes=minutes)
    found = next_allowed(moment, zone, stretches)

    def shown_quiet(when: datetime) -> bool:
        wall = when.astimezone(zone)
        shown, today = wall.hour * 60 + wall.minute, wall.isoweekday()
        yesterday = 7 if today == 1 else today - 1
        for each in stretches:
            begin, end = (part.hour * 60 + part.minute for part in (each.begin, each.end))
            days = each.days or set(range(1, 8))
            if begin < end and today in days and begin <= shown < end:
                return True
            if begin > end and (
                (today in days and shown >= begin) or (yesterday in days and shown < end)
            ):
                return True
        return False

    slow = moment
    while shown_quiet(slow):
        slow += timedelta(minutes=1)
    assert found == slow
