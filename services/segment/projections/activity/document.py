"""What a customer has bought, as it is stored: sums and moments that can be given back."""

from datetime import datetime

import msgspec

from shared.projection import Document


class BranchActivity(msgspec.Struct, omit_defaults=True):
    """What a customer has bought at one branch; money in minor units.

    `bought` are the moments of the receipts that stand, `owed` those of receipts that are gone
    before they came (`shared.moments`). `spent` is net: what was given back here is taken off.
    """

    branch: str
    bought: bytes = b""
    owed: bytes = b""
    spent: int = 0


class Pending(msgspec.Struct):
    """What the facts of a move add up to that has not ended."""

    move: str
    branches: list[BranchActivity]


class Activity(Document, kw_only=True, omit_defaults=True):
    """One customer; the document's id is the customer's.

    `branches` are in the order of their names. `internal` marks staff and tests, who are kept out
    of figures. `away` marks who was merged and is another customer until they part. Of who was
    `erased` only what they bought is left, since statistics stay.
    """

    registered: datetime | None = None
    home_branch: str | None = None
    city: str | None = None
    acquisition: str | None = None
    internal: bool = False
    away: bool = False
    erased: bool = False
    branches: list[BranchActivity] = msgspec.field(default_factory=list)
    pending: list[Pending] = msgspec.field(default_factory=list)
