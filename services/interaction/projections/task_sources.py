"""What planning needs of other services: who answers for a deal, and who is in a segment.

Deals and segments have documents of their own; each says just what a robot's task or a call list
asks for.
"""

import msgspec

from shared.events import topic_of
from shared.events.deal import (
    DealChanged,
    DealContinued,
    DealOpened,
    DealResponsibleAssigned,
)
from shared.events.segment import SegmentEntered, SegmentExited
from shared.projection import Document, Event, Projection


class Terms(msgspec.Struct, frozen=True, gc=False):
    """What is read of a deal's terms."""

    branch: str | None = None


class Dealt(msgspec.Struct, frozen=True):
    """Of `deal.opened` and `deal.continued`."""

    deal: str
    terms: Terms
    responsible: str | None = None


class Changed(msgspec.Struct, frozen=True):
    """Of `deal.changed`."""

    deal: str
    terms: Terms | None = None


class Assigned(msgspec.Struct, frozen=True, gc=False):
    """Of `deal.responsible_assigned`."""

    deal: str
    responsible: str | None = None


class DealDuty(Document, kw_only=True, omit_defaults=True):
    """Who answers for a deal, and at which branch."""

    responsible: str | None = None
    branch: str | None = None


def _deal(event: Event) -> str | None:
    match event.data:
        case Dealt(deal=deal) | Changed(deal=deal) | Assigned(deal=deal):
            return deal
    return None


def apply_deal(duty: DealDuty | None, event: Event) -> DealDuty:
    """The deal after an event."""
    duty = duty or DealDuty(id=_deal(event) or "")
    match event.data:
        case Dealt(terms=terms, responsible=responsible):
            duty.responsible, duty.branch = responsible, terms.branch
        case Changed(terms=Terms(branch=branch)):
            duty.branch = branch
        case Assigned(responsible=responsible):
            duty.responsible = responsible
    return duty


DEAL_DUTIES: Projection[DealDuty] = Projection(
    name="deal_duties_v1",
    topics=(topic_of(DealOpened.type, "customer"),),
    reads={
        DealOpened.type: Dealt,
        DealContinued.type: Dealt,
        DealChanged.type: Changed,
        DealResponsibleAssigned.type: Assigned,
    },
    document=DealDuty,
    target=_deal,
    apply=apply_deal,
)


class Entered(msgspec.Struct, frozen=True, gc=False):
    """Of `segment.entered`."""

    segment: str


class Exited(msgspec.Struct, frozen=True, gc=False):
    """Of `segment.exited`."""

    segment: str


class Callee(Document, kw_only=True, omit_defaults=True):
    """The segments that a customer is in."""

    segments: list[str] = msgspec.field(default_factory=list)


def _customer(event: Event) -> str | None:
    return event.light.subject


def apply_segment(callee: Callee | None, event: Event) -> Callee:
    """The customer after a transition."""
    callee = callee or Callee(id=event.light.subject or "")
    match event.data:
        case Entered(segment=segment):
            callee.segments = sorted({*callee.segments, segment})
        case Exited(segment=segment):
            callee.segments = [each for each in callee.segments if each != segment]
    return callee


CALLEES: Projection[Callee] = Projection(
    name="callees_v1",
    topics=(topic_of(SegmentEntered.type, "segment"),),
    reads={SegmentEntered.type: Entered, SegmentExited.type: Exited},
    document=Callee,
    target=_customer,
    apply=apply_segment,
    indexes=((("segments", 1), ("_id", 1)),),
)
