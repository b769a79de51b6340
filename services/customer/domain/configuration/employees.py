"""Employees: who works for the chain, as what, where, and by which keys they call.

A key is of one working person at most, so that what was done by it was done by somebody. Who left
keeps the record of what they did, and none of the keys; coming back gives none of them back.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import assert_never

from services.customer.domain.configuration.catalogue import RestsOn, whatever
from shared.decider import Decider, NewEvent, Refused, invalid, not_found
from shared.events.configuration import (
    EmployeeChanged,
    EmployeeErased,
    EmployeeHired,
    EmployeeLeft,
    EmployeeReturned,
)
from shared.events.contract import EventData

KIND = "employee"
MAX_EMPLOYEES = 5000
"""People of a chain, those who left included: all are kept in memory by every process."""


def subject_of(employee: str) -> str:
    """Whose key seals the employee's name."""
    return f"employee-{employee}"


@dataclass(frozen=True, slots=True)
class Contract:
    """What the chain knows of somebody's work; `branches` None: the whole chain."""

    name: str | None
    position: str
    branches: tuple[str, ...] | None = None
    principals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Employee:
    """Somebody who works here, or did; `version` is that of their last event.

    `left` is the day of leaving, `left_version` that of the event which said so last;
    `keys_of_old` are principals that must not call any more.
    """

    contract: Contract
    version: int
    left: str | None = None
    left_version: int = 0
    successor: str | None = None
    keys_of_old: frozenset[str] = frozenset()
    erased: bool = False

    def works_at(self, branch: str) -> bool:
        """Whether they work at the branch, or for the whole chain."""
        branches = self.contract.branches
        return self.left is None and (branches is None or branch in branches)


@dataclass(frozen=True, slots=True)
class Employees:
    """All employees by id; `version` counts the events of the stream."""

    version: int = 0
    items: Mapping[str, Employee] = field(default_factory=dict)

    def working(self) -> Iterator[tuple[str, Employee]]:
        """Those who work here now."""
        return ((name, each) for name, each in self.items.items() if each.left is None)

    def works(self, employee: str) -> bool:
        """Whether they work here now."""
        known = self.items.get(employee)
        return known is not None and known.left is None

    def require(self, employee: str, path: str) -> None:
        """Raise `Refused` that names the field, for somebody who does not work here."""
        if not self.works(employee):
            raise invalid(path, "is no employee who works here")

    def of_principal(self, principal: str) -> str | None:
        """The employee who calls by a principal."""
        for name, each in self.working():
            if principal in each.contract.principals:
                return name
        return None

    def of_position(self, position: str, branch: str) -> Sequence[str]:
        """Who does a job at a branch, those of just this branch first; sorted by id within."""
        found = [
            (each.contract.branches is None, name)
            for name, each in self.working()
            if each.contract.position == position and each.works_at(branch)
        ]
        return [name for _, name in sorted(found)]


@dataclass(frozen=True, slots=True)
class Hire:
    """Let somebody work here."""

    employee: str
    contract: Contract
    at: datetime


@dataclass(frozen=True, slots=True)
class ChangeEmployee:
    """Give somebody another name, position, branches or keys."""

    employee: str
    contract: Contract
    at: datetime
    rests_on: RestsOn = whatever


@dataclass(frozen=True, slots=True)
class Leave:
    """Let somebody go, and another one take over; who takes over may be said later."""

    employee: str
    since: date
    successor: str | None
    at: datetime
    rests_on: RestsOn = whatever


@dataclass(frozen=True, slots=True)
class Return:
    """Let somebody who left work here again, without the keys of old."""

    employee: str
    at: datetime
    rests_on: RestsOn = whatever


@dataclass(frozen=True, slots=True)
class EraseEmployee:
    """Let the name of somebody who left be unknown for ever; its key is a tombstone already."""

    employee: str
    at: datetime


EmployeeCommand = Hire | ChangeEmployee | Leave | Return | EraseEmployee


def decide(command: EmployeeCommand, state: Employees) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal."""
    if isinstance(command, Hire):
        return _hire(command, state)
    known = state.items.get(command.employee)
    if known is None:
        raise not_found(KIND, command.employee)
    match command:
        case ChangeEmployee():
            return _change(command, known, state)
        case Leave():
            return _leave(command, known, state)
        case Return():
            if known.left is None:
                return ()
            if known.erased:
                raise Refused("erased", 410, "The employee was erased.", "hire them anew")
            command.rests_on(known.version)
            return (NewEvent(EmployeeReturned(employee=command.employee), command.at),)
        case EraseEmployee():
            check_erasable(known)
            if known.erased:
                return ()
            return (NewEvent(EmployeeErased(employee=command.employee), command.at),)
        case _:
            assert_never(command)


def check_erasable(known: Employee) -> None:
    """Raise `Refused` for somebody who works here: the chain has to know its own people."""
    if known.left is None:
        raise Refused("works-here", 409, "The employee works here.", "let them leave first")


def _hire(command: Hire, state: Employees) -> Sequence[NewEvent]:
    if command.employee in state.items:
        raise Refused("employee-exists", 409, "There is an employee of this id.")
    if len(state.items) >= MAX_EMPLOYEES:
        raise Refused("too-many", 422, "There are too many of these.", f"at most {MAX_EMPLOYEES}")
    _check_principals(command.employee, command.contract, state)
    contract = command.contract
    hired = EmployeeHired(
        employee=command.employee,
        name=contract.name,
        position=contract.position,
        branches=contract.branches,
        principals=contract.principals,
    )
    return (NewEvent(hired, command.at),)


def _change(command: ChangeEmployee, known: Employee, state: Employees) -> Sequence[NewEvent]:
    if known.left is not None:
        raise Refused("has-left", 409, "The employee has left.", "let them return first")
    if command.contract == known.contract:
        return ()
    command.rests_on(known.version)
    _check_principals(command.employee, command.contract, state)
    contract = command.contract
    changed = EmployeeChanged(
        employee=command.employee,
        name=contract.name,
        position=contract.position,
        branches=contract.branches,
        principals=contract.principals,
    )
    return (NewEvent(changed, command.at),)


def _leave(command: Leave, known: Employee, state: Employees) -> Sequence[NewEvent]:
    successor = command.successor
    if known.left is not None and (successor is None or known.successor is not None):
        return ()
    command.rests_on(known.version)
    if successor is not None and (successor == command.employee or not state.works(successor)):
        raise invalid("successor", "is no other employee who works here")
    since = known.left or command.since.isoformat()
    left = EmployeeLeft(employee=command.employee, since=since, successor=successor)
    return (NewEvent(left, command.at),)


def _check_principals(employee: str, contract: Contract, state: Employees) -> None:
    for number, principal in enumerate(contract.principals):
        if principal in contract.principals[:number]:
            raise invalid(f"principals.{number}", "stands here twice")
        for other, each in state.items.items():
            if principal in each.keys_of_old:
                raise invalid(f"principals.{number}", "was of somebody who left: take a new key")
            if other != employee and each.left is None and principal in each.contract.principals:
                raise Refused(
                    "principal-taken",
                    409,
                    "Another employee calls by this.",
                    f"{principal} is of employee {other}",
                )


def evolve(state: Employees, data: EventData) -> Employees:
    """The employees after an event."""
    version = state.version + 1
    match data:
        case EmployeeHired(employee=name):
            employee = Employee(_contract(data), version)
        case EmployeeChanged(employee=name):
            employee = replace(state.items[name], contract=_contract(data), version=version)
        case EmployeeLeft(employee=name, since=since, successor=successor):
            before = state.items[name]
            employee = replace(
                before,
                contract=replace(before.contract, principals=()),
                version=version,
                left=since,
                left_version=version,
                successor=successor,
                keys_of_old=before.keys_of_old | set(before.contract.principals),
            )
        case EmployeeErased(employee=name):
            before = state.items[name]
            nameless = replace(before.contract, name=None)
            employee = replace(before, contract=nameless, version=version, erased=True)
        case EmployeeReturned(employee=name):
            employee = replace(state.items[name], version=version, left=None, successor=None)
        case _:
            message = f"employees have no event {data.type}"
            raise TypeError(message)
    return Employees(version, {**state.items, name: employee})


def _contract(data: EmployeeHired | EmployeeChanged) -> Contract:
    return Contract(data.name, data.position, data.branches, data.principals)


EMPLOYEES: Decider[EmployeeCommand, Employees] = Decider(Employees, decide, evolve)
