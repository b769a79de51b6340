"""The profile: a snapshot, per customer, of what rules may ask, and of what they have answered.

It holds whole what is visible and within the horizon, the totals of all time, the facts of imports
that have not ended (unseen by rules until then), and its memberships as its own log has them.
"""

from datetime import datetime

import msgspec

from services.segment.rules.view import Receipt, View
from services.segment.rules.words import Told, Word
from shared.projection import SteppedDocument


class Totals(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Over all visible receipts ever: how many, their sum (minor units), the ends (instants)."""

    count: int = 0
    total: int = 0
    first: int | None = None
    last: int | None = None


class Membership(msgspec.Struct, frozen=True, gc=False):
    """The customer is in the segment: since when, and what the log calls it.

    `version` is that of the entering in the membership stream, `definition` that of the rule.
    """

    since: datetime
    version: int
    definition: int


class Waiting(msgspec.Struct, frozen=True):
    """Facts of an import that has not ended, in the order in which they came."""

    import_id: str
    receipts: list[Receipt]
    told: list[Told]


class InMotion(msgspec.Struct, frozen=True):
    """Receipts of a move that has not ended, with what was returned of them, and which are void."""

    move: str
    receipts: list[Receipt]
    returned: list[tuple[int, int]]
    voided: list[int]


class Profile(SteppedDocument, kw_only=True, omit_defaults=True, dict=True):
    """One customer; the document's id is the customer's.

    `clock` is the last moment at which rules were evaluated, None before the first fact is seen.
    `receipts` are the visible ones within the horizon, by time and version. `told` are the last
    events about the customer, one by one. `due` holds, for each segment that has one, the instant
    at which time alone may change it. `transitions` counts those of its log, also the ones that are
    decided and not yet written; the runner moves `stream_version` after it. `let_go` holds the
    moments of receipts that are older than the horizon (`shared.moments`); who has ever had one
    `forgets`. `moving` are receipts that are changing hands. `crowded` marks too many receipts for
    a person: such a profile is in no segment, for good.

    `away` marks a customer who was merged: in no segment until they part, while facts are kept.
    `removed` marks one who was erased: nothing is known of them for good.

    `rules` has no default here, so that it is always stored: 0 must be found as an older set.

    What is not a field (`vars`) is the view that the next step goes on with; never stored, it may
    be missing, and holds nothing that the fields do not.
    """

    rules: int
    clock: datetime | None = None
    totals: Totals = Totals()
    receipts: list[Receipt] = msgspec.field(default_factory=list)
    words: list[Word] = msgspec.field(default_factory=list)
    told: list[Told] = msgspec.field(default_factory=list)
    waiting: list[Waiting] = msgspec.field(default_factory=list)
    memberships: dict[str, Membership] = msgspec.field(default_factory=dict)
    due: dict[str, int] = msgspec.field(default_factory=dict)
    transitions: int = 0
    crowded: bool = False
    away: bool = False
    let_go: bytes = b""
    forgets: bool = False
    moving: list[InMotion] = msgspec.field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every visible fact is still here, and no membership was ever logged."""
        return (
            self.transitions == 0 and not self.forgets and self.totals.count == len(self.receipts)
        )


_VIEW = "view"


def take_view(profile: Profile) -> View:
    """The profile as rules see it, to be changed by the caller alone.

    The view that an earlier step left is moved, not copied: the profile can make a new one.
    """
    view: View | None = vars(profile).pop(_VIEW, None)
    if view is None:
        view = View()
        view.known.learn(profile.words)
        view.count, view.total = profile.totals.count, profile.totals.total
        view.first, view.last = profile.totals.first, profile.totals.last
        view.let_go = profile.let_go
        view.customer = profile.id
    view.receipts = profile.receipts.copy()
    return view


def leave_view(profile: Profile, view: View) -> None:
    """Leave the view of exactly this profile to the next step."""
    vars(profile)[_VIEW] = view


def forgotten(profile: Profile) -> Profile:
    """What is left of somebody who was erased: where the streams stand, and no more."""
    return Profile(
        id=profile.id,
        rev=profile.rev,
        versions=profile.versions,
        removed=True,
        partition=profile.partition,
        stream_seq=profile.stream_seq,
        stream_version=profile.stream_version,
        rules=profile.rules,
        clock=profile.clock,
        transitions=profile.transitions,
    )
