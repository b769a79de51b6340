"""What a comparison says, in a sentence for people: never more than the figures can tell."""

from collections.abc import Mapping
from types import MappingProxyType

from services.notify.domain.uplift import SMALLEST_GROUP, Comparison, Finding
from shared.wording import Wording

SENTENCES: Mapping[Finding, str] = MappingProxyType(
    {
        "more": "More of them bought, and chance alone would hardly do that.",
        "less": "Fewer of them bought, and chance alone would hardly do that.",
        "no_telling": "Whether more or fewer of them bought cannot be told from chance.",
        "too_small": "Too few to tell: each group needs at least {count} customers.",
    }
)
"""Finding → its sentence."""

FAILED = (
    "More than one in twenty of those who were let go did not go out for certain, and only those "
    "who got it are compared: the difference may flatter."
)
"""What is said where the groups were not only drawn by lot any more."""
MOST_FAILED = 0.05


def sentence_of(comparison: Comparison, wording: Wording) -> str:
    """What is said of the buyers of two groups."""
    text = wording.text(SENTENCES[comparison.finding])
    return text.format(count=wording.number(SMALLEST_GROUP))


def caution(sent: int, failed: int, wording: Wording) -> str | None:
    """What is said of messages that failed or are uncertain, where they are many."""
    if failed <= MOST_FAILED * (sent + failed):
        return None
    return wording.text(FAILED)
