"""Sentences of clauses about tasks."""

from services.segment.rules.language.tasks import Tasks, TaskWhere
from services.segment.rules.sentences.words import either, how_many, within
from shared.wording import Wording

_STATES = {
    "open": " that are open",
    "overdue": " that are overdue",
    "completed": " that are completed",
    "cancelled": " that are cancelled",
}
_KINDS = {
    "call": "call",
    "meeting": "meeting",
    "todo": "to-do",
    "request": "request",
    "confirmation": "confirmation",
}


def tasks(rule: Tasks, wording: Wording) -> str:
    """How many tasks of which kind."""
    which = "" if rule.where is None else _which(rule.where, wording)
    low, high = rule.compare.bounds
    if high == 0:
        return wording.text("no tasks{which}").format(which=which)
    if low == 1 and high > 1:
        return wording.text("tasks{which}").format(which=which)
    return wording.text("number of tasks{which}: {compare}").format(
        which=which, compare=how_many(rule.compare, wording)
    )


def _which(where: TaskWhere, wording: Wording) -> str:
    parts = [] if where.state is None else [wording.text(_STATES[where.state])]
    kinds = None if where.kind is None else [wording.text(_KINDS[kind]) for kind in where.kind]
    for text, named in (
        (" of the kind {names}", kinds),
        (" of the employee {names}", where.responsible),
        (" in branch {names}", where.branch),
        (" with the outcome {names}", where.outcome),
    ):
        if named is not None:
            parts.append(wording.text(text).format(names=either(named, wording)))
    for text, length in (
        (" planned{within}", where.planning),
        (" ended{within}", where.ending),
    ):
        if length is not None:
            parts.append(wording.text(text).format(within=within(length, wording)))
    return "".join(parts)
