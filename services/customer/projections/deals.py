"""The deals: one document each, with every stay in a stage, for the board and all figures.

Texts are kept sealed, as the events have them, and opened when they are shown: so an erase needs
no work here. A deal that went on with another customer is told whole at the beginning of its next
stream, and what an earlier stream says is passed over from then on: so it does not matter which of
the two is read first.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from services.customer.domain.deal import generation_of
from services.customer.domain.deal_stays import Stay, milliseconds_between, stays_after
from shared.events import topic_of
from shared.events.contract import show_moment
from shared.events.deal import (
    DealChanged,
    DealContinued,
    DealLost,
    DealOpened,
    DealReopened,
    DealResponsibleAssigned,
    DealStageMoved,
    DealTransferred,
    DealWon,
)
from shared.projection import Document, Event, Projection

ID_CHARACTERS = 36
"""Of the id in the name of a stream; the number of a later stream stands behind it."""


class Line(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A product in a deal."""

    product: str
    quantity: int
    price: int
    discount: int = 0


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a deal is about."""

    amount: int
    lines: list[Line] = msgspec.field(default_factory=list)
    deal_type: str | None = None
    source: str | None = None
    branch: str | None = None
    expected_close: str | None = None


class Words(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Its texts; those of a person's deal are sealed."""

    title: str | None = None
    comment: str | None = None
    company_title: str | None = None
    company_comment: str | None = None


NO_WORDS = Words()


class Opened(msgspec.Struct, frozen=True):
    """Of `deal.opened`."""

    deal: str
    pipeline: str
    stage: str
    terms: Terms
    words: Words = NO_WORDS
    company: str | None = None
    responsible: str | None = None


class Changed(msgspec.Struct, frozen=True):
    """Of `deal.changed`."""

    deal: str
    terms: Terms | None = None
    words: Words = NO_WORDS
    cleared: list[str] = msgspec.field(default_factory=list)


class Staged(msgspec.Struct, frozen=True):
    """Of the events that name the stage a deal is in."""

    deal: str
    stage: str


class Lost(msgspec.Struct, frozen=True):
    """Of `deal.lost`."""

    deal: str
    stage: str
    reason: str
    comment: str | None = None
    company_comment: str | None = None


class Assigned(msgspec.Struct, frozen=True):
    """Of `deal.responsible_assigned`."""

    deal: str
    responsible: str | None = None


class Transferred(msgspec.Struct, frozen=True):
    """Of `deal.transferred`."""

    deal: str


class Visit(msgspec.Struct, frozen=True):
    """A stay in a stage, as `deal.continued` tells it."""

    stage: str
    entered: datetime
    left: datetime | None = None
    next: str | None = None


class Continued(msgspec.Struct, frozen=True):
    """Of `deal.continued`."""

    deal: str
    generation: int
    pipeline: str
    stage: str
    status: str
    visits: list[Visit]
    terms: Terms
    opened: datetime
    words: Words = NO_WORDS
    responsible: str | None = None
    closed: datetime | None = None
    lost_reason: str | None = None
    lost_comment: str | None = None


class DealDocument(Document, kw_only=True, omit_defaults=True):
    """A deal.

    `customer` or `company` is whose it is. `turn` is `<moment of opening>|<id>`, unique, by which
    pages go on; `close_month` is that of the expected close, `YYYY-MM`. `generation` counts the
    streams of the deal. The fields that queries look for have no default, so that each is stored.
    """

    generation: int
    customer: str | None
    company: str | None
    pipeline: str
    stage: str
    status: str
    branch: str | None
    responsible: str | None
    close_month: str | None
    terms: Terms
    turn: str
    opened: datetime
    words: Words = NO_WORDS
    closed: datetime | None = None
    lost_reason: str | None = None
    lost_comment: str | None = None
    stays: list[Stay] = msgspec.field(default_factory=list)


def _target(event: Event) -> str | None:
    """The deal; requests of robots and their outcomes are in streams of their own."""
    kind, _, rest = event.light.stream.partition("-")
    return rest[:ID_CHARACTERS] if kind == "deal" else None


def apply(deal: DealDocument | None, event: Event) -> DealDocument:
    """The deal after an event."""
    data = event.data
    match data:
        case Opened():
            if deal is not None:
                # What was read first is a later stream, which tells all of it.
                return deal
            return _opened(event, data)
        case Continued():
            if deal is not None and deal.generation >= data.generation:
                return deal
            return _continued(deal, event, data)
    if deal is None:
        message = "the first event of a deal opens or continues it"
        raise ValueError(message)
    if generation_of(event.light.stream, deal.id) < deal.generation:
        return deal
    return _after(deal, event)


def _after(deal: DealDocument, event: Event) -> DealDocument:
    data, time = event.data, event.time
    match data:
        case Changed(terms=terms, words=words, cleared=cleared):
            kept = _without(deal.words, cleared)
            deal.words = msgspec.structs.replace(kept, **_given(words))
            if terms is not None:
                _take_terms(deal, terms)
        case Staged(stage=stage):
            deal.stays = stays_after(deal.stays, event.type, stage, time)
            deal.stage = stage
            _take_status(deal, event)
        case Lost(stage=stage, reason=reason):
            deal.stays = stays_after(deal.stays, event.type, stage, time)
            deal.status, deal.closed = "lost", time
            deal.lost_reason = reason
            deal.lost_comment = data.comment or data.company_comment
        case Assigned(responsible=responsible):
            deal.responsible = responsible
        case Transferred():
            pass
        case _:
            message = f"a deal has no event {event.type}"
            raise TypeError(message)
    return deal


def _take_status(deal: DealDocument, event: Event) -> None:
    if event.type == DealWon.type:
        deal.status, deal.closed = "won", event.time
    elif event.type == DealReopened.type:
        deal.status, deal.closed = "open", None
        deal.lost_reason = deal.lost_comment = None


def _take_terms(deal: DealDocument, terms: Terms) -> None:
    deal.terms = terms
    deal.branch = terms.branch
    deal.close_month = _month(terms)


def _month(terms: Terms) -> str | None:
    return None if terms.expected_close is None else terms.expected_close[:7]


def _given(words: Words) -> Mapping[str, Any]:
    given: dict[str, Any] = msgspec.to_builtins(words)
    return given


def _without(words: Words, cleared: list[str]) -> Words:
    gone: dict[str, Any] = {name: None for each in cleared for name in (each, f"company_{each}")}
    return msgspec.structs.replace(words, **gone)


def _opened(event: Event, data: Opened) -> DealDocument:
    return DealDocument(
        id=data.deal,
        generation=1,
        customer=event.light.subject,
        company=data.company,
        pipeline=data.pipeline,
        stage=data.stage,
        status="open",
        branch=data.terms.branch,
        responsible=data.responsible,
        close_month=_month(data.terms),
        terms=data.terms,
        words=data.words,
        turn=f"{show_moment(event.time)}|{data.deal}",
        opened=event.time,
        stays=stays_after([], event.type, data.stage, event.time),
    )


def _continued(deal: DealDocument | None, event: Event, data: Continued) -> DealDocument:
    return DealDocument(
        id=data.deal,
        rev=0 if deal is None else deal.rev,
        versions={} if deal is None else deal.versions,
        generation=data.generation,
        customer=event.light.subject,
        company=None,
        pipeline=data.pipeline,
        stage=data.stage,
        status=data.status,
        branch=data.terms.branch,
        responsible=data.responsible,
        close_month=_month(data.terms),
        terms=data.terms,
        words=data.words,
        turn=f"{show_moment(data.opened)}|{data.deal}",
        opened=data.opened,
        closed=data.closed,
        lost_reason=data.lost_reason,
        lost_comment=data.lost_comment,
        stays=[_stay(each) for each in data.visits],
    )


def _stay(visit: Visit) -> Stay:
    lasted = None if visit.left is None else milliseconds_between(visit.entered, visit.left)
    return Stay(visit.stage, visit.entered, visit.left, visit.next, lasted)


DEALS: Projection[DealDocument] = Projection(
    name="deals_v1",
    topics=(topic_of(DealOpened.type, "customer"),),
    reads={
        DealOpened.type: Opened,
        DealChanged.type: Changed,
        DealStageMoved.type: Staged,
        DealWon.type: Staged,
        DealLost.type: Lost,
        DealReopened.type: Staged,
        DealResponsibleAssigned.type: Assigned,
        DealTransferred.type: Transferred,
        DealContinued.type: Continued,
    },
    document=DealDocument,
    target=_target,
    apply=apply,
    gapless=True,
    indexes=(
        (("turn", 1),),
        (("pipeline", 1), ("status", 1), ("stage", 1), ("turn", 1)),
        (("branch", 1), ("turn", 1)),
        (("branch", 1), ("pipeline", 1), ("status", 1), ("stage", 1), ("turn", 1)),
        (("customer", 1), ("turn", 1)),
        (("company", 1), ("turn", 1)),
        (("responsible", 1), ("status", 1), ("turn", 1)),
        (("status", 1), ("close_month", 1)),
        (("pipeline", 1), ("stays.entered", 1)),
    ),
)
