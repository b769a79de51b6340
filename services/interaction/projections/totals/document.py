"""What a customer has done, as it is stored.

Everything is a sum or a set that can be given back exactly, so that facts may come in any order,
turn out not to have happened, and change hands. What is empty is not there, so that equal facts
make equal documents.
"""

from datetime import datetime

import msgspec

from shared.projection import Document


class CategoryTotals(msgspec.Struct, gc=False):
    """Net of one category, in minor units; `path` leads to it from the root of the tree."""

    path: list[str]
    spent: int


class BranchTotals(msgspec.Struct, omit_defaults=True):
    """What a customer has done at one branch; money in minor units.

    `spent` is net: returns are taken off at the branch where they were brought. `returned` is
    what the customer got back, in `returns`. Of `spent`, `costed` was for lines of which a cost
    is known, together `cost`. `visits` counts the days on which the customer bought something or
    was there. `first` and `last` are the ends of the receipts' moments, `bought`; `owed` are those
    of receipts that are gone before they came, `came` of visits (`shared.moments`).
    """

    branch: str
    visits: int = 0
    receipts: int = 0
    spent: int = 0
    returns: int = 0
    returned: int = 0
    tips: int = 0
    costed: int = 0
    cost: int = 0
    first: datetime | None = None
    last: datetime | None = None
    bought: bytes = b""
    owed: bytes = b""
    came: bytes = b""
    categories: list[CategoryTotals] = msgspec.field(default_factory=list)


class Pending(msgspec.Struct):
    """What the facts of a move add up to that has not ended."""

    move: str
    branches: list[BranchTotals]


class Suspicion(msgspec.Struct, omit_defaults=True):
    """A day with more receipts than the chain allows; `told` once it is in the log.

    `at` is when the receipt was recorded that was one too many, `fact` its id where one is known.
    A person may have `lifted` it.
    """

    day: str
    count: int
    limit: int
    at: datetime | None = None
    fact: str | None = None
    told: bool = False
    lifted: bool = False

    @property
    def waits(self) -> bool:
        """Whether it is still to be told."""
        return not (self.told or self.lifted)


class CustomerTotals(Document, kw_only=True):
    """What a customer has done, or somebody `unknown`, whose id is the name of their stream.

    `branches` are in the order of their names. A stream of somebody unknown that was `closed`
    is a customer's now, and empty for good. `due_at` is the earliest moment of a suspicion that is
    not told yet.
    """

    unknown: bool = False
    closed: bool = False
    branches: list[BranchTotals] = msgspec.field(default_factory=list)
    pending: list[Pending] = msgspec.field(default_factory=list)
    suspicions: list[Suspicion] = msgspec.field(default_factory=list)
    due_at: datetime | None = None
