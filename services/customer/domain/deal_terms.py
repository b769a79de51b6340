"""What a deal may be about: sums that are exact, and names that the chain knows.

Only what a command says is checked against the configuration: an old deal keeps what has been
archived since.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from services.customer.domain.assignment import Assignments
from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.pipeline import Pipelines
from shared.decider import Refused, invalid
from shared.events.deal import DealLine, PipelineDefined, Stage, Terms

MAX_LINES = 200
LARGEST_AMOUNT = 10**13
"""Minor units.

900,000 such deals come to 9 × 10¹⁸, which 64 bits hold exactly; weighted sums are made in Python.
"""

Patch = Mapping[str, Any]
"""Fields of `Terms` by name; None clears one."""


@dataclass(frozen=True, slots=True)
class Ground:
    """The configuration that decisions about deals stand on; None: not configured, anything goes.

    `employees` are those who work here, each with their branches (None: all).
    """

    pipelines: Pipelines = field(default_factory=Pipelines)
    assignments: Assignments = field(default_factory=Assignments)
    deal_types: Collection[str] | None = None
    sources: Collection[str] | None = None
    branches: Collection[str] | None = None
    employees: Mapping[str, Collection[str] | None] | None = None

    def pipeline(self, name: str) -> PipelineDefined:
        """A pipeline that takes new deals. Raises `Refused`."""
        definition = self.pipelines.get(name)
        if definition is None or not self.pipelines.lives(name):
            raise invalid("pipeline", "is no pipeline that takes new deals")
        return definition

    def stage(self, pipeline: str, stage: str) -> Stage:
        """A stage that deals may come into. Raises `Refused`."""
        found = self.pipelines.stage(pipeline, stage)
        if found is None or found.archived:
            raise invalid("stage", "is no stage of this pipeline that deals may come into")
        return found

    def require_responsible(self, employee: str | None, branch: str | None) -> None:
        """Raise `Refused` for somebody who does not work here, or not at the branch."""
        if employee is None or self.employees is None:
            return
        if employee not in self.employees:
            raise invalid("responsible", "is nobody who works here")
        at = self.employees[employee]
        if at is not None and branch is not None and branch not in at:
            raise invalid("responsible", "does not work at the deal's branch")

    def active(self, among: Sequence[str]) -> Mapping[str, Collection[str] | None]:
        """Employees with their branches; where none are configured, those who are named."""
        return dict.fromkeys(among) if self.employees is None else self.employees


def ground_of(configuration: Configuration) -> Ground:
    """The part of the configuration that decisions about deals stand on."""
    directories = configuration.directories
    return Ground(
        pipelines=configuration.pipelines,
        assignments=configuration.assignments,
        deal_types={each.entry for each in directories.entries("deal_type")} or None,
        sources={each.entry for each in directories.entries("source")} or None,
        branches={name for name, _ in configuration.branches.open()}
        if configuration.branches.items
        else None,
        employees={name: each.contract.branches for name, each in configuration.employees.working()}
        if configuration.employees.items
        else None,
    )


def sum_of(lines: Sequence[DealLine]) -> int:
    """What the lines come to, in minor units."""
    return sum(each.quantity * each.price - each.discount for each in lines)


def new_terms(patch: Patch, ground: Ground) -> Terms:
    """The terms of a new deal. Raises `Refused` that names what is wrong."""
    return changed_terms(Terms(amount=0), patch, ground)


def changed_terms(terms: Terms, patch: Patch, ground: Ground) -> Terms:
    """The terms with what a patch says. Raises `Refused` that names what is wrong."""
    _check_names(patch, ground)
    lines: tuple[DealLine, ...] = tuple(patch["lines"] or ()) if "lines" in patch else terms.lines
    if "lines" in patch:
        _check_lines(lines)
    amount = patch.get("amount")
    if amount is None:
        amount = sum_of(lines) if lines else terms.amount
    if lines and amount != sum_of(lines):
        raise invalid("amount", f"the lines come to {sum_of(lines)}")
    if not 0 <= amount <= LARGEST_AMOUNT:
        raise invalid("amount", f"0 to {LARGEST_AMOUNT} minor units")
    rest = {name: value for name, value in patch.items() if name not in {"lines", "amount"}}
    return terms.model_copy(update={**rest, "lines": lines, "amount": amount})


def _check_lines(lines: Sequence[DealLine]) -> None:
    if len(lines) > MAX_LINES:
        raise invalid("lines", f"at most {MAX_LINES}")
    for index, each in enumerate(lines):
        if each.price < 0:
            raise invalid(f"lines.{index}.price", "at least 0")
        if not 0 <= each.discount <= each.quantity * each.price:
            raise invalid(f"lines.{index}.discount", "0 to quantity × price")


def _check_names(patch: Patch, ground: Ground) -> None:
    for name, known, what in (
        ("deal_type", ground.deal_types, "deal type"),
        ("source", ground.sources, "source"),
        ("branch", ground.branches, "branch"),
    ):
        value = patch.get(name)
        if value is not None and known is not None and value not in known:
            raise invalid(name, f"is no {what} that can be chosen")
    closing = patch.get("expected_close")
    if closing is not None:
        try:
            date.fromisoformat(closing)
        except ValueError as failure:
            raise invalid("expected_close", "an ISO 8601 date") from failure


def closed() -> Refused:
    """The refusal to touch a closed deal."""
    return Refused("deal-closed", 409, "The deal is closed.", "reopen it first")
