"""One customer of the list, as it is stored: what is shown, and what it is found and sorted by."""

from datetime import datetime
from typing import Any

import msgspec

from services.customer.projections.directory.reading import Contact, Grant
from shared.projection import Document


class BranchTotals(msgspec.Struct, gc=False, omit_defaults=True):
    """What a customer has done at one branch; `spent` in minor units, returns taken off.

    `visits` counts receipts, from `first` to `last`. Their moments are `bought`; `owed` are those
    of receipts that are gone before they came (`shared.moments`).
    """

    branch: str
    visits: int = 0
    spent: int = 0
    first: datetime | None = None
    last: datetime | None = None
    bought: bytes = b""
    owed: bytes = b""


class PendingMove(msgspec.Struct):
    """What the receipts of a move add up to that has not ended."""

    move: str
    branches: list[BranchTotals]


class DirectoryEntry(Document, kw_only=True):
    """One customer.

    A customer who has receipts and is not registered yet has no `registered_at`, and is in no list;
    nor is one who was merged (`merged_into`) or erased. `found_by` holds `<kind>|<hash>` of each
    identifier that finds this customer alone. `consents` are those that are given, as
    `<topic>|<channel>`; `consent_states` all that was said, as `<topic>|<channel>|<contact>`.
    Money is in minor units, `discounts` (giver → hundredths of a percent). `at_branches` are in the
    order of their names; `pending` are receipts that are changing hands.

    What is below `shelf` is derived from the rest by `keys.py`: `shelf` is where the entry stands
    (absent: in no list), `dice` a hash of its id, for fair samples,
    `branches` those of its home and its receipts, `has` the kinds of contacts
    with a value, `sort` and `slots` one key per column and search slot, `names` its words, `words`
    and `marks` what it is found by exactly.
    """

    registered_at: datetime | None = None
    contacts: list[Contact] = msgspec.field(default_factory=list)
    found_by: list[str] = msgspec.field(default_factory=list)
    consents: list[str] = msgspec.field(default_factory=list)
    consent_states: dict[str, bool] = msgspec.field(default_factory=dict)
    surname: str | None = None
    name: str | None = None
    patronymic: str | None = None
    birth_date: str | None = None
    gender: str | None = None
    address: str | None = None
    city: str | None = None
    region: str | None = None
    workplace: str | None = None
    home_branch: str | None = None
    language: str | None = None
    time_zone: str | None = None
    acquisition: str | None = None
    customer_type: str | None = None
    preferred_channel: str | None = None
    internal: bool = False
    custom: dict[str, Any] = msgspec.field(default_factory=dict)
    tags: list[str] = msgspec.field(default_factory=list)
    categories: list[Grant] = msgspec.field(default_factory=list)
    discounts: dict[str, int] = msgspec.field(default_factory=dict)
    status: str | None = None
    responsible: str | None = None
    blacklisted: bool = False
    segments: list[str] = msgspec.field(default_factory=list)
    archived: bool = False
    merged_into: str | None = None
    absorbed: list[str] = msgspec.field(default_factory=list)
    erased: bool = False
    spent: int = 0
    visits: int = 0
    first_visit: datetime | None = None
    last_visit: datetime | None = None
    at_branches: list[BranchTotals] = msgspec.field(default_factory=list)
    pending: list[PendingMove] = msgspec.field(default_factory=list)

    shelf: str | None = None
    dice: str | None = None
    branches: list[str] = msgspec.field(default_factory=list)
    has: list[str] = msgspec.field(default_factory=list)
    sort: dict[str, str] = msgspec.field(default_factory=dict)
    slots: dict[str, str] = msgspec.field(default_factory=dict)
    names: list[str] = msgspec.field(default_factory=list)
    words: list[str] = msgspec.field(default_factory=list)
    marks: list[str] = msgspec.field(default_factory=list)

    @property
    def average(self) -> int | None:
        """The mean of a receipt, rounded towards minus infinity."""
        return self.spent // self.visits if self.visits else None
