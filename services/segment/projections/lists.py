"""Who is and was on which static list.

A document is the fold of one customer's comings and goings on one list, so membership on any date,
and why it began and ended, are there to be read.
"""

from datetime import datetime

import msgspec

from services.segment.projections.members import FOREVER
from shared.events import topic_of
from shared.events.lists import ListEntered, ListLeft
from shared.projection import Document, Event, Projection


class Reason(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A cause, as the event has it."""

    kind: str
    by: str | None = None
    job: str | None = None
    merge: str | None = None
    event: str | None = None


class Told(msgspec.Struct, frozen=True, gc=False):
    """Of `list.entered` and `list.left`."""

    list: str
    cause: Reason


class Stay(msgspec.Struct, frozen=True, omit_defaults=True):
    """On the list from `entered` on, until just before `left`, which is always stored.

    The two moments may be the same: what a merge only passed on was still logged.
    """

    entered: datetime
    left: datetime
    entered_because: Reason
    left_because: Reason | None = None


class ListMember(Document, kw_only=True, omit_defaults=True):
    """One customer on one list, now or once: stays in the order in which they were logged."""

    list: str
    customer: str
    current: bool
    intervals: tuple[Stay, ...]


def member_id(name: str, customer: str) -> str:
    """The id of the document of a customer on a list."""
    return f"{name}|{customer}"


def _member_of(event: Event) -> str | None:
    if event.light.subject is None or not isinstance(event.data, Told):
        return None
    return member_id(event.data.list, event.light.subject)


def _remember(member: ListMember | None, event: Event) -> ListMember:
    """The member after one more event.

    Raises ValueError where the log does not take turns: then an event was lost on the way.
    """
    light, data = event.light, event.data
    entering, customer = light.type == ListEntered.type, light.subject or ""
    if member is None:
        member = ListMember(
            id=member_id(data.list, customer),
            list=data.list, customer=customer, current=False, intervals=(),
        )  # fmt: skip
    if member.current is entering:
        message = f"{light.id} enters or leaves {data.list} twice in a row"
        raise ValueError(message)
    if entering:
        # Asked for before it was taken off, recorded after: no stay begins before the last ended.
        begun = max([light.time, *(stay.left for stay in member.intervals[-1:])])
        stays = (*member.intervals, Stay(begun, FOREVER, data.cause))
    else:
        last = member.intervals[-1]
        # A clock may have been put back since; no stay ends before it began.
        left = max(light.time, last.entered)
        ended = msgspec.structs.replace(last, left=left, left_because=data.cause)
        stays = (*member.intervals[:-1], ended)
    return msgspec.structs.replace(member, current=entering, intervals=stays)


LIST_MEMBERS: Projection[ListMember] = Projection(
    name="list_members_v1",
    topics=(topic_of(ListEntered.type, "segment"),),
    reads={ListEntered.type: Told, ListLeft.type: Told},
    document=ListMember,
    target=_member_of,
    apply=_remember,
    indexes=(
        (("list", 1), ("current", 1), ("_id", 1)),
        (("list", 1), ("intervals.entered", 1)),
        (("customer", 1),),
    ),
)
