"""Findings of clauses about how the customer stands to others."""

from services.segment.rules.findings.finding import Finding
from services.segment.rules.language.relations import InSegment, OnList, RandomShare
from services.segment.rules.view import View
from services.segment.rules.words import Listed


def in_segment(rule: InSegment, view: View, _at: int) -> Finding:
    """Whether it is in the segment."""
    return Finding(rule.segment in view.inside)


def on_list(rule: OnList, view: View, _at: int) -> Finding:
    """Whether it is on the list, by what was said last."""
    word = view.known.on(Listed, rule.list)
    return Finding(value=False) if word is None else Finding(word.there, (word,))


def random_share(rule: RandomShare, view: View, _at: int) -> Finding:
    """Whether it is in the share."""
    return Finding(rule.draws(view.customer))
