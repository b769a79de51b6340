"""The fold of totals: facts as they come, moves when they end, suspicions as they are told."""

from collections.abc import Sequence
from datetime import datetime

from services.interaction.domain.days import Days
from services.interaction.domain.misuse import doubted
from services.interaction.domain.streams import CUSTOMER_STREAM, UNKNOWN_STREAM
from services.interaction.projections.totals.document import (
    BranchTotals,
    CustomerTotals,
    Pending,
    Suspicion,
)
from services.interaction.projections.totals.reading import (
    MOVED,
    Closed,
    Lifted,
    Receipt,
    Suspected,
    Voided,
)
from services.interaction.projections.totals.tally import Tally
from shared.moments import WIDTH, milliseconds, unpacked
from shared.moves import Ended, Moving, Withdrawn
from shared.projection import Event


def totals_id(event: Event) -> str | None:
    """The document of an event: a customer's id, or the name of an unknown one's stream."""
    stream = event.light.stream
    if stream.startswith(CUSTOMER_STREAM):
        return stream[len(CUSTOMER_STREAM) :]
    if stream.startswith(UNKNOWN_STREAM):
        return stream
    return doubted(stream)


def blank(document_id: str) -> CustomerTotals:
    """The totals of somebody who has done nothing yet."""
    return CustomerTotals(id=document_id, unknown=document_id.startswith(UNKNOWN_STREAM))


class TotalsFold:
    """Folds by the chain's days, and doubts those with more receipts than the limit."""

    def __init__(self, days: Days, limit: int) -> None:
        """`limit` is how many receipts one customer may have on one day."""
        self._days, self._limit = days, limit
        self._tally = Tally(days)

    def apply(self, totals: CustomerTotals | None, event: Event) -> CustomerTotals:
        """The totals after an event."""
        if totals is None:
            totals = blank(totals_id(event) or "")
        if totals.closed:
            return totals
        match event.data:
            case Moving() as moving:
                self._keep(totals, moving)
            case Ended() as ended:
                self._take_over(totals, ended, event)
            case Withdrawn() as withdrawn:
                gone: list[BranchTotals] = []
                self._add_up(gone, withdrawn)
                self._tally.merge(totals.branches, gone, -1)
            case Closed():
                # A customer's stream is closed and opened again by merges; its facts are moved.
                if totals.unknown:
                    _close(totals)
            case Suspected() | Lifted() as said:
                _hear(totals, said)
            case fact:
                self._fact(totals, event, fact)
        return totals

    def _fact(self, totals: CustomerTotals, event: Event, fact: object) -> None:
        light = event.light
        self._tally.take(totals.branches, light.branch, light.time, fact)
        if isinstance(fact, Receipt):
            self._judge(totals, milliseconds(light.time), light.recordedtime, fact.fact)
        elif isinstance(fact, Voided):
            self._judge(totals, milliseconds(fact.bought), light.recordedtime, None)

    def _keep(self, totals: CustomerTotals, moving: Moving) -> None:
        """Add up the facts of a move apart, until it ends."""
        pending = next((each for each in totals.pending if each.move == moving.move), None)
        if pending is None:
            pending = Pending(moving.move, [])
            totals.pending.append(pending)
        self._add_up(pending.branches, moving)

    def _add_up(self, branches: list[BranchTotals], moving: Moving | Withdrawn) -> None:
        for fact in MOVED.of(moving):
            self._tally.take(branches, fact.branch, fact.time, fact.data)

    def _take_over(self, totals: CustomerTotals, ended: Ended, event: Event) -> None:
        for pending in totals.pending:
            if pending.move == ended.move:
                totals.pending.remove(pending)
                self._tally.merge(totals.branches, pending.branches, 1 if ended.comes else -1)
                for day in self._days_of(pending):
                    self._judge(totals, day, event.light.recordedtime, None)
                return

    def _days_of(self, pending: Pending) -> Sequence[int]:
        """The first milliseconds of the days on which receipts come or go."""
        moments = (
            at
            for branch in pending.branches
            for packed in (branch.bought, branch.owed)
            for at in unpacked(packed)
        )
        return sorted({self._days.bounds(at)[0] for at in moments})

    def _judge(self, totals: CustomerTotals, at: int, now: datetime, fact: str | None) -> None:
        """Suspect the day of a moment, or no more; what was told is for a person to lift."""
        ever = 0
        for each in totals.branches:
            ever += len(each.bought)
        many = self._tally.count(totals.branches, at) if ever > self._limit * WIDTH else 0
        if many <= self._limit and not totals.suspicions:
            return
        day = str(self._days.date_of(at))
        if many <= self._limit:
            totals.suspicions = [
                each for each in totals.suspicions if each.day != day or not each.waits
            ]
        else:
            known = _suspicion(totals, day)
            if known.waits:
                known.count, known.limit = many, self._limit
                known.at, known.fact = (known.at, known.fact) if known.at else (now, fact)
        _note_due(totals)


def _hear(totals: CustomerTotals, said: Suspected | Lifted) -> None:
    """Note what the log tells of suspicions."""
    match said:
        case Suspected(day=day, count=count, limit=limit):
            known = _suspicion(totals, day)
            known.count, known.limit, known.told = count, limit, True
        case Lifted(days=days):
            for day in days:
                _suspicion(totals, day).lifted = True
    _note_due(totals)


def _close(totals: CustomerTotals) -> None:
    """All of it is a customer's from now on."""
    totals.closed = True
    totals.branches, totals.pending, totals.suspicions = [], [], []
    totals.due_at = None


def _suspicion(totals: CustomerTotals, day: str) -> Suspicion:
    for each in totals.suspicions:
        if each.day == day:
            return each
    new = Suspicion(day, 0, 0)
    totals.suspicions = sorted([*totals.suspicions, new], key=lambda each: each.day)
    return new


def _note_due(totals: CustomerTotals) -> None:
    waiting = [each.at for each in totals.suspicions if each.at is not None and each.waits]
    totals.due_at = min(waiting, default=None)
