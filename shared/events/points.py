"""Events of loyalty points: the chain's rules, and the ledger of each customer.

Points are whole numbers and lie in *lots*: what one receipt earned, or one grant gave. Every event
tells how many points of which lot come or go, so that a reader adds up and computes nothing. What
is owed, because it was spent before its receipt came back, is told apart: no lot is ever below
nothing.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.contract import EventData, MinorUnits, Moment, Part, Pii, open_list

AnyGivenBackReason = Annotated[
    Literal["cancelled", "lapsed", "unused", "returned", "voided"],
    open_list("why points come back"),
]
AnyReversalReason = Annotated[
    Literal["returned", "voided", "moved"], open_list("why points are taken back")
]
AnyTransferReason = Annotated[Literal["merged", "reverted"], open_list("why points change hands")]


class Rate(Part):
    """How much of what is paid comes back as points, for a category, a branch, both, or all."""

    percent: int = Field(ge=0, le=10_000, description="hundredths of a percent")
    category: str | None = Field(default=None, description="of products, with all below it")
    branch: str | None = None


class PointsRulesDefined(EventData):
    """The chain's rules, told whole; receipts go by those that stood at their time."""

    type: ClassVar[str] = "points.rules_defined.v1"
    rates: tuple[Rate, ...] = Field(
        default=(),
        description="the deepest category counts, of equals the one with a branch; none: nothing",
    )
    minimum: MinorUnits = Field(default=0, ge=0, description="smaller receipts earn nothing")
    pending_days: int = Field(default=0, ge=0, description="before points can be spent")
    life: str | None = Field(
        default=None, description="ISO 8601, from when they can be spent; absent: for ever"
    )
    point_value: MinorUnits = Field(ge=1, description="of one point")
    payable_percent: int = Field(
        ge=0, le=10_000, description="of a receipt, in hundredths: the most that points may pay"
    )
    on_points_paid: bool = Field(
        default=False, description="whether what was paid by points earns points"
    )
    history: bool = Field(default=False, description="whether imported receipts earn")
    since: Moment = Field(description="receipts from then on go by these rules")
    hold_minutes: int = Field(
        ge=1, description="how long points are kept for a receipt that has not come yet"
    )
    by: str | None = Field(default=None, description="id of the principal")


class PointsOrigin(Part):
    """A merge that brought something, and whose it had been."""

    merge: str
    customer: str


class Portion(Part):
    """Points of one lot, and when that lot can be spent."""

    lot: str
    points: int = Field(ge=1)
    usable_from: Moment
    expires: Moment | None = Field(default=None, description="absent: never")
    origins: tuple[PointsOrigin, ...] = ()


class EarningLine(Part):
    """What a line of a receipt earns by: `base` of its `amount`, at `percent` (hundredths)."""

    line: int = Field(ge=1, description="its position in the receipt")
    amount: MinorUnits = Field(ge=1, description="of the line")
    base: MinorUnits = Field(ge=0, description="what of it was not paid by points")
    percent: int = Field(ge=1)
    returned: MinorUnits = Field(default=0, ge=0)


class Earning(Part):
    """How a receipt came to its points: floor(Σ base × percent / 10,000 / value of a point)."""

    rules: int = Field(ge=1, description="version of the rules")
    point_value: MinorUnits = Field(ge=1)
    points: int = Field(ge=0, description="less what was taken back")
    lines: tuple[EarningLine, ...]


class Lot(Part):
    """Points with their times; `earning` where they come of a receipt. `points` are left."""

    lot: str
    points: int = Field(ge=0)
    usable_from: Moment
    expires: Moment | None = None
    earning: Earning | None = None
    origins: tuple[PointsOrigin, ...] = Field(
        default=(), description="the merges that brought it, the latest last"
    )


class Spending(Part):
    """Points for one receipt: kept until `lapses`, or spent for good when that is absent."""

    spending: str = Field(description="id of the fact that is the receipt, which may still come")
    points: int = Field(ge=1)
    taken: tuple[Portion, ...] = Field(description="that were not given back")
    total: MinorUnits = Field(description="of the receipt")
    returned: MinorUnits = Field(default=0, ge=0, description="of the total")
    given_back: int = Field(default=0, ge=0)
    lapses: Moment | None = None
    origins: tuple[PointsOrigin, ...] = ()


class Debt(Part):
    """Points that are owed; the next ones that come pay for them."""

    points: int = Field(ge=1)
    origins: tuple[PointsOrigin, ...] = ()


class PointsEarned(EventData):
    """A receipt brings points. Of `points`, `debt_paid` go to what is owed, the rest to the lot."""

    type: ClassVar[str] = "points.earned.v1"
    fact: str = Field(description="id of the receipt, and of the lot")
    points: int = Field(ge=1)
    debt_paid: int = Field(default=0, ge=0)
    usable_from: Moment
    expires: Moment | None = None
    earning: Earning
    origins: tuple[PointsOrigin, ...] = ()


class PointsGranted(EventData):
    """Somebody gives points by hand."""

    type: ClassVar[str] = "points.granted.v1"
    grant: str = Field(description="id of the grant, and of the lot")
    points: int = Field(ge=1)
    debt_paid: int = Field(default=0, ge=0)
    usable_from: Moment
    expires: Moment | None = None
    reason: Pii | None = None
    by: str | None = Field(default=None, description="id of the principal")


class PointsWithdrawn(EventData):
    """Somebody takes points away by hand."""

    type: ClassVar[str] = "points.withdrawn.v1"
    points: int = Field(ge=1)
    taken: tuple[Portion, ...]
    reason: Pii | None = None
    by: str | None = Field(default=None, description="id of the principal")


class PointsSpent(EventData):
    """Points are kept for a receipt until `lapses`, or pay for one that has come."""

    type: ClassVar[str] = "points.spent.v1"
    spending: str = Field(description="id of the fact that is the receipt")
    points: int = Field(ge=1)
    taken: tuple[Portion, ...]
    debt: int = Field(default=0, ge=0, description="what there was no lot for")
    total: MinorUnits = Field(description="of the receipt")
    lapses: Moment | None = None


class SpendingPaid(EventData):
    """The receipt has come: its points are spent for good."""

    type: ClassVar[str] = "points.spending_paid.v1"
    spending: str
    total: MinorUnits = Field(description="of the receipt")


class PointsGivenBack(EventData):
    """Points that were kept or spent come back to their lots, less what pays for what is owed."""

    type: ClassVar[str] = "points.given_back.v1"
    spending: str
    points: int = Field(ge=0)
    given: tuple[Portion, ...]
    debt_paid: int = Field(default=0, ge=0)
    why: AnyGivenBackReason
    cause: str | None = Field(default=None, description="id of the return or void")
    returned: MinorUnits = Field(default=0, ge=0, description="of the receipt's total, with this")


class LineReturned(Part):
    """What came back of a line that had earned."""

    line: int = Field(ge=1)
    amount: MinorUnits = Field(ge=0)


class PointsReversed(EventData):
    """A receipt that earned comes back, or is somebody else's: its points are taken back.

    They come of its own lot, then of others, and what none has is owed.
    """

    type: ClassVar[str] = "points.reversed.v1"
    fact: str = Field(description="id of the receipt")
    points: int = Field(ge=0)
    taken: tuple[Portion, ...]
    debt: int = Field(default=0, ge=0)
    why: AnyReversalReason
    cause: str | None = Field(default=None, description="id of the return or void")
    lines: tuple[LineReturned, ...] = Field(default=(), description="of a return")
    to: str | None = Field(default=None, description="whose receipt it is, when it was moved")


class PointsExpired(EventData):
    """The life of a lot is over. `time` is that moment."""

    type: ClassVar[str] = "points.expired.v1"
    lot: str
    points: int = Field(ge=1)


class DebtPaid(EventData):
    """What was owed is paid by points that came another way than by earning."""

    type: ClassVar[str] = "points.debt_paid.v1"
    points: int = Field(ge=1)
    taken: tuple[Portion, ...]


class PointsMovedOut(EventData):
    """Points go on with another customer; after `merged` nothing is taken in here any more."""

    type: ClassVar[str] = "points.moved_out.v1"
    merge: str
    to: str = Field(description="the customer")
    why: AnyTransferReason
    points: int = Field(ge=0, description="of all lots together")
    debt: int = Field(default=0, ge=0)
    lots: tuple[str, ...] = Field(default=(), description="ids of the lots that go")
    spendings: tuple[str, ...] = Field(default=(), description="ids of the spendings that go")


class PointsMovedIn(EventData):
    """Points come from another customer; after `reverted` the ledger is open again."""

    type: ClassVar[str] = "points.moved_in.v1"
    merge: str
    other: str = Field(description="the customer that they come from")
    why: AnyTransferReason
    points: int = Field(ge=0, description="of all lots together")
    debts: tuple[Debt, ...] = ()
    lots: tuple[Lot, ...] = ()
    spendings: tuple[Spending, ...] = ()


EVENTS: tuple[type[EventData], ...] = (
    PointsRulesDefined,
    PointsEarned,
    PointsGranted,
    PointsWithdrawn,
    PointsSpent,
    SpendingPaid,
    PointsGivenBack,
    PointsReversed,
    PointsExpired,
    DebtPaid,
    PointsMovedOut,
    PointsMovedIn,
)
