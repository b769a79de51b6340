"""What becomes of tasks when something becomes of their customers.

A document holds the tasks of one customer, and what became of the customer. Both topics have the
customer's id for key, and the answer does not depend on which of them is read first: a task that
is planned for a customer who was merged or erased already is found as one that was there before,
and so is a confirmation that had been given by the time that its task was planned.

- A merge takes the tasks along; its revert takes back those that it brought, and no other: each
  task carries the merges that brought it, the latest last, and reverts come in that order.
- An erase cancels what is open.
- A field that was confirmed, or written down anew, after it fell due closes its task.

`responsible` and `home_branch` are who looks after the customer, and where.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import msgspec

from services.interaction.domain.task import TASK_STREAM
from services.interaction.projections.task_owner_events import (
    Absorbed,
    Added,
    Assigned,
    Continued,
    Ended,
    Erased,
    Merge,
    Merged,
    Origin,
    Planned,
    Record,
    Reopened,
    Reverted,
    Right,
    Terms,
    Transferred,
    Verified,
    Written,
)
from shared.events import topic_of
from shared.events.care import FieldsConfirmed, ResponsibleAssigned
from shared.events.customer import (
    CustomerChanged,
    CustomerRegistered,
    IdentifierAdded,
    IdentifierChanged,
)
from shared.events.merging import CustomerAbsorbed, CustomerErased, CustomerMerged, MergeReverted
from shared.events.task import (
    TaskCancelled,
    TaskCompleted,
    TaskContinued,
    TaskPlanned,
    TaskReopened,
    TaskTransferred,
)
from shared.projection import Document, Event, Projection

CONFIRMATION: Final = "confirmation"
CUSTOM = "custom."
RECORD = ("surname", "name", "birth_date", "address", "city", "workplace")
"""Fields of the record that may have update rules, apart from contact points."""


class Held(msgspec.Struct, frozen=True, omit_defaults=True):
    """A task that is here, with the merges that brought it; the field that it is to confirm."""

    task: str
    merges: list[Merge]
    open: bool = True
    field: str | None = None
    since: datetime | None = None


class Cause(msgspec.Struct, frozen=True, gc=False):
    """The event that something follows from, and the chain of causes it is in."""

    event: str
    correlation: str
    depth: int


class Confirmed(msgspec.Struct, frozen=True):
    """When a field was last known to be right, and by which event."""

    at: datetime
    cause: Cause


class Move(msgspec.Struct, frozen=True):
    """A task goes on with another customer."""

    stream: str
    task: str
    customer: str
    merge: str
    merges: list[Merge]
    cause: Cause


class Closing(msgspec.Struct, frozen=True):
    """An open task is over: its customer was erased, or else its field is confirmed."""

    stream: str
    task: str
    erased: bool
    at: datetime
    cause: Cause


class TaskOwner(Document, kw_only=True, omit_defaults=True):
    """The tasks of a customer, by stream. `pending`: something is to be done with some of them."""

    pending: bool
    held: dict[str, Held] = msgspec.field(default_factory=dict)
    confirmed: dict[str, Confirmed] = msgspec.field(default_factory=dict)
    responsible: str | None = None
    home_branch: str | None = None
    survivor: str | None = None
    merge: str | None = None
    merged: Cause | None = None
    reverted: dict[str, Cause] = msgspec.field(default_factory=dict)
    erased: Confirmed | None = None

    def wanted(self) -> Iterator[Move | Closing]:
        """What is to be done."""
        for stream, held in sorted(self.held.items()):
            done = self._closing(stream, held) or self._move(stream, held)
            if done is not None:
                yield done

    def _closing(self, stream: str, held: Held) -> Closing | None:
        if not held.open:
            return None
        if self.erased is not None:
            return Closing(stream, held.task, True, self.erased.at, self.erased.cause)  # noqa: FBT003 - positional in msgspec
        right = None if held.field is None else self.confirmed.get(held.field)
        if right is None or held.since is None or right.at < held.since:
            return None
        return Closing(stream, held.task, False, right.at, right.cause)  # noqa: FBT003 - positional in msgspec

    def _move(self, stream: str, held: Held) -> Move | None:
        # Whoever was erased has lost the whole tree of merges: there is nobody to move tasks to.
        if self.erased is not None:
            return None
        last = held.merges[-1] if held.merges else None
        if last is not None and last.merge in self.reverted:
            cause, rest = self.reverted[last.merge], held.merges[:-1]
            return Move(stream, held.task, last.customer, last.merge, rest, cause)
        if self.survivor is None or self.merge is None or self.merged is None:
            return None
        merges = [*held.merges, Merge(self.merge, self.id)]
        return Move(stream, held.task, self.survivor, self.merge, merges, self.merged)


def _target(event: Event) -> str | None:
    """The customer; tasks that concern nobody are nobody's."""
    return event.light.subject


def apply(owner: TaskOwner | None, event: Event) -> TaskOwner:
    """What is known of a customer's tasks after an event."""
    if owner is None:
        owner = TaskOwner(id=event.light.subject or "", pending=False)
    if event.light.stream.startswith(TASK_STREAM):
        _hold(owner, event)
    else:
        _become(owner, event)
    owner.pending = next(owner.wanted(), None) is not None
    return owner


def _cause(event: Event) -> Cause:
    light = event.light
    return Cause(light.id, light.correlationid, light.causedepth + 1)


def _hold(owner: TaskOwner, event: Event) -> None:
    stream = event.light.stream
    match event.data:
        case Planned(task=task, terms=terms, origin=origin):
            owner.held[stream] = _held(task, [], terms, origin, is_open=True)
        case Continued(task=task, merges=merges, terms=terms, origin=origin, status=status):
            is_open = status == "open"
            owner.held[stream] = _held(task, merges, terms, origin, is_open=is_open)
        case Ended():
            _set_open(owner, stream, is_open=False)
        case Reopened():
            # Whoever opens it again wants it done, whatever was confirmed before.
            _set_open(owner, stream, is_open=True)
        case Transferred():
            owner.held.pop(stream, None)


def _held(task: str, merges: list[Merge], terms: Terms, origin: Origin, *, is_open: bool) -> Held:
    asks = origin.kind == CONFIRMATION
    return Held(task, merges, is_open, origin.name if asks else None, terms.since if asks else None)


def _set_open(owner: TaskOwner, stream: str, *, is_open: bool) -> None:
    held = owner.held.get(stream)
    if held is not None:
        field = None if is_open else held.field
        owner.held[stream] = msgspec.structs.replace(held, open=is_open, field=field)


def _become(owner: TaskOwner, event: Event) -> None:
    data, cause = event.data, _cause(event)
    at = min(event.time, event.light.recordedtime)
    match data:
        case Written():
            fields = [*_names(data), *(each.kind for each in data.identifiers)]
            _confirm(owner, fields, at, cause)
            _belong(owner, data, data.cleared or ())
        case Added(identifier=contact):
            _confirm(owner, [contact.kind], at, cause)
        case Verified(kind=kind, state="verified"):
            _confirm(owner, [kind], at, cause)
        case Right(fields=fields):
            _confirm(owner, fields, at, cause)
        case Assigned(employee=employee):
            owner.responsible = employee
        case Erased():
            owner.erased = Confirmed(at, cause)
            owner.confirmed, owner.responsible, owner.home_branch = {}, None, None
        case _:
            _merge(owner, data, cause)


def _merge(owner: TaskOwner, data: object, cause: Cause) -> None:
    match data:
        case Merged(merge=merge, survivor=survivor):
            owner.survivor, owner.merge, owner.merged = survivor, merge, cause
        case Absorbed(responsible=responsible, fields=fields):
            owner.responsible = responsible or owner.responsible
            _belong(owner, fields, ())
        case Reverted(merge=merge, role="survivor", cleared=cleared):
            owner.reverted[merge] = cause
            if "responsible" in cleared:
                owner.responsible = None
            _belong(owner, Record(), cleared)
        case Reverted(merge=merge) if merge == owner.merge:
            owner.survivor = owner.merge = owner.merged = None


def _names(data: Record) -> Iterator[str]:
    yield from (name for name in RECORD if getattr(data, name) is not None)
    yield from (f"{CUSTOM}{name}" for name in data.custom or {})


def _confirm(owner: TaskOwner, fields: Iterable[str], at: datetime, cause: Cause) -> None:
    for name in fields:
        known = owner.confirmed.get(name)
        if known is None or at >= known.at:
            owner.confirmed[name] = Confirmed(at, cause)


def _belong(owner: TaskOwner, fields: Record, cleared: Iterable[str]) -> None:
    if "home_branch" in cleared:
        owner.home_branch = None
    owner.home_branch = fields.home_branch or owner.home_branch


TASK_OWNERS: Projection[TaskOwner] = Projection(
    name="task_owners_v1",
    topics=(
        topic_of(TaskPlanned.type, "interaction"),
        topic_of(CustomerMerged.type, "customer"),
    ),
    reads={
        TaskPlanned.type: Planned,
        TaskContinued.type: Continued,
        TaskCompleted.type: Ended,
        TaskCancelled.type: Ended,
        TaskReopened.type: Reopened,
        TaskTransferred.type: Transferred,
        CustomerRegistered.type: Written,
        CustomerChanged.type: Written,
        IdentifierAdded.type: Added,
        IdentifierChanged.type: Verified,
        FieldsConfirmed.type: Right,
        ResponsibleAssigned.type: Assigned,
        CustomerMerged.type: Merged,
        CustomerAbsorbed.type: Absorbed,
        MergeReverted.type: Reverted,
        CustomerErased.type: Erased,
    },
    document=TaskOwner,
    target=_target,
    apply=apply,
    indexes=((("pending", 1),),),
)
