"""Sentences of whole rules."""

from collections.abc import Callable, Mapping
from typing import Any

from services.segment.rules.language.kinds import FACT_NAMES
from services.segment.rules.language.tree import All, AnyOf, Not, Rule
from services.segment.rules.sentences import dates, deals, facts, record, relations, rfm, tasks
from shared.wording import Wording


def describe(rule: Rule, wording: Wording) -> str:
    """The sentence, without a capital or a full stop: `≥ 8 receipts within 30 days`."""
    return _FORMS[rule.kind](rule, wording)


def _all(rule: All, wording: Wording) -> str:
    return wording.text(" and ").join(_inside(clause, wording) for clause in rule.clauses)


def _any(rule: AnyOf, wording: Wording) -> str:
    return wording.text(" or ").join(_inside(clause, wording) for clause in rule.clauses)


def _not(rule: Not, wording: Wording) -> str:
    return wording.text("not ({clause})").format(clause=describe(rule.clause, wording))


def _inside(rule: Rule, wording: Wording) -> str:
    joins = isinstance(rule, All | AnyOf) and len(rule.clauses) > 1
    return f"({describe(rule, wording)})" if joins else describe(rule, wording)


_FORMS: Mapping[str, Callable[[Any, Wording], str]] = {
    "all": _all,
    "any": _any,
    "not": _not,
    **dict.fromkeys(FACT_NAMES, facts.facts),
    "sequence": facts.sequence,
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
