"""Verdicts of whole rules."""

from collections.abc import Callable
from typing import Any

from services.segment.rules.evaluating import (
    dates,
    deals,
    facts,
    record,
    relations,
    rfm,
    sequences,
    tasks,
)
from services.segment.rules.evaluating.verdict import Verdict
from services.segment.rules.language.kinds import FACT_NAMES
from services.segment.rules.language.tree import All, AnyOf, Not, Rule
from services.segment.rules.view import View


def evaluate(rule: Rule, view: View, at: int) -> Verdict:
    """The verdict on a customer at an instant, which no fact of the view lies after."""
    return FORMS[rule.kind](rule, view, at)


def _joined(clauses: tuple[Rule, ...], view: View, at: int, *, settles: bool) -> Verdict:
    """Clauses of which one alone settles the truth, by being `settles`.

    Settled, it stays so while any settling clause does: until the last of them changes. Otherwise
    it holds until the first clause changes.
    """
    settled_until = open_until = None
    for clause in clauses:
        value, changes = FORMS[clause.kind](clause, view, at)
        if value is settles:
            if changes is None:
                return Verdict(settles, None)
            if settled_until is None or changes > settled_until:
                settled_until = changes
        elif changes is not None and (open_until is None or changes < open_until):
            open_until = changes
    if settled_until is not None:
        return Verdict(settles, settled_until)
    return Verdict(not settles, open_until)


def _all(rule: All, view: View, at: int) -> Verdict:
    return _joined(rule.clauses, view, at, settles=False)


def _any(rule: AnyOf, view: View, at: int) -> Verdict:
    return _joined(rule.clauses, view, at, settles=True)


def _not(rule: Not, view: View, at: int) -> Verdict:
    value, changes = evaluate(rule.clause, view, at)
    return Verdict(not value, changes)


# By kind, and not by `match`: an instance check of a pydantic model costs more than the clause.
FORMS: dict[str, Callable[[Any, View, int], Verdict]] = {
    "all": _all,
    "any": _any,
    "not": _not,
    **dict.fromkeys(FACT_NAMES, facts.facts),
    "sequence": sequences.sequence,
    "attribute": record.attribute,
    "consent": record.consent,
    "identifier": record.identifier,
    "date": dates.dated,
    "age": dates.age,
    "deals": deals.deals,
    "tasks": tasks.tasks,
    "segment": relations.in_segment,
    "list": relations.on_list,
    "random": relations.random_share,
    "rfm": rfm.rfm,
    "rfm_cell": rfm.rfm_cell,
    "percentile": rfm.percentile,
}
