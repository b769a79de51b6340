"""Which profiles are folded anew beside the live ones, and how much they keep. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.segment.rules.ruleset import RuleSet

LONGEST = timedelta(days=366 * 10_000)
"""As good as all time: moments are of the years 1 to 9999."""
ALL_TIME = LONGEST // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Rebuild:
    """The generation that is being folded, or was last: `span` milliseconds back are kept.

    So is all from the instant `since` on: a span would not do, because it goes on with each event
    that comes after the generation has begun. `number` is that of the rule set which wanted it.
    Generation 0 is that of an installation that never needed one.
    """

    generation: int = 0
    span: int = 0
    begun: datetime | None = None
    active: bool = False
    since: int | None = None
    number: int = 0

    def covers(self, rules: RuleSet) -> bool:
        """Whether it keeps what every rule needs."""
        if self.begun is None:
            return False
        if self.span >= ALL_TIME:
            return True
        wanted, here = rules.since, self.since
        return self.span >= rules.look_back and (
            wanted is None or (here is not None and here <= wanted)
        )

    def next(self, rules: RuleSet, now: datetime) -> "Rebuild":
        """The generation that keeps what every rule needs, begun now."""
        span = min(rules.look_back, ALL_TIME)
        return Rebuild(
            self.generation + 1, span, now, active=True, since=rules.since, number=rules.number
        )

    def ended(self) -> "Rebuild":
        """It is needed no more."""
        return replace(self, active=False)


def due(rebuild: Rebuild, rules: RuleSet, lacking: int, now: datetime) -> Rebuild:
    """What there is to be: another generation while somebody lacks what this one does not keep.

    `lacking` are the profiles that do not keep enough for some rule. Who goes by older rules than
    those that wanted it knows nothing of who lacks anything, and leaves it as it is.
    """
    if rules.number < rebuild.number:
        return rebuild
    if lacking and not (rebuild.active and rebuild.covers(rules)):
        return rebuild.next(rules, now)
    if not lacking and rebuild.active:
        return rebuild.ended()
    return rebuild
