"""The profile: a snapshot, per customer, of what rules may ask, and of what they have answered.

It holds whole what is visible and within the horizon, the totals of all time, the facts of imports
that have not ended (unseen by rules until then), and its memberships as its own log has them.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from services.segment.rules.happened import Happened, Names
from services.segment.rules.language.kinds import RECEIPTS
from services.segment.rules.view import GivenBack, Tally, View
from services.segment.rules.words import Told, Word
from shared.projection import SteppedDocument


class Totals(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Over all visible facts of a kind ever, as in `Tally`."""

    count: int = 0
    total: int = 0
    first: int | None = None
    last: int | None = None
    let_go: bytes = b""


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
    facts: list[Happened]
    told: list[Told]


class InMotion(msgspec.Struct, frozen=True):
    """Facts of a move that has not ended, what was returned of receipts, and which never were.

    `returned` are keys of receipts with the amount and the lines, `gone` keys of facts.
    """

    move: str
    facts: list[Happened]
    returned: list[tuple[int, int, tuple[GivenBack, ...]]]
    gone: list[int]


class Profile(SteppedDocument, kw_only=True, omit_defaults=True, dict=True):
    """One customer; the document's id is the customer's.

    `clock` is the last moment at which rules were evaluated, None before the first fact is seen.
    `happened` are the visible facts within the horizon, by kind, and there by time and version;
    `totals` count all of them ever; `names` are those that their lines are told in. `told` are the
    last events about the customer, one by one. `due` holds, for each segment that has one, the
    instant at which time alone may change it. `transitions` counts those of its log, also the ones
    that are decided and not yet written; the runner moves `stream_version` after it. Who has ever
    had a fact older than the horizon `forgets`: what is later than `lost` (an instant) is all here.
    `lacks` names the rules that need more than that: they are not asked before it is brought back.
    `moving` are facts that are changing hands.
    `crowded` marks too many facts for a person: such a profile is in no segment, for good.

    `away` marks a customer who was merged: in no segment until they part, while facts are kept.
    `removed` marks one who was erased: nothing is known of them for good.

    `rules` has no default here, so that it is always stored: 0 must be found as an older set.

    What is not a field (`vars`) is the view that the next step goes on with; never stored, it may
    be missing, and holds nothing that the fields do not.
    """

    rules: int
    clock: datetime | None = None
    totals: dict[str, Totals] = msgspec.field(default_factory=dict)
    happened: dict[str, list[Happened]] = msgspec.field(default_factory=dict)
    names: list[str] = msgspec.field(default_factory=list)
    words: list[Word] = msgspec.field(default_factory=list)
    told: list[Told] = msgspec.field(default_factory=list)
    waiting: list[Waiting] = msgspec.field(default_factory=list)
    memberships: dict[str, Membership] = msgspec.field(default_factory=dict)
    due: dict[str, int] = msgspec.field(default_factory=dict)
    transitions: int = 0
    crowded: bool = False
    away: bool = False
    forgets: bool = False
    moving: list[InMotion] = msgspec.field(default_factory=list)
    lost: int | None = None
    lacks: list[str] = msgspec.field(default_factory=list)

    @property
    def receipts(self) -> Sequence[Happened]:
        """The visible receipts within the horizon, in order."""
        return self.happened.get(RECEIPTS, ())

    @property
    def facts(self) -> Iterator[Happened]:
        """The visible facts within the horizon, each kind in order."""
        for facts in self.happened.values():
            yield from facts

    def totals_of(self, kind: str) -> Totals:
        """Those of one kind of facts."""
        return self.totals.get(kind, _NOTHING)

    @property
    def whole(self) -> bool:
        """Whether every visible fact is still here, and no membership was ever logged."""
        count = self.totals_of(RECEIPTS).count
        return self.transitions == 0 and not self.forgets and count == len(self.receipts)


_NOTHING = Totals()
_VIEW = "view"
_NAMES = "names to come"


def names_of(profile: Profile) -> Names:
    """The profile's names, for facts that are about to be taken in: new ones join them."""
    view: View | None = vars(profile).get(_VIEW)
    if view is not None:
        return view.names
    names: Names | None = vars(profile).get(_NAMES)
    if names is None:
        names = vars(profile)[_NAMES] = Names(profile.names)
    return names


def take_view(profile: Profile) -> View:
    """The profile as rules see it, to be changed by the caller alone.

    The view that an earlier step left is moved, not copied: the profile can make a new one.
    """
    view: View | None = vars(profile).pop(_VIEW, None)
    if view is None:
        view = View(vars(profile).pop(_NAMES, None) or Names(profile.names))
        view.known.learn(profile.words)
        view.tallies = {kind: tally_of(totals) for kind, totals in profile.totals.items()}
        view.customer = profile.id
    view.happened = {kind: facts.copy() for kind, facts in profile.happened.items()}
    return view


def tally_of(totals: Totals) -> Tally:
    """Totals, to go on counting."""
    tally = Tally()
    tally.count, tally.total = totals.count, totals.total
    tally.first, tally.last = totals.first, totals.last
    tally.let_go = totals.let_go
    return tally


def totals_of(tally: Tally) -> Totals:
    """Totals, to be stored."""
    return Totals(tally.count, tally.total, tally.first, tally.last, tally.let_go)


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
