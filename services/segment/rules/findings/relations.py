"""Findings of clauses about how the customer stands to others."""

from services.segment.rules.findings.finding import Finding
from services.segment.rules.language.relations import InSegment, RandomShare
from services.segment.rules.view import View


def in_segment(rule: InSegment, view: View, _at: int) -> Finding:
    """Whether it is in the segment."""
    return Finding(rule.segment in view.inside)


def random_share(rule: RandomShare, view: View, _at: int) -> Finding:
    """Whether it is in the share."""
    return Finding(rule.draws(view.customer))
