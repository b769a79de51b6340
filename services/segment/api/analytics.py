"""HTTP of figures over all customers: months, cohorts, and what groups of customers are worth."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from services.segment.api.access import whole_chain
from services.segment.queries.calendar import FIRST_YEAR, MONTHS, month_of
from services.segment.queries.cohorts import Cohorts
from services.segment.queries.definitions import Definitions
from services.segment.queries.value import GroupedBy, Values, Worth
from shared.access import Kind, Permission, Principal, scope
from shared.clock import Clock
from shared.decider import invalid
from shared.http import principal

Reader = Annotated[Principal, Depends(principal(Permission.FACTS_READ))]
LONGEST = 120
"""Months of a period."""
USUAL = 12
MOST_SEGMENTS = 20
MOST_GROUPS = 1_000
_MONTH = r"^\d{4}-(0[1-9]|1[0-2])$"

First = Annotated[
    str | None, Query(alias="from", pattern=_MONTH, description="first month; a year ago")
]
Last = Annotated[str | None, Query(alias="to", pattern=_MONTH, description="this month")]
Branch = Annotated[
    str | None, Query(description="figures of receipts at this branch alone; else of the chain")
]


class MonthView(BaseModel):
    """One month; base of a month + new + returning − lost of the next = base of the next."""

    month: str
    known: int = Field(description="registered, or has bought, by the end of the month")
    active: int = Field(description="bought in the month")
    share: float | None = Field(description="active of known")
    new: int = Field(description="bought for the first time")
    returning: int = Field(description="bought, after `silence` months or more without a receipt")
    lost: int = Field(description="has now been without a receipt for `silence` months")
    base: int = Field(description="bought within the last `silence` months")


class Months(BaseModel):
    """Every month of a period."""

    branch: str | None
    zone: str
    silence: int
    items: list[MonthView]


class CohortView(BaseModel):
    """Who bought for the first time in a month."""

    month: str
    size: int
    active: list[int] = Field(description="who bought 0, 1, 2, … months later")
    share: list[float] = Field(description="the same, of `size`; empty without anybody")


class Retention(BaseModel):
    """The cohort of every month of a period, each followed up to the last one."""

    branch: str | None
    zone: str
    items: list[CohortView]


class WorthView(BaseModel):
    """The customers of a group who have bought."""

    group: str | None = Field(description="null: it is not known of them")
    customers: int
    receipts: int
    spent_minor: int = Field(description="net")
    lifetime_minor: int = Field(description="net per customer, half a unit rounded up")
    average_minor: int = Field(description="net per receipt, half a unit rounded up")
    receipts_in_30_days: float | None = Field(description="per customer, since the first receipt")


class Worths(BaseModel):
    """Groups, the most net first; at most 1,000."""

    by: GroupedBy
    items: list[WorthView]


@dataclass(frozen=True, slots=True)
class AnalyticsApi:
    """The endpoints, on what they need."""

    definitions: Definitions
    cohorts: Cohorts
    values: Values
    clock: Clock

    def router(self) -> APIRouter:
        """The routes below `/v1/analytics`."""
        router = APIRouter(prefix="/v1/analytics", tags=["analytics"])
        router.add_api_route("/months", self.months, methods=["GET"])
        router.add_api_route("/cohorts", self.retention, methods=["GET"])
        router.add_api_route("/value", self.value, methods=["GET"])
        return router

    async def months(
        self,
        calling: Reader,
        *,
        first: First = None,
        last: Last = None,
        branch: Branch = None,
        silence: Annotated[int, Query(ge=1, le=36, description="months")] = 3,
    ) -> Months:
        """Who was active, new, returning and lost."""
        scope(calling, Kind.FACT).require(branch)
        begin, end = self._period(first, last)
        found = await self.cohorts.months(branch, begin, end, silence, self.clock.now())
        return Months(
            branch=branch,
            zone=self.cohorts.zone.key,
            silence=silence,
            items=[
                MonthView(
                    month=each.month,
                    known=each.known,
                    active=each.active,
                    share=each.active / each.known if each.known else None,
                    new=each.new,
                    returning=each.returning,
                    lost=each.lost,
                    base=each.base,
                )
                for each in found
            ],
        )

    async def retention(
        self, calling: Reader, *, first: First = None, last: Last = None, branch: Branch = None
    ) -> Retention:
        """How many of each month's new customers came again."""
        scope(calling, Kind.FACT).require(branch)
        begin, end = self._period(first, last)
        found = await self.cohorts.retention(branch, begin, end)
        return Retention(
            branch=branch,
            zone=self.cohorts.zone.key,
            items=[
                CohortView(
                    month=each.month,
                    size=each.active[0],
                    active=list(each.active),
                    share=[many / each.active[0] for many in each.active if each.active[0]],
                )
                for each in found
            ],
        )

    async def value(
        self,
        calling: Reader,
        by: Annotated[GroupedBy, Query(description="what customers are grouped by")],
        segment: Annotated[
            list[str], Query(max_length=MOST_SEGMENTS, description="for `by=segment`")
        ] = [],  # noqa: B006 - FastAPI copies defaults
    ) -> Worths:
        """What customers have spent, by group. A key of some branches sees these branches."""
        narrow = scope(calling, Kind.FACT)
        if by != "branch":
            narrow.require(None)
        if by == "segment":
            whole_chain(calling)
            if not segment:
                raise invalid("segment", "names at least one")
            for name in segment:
                await self.definitions.require(name)
        found = await self.values.by(
            by, self.clock.now(), segments=list(dict.fromkeys(segment)), branches=narrow.branches
        )
        return Worths(by=by, items=[_worth(each) for each in found[:MOST_GROUPS]])

    def _period(self, first: str | None, last: str | None) -> tuple[int, int]:
        """The months that were asked for. Raises `Refused` (422) that names what is wrong."""
        end = month_of(self.clock.now(), self.cohorts.zone) if last is None else _month(last)
        begin = end - USUAL + 1 if first is None else _month(first)
        if not 0 <= end < MONTHS:
            raise invalid("to", f"lies in the {MONTHS // 12} years from {FIRST_YEAR} on")
        if not 0 <= begin <= end:
            raise invalid("from", f"comes before `to`, or is the same, from {FIRST_YEAR} on")
        if end - begin >= LONGEST:
            raise invalid("from", f"lies at most {LONGEST} months before `to`")
        return begin, end


def _month(text: str) -> int:
    year, month = text.split("-")
    return (int(year) - FIRST_YEAR) * 12 + int(month) - 1


def _worth(worth: Worth) -> WorthView:
    spent = Decimal(worth.spent)
    return WorthView(
        group=worth.group,
        customers=worth.customers,
        receipts=worth.receipts,
        spent_minor=worth.spent,
        lifetime_minor=_rounded(spent / worth.customers),
        average_minor=_rounded(spent / worth.receipts),
        receipts_in_30_days=worth.receipts * 30 / worth.days if worth.days else None,
    )


def _rounded(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))
