"""Findings of any clause that looks at the customer."""

from collections.abc import Callable, Mapping
from typing import Any

from services.segment.rules.findings import facts, record, relations, rfm
from services.segment.rules.findings.finding import Finding
from services.segment.rules.language.forms import Leaf
from services.segment.rules.language.kinds import FACT_NAMES
from services.segment.rules.language.tree import Rule
from services.segment.rules.view import View


def find(rule: Rule, view: View, at: int) -> Finding | None:
    """What the clause found at an instant; None for clauses that only join others."""
    return _FORMS[rule.kind](rule, view, at) if isinstance(rule, Leaf) else None


_FORMS: Mapping[str, Callable[[Any, View, int], Finding]] = {
    **dict.fromkeys(FACT_NAMES, facts.facts),
    "sequence": facts.sequence,
    "attribute": record.attribute,
    "consent": record.consent,
    "identifier": record.identifier,
    "date": record.dated,
    "age": record.age,
    "deals": record.deals,
    "tasks": record.tasks,
    "segment": relations.in_segment,
    "list": relations.on_list,
    "random": relations.random_share,
    "rfm": rfm.rfm,
    "rfm_cell": rfm.rfm_cell,
    "percentile": rfm.percentile,
}
