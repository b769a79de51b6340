"""Who was moved lately by what happens: what the wave brake counts.

One small document per customer and segment, so that nothing is written by everybody. Transitions
count that events and time have caused; a history, a merge and a definition have brakes, or reasons,
of their own. They count when they were recorded: what catches up after a standstill comes at once,
whenever it should have come.
"""

from datetime import datetime

from services.segment.projections.members import Transition, member_id
from shared.events import topic_of
from shared.events.segment import SegmentEntered, SegmentExited
from shared.projection import Document, Event, Projection

COUNTED = frozenset({"event", "time"})


class Moved(Document, kw_only=True, omit_defaults=True):
    """A customer who was moved in or out of a segment, and when that was last recorded."""

    segment: str
    at: datetime


def _target(event: Event) -> str | None:
    data, customer = event.data, event.light.subject
    if customer is None or not isinstance(data, Transition) or data.cause.kind not in COUNTED:
        return None
    return member_id(data.segment, customer)


def _move(moved: Moved | None, event: Event) -> Moved:
    light, segment = event.light, event.data.segment
    if moved is None:
        return Moved(
            id=member_id(segment, light.subject or ""), segment=segment, at=light.recordedtime
        )
    moved.at = max(moved.at, light.recordedtime)
    return moved


WAVES: Projection[Moved] = Projection(
    name="waves_v1",
    topics=(topic_of(SegmentEntered.type, "segment"),),
    reads={SegmentEntered.type: Transition, SegmentExited.type: Transition},
    document=Moved,
    target=_target,
    apply=_move,
    indexes=((("segment", 1), ("at", 1)),),
)
