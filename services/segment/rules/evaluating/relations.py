"""Verdicts of clauses about how the customer stands to others."""

from services.segment.rules.evaluating.verdict import Verdict
from services.segment.rules.language.relations import InSegment, OnList, RandomShare
from services.segment.rules.view import View
from services.segment.rules.words import Listed


def in_segment(rule: InSegment, view: View, _at: int) -> Verdict:
    """Whether it is in the segment: whatever that looks at has been settled before."""
    return Verdict((rule.segment in view.inside) is rule.inside, None)


def on_list(rule: OnList, view: View, _at: int) -> Verdict:
    """Whether it is on the list, by what was said last."""
    word = view.known.on(Listed, rule.list)
    return Verdict((word is not None and word.there) is rule.inside, None)


def random_share(rule: RandomShare, view: View, _at: int) -> Verdict:
    """Whether it is in the share."""
    return Verdict(rule.draws(view.customer), None)
