"""Who works for the chain and where its branches are: one document for each of them.

Tasks need it: who takes over when somebody has left, who has a position at a branch, whose key it
is that does something, and whose day it is at a branch.
"""

import msgspec

from shared.events import topic_of
from shared.events.configuration import (
    BranchMoved,
    BranchOpened,
    EmployeeChanged,
    EmployeeHired,
    EmployeeLeft,
    EmployeeReturned,
)
from shared.projection import Document, Event, Projection

EMPLOYEE, BRANCH = "employee|", "branch|"


class Place(msgspec.Struct, frozen=True, gc=False):
    """What is read of where a branch is."""

    zone: str


class Located(msgspec.Struct, frozen=True):
    """Of `branch.opened` and `branch.moved`."""

    branch: str
    place: Place


class Employed(msgspec.Struct, frozen=True):
    """Of `employee.hired` and `employee.changed`."""

    employee: str
    position: str
    branches: list[str] | None = None
    principals: list[str] = msgspec.field(default_factory=list)


class Left(msgspec.Struct, frozen=True, gc=False):
    """Of `employee.left`."""

    employee: str
    successor: str | None = None


class Returned(msgspec.Struct, frozen=True, gc=False):
    """Of `employee.returned`."""

    employee: str


class StaffEntry(Document, kw_only=True, omit_defaults=True):
    """An employee (`position`, `branches`: None for the whole chain) or a branch (`zone`).

    `left` is the id of the event that they left by, while they are gone; `returned` of the one that
    they came back by.
    """

    zone: str | None = None
    position: str | None = None
    branches: list[str] | None = None
    principals: list[str] = msgspec.field(default_factory=list)
    left: str | None = None
    successor: str | None = None
    returned: str | None = None

    @property
    def name(self) -> str:
        """Of the employee or the branch."""
        return self.id.partition("|")[2]

    def works_at(self, branch: str | None) -> bool:
        """Whether they work here, at the branch (None: for the whole chain)."""
        if self.position is None or self.left is not None:
            return False
        return self.branches is None or (branch is not None and branch in self.branches)


def _target(event: Event) -> str | None:
    match event.data:
        case Located(branch=branch):
            return BRANCH + branch
        case Employed(employee=employee) | Left(employee=employee) | Returned(employee=employee):
            return EMPLOYEE + employee
    return None


def apply(entry: StaffEntry | None, event: Event) -> StaffEntry:
    """The employee or branch after an event."""
    data = event.data
    entry = entry or StaffEntry(id=_target(event) or "")
    match data:
        case Located(place=place):
            entry.zone = place.zone
        case Employed():
            entry.position, entry.branches = data.position, data.branches
            entry.principals = data.principals
        case Left(successor=successor):
            # Told again, it names another successor.
            entry.left, entry.successor, entry.returned = event.light.id, successor, None
        case Returned():
            entry.left = entry.successor = None
            entry.returned = event.light.id
    return entry


STAFF: Projection[StaffEntry] = Projection(
    name="staff_v1",
    topics=(topic_of(EmployeeHired.type, "customer"),),
    reads={
        BranchOpened.type: Located,
        BranchMoved.type: Located,
        EmployeeHired.type: Employed,
        EmployeeChanged.type: Employed,
        EmployeeLeft.type: Left,
        EmployeeReturned.type: Returned,
    },
    document=StaffEntry,
    target=_target,
    apply=apply,
)
