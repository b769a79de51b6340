"""What can be asked of a customer's ledger of points; moments by the chain's clock."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.events.points import Earning, PointsOrigin


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerCommand:
    """`at` is now: what is due by then happens first.

    `wherever`: what it is about is nowhere any more, so it is decided where it stands, even if the
    ledger says where that once went.
    """

    at: datetime
    wherever: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Earn(LedgerCommand):
    """Take in what a receipt earns; `time` is the receipt's.

    `origins` are the merges that lead from whose receipt it is to this ledger.
    """

    fact: str
    earning: Earning
    time: datetime
    branch: str | None
    usable_from: datetime
    expires: datetime | None
    origins: tuple[PointsOrigin, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant(LedgerCommand):
    """Give points by hand."""

    grant: str
    points: int
    expires: datetime | None
    reason: str
    by: str
    branch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw(LedgerCommand):
    """Take points away by hand."""

    points: int
    reason: str
    by: str
    branch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend(LedgerCommand):
    """Keep points for a receipt of `total` that will come; at most `most` may pay for it."""

    spending: str
    points: int
    most: int
    total: int
    lapses: datetime
    branch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelSpending(LedgerCommand):
    """Give back what is kept for a receipt that will not come."""

    spending: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pay(LedgerCommand):
    """The receipt has come and says how many points have paid for it; `time` is its own."""

    spending: str
    points: int
    total: int
    time: datetime
    branch: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverse(LedgerCommand):
    """Take back what a receipt earned: all of it, or what these lines (number, amount) did."""

    fact: str
    cause: str
    why: Literal["returned", "voided"]
    lines: tuple[tuple[int, int], ...]
    time: datetime
    branch: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveBack(LedgerCommand):
    """Give back points that paid for what comes back: `amount` of the receipt, or all of it.

    What had been paid by a debt that is settled since comes back as a lot that `expires` then.
    """

    spending: str
    cause: str
    why: Literal["returned", "voided"]
    amount: int
    time: datetime
    branch: str | None
    expires: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle(LedgerCommand):
    """Let happen what is due."""


Command = Earn | Grant | Withdraw | Spend | CancelSpending | Pay | Reverse | GiveBack | Settle
