"""What care knows of a customer: when things were last true, and what time will change."""

from datetime import datetime

import msgspec

from shared.projection import SteppedDocument

CONTACTS = frozenset({"phone", "email", "card", "messenger", "social"})
RECORD = ("surname", "name", "birth_date", "address", "city", "workplace")


class InMotion(msgspec.Struct, frozen=True):
    """Receipts of a move that has not ended, and those of them that are void, by their moments."""

    move: str
    bought: bytes
    voided: bytes


class Care(SteppedDocument, kw_only=True, omit_defaults=True):
    """One customer; the document's id is the customer's.

    `clock` is the last moment of evaluation, None before the first. `contacts` holds the hashes of
    each kind, `known` when each field was last known to be right, `overdue` for which of these
    moments it was said already. `last` is when something happened last (`last_event`: what),
    `bought` are the moments of its receipts, `owed` of those that were void before they came
    (`shared.moments`), `other` is the last one of anything else, `moving` are receipts that are
    changing hands. `inactive` tells for which of these moments each rule has said so already.
    `due` maps a timer (`field|<name>`, `rule|<name>`, `blacklist`) to its moment. `called` says
    that an archived record was called back. `rules` is always stored, so that 0 is found as an
    older set.
    """

    rules: int
    clock: datetime | None = None
    branch: str | None = None
    contacts: dict[str, list[str]] = msgspec.field(default_factory=dict)
    known: dict[str, datetime] = msgspec.field(default_factory=dict)
    overdue: dict[str, datetime] = msgspec.field(default_factory=dict)
    blacklisted: datetime | None = None
    last: datetime | None = None
    last_event: str = ""
    bought: bytes = b""
    owed: bytes = b""
    other: datetime | None = None
    moving: list[InMotion] = msgspec.field(default_factory=list)
    inactive: dict[str, datetime] = msgspec.field(default_factory=dict)
    deals: list[str] = msgspec.field(default_factory=list)
    archived: bool = False
    called: bool = False
    merged: bool = False
    erased: bool = False
    due: dict[str, datetime] = msgspec.field(default_factory=dict)

    @property
    def waits(self) -> bool:
        """Whether time changes anything: nobody who is out of sight, and no unfinished import."""
        return not (self.archived or self.merged or self.erased or self.history)
