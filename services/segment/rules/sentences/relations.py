"""Sentences of clauses about how the customer stands to others."""

from services.segment.rules.language.relations import InSegment, OnList, RandomShare
from shared.wording import Wording


def in_segment(rule: InSegment, wording: Wording) -> str:
    """Which segment."""
    text = "is in segment {name}" if rule.inside else "is not in segment {name}"
    return wording.text(text).format(name=rule.segment)


def on_list(rule: OnList, wording: Wording) -> str:
    """Which list."""
    text = "is on list {name}" if rule.inside else "is not on list {name}"
    return wording.text(text).format(name=rule.list)


def random_share(rule: RandomShare, wording: Wording) -> str:
    """How many, and by which draw."""
    if rule.seed is None:
        return wording.text("is in a random {n} %").format(n=rule.percent)
    text = wording.text("is in a random {n} % ({seed})")
    return text.format(n=rule.percent, seed=rule.seed)
