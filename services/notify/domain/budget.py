"""Budgets: how many hand-overs of a campaign may begin in all, in a minute, and in a day.

They are counted before they begin, batch by batch, in a stream of the campaign's own: `count` there
is a promise, and what did not happen is given back. So whatever is killed, never one more begins
than the budget has. The stream is kept in pages, so that whoever counts reads a few hundred events
at the most. Minutes and days never go back: a clock that is behind counts to the later ones.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

from shared.decider import Decider, NewEvent, invalid
from shared.events.budgets import BudgetContinued, BudgetCounted
from shared.events.campaign import Budget
from shared.events.contract import EventData

PAGE_EVENTS = 500
MINUTE = timedelta(minutes=1)
_PREFIX = "budget-"
_PAGE = "|"
_DIGITS = 6


def pages_prefix(campaign: str) -> str:
    """What the streams of a campaign's budget begin with; no name of a campaign has the stroke."""
    return f"{_PREFIX}{campaign}{_PAGE}"


def page_stream(campaign: str, page: int) -> str:
    """The stream of a page; they sort by number."""
    return f"{pages_prefix(campaign)}{page:0{_DIGITS}d}"


def page_of(stream: str) -> int:
    """The number of a page."""
    return int(stream.rpartition(_PAGE)[2])


@dataclass(frozen=True, slots=True)
class Times:
    """A moment as budgets see it: the day of the chain's calendar, and the beginning of a minute.

    `tomorrow` is when the next day begins.
    """

    day: str
    minute: datetime
    tomorrow: datetime


def times_of(at: datetime, zone: tzinfo) -> Times:
    """The day and the minute of a moment; `zone` is the chain's."""
    wall = at.astimezone(zone)
    midnight = datetime(wall.year, wall.month, wall.day, tzinfo=zone) + timedelta(days=1)
    minute = at.replace(second=0, microsecond=0)
    return Times(wall.date().isoformat(), minute, midnight.astimezone(at.tzinfo))


When = tuple[str, datetime | None]
"""A day and the beginning of a minute in it, as a budget has counted them."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What was counted by the end of a page; `version` counts its events.

    `next_page` is where it goes on, once the page is full.
    """

    version: int = 0
    messages: int = 0
    day: str = ""
    today: int = 0
    minute: datetime | None = None
    this_minute: int = 0
    next_page: int | None = None

    def by(self, times: Times) -> "Spent":
        """The same seen at a moment: a new minute and a new day begin at nothing."""
        minute, now = self.minute, times.minute
        if minute is None or now > minute:
            minute = now
        return replace(
            self,
            day=max(self.day, times.day),
            today=self.today if self.day >= times.day else 0,
            minute=minute,
            this_minute=self.this_minute if minute == self.minute else 0,
        )

    @property
    def when(self) -> "When":
        """To which day and minute what is counted now belongs."""
        return self.day, self.minute

    def counted(self, count: int, when: "When | None" = None) -> "Spent":
        """With so many more; less than 0: given back, of those that were counted `when`.

        In a later day or minute nothing is given back: that has counted its own.
        """
        day, minute = when or self.when
        return replace(
            self,
            messages=max(0, self.messages + count),
            today=max(0, self.today + (count if day == self.day else 0)),
            this_minute=max(0, self.this_minute + (count if minute == self.minute else 0)),
        )

    def left(self, budget: Budget) -> int | None:
        """How many may begin now; None: any number."""
        rooms = [
            most - spent
            for most, spent in (
                (budget.messages, self.messages),
                (budget.per_day, self.today),
                (budget.per_minute, self.this_minute),
            )
            if most is not None
        ]
        return max(0, min(rooms)) if rooms else None

    def is_used_up(self, budget: Budget) -> bool:
        """Whether nothing is left for good."""
        return budget.messages is not None and self.messages >= budget.messages


def check_budget(budget: Budget) -> None:
    """Raise `Refused` for a budget that limits nothing."""
    if budget == Budget():
        raise invalid("budget", "says `messages`, `per_minute` or `per_day`")


def counting(
    campaign: str, page: int, before: Spent, after: Spent, at: datetime
) -> Mapping[str, Sequence[NewEvent]]:
    """The events that count what is more in `after`; `before` is the last page as it is by then.

    A full page is closed by the first of the next one, in one transaction.
    """
    assert after.minute is not None  # noqa: S101 - it was seen at a moment
    said = NewEvent(
        BudgetCounted(
            campaign=campaign,
            count=after.messages - before.messages,
            messages=after.messages,
            day=after.day,
            today=after.today,
            minute=after.minute,
            this_minute=after.this_minute,
        ),
        at,
    )
    if before.version < PAGE_EVENTS:
        return {page_stream(campaign, page): [said]}
    on = NewEvent(BudgetContinued(campaign=campaign, page=page + 1), at)
    return {page_stream(campaign, page + 1): [said], page_stream(campaign, page): [on]}


def evolve(state: Spent, data: EventData) -> Spent:
    """The page after an event."""
    state = replace(state, version=state.version + 1)
    match data:
        case BudgetCounted():
            return replace(
                state,
                messages=data.messages,
                day=data.day,
                today=data.today,
                minute=data.minute,
                this_minute=data.this_minute,
            )
        case BudgetContinued(page=page):
            return replace(state, next_page=page)
        case _:
            text = f"a budget has no event {data.type}"
            raise TypeError(text)


def _undecided(_command: object, _state: Spent) -> Sequence[NewEvent]:
    return ()


BUDGET: Decider[object, Spent] = Decider(Spent, _undecided, evolve)
"""Folds a page; what is counted is decided on its end by `counting`."""


@dataclass(slots=True)
class Queueing:
    """Whose turn comes when, of those for whom a minute or a day has nothing left.

    Each that waits takes a place of a later minute, so that no more wake than may go: `spent` is
    what will have been counted by then, as far as it is known here.
    """

    spent: Spent = Spent()

    def place(self, budget: Budget, spent: Spent, times: Times, zone: tzinfo) -> datetime:
        """The beginning of the next minute that has a place left; it is taken by `take`."""
        own = self.spent
        if own.minute is None or spent.minute is None or own.minute <= spent.minute:
            own = spent
        minute = own.minute or times.minute
        while _is_full(own, budget):
            today = times_of(minute, zone)
            full_day = budget.per_day is not None and own.today >= budget.per_day
            minute = _minute_at(today.tomorrow) if full_day else minute + MINUTE
            own = own.by(times_of(minute, zone))
        self.spent = own
        return minute

    def take(self) -> None:
        """Take the place that was given last."""
        self.spent = self.spent.counted(1)


def _is_full(spent: Spent, budget: Budget) -> bool:
    paced = budget.model_copy(update={"messages": None})
    return spent.left(paced) == 0


def _minute_at(moment: datetime) -> datetime:
    """The first minute that begins at the moment or after it."""
    minute = moment.replace(second=0, microsecond=0)
    return minute if minute == moment else minute + MINUTE


@dataclass(slots=True)
class Purse:
    """A budget within one look: what the campaign's messages of the batch may take of it.

    `held` are messages that were counted before, and of which nobody knows yet what became.
    """

    budget: Budget
    spent: Spent
    times: Times
    zone: tzinfo
    queueing: Queueing
    held: Collection[str] = ()
    taken: int = 0

    def spent_by_now(self) -> bool | None:
        """Whether nothing is left for good; None: what this batch takes may be the last of it."""
        if self.spent.is_used_up(self.budget):
            return True
        return None if self.spent.counted(self.taken).is_used_up(self.budget) else False

    def paced_until(self) -> datetime | None:
        """When there is a place, where that is not now."""
        spent = self.spent.counted(self.taken)
        if not _is_full(spent, self.budget):
            return None
        return self.queueing.place(self.budget, spent, self.times, self.zone)
