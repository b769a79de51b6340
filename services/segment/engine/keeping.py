"""What a profile keeps, and what is brought back to it: facts that it had let go of.

A rule that needs more than a profile keeps is not asked of it (`Profile.lacks`), as if it was held:
no answer is better than one of half the facts. What is missing comes from a profile that was folded
anew from the log and stands where this one stands: at the same versions of all streams. Only what
is known is taken from it. Memberships, timers and the head of the log are those that the profile
has, which were written together with the log.
"""

from collections.abc import Sequence

import msgspec

from services.segment.engine.facts import in_order
from services.segment.engine.life import NEVER, Life
from services.segment.engine.profile import Profile, Waiting
from services.segment.rules.ruleset import Need, RuleSet


def lacking(profile: Profile, rules: RuleSet, at: int, horizon: int) -> list[str]:
    """The rules that need more than the profile keeps, when it takes up a rule set at an instant.

    What was asked of it before goes on to be kept, so only rules that changed are looked at; and
    what it lacked it lacks until that is brought back, so that no rule begins to be asked because
    a worker came by. Facts that were let go of before it was noted were older than the horizon.
    """
    if profile.crowded or profile.removed or not profile.forgets:
        return []
    lost = at - horizon if profile.lost is None else profile.lost
    if not profile.lacks and Need(rules.look_back, rules.since).is_met(lost, at):
        return []
    changed = {name for name, _ in rules.changed_since(profile.rules)}
    looked_at = changed | rules.held.keys() | rules.waiting.keys()
    stay = {name for name in profile.lacks if name in rules.rules and name not in looked_at}
    return sorted(stay | {name for name in looked_at if not rules.needs[name].is_met(lost, at)})


def with_facts_of(profile: Profile, whole: Profile) -> Profile | None:
    """The profile knowing what `whole` knows; None where they do not stand at the same versions.

    An import that the profile has lived and the other one has not is left in `waiting` for the
    caller to take in; one that both keep waits on.
    """
    if profile.versions != whole.versions:
        return None
    waiting = {kept.import_id: kept for kept in whole.waiting}
    for kept in profile.waiting:
        other = waiting.get(kept.import_id)
        if other is None or _size(other) != _size(kept):
            return None  # facts of an import that has ended are about to be lived
    return msgspec.structs.replace(
        profile,
        totals=whole.totals,
        happened=whole.happened,
        names=whole.names,
        waiting=whole.waiting,
        moving=whole.moving,
        lost=NEVER if whole.lost is None else whole.lost,
    )


def take_lived(life: Life, lived: Sequence[str]) -> None:
    """Take in the facts of imports that were lived in the profile before; it has their words."""
    rest: list[Waiting] = []
    for kept in life.waiting:
        if kept.import_id not in lived:
            rest.append(kept)
            continue
        for fact in sorted(kept.facts, key=in_order):
            life.take(fact)
    life.waiting = rest


def knows_the_same(profile: Profile, whole: Profile) -> bool:
    """Whether what the profile has kept is what the log says: all else would be a fault.

    While facts of imports wait in one of them, which the other may have lived, nothing is compared.
    """
    if profile.crowded or whole.crowded or profile.history or whole.history:
        return True
    for kind in profile.happened.keys() | whole.happened.keys():
        lost = max(_lost(profile), _lost(whole))
        here, there = (
            [(fact.time, fact.key, fact.number) for fact in each.happened.get(kind, ())]
            for each in (profile, whole)
        )
        if [fact for fact in here if fact[0] > lost] != [fact for fact in there if fact[0] > lost]:
            return False
    counts = (
        {kind: (each.count, each.total) for kind, each in one.totals.items() if each.count}
        for one in (profile, whole)
    )
    return next(counts) == next(counts)


def _lost(profile: Profile) -> int:
    if profile.lost is not None:
        return profile.lost
    kept = [facts[0].time - 1 for facts in profile.happened.values() if facts]
    return max(kept, default=NEVER) if profile.forgets else NEVER


def _size(kept: Waiting) -> tuple[int, int]:
    return len(kept.facts), len(kept.told)
