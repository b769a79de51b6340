"""Computed fields: what a customer bought, said in the words of the chain.

A value is never written down: it follows from the totals and the present definition whenever it is
looked at, so that other steps change it at once, for everybody.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from shared.decider import invalid
from shared.events.configuration import Computed, FieldDefined

MAX_STEPS = 50
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Totals:
    """What fields are computed from: net spent in minor units, and the visits."""

    spent: int = 0
    visits: int = 0
    first_visit: datetime | None = None
    last_visit: datetime | None = None


def computed_value(computed: Computed, totals: Totals) -> str | None:
    """The choice of the last step that is reached; None where none is, or nothing is measured."""
    measure = _measure(computed, totals)
    reached = None
    for step in computed.steps:
        if measure is not None and measure >= step.least:
            reached = step.choice
    return reached


def bounds_of(computed: Computed, choice: object) -> tuple[int | None, int | None]:
    """The least and the highest measure of a choice; None for the highest has no end.

    (None, None) for what is no step.
    """
    for step, following in zip(computed.steps, (*computed.steps[1:], None), strict=True):
        if step.choice == choice:
            return step.least, None if following is None else following.least - 1
    return None, None


def _measure(computed: Computed, totals: Totals) -> int | None:
    match computed.of:
        case "spending_level":
            return totals.spent
        case "buying_habit":
            first, last = totals.first_visit, totals.last_visit
            if totals.visits <= 1 or first is None or last is None:
                return None
            return (last - first) // (totals.visits - 1) // _DAY
        case _:
            assert_never(computed.of)


def check_computed(definition: FieldDefined) -> None:
    """Raise `Refused` for steps that do not lead through the choices, from less to more."""
    computed = definition.computed
    if computed is None:
        return
    if definition.kind != "list":
        raise invalid("computed", "only a list is computed: its choices are the levels")
    if definition.required:
        raise invalid("required", "a computed field is filled in by nobody")
    if definition.update_rule is not None:
        raise invalid("update_rule", "a computed field is confirmed by nobody")
    if not 0 < len(computed.steps) <= MAX_STEPS:
        raise invalid("computed.steps", f"1 to {MAX_STEPS} steps")
    names = {choice.name for choice in definition.choices}
    least = -1
    for number, step in enumerate(computed.steps):
        if step.choice not in names:
            raise invalid(f"computed.steps.{number}.choice", "is none of the choices")
        if step.least <= least:
            raise invalid(f"computed.steps.{number}.least", "is more than that of the step before")
        least = step.least
