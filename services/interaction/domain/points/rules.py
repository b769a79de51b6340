"""The chain's rules of points: how they are changed, and what a receipt earns by them.

All of it is exact: whole minor units times whole hundredths of percents, rounded down once. Each
change is one more version with the moment from which it counts; nothing that a receipt has earned
ever changes with the rules.
"""

import calendar
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from services.interaction.domain.points.ledger import WHOLE, points_of
from shared.decider import Decider, NewEvent, Refused, invalid
from shared.events.contract import EventData
from shared.events.points import Earning, EarningLine, PointsRulesDefined, Rate

RULES_STREAM = "configuration-points"
MAX_RATES = 500
LONGEST_DAYS = 3_660
_LIFE = re.compile(r"P([1-9][0-9]{0,3})([DWMY])")
_DAYS = {"D": 1, "W": 7, "M": 30, "Y": 365}
_MONTHS = {"M": 1, "Y": 12}
MONTHS_OF_A_YEAR = 12


class Sold(NamedTuple):
    """A line of a receipt: what was paid for it, and the product's categories from the root."""

    amount: int
    categories: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PointsRules:
    """Every version of the rules, the first one first: a version is its place, from 1."""

    versions: tuple[PointsRulesDefined, ...] = ()

    @property
    def version(self) -> int:
        """The number of the newest; 0 where nothing was ever decided."""
        return len(self.versions)

    @property
    def newest(self) -> PointsRulesDefined | None:
        """What was decided last."""
        return self.versions[-1] if self.versions else None

    def at(self, moment: datetime) -> tuple[int, PointsRulesDefined] | None:
        """The version that counts for a moment; None before the first."""
        for number in range(len(self.versions), 0, -1):
            if self.versions[number - 1].since <= moment:
                return number, self.versions[number - 1]
        return None


@dataclass(frozen=True, slots=True)
class DefineRules:
    """Let other rules count; `rests_on` is told the present version (None: there is none)."""

    rules: PointsRulesDefined
    at: datetime
    rests_on: Callable[[int | None], None]


def decide(command: DefineRules, state: PointsRules) -> Sequence[NewEvent]:
    """The next version, or why it cannot be one."""
    rules, newest = command.rules, state.newest
    if newest is not None and rules.model_copy(update={"since": newest.since}) == newest:
        return ()
    command.rests_on(state.version or None)
    if rules.since < command.at:
        raise invalid("since", "lies in the past: what receipts have earned stays as it is")
    if newest is not None and rules.since < newest.since:
        raise Refused(
            "rules-still-to-come",
            409,
            "Other rules begin later than these.",
            "let these begin with them, or after them",
        )
    if rules.life is not None:
        check_life(rules.life)
    if rules.pending_days > LONGEST_DAYS:
        raise invalid("pending_days", f"at most {LONGEST_DAYS}")
    _check_rates(rules.rates)
    return (NewEvent(rules, command.at),)


def check_life(life: str) -> None:
    """Raise `Refused` for a text that is not like `P90D`, `P12W`, `P6M` or `P1Y`."""
    form = _LIFE.fullmatch(life)
    if form is None or int(form[1]) * _DAYS[form[2]] > LONGEST_DAYS:
        raise invalid("life", "a duration such as P90D, P12W, P6M or P1Y, ten years at most")


def _check_rates(rates: Sequence[Rate]) -> None:
    if len(rates) > MAX_RATES:
        raise invalid("rates", f"at most {MAX_RATES}")
    seen = set()
    for number, rate in enumerate(rates):
        place = (rate.category, rate.branch)
        if place in seen:
            raise invalid(f"rates.{number}", "stands for its category and branch once")
        seen.add(place)


def evolve(state: PointsRules, data: EventData) -> PointsRules:
    """The rules after an event."""
    if not isinstance(data, PointsRulesDefined):
        message = f"rules of points have no event {data.type}"
        raise TypeError(message)
    return replace(state, versions=(*state.versions, data))


RULES: Decider[DefineRules, PointsRules] = Decider(PointsRules, decide, evolve)


def after(moment: datetime, life: str | None) -> datetime | None:
    """The end of a life that begins at the moment; a day that a month has not is its last one."""
    if life is None:
        return None
    form = _LIFE.fullmatch(life)
    assert form is not None  # noqa: S101 - rules with another one are refused
    count, unit = int(form[1]), form[2]
    if unit in _MONTHS:
        months = moment.month - 1 + count * _MONTHS[unit]
        year, month = moment.year + months // MONTHS_OF_A_YEAR, months % MONTHS_OF_A_YEAR + 1
        last = calendar.monthrange(year, month)[1]
        return moment.replace(year=year, month=month, day=min(moment.day, last))
    return moment + timedelta(days=count * _DAYS[unit])


def percent_of(rules: PointsRulesDefined, categories: Sequence[str], branch: str | None) -> int:
    """Hundredths of percents that a product earns at a branch; `categories` from the root."""
    best, percent = (-1, -1), 0
    for rate in rules.rates:
        if rate.branch not in (None, branch):
            continue
        if rate.category is None:
            depth = 0
        elif rate.category in categories:
            depth = categories.index(rate.category) + 1
        else:
            continue
        rank = (depth, int(rate.branch is not None))
        if rank > best:
            best, percent = rank, rate.percent
    return percent


def earning_of(
    rules: tuple[int, PointsRulesDefined],
    lines: Sequence[Sold],
    branch: str | None,
    paid: int,
) -> Earning | None:
    """How a receipt comes to its points; None where it earns nothing.

    `paid` is what points paid of it, in minor units: it is taken off all lines alike, and so is
    what lines below nothing give back.
    """
    version, rule = rules
    total = sum(line.amount for line in lines)
    if total < max(rule.minimum, 1):
        return None
    earning = Earning(
        rules=version,
        point_value=rule.point_value,
        points=0,
        lines=tuple(_lines(rule, lines, branch, 0 if rule.on_points_paid else paid)),
    )
    points = points_of(earning, earning.lines)
    return earning.model_copy(update={"points": points}) if points > 0 else None


def _lines(
    rule: PointsRulesDefined, lines: Sequence[Sold], branch: str | None, paid: int
) -> Iterator[EarningLine]:
    """The lines that earn; each bears its part of what was not paid, and all of them bear all."""
    whole = sum(line.amount for line in lines if line.amount > 0)
    given = whole - sum(line.amount for line in lines)
    off = min(max(paid, 0) + given, whole)
    passed = 0
    for number, line in enumerate(lines, 1):
        if line.amount <= 0:
            continue
        before, passed = passed, passed + line.amount
        borne = off * passed // whole - off * before // whole
        percent = percent_of(rule, line.categories, branch)
        if percent > 0:
            yield EarningLine(
                line=number, amount=line.amount, base=line.amount - borne, percent=percent
            )


def most_payable(rule: PointsRulesDefined, total: int) -> int:
    """Points that may pay for a receipt of so many minor units, at most."""
    return max(total, 0) * rule.payable_percent // (WHOLE * rule.point_value)
