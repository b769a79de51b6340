"""Verdicts of clauses about how the customer stands to others."""

from services.segment.rules.evaluating.verdict import Verdict
from services.segment.rules.language.relations import InSegment, RandomShare
from services.segment.rules.view import View


def in_segment(rule: InSegment, view: View, _at: int) -> Verdict:
    """Whether it is in the segment: whatever that looks at has been settled before."""
    return Verdict((rule.segment in view.inside) is rule.inside, None)


def random_share(rule: RandomShare, view: View, _at: int) -> Verdict:
    """Whether it is in the share."""
    return Verdict(rule.draws(view.customer), None)
