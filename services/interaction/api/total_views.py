"""Totals as they are shown."""

from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal, Self, TypedDict

from pydantic import BaseModel, Field

from services.interaction.domain.streams import stream_of
from services.interaction.projections.totals import CustomerTotals
from services.interaction.queries.totals import (
    Figures,
    Path,
    Suspected,
    categories_of,
    favourite,
    sums_of,
    top,
)
from shared.access import Scope
from shared.events.contract import Moment

TOP = 10
"""Categories that are shown of one customer."""


class LifetimeView(BaseModel):
    """What is left of the net: margin where costs are known, else turnover, and called so."""

    value_minor: int = Field(description="margin and turnover together")
    of: Literal["margin", "turnover", "both"] = Field(description="what the value is")
    margin_minor: int = Field(description="of lines whose cost is known: net less cost")
    turnover_minor: int = Field(description="net of lines whose cost is not known")


class FiguresView(BaseModel):
    """What all figures have in common. A return is no visit, no receipt and no last purchase."""

    visits: int = Field(description="days at a branch with a receipt or a visit that was kept")
    receipts: int
    returns: int
    returned_minor: int = Field(description="what was given back, at the branches that took it")
    tips_minor: int
    average_minor: int | None = Field(
        description="net per receipt, half a unit rounded away from zero; null without a receipt"
    )
    lifetime: LifetimeView
    first: Moment | None = Field(description="of the receipts")
    last: Moment | None


class CategoryView(BaseModel):
    """Net of a category."""

    path: list[str] = Field(description="from the root of the tree")
    spent_minor: int


class BranchTotalsView(FiguresView):
    """What a customer has done at one branch."""

    branch: str
    spent_minor: int = Field(description="net")


class SuspicionView(BaseModel):
    """A day with more receipts than the chain allows."""

    day: str = Field(description="in the chain's zone")
    receipts: int = Field(description="of the day, when it was noticed")
    limit: int
    lifted: bool = Field(description="a person has said that it is none")


class CustomerTotalsView(FiguresView):
    """What a customer has done at the branches that the caller may see."""

    customer: str
    version: int = Field(description="of the customer's facts, all branches'")
    spent_minor: int = Field(description="net")
    favourite_branch: str | None = Field(description="the most visits, then the most net")
    top_categories: list[CategoryView] = Field(description="the most net first")
    suspicions: list[SuspicionView] = Field(description="of misuse, at any branch")
    branches: list[BranchTotalsView]

    @classmethod
    def of(
        cls, customer: str, totals: CustomerTotals | None, narrow: Scope, level: int | None
    ) -> Self:
        """The totals at the branches of the scope; they are sums over branches anyway."""
        totals = totals or CustomerTotals(id=customer)
        seen = [each for each in totals.branches if narrow.allows(each.branch)]
        sums = sums_of(seen)
        return cls(
            customer=customer,
            version=totals.versions.get(stream_of(customer), 0),
            spent_minor=sums.spent,
            favourite_branch=favourite(seen),
            top_categories=category_views(categories_of(seen), level, TOP),
            suspicions=[
                SuspicionView(
                    day=each.day, receipts=each.count, limit=each.limit, lifted=each.lifted
                )
                for each in totals.suspicions
                if each.told
            ],
            branches=[
                BranchTotalsView(
                    branch=each.branch,
                    spent_minor=each.spent,
                    **common(sums_of([each])),
                )
                for each in seen
            ],
            **common(sums),
        )


class ChainTotalsView(FiguresView):
    """What all customers have done at the branches that the caller may see.

    Receipts of nobody known are among them; `customers` counts only who is known.
    """

    customers: int = Field(description="with at least one receipt")
    turnover_minor: int = Field(description="net")

    @classmethod
    def of(cls, sums: Figures) -> Self:
        """The sums as they are shown."""
        return cls(customers=sums.customers, turnover_minor=sums.spent, **common(sums))


class BranchFiguresView(ChainTotalsView):
    """What all customers have done at one branch."""

    branch: str

    @classmethod
    def at(cls, sums: Figures) -> Self:
        """The sums of one branch as they are shown."""
        return cls(
            branch=sums.branch or "",
            customers=sums.customers,
            turnover_minor=sums.spent,
            **common(sums),
        )


class BranchList(BaseModel):
    """All branches with a fact that the caller may see, by name."""

    items: list[BranchFiguresView]


class CategoryList(BaseModel):
    """Categories, the most net first."""

    items: list[CategoryView]


class SuspectView(SuspicionView):
    """Who is suspected: a customer, or somebody unknown by the name of their stream."""

    customer: str | None
    unknown: str | None

    @classmethod
    def of(cls, found: Suspected) -> Self:
        """The suspicion as it is shown."""
        each = found.suspicion
        return cls(
            customer=None if found.unknown else found.who,
            unknown=found.who if found.unknown else None,
            day=each.day,
            receipts=each.count,
            limit=each.limit,
            lifted=each.lifted,
        )


class SuspectList(BaseModel):
    """Who is suspected, up to 1,000."""

    items: list[SuspectView]


def category_views(
    categories: Mapping[Path, int], level: int | None, limit: int
) -> list[CategoryView]:
    """The top categories as they are shown."""
    return [
        CategoryView(path=list(path), spent_minor=spent)
        for path, spent in top(categories, level, limit)
    ]


class Common(TypedDict):
    """The fields of `FiguresView`."""

    visits: int
    receipts: int
    returns: int
    returned_minor: int
    tips_minor: int
    average_minor: int | None
    lifetime: LifetimeView
    first: datetime | None
    last: datetime | None


def common(sums: Figures) -> Common:
    """The fields of `FiguresView`."""
    margin, turnover = sums.costed - sums.cost, sums.spent - sums.costed
    return {
        "visits": sums.visits,
        "receipts": sums.receipts,
        "returns": sums.returns,
        "returned_minor": sums.returned,
        "tips_minor": sums.tips,
        "average_minor": _average(sums.spent, sums.receipts) if sums.receipts else None,
        "lifetime": LifetimeView(
            value_minor=margin + turnover,
            of=_called(sums),
            margin_minor=margin,
            turnover_minor=turnover,
        ),
        "first": sums.first,
        "last": sums.last,
    }


def _called(sums: Figures) -> Literal["margin", "turnover", "both"]:
    if not sums.costed and not sums.cost:
        return "turnover"
    return "margin" if sums.costed == sums.spent else "both"


def _average(spent: int, receipts: int) -> int:
    return int((Decimal(spent) / receipts).quantize(Decimal(1), rounding=ROUND_HALF_UP))
