"""What callers are shown of deals."""

from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi import Response
from pydantic import BaseModel, Field

from services.customer.domain.deal import deal_stream, deal_version
from services.customer.domain.deal_stays import Stay
from services.customer.handlers.deals import Settled
from services.customer.projections.deals import DealDocument
from services.customer.queries.deals import Figures, Passage
from shared.events.contract import show_moment
from shared.http import etag


class Dealt(BaseModel):
    """The answer to a command."""

    id: str
    version: int = Field(description="of the deal; pass it on as `min_version`")
    repeated: bool = Field(description="it was recorded before")


class StayView(BaseModel):
    """A stay in a stage."""

    stage: str
    entered: str
    left: str | None
    next: str | None = Field(description="the next stage, `won` or `lost`; null: it is there")
    milliseconds: int | None = Field(description="how long; null while it lasts")


class DealView(BaseModel):
    """A deal."""

    id: str
    version: int
    customer: str | None
    company: str | None
    title: str | None
    comment: str | None
    pipeline: str
    stage: str
    status: str
    responsible: str | None
    amount: int
    lines: list[dict[str, Any]]
    deal_type: str | None
    source: str | None
    branch: str | None
    expected_close: str | None
    opened: str
    closed: str | None
    lost_reason: str | None
    lost_comment: str | None
    stays: list[StayView]


class FiguresView(BaseModel):
    """Of several deals; money in minor units."""

    count: int
    amount: int
    weighted: int = Field(
        description="amount × probability of the stage, rounded half up once, at the end"
    )


class StageFigures(FiguresView):
    """Of the open deals of a stage."""

    stage: str
    probability: int = Field(description="hundredths of a percent")
    archived: bool


class BoardView(BaseModel):
    """The open deals of a pipeline; stages in their order."""

    pipeline: str
    total: FiguresView
    stages: list[StageFigures]


class ForecastGroup(FiguresView):
    """Of the open deals of a month, a person or a branch."""

    group: str | None = Field(description="null: of none")


class ForecastView(BaseModel):
    """What the open deals are likely to bring."""

    by: str
    total: FiguresView
    groups: list[ForecastGroup]


class NextView(BaseModel):
    """How many stays ended in what follows."""

    next: str | None = Field(description="a stage, `won`, `lost`; null: they last")
    count: int


class ConversionStage(BaseModel):
    """The stays in a stage that began in the time."""

    stage: str
    entered: int
    left: int
    followed_by: list[NextView]
    mean_milliseconds: int | None = Field(description="of those that are over, rounded half up")
    longest_milliseconds: int | None


class ConversionView(BaseModel):
    """What became of the stays that began in `[begin, end)`."""

    pipeline: str
    stages: list[ConversionStage]


def dealt(settled: Settled, response: Response) -> Dealt:
    """The answer to a command, and the deal's version as the entity tag."""
    response.headers["ETag"] = etag(settled.version)
    return Dealt(id=settled.deal, version=settled.version, repeated=settled.repeated)


def version_of(deal: DealDocument) -> int:
    """The version of a deal that callers see."""
    stream = deal_stream(deal.id, deal.generation)
    return deal_version(stream, deal.id, deal.versions.get(stream, 0))


def view_of(deal: DealDocument) -> DealView:
    """A deal as it is shown."""
    words, terms = deal.words, deal.terms
    return DealView(
        id=deal.id,
        version=version_of(deal),
        customer=deal.customer,
        company=deal.company,
        title=words.title or words.company_title,
        comment=words.comment or words.company_comment,
        pipeline=deal.pipeline,
        stage=deal.stage,
        status=deal.status,
        responsible=deal.responsible,
        amount=terms.amount,
        lines=[{**msgspec.structs.asdict(each)} for each in terms.lines],
        deal_type=terms.deal_type,
        source=terms.source,
        branch=terms.branch,
        expected_close=terms.expected_close,
        opened=show_moment(deal.opened),
        closed=None if deal.closed is None else show_moment(deal.closed),
        lost_reason=deal.lost_reason,
        lost_comment=deal.lost_comment,
        stays=[_stay(each) for each in deal.stays],
    )


def _stay(stay: Stay) -> StayView:
    return StayView(
        stage=stay.stage,
        entered=show_moment(stay.entered),
        left=None if stay.left is None else show_moment(stay.left),
        next=stay.next,
        milliseconds=stay.milliseconds,
    )


def figures_view(figures: Figures) -> FiguresView:
    """Figures as they are shown."""
    return FiguresView(count=figures.count, amount=figures.amount, weighted=figures.weighted)


def conversion_stage(stage: str, passages: Sequence[Passage]) -> ConversionStage:
    """What became of the stays in a stage; of a mean half a millisecond goes up."""
    over = [each for each in passages if each.next is not None]
    left = sum(each.count for each in over)
    together = sum(each.milliseconds for each in over)
    return ConversionStage(
        stage=stage,
        entered=sum(each.count for each in passages),
        left=left,
        followed_by=[
            NextView(next=each.next, count=each.count)
            for each in sorted(passages, key=lambda each: (each.next is None, each.next or ""))
        ],
        mean_milliseconds=(2 * together + left) // (2 * left) if left else None,
        longest_milliseconds=max((each.longest for each in over), default=None),
    )
