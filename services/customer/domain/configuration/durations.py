"""ISO 8601 durations as people give them to configuration: one unit, and no time of day."""

import re
from datetime import timedelta

from shared.decider import invalid

LONGEST_DAYS = 36_525
"""A hundred years."""
_ANY = re.compile(r"P([1-9][0-9]{0,4})([DWMY])")
_EXACT = re.compile(r"P([1-9][0-9]{0,4})([DW])")
_DAYS = {"D": 1, "W": 7, "M": 30, "Y": 365}


def check_duration(text: str, path: str) -> None:
    """Raise `Refused` for a text that is not like `P90D`, `P12W`, `P6M` or `P3Y`."""
    form = _ANY.fullmatch(text)
    if form is None or int(form[1]) * _DAYS[form[2]] > LONGEST_DAYS:
        raise invalid(path, "a duration such as P90D, P12W, P6M or P3Y, a hundred years at most")


def exact_duration(text: str, path: str) -> timedelta:
    """The length of a duration in days or weeks. Raises `Refused` for another one."""
    form = _EXACT.fullmatch(text)
    if form is None or int(form[1]) * _DAYS[form[2]] > LONGEST_DAYS:
        raise invalid(path, "a duration of days or weeks such as P365D, a hundred years at most")
    return timedelta(days=int(form[1]) * _DAYS[form[2]])
