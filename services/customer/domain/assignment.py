"""Who answers for a new deal: rules by deal type, and the choice, which is fair whoever else opens.

A choice rests on values that change with the deal's own commit, in one transaction: whose turn it
was last, and how many open deals each employee has. Each is a claim (`shared/claims.py`), because
a claim is what a commit can rest on: of two deals opened at once one is decided again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from services.customer.domain.configuration.catalogue import (
    Archive,
    Catalogue,
    Define,
    Restore,
    Rules,
    decide_item,
)
from shared.decider import Decider, NewEvent, invalid
from shared.events.contract import EventData
from shared.events.deal import AssignmentArchived, AssignmentDefined, AssignmentRestored
from shared.eventstore import Claim

MAX_EMPLOYEES = 200

AssignmentCommand = Define[AssignmentDefined] | Archive | Restore


@dataclass(frozen=True, slots=True)
class Assignments(Catalogue[AssignmentDefined]):
    """All rules by deal type."""

    def rule(self, deal_type: str | None) -> AssignmentDefined | None:
        """The rule that counts for a type."""
        return self.get(deal_type) if deal_type is not None and self.lives(deal_type) else None


def decide(command: AssignmentCommand, state: Assignments) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal."""
    return decide_item(_RULES, command, state)


def evolve(state: Assignments, data: EventData) -> Assignments:
    """The rules after an event."""
    match data:
        case AssignmentDefined(deal_type=deal_type):
            return state.with_definition(deal_type, data)
        case AssignmentArchived(deal_type=deal_type):
            return state.with_archived(deal_type, archived=True)
        case AssignmentRestored(deal_type=deal_type):
            return state.with_archived(deal_type, archived=False)
        case _:
            message = f"assignment rules have no event {data.type}"
            raise TypeError(message)


ASSIGNMENTS: Decider[AssignmentCommand, Assignments] = Decider(Assignments, decide, evolve)


def _check(definition: AssignmentDefined, _name: str, _state: Assignments) -> None:
    employees = definition.employees
    if not 0 < len(employees) <= MAX_EMPLOYEES:
        raise invalid("employees", f"1 to {MAX_EMPLOYEES}")
    if len(set(employees)) != len(employees):
        raise invalid("employees", "the same employee stands here twice")
    if definition.strategy == "fixed" and len(employees) != 1:
        raise invalid("employees", "exactly one, where it is fixed")


_RULES: Rules[AssignmentDefined, Assignments] = Rules(
    kind="assignment rule",
    archived=lambda name: AssignmentArchived(deal_type=name),
    restored=lambda name: AssignmentRestored(deal_type=name),
    check=_check,
)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Who may be chosen by a rule at a branch, in the rule's order."""

    rule: AssignmentDefined
    branch: str | None
    employees: tuple[str, ...]

    @property
    def turn_id(self) -> str:
        """The claim that says whose turn it was last; each branch takes turns of its own."""
        return f"turn|{self.rule.deal_type}|{self.branch or ''}"

    @property
    def takes_turns(self) -> bool:
        """Whether a choice depends on the one before."""
        return self.rule.strategy == "round_robin"

    @property
    def claim_ids(self) -> Sequence[str]:
        """The claims that the choice rests on, and those that it changes."""
        loads = [load_id(each) for each in self.employees]
        return [self.turn_id, *loads] if self.takes_turns else loads


def candidates(
    rule: AssignmentDefined, branch: str | None, active: Mapping[str, Collection[str] | None]
) -> Candidates:
    """Those of the rule who work at the branch; `active` has branches by employee (None: all)."""
    return Candidates(
        rule,
        branch,
        tuple(
            each
            for each in rule.employees
            if each in active and ((at := active[each]) is None or branch is None or branch in at)
        ),
    )


def choose(among: Candidates, claims: Mapping[str, Claim]) -> str | None:
    """Who answers for the next deal; None where nobody works there.

    Round robin: the one behind whoever was last, in the rule's order. Least open: the one with the
    fewest open deals, of several the first in the rule's order.
    """
    employees = among.employees
    if not employees:
        return None
    match among.rule.strategy:
        case "fixed":
            return employees[0]
        case "least_open":
            return min(employees, key=lambda each: load_of(each, claims))
        case "round_robin":
            return _next_in_turn(among, claims)


def _next_in_turn(among: Candidates, claims: Mapping[str, Claim]) -> str:
    last = claims.get(among.turn_id)
    order = among.rule.employees
    # Whoever was last may have left the rule, or the branch: their place counts, if they have one.
    place = order.index(last.owner) + 1 if last is not None and last.owner in order else 0
    turned = (*order[place:], *order[:place])
    return next(each for each in turned if each in among.employees)


def load_id(employee: str) -> str:
    """The claim whose owner is the number of the employee's open deals, in decimal."""
    return f"open-deals|{employee}"


def load_of(employee: str, claims: Mapping[str, Claim]) -> int:
    """How many open deals the employee has."""
    claim = claims.get(load_id(employee))
    return 0 if claim is None or claim.owner is None else int(claim.owner)


@dataclass(slots=True)
class Loads:
    """How a decision changes the numbers of open deals: taken and given back, by employee."""

    changes: dict[str, int] = field(default_factory=dict)

    def take(self, employee: str | None) -> None:
        """One more."""
        self._add(employee, 1)

    def give_back(self, employee: str | None) -> None:
        """One less."""
        self._add(employee, -1)

    def _add(self, employee: str | None, number: int) -> None:
        if employee is not None:
            self.changes[employee] = self.changes.get(employee, 0) + number
