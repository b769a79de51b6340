"""Findings of clauses about where the customer stands among all."""

from bisect import bisect_right

from services.segment.rules.evaluating.rfm import window
from services.segment.rules.findings.finding import Finding
from services.segment.rules.happened import Happened
from services.segment.rules.language.rfm import Percentile, Rfm, RfmCell
from services.segment.rules.tables import Table
from services.segment.rules.view import View


def rfm(rule: Rfm, view: View, at: int) -> Finding:
    """The score."""
    table = view.surroundings.tables.get(rule.table)
    if table is None or table.cuts is None or (seen := window(table, view, at)) is None:
        return Finding(None)
    scores = table.cuts.scores(seen.figures)
    return Finding(int(getattr(scores, rule.score)), _behind(table, view, at))


def rfm_cell(rule: RfmCell, view: View, at: int) -> Finding:
    """The cell."""
    table = view.surroundings.tables.get(rule.table)
    if table is None or table.cuts is None or (seen := window(table, view, at)) is None:
        return Finding(None)
    return Finding(table.cuts.scores(seen.figures).cell, _behind(table, view, at))


def percentile(rule: Percentile, view: View, at: int) -> Finding:
    """The percentile."""
    table = view.surroundings.tables.get(rule.table)
    if table is None or table.percentiles is None or (seen := window(table, view, at)) is None:
        return Finding(None)
    value: int = getattr(seen.figures, rule.of)
    return Finding(
        bisect_right(getattr(table.percentiles, rule.of), value), _behind(table, view, at)
    )


def _behind(table: Table, view: View, at: int) -> list[Happened]:
    return [
        receipt
        for receipt in view.receipts
        if receipt.time > at - table.look_back
        and (table.branch is None or receipt.branch == table.branch)
    ]
