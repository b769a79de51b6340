"""What comes of looking behind a clause."""

from collections.abc import Sequence
from typing import NamedTuple

from services.segment.rules.happened import Happened
from services.segment.rules.words import FieldValue, Word


class Finding(NamedTuple):
    """The value that a clause compares (None: nothing is known), and what it rests on, in order."""

    value: FieldValue | None
    behind: Sequence[Happened | Word] = ()
