"""Sentences of clauses about where the customer stands among all."""

from services.segment.rules.language.rfm import Percentile, Rfm, RfmCell
from services.segment.rules.sentences.words import either, sign
from shared.wording import Wording

_SCORES = {
    "recency": "recency {sign} {number} in {table}",
    "frequency": "frequency {sign} {number} in {table}",
    "monetary": "monetary value {sign} {number} in {table}",
}
_PERCENTILES = {
    "spent": "percentile of the amount spent {sign} {number} in {table}",
    "receipts": "percentile of the number of receipts {sign} {number} in {table}",
    "average": "percentile of the average receipt {sign} {number} in {table}",
}


def rfm(rule: Rfm, wording: Wording) -> str:
    """Which score."""
    return wording.text(_SCORES[rule.score]).format(
        sign=sign(rule.compare, wording), number=rule.compare.value, table=rule.table
    )


def rfm_cell(rule: RfmCell, wording: Wording) -> str:
    """Which cells."""
    text = wording.text("RFM cell {cells} in {table}")
    return text.format(cells=either(rule.cells, wording), table=rule.table)


def percentile(rule: Percentile, wording: Wording) -> str:
    """Which percentile."""
    return wording.text(_PERCENTILES[rule.of]).format(
        sign=sign(rule.compare, wording), number=rule.compare.value, table=rule.table
    )
