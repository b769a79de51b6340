"""Who is and was in which segment.

A member document is the fold of one customer's transitions in one segment, so membership on any
date, and why it began and ended, are there to be read and never computed again.
"""

from datetime import UTC, datetime

import msgspec

from shared.events import topic_of
from shared.events.segment import SegmentEntered, SegmentExited
from shared.moments import milliseconds
from shared.projection import Document, Event, Projection

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
"""The end of an interval that is still open."""
_AGES = -milliseconds(datetime(1, 1, 1, tzinfo=UTC))


class Because(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A cause, as the transition has it."""

    kind: str
    event: str | None = None
    import_id: str | None = None


class Transition(msgspec.Struct, frozen=True, gc=False):
    """Of `segment.entered` and `segment.exited`."""

    segment: str
    definition: int
    cause: Because


class Interval(msgspec.Struct, frozen=True):
    """In the segment from `entered` on, until just before `exited` (`FOREVER` while open).

    The versions are those of the two transitions in the membership stream, `definition` that of the
    rule which let the customer in. The two moments may be the same: what came and went in one
    moment was still logged.
    """

    entered: datetime
    exited: datetime
    entered_version: int
    entered_because: Because
    definition: int
    exited_version: int | None = None
    exited_because: Because | None = None


class Member(Document, kw_only=True, omit_defaults=True):
    """One customer in one segment, now or once: intervals in the order in which they were logged.

    `since` is, of who is in the segment now, the unique key by which members stand in the order of
    their entering. Other fields that queries look for have no default, so that each is stored.
    """

    segment: str
    customer: str
    current: bool
    intervals: list[Interval]
    since: str | None = None


def member_id(segment: str, customer: str) -> str:
    """The id of the document of a customer in a segment."""
    return f"{segment}|{customer}"


def since_key(segment: str, entered: datetime, customer: str) -> str:
    """Where a member stands by the moment of entering: texts in the order of the moments."""
    return f"{segment}|{milliseconds(entered) + _AGES:015d}|{customer}"


def _member_of(event: Event) -> str | None:
    if event.light.subject is None or not isinstance(event.data, Transition):
        return None
    return member_id(event.data.segment, event.light.subject)


def _remember(member: Member | None, event: Event) -> Member:
    """The member after one more transition.

    Raises ValueError where the log does not take turns: then an event was lost on the way.
    """
    light, data = event.light, event.data
    entering = light.type == SegmentEntered.type
    customer = light.subject or ""
    if member is None:
        member = Member(
            id=member_id(data.segment, customer),
            segment=data.segment, customer=customer, current=False, intervals=[],
        )  # fmt: skip
    if member.current is entering:
        message = f"{light.id} enters or leaves {data.segment} twice in a row"
        raise ValueError(message)
    if entering:
        opened = Interval(light.time, FOREVER, light.streamversion, data.cause, data.definition)
        return msgspec.structs.replace(
            member, current=True, intervals=[*member.intervals, opened],
            since=since_key(member.segment, light.time, customer),
        )  # fmt: skip
    closed = msgspec.structs.replace(
        member.intervals[-1],
        exited=light.time, exited_version=light.streamversion, exited_because=data.cause,
    )  # fmt: skip
    return msgspec.structs.replace(
        member, current=False, intervals=[*member.intervals[:-1], closed], since=None
    )


members_v2: Projection[Member] = Projection(
    name="members_v2",
    topics=(topic_of(SegmentEntered.type, "segment"),),
    reads={SegmentEntered.type: Transition, SegmentExited.type: Transition},
    document=Member,
    target=_member_of,
    apply=_remember,
    indexes=(
        (("segment", 1), ("current", 1), ("_id", 1)),
        (("segment", 1), ("intervals.entered", 1)),
        (("customer", 1),),
        (("since", 1),),
    ),
)
