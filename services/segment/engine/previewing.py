"""What a rule would give over the base, customer by customer, before it is saved.

The counts of the past are by what is known now: how many would have been members at those moments.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from hashlib import blake2b
from heapq import heappush, heappushpop

from services.segment.engine.profile import Profile
from services.segment.engine.replaying import truths
from services.segment.rules.instants import instant
from services.segment.rules.language.tree import Rule
from services.segment.rules.ruleset import NO_RULES, RuleSet

MOST_SAMPLED = 20
MONTHS = 12


@dataclass(slots=True)
class Overlap:
    """With another segment: its members that were looked at, and those that the rule has too."""

    members: int = 0
    both: int = 0


@dataclass(slots=True)
class Preview:
    """The answer so far; `moments` are instants in order, the last of them now.

    `counts` are the members at each of the moments. `seen` counts the customers that can be in a
    segment at all.
    """

    rule: Rule
    moments: Sequence[int]
    beside: Sequence[str]
    around: RuleSet = NO_RULES
    seen: int = 0
    counts: list[int] = field(init=False)
    overlaps: dict[str, Overlap] = field(init=False)
    _sampled: list[tuple[int, str]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Nobody has been looked at."""
        self.counts = [0] * len(self.moments)
        self.overlaps = {name: Overlap() for name in self.beside}

    @property
    def count(self) -> int:
        """Members now."""
        return self.counts[-1]

    @property
    def sample(self) -> list[str]:
        """Some members, chosen by a hash of their ids, so that every member is as likely."""
        return [customer for _, customer in sorted(self._sampled, reverse=True)]

    def take(self, profiles: Sequence[Profile]) -> None:
        """Look at more customers."""
        for profile in profiles:
            if not (profile.removed or profile.away or profile.crowded or profile.clock is None):
                self._look(profile)

    def _look(self, profile: Profile) -> None:
        self.seen += 1
        found = truths(profile, self.rule, self.moments, self.around)
        for index, value in enumerate(found):
            self.counts[index] += value
        for name, overlap in self.overlaps.items():
            inside = name in profile.memberships
            overlap.members += inside
            overlap.both += inside and found[-1]
        if found[-1]:
            self._sample(profile.id)

    def _sample(self, customer: str) -> None:
        place = -int.from_bytes(blake2b(customer.encode(), digest_size=8).digest(), "big")
        if len(self._sampled) < MOST_SAMPLED:
            heappush(self._sampled, (place, customer))
        else:
            heappushpop(self._sampled, (place, customer))


def month_starts(now: datetime, zone: tzinfo) -> list[datetime]:
    """The beginnings of the last twelve calendar months of the zone, in order."""
    local = now.astimezone(zone)
    months = [local.year * 12 + local.month - 1 - back for back in range(MONTHS)]
    return [datetime(month // 12, month % 12 + 1, 1, tzinfo=zone) for month in reversed(months)]


def preview_at(
    rule: Rule, now: datetime, zone: tzinfo, beside: Sequence[str], around: RuleSet = NO_RULES
) -> Preview:
    """A preview whose moments are the beginnings of the last twelve months, and now."""
    moments = [instant(start) for start in month_starts(now, zone)]
    return Preview(rule, (*moments, instant(now)), beside, around)
