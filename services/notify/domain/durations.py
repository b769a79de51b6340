"""ISO 8601 durations that are the same length everywhere: weeks, or days, hours and minutes."""

import re
from datetime import timedelta

from shared.decider import invalid

LONGEST = timedelta(days=36_525)
"""A hundred years."""
_EXACT = re.compile(
    r"P(?:(?P<weeks>[0-9]{1,4})W"
    r"|(?=[0-9T])(?:(?P<days>[0-9]{1,5})D)?"
    r"(?:T(?=[0-9])(?:(?P<hours>[0-9]{1,6})H)?(?:(?P<minutes>[0-9]{1,8})M)?)?)"
)


def exact_duration(text: str, path: str) -> timedelta:
    """The length of a duration. Raises `Refused` that names `path` for any other text."""
    found = _EXACT.fullmatch(text)
    form = "a duration such as P7D, PT36H or P2W, more than nothing and a hundred years at most"
    if found is None:
        raise invalid(path, form)
    length = timedelta(**{unit: int(n) for unit, n in found.groupdict(default="0").items()})
    if not timedelta(0) < length <= LONGEST:
        raise invalid(path, form)
    return length
