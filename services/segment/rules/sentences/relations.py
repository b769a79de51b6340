"""Sentences of clauses about how the customer stands to others."""

from services.segment.rules.language.relations import InSegment, RandomShare
from shared.wording import Wording


def in_segment(rule: InSegment, wording: Wording) -> str:
    """Which segment."""
    text = "is in segment {name}" if rule.inside else "is not in segment {name}"
    return wording.text(text).format(name=rule.segment)


def random_share(rule: RandomShare, wording: Wording) -> str:
    """How many, and by which draw."""
    if rule.seed is None:
        return wording.text("is in a random {n} %").format(n=rule.percent)
    text = wording.text("is in a random {n} % ({seed})")
    return text.format(n=rule.percent, seed=rule.seed)
