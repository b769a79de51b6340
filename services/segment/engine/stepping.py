"""The segment engine: pure functions from a profile and what happens to a profile and transitions.

What must hold, at any speed and in any batches: the memberships after each event, and the exact
moment and cause of each transition, depend on the events, their order and the rules alone.

- An event takes effect at its `recordedtime`, or at the profile's clock where that is later: a late
  fact changes the present and not the past.
- Who was merged leaves every segment and is evaluated no more until they part; who was erased is
  nobody for good. What follows from that has a cause of its own kind.
- What an import brings is invisible until it has ended. Then a profile that still has all it was
  ever told and no membership log lives its whole past, in the order in which things happened; any
  other profile takes the facts in and is evaluated once, at the end of the import.
- A rule that needs facts which a profile has let go of is not asked of it before they are brought
  back (`deepen`); nor is anything invented then: the others answer as they did.
- A rule set that is newer than the profile's is answered first, at the moment when it became what
  it is, whatever comes next. With one that is older nothing is evaluated: `step` fails, the others
  leave the profile as it is.

The profile that is returned counts the transitions that come with it (`transitions`); the head of
its stream is the runner's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from services.segment.engine.amending import AMENDMENTS, amend, amend_unseen, put_in_motion
from services.segment.engine.dealing import CHANGES_HANDS
from services.segment.engine.facts import (
    Erased,
    Fact,
    Merged,
    event_of,
    fact_of,
    in_order,
)
from services.segment.engine.keeping import lacking, take_lived, with_facts_of
from services.segment.engine.life import TIME, Life, Why
from services.segment.engine.profile import Profile, Waiting, forgotten, names_of
from services.segment.engine.telling import Absorbed, Listed, Reverted
from services.segment.rules.happened import Happened
from services.segment.rules.instants import instant
from services.segment.rules.ruleset import RuleSet
from shared.decider import NewEvent
from shared.moves import Ended, Moving
from shared.projection import Event

HORIZON = timedelta(days=400)
"""How long facts are kept one by one, unless set otherwise."""

CAP = 20_000
"""More facts within the horizon than this are not those of a person, unless set otherwise."""

_MILLISECOND = timedelta(milliseconds=1)
Outcome = tuple[Profile, Sequence[NewEvent]]


class OlderRules(RuntimeError):  # noqa: N818 - says what is wrong
    """The profile was evaluated with a newer rule set: load it, then fold."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine with one rule set; another set is another engine.

    `horizon` is how long facts are kept one by one; a rule that looks back further widens it. What
    is from the instant `since` on is kept in any case.
    """

    rules: RuleSet
    horizon: timedelta = HORIZON
    cap: int = CAP
    since: int | None = None

    def step(self, profile: Profile | None, event: Event) -> Outcome:
        """Fold one event of the customer; one that rules cannot ask about changes nothing."""
        light, data = event.light, event.data
        known = self._known(profile, event)
        fact = fact_of(event, lambda: names_of(known))
        gone = isinstance(data, Merged | Erased)
        amending = isinstance(data, AMENDMENTS)
        if known.removed or (fact is None and not gone and not amending):
            return self._unseen(known, event), ()
        if amending and (unseen := amend_unseen(known, data)) is not None:
            return unseen, ()
        if light.history is not None and fact is not None:
            return self._put_by(known, light.history, fact), ()
        if known.rules > self.rules.number:
            message = f"rule set {known.rules} is needed, this is {self.rules.number}"
            raise OlderRules(message)
        life = self._life(known)
        self._answer_definitions(life, known)
        at = instant(light.recordedtime)
        if life.clock is not None:
            at = max(at, life.clock)
        merging = gone or isinstance(data, (Absorbed, Reverted, Ended, *CHANGES_HANDS))
        merging = merging or (isinstance(data, Listed) and data.by_merge)
        why = Why(
            "merge" if merging else "event",
            light.id, None, light.correlationid or None, light.causedepth + 1,
        )  # fmt: skip
        if amending:
            life.change(lambda: amend(life, data), at, why)
        elif fact is None:
            life.depart(at, why)
        elif isinstance(data, Reverted) and data.comes_back:
            life.come_back(fact, at, why)
        else:
            life.meet(fact, at, why)
        profile, events = self._close(life, at, why)
        return forgotten(profile) if isinstance(data, Erased) else profile, events

    def fold(self, profile: Profile | None, event: Event) -> Profile:
        """Fold one event and evaluate nothing: what the profile knows, not what it answers.

        The profile says that it was evaluated with no rule set (0), so `revise` asks every rule.
        """
        known = self._known(profile, event)
        fact, data = fact_of(event, lambda: names_of(known)), event.data
        if known.removed:
            return known
        if isinstance(data, Merged | Erased):
            away = msgspec.structs.replace(known, away=True, memberships={}, due={}, due_at=None)
            return forgotten(away) if isinstance(data, Erased) else away
        amending = isinstance(data, AMENDMENTS)
        if amending and (unseen := amend_unseen(known, data)) is not None:
            return unseen
        if fact is None and not amending:
            return self._unseen(known, event)
        if event.light.history is not None and fact is not None:
            return self._put_by(known, event.light.history, fact)
        life = Life(known, self.rules)
        life.away = life.away and not (isinstance(data, Reverted) and data.comes_back)
        at = instant(event.light.recordedtime)
        if fact is None:
            amend(life, data)
        else:
            life.take(fact)
        life.clock = at if life.clock is None else max(at, life.clock)
        life.trim(self._kept, self._since)
        if not life.crowded and self._too_many(life):
            life.crowd()
        return life.profile(0)

    def wake(self, profile: Profile, until: datetime) -> Outcome:
        """Settle what is due strictly before a moment, each timer at its own."""
        if profile.due_at is None or profile.due_at >= until or profile.rules > self.rules.number:
            return profile, ()
        if profile.rules == self.rules.number:
            life = self._life(profile)
            life.settle(instant(until))
            return life.profile(profile.rules), life.events
        if self.rules.at < until:
            life = self._life(profile)
            self._answer_definitions(life, profile)
            life.settle(instant(until))
            return life.profile(self.rules.number), life.events
        life = Life(profile, self.rules.without(profile.lacks))
        life.forget_outdated()
        life.settle(instant(until))
        return life.profile(profile.rules), life.events

    def revise(self, profile: Profile, at: datetime) -> Outcome:  # noqa: ARG002 - see below
        """Evaluate with the present rule set, if the profile was last evaluated with another.

        The moment is that of the rule set, or the profile's clock where that is later, and not the
        one that is given: it must not depend on when a worker comes round to it.
        """
        if profile.rules >= self.rules.number:
            return profile, ()
        if profile.removed:
            return msgspec.structs.replace(profile, rules=self.rules.number), ()
        life = self._life(profile)
        self._answer_definitions(life, profile)
        return life.profile(self.rules.number), life.events

    def deepen(self, profile: Profile, whole: Profile) -> Outcome:
        """Bring back what `whole` knows, which was folded anew from the log, and evaluate once.

        The moment is the clock of the profile, so that it does not depend on when a worker comes
        round to it; what time has changed since is due. Rules that were not asked before answer the
        definition. All others are asked too, cause *reconciled*: they answer as before, but for a
        fault. Where the two do not stand at the same versions yet, the profile is left as it is.
        """
        known = with_facts_of(profile, whole)
        if known is None or profile.rules != self.rules.number or profile.clock is None:
            return profile, ()
        at = instant(profile.clock)
        lost = known.lost
        lacks = [name for name in profile.lacks if not self.rules.needs[name].is_met(lost, at)]
        if lacks == profile.lacks:
            return profile, ()
        why = Why("reconciled")
        life = Life(known, self.rules.without(lacks))
        life.lacks = lacks
        if whole.crowded:
            life.leave_all(at, why)
            return life.profile(profile.rules), life.events
        lived = {kept.import_id for kept in known.waiting} - set(profile.history)
        take_lived(life, sorted(lived))
        life.trim(self._kept, self._since)
        now_asked = [name for name in profile.lacks if name in self.rules.rules]
        life.ask_some(set(now_asked) - set(lacks), at, Why("definition"))
        life.ask_all(at, why)
        return self._close(life, at, why)

    def live(self, profile: Profile, import_id: str, until: datetime) -> Outcome:
        """Make an import's facts visible; `until` is the `recordedtime` of its end.

        A profile that keeps nothing of the import is returned as it is, so that a repeated end
        changes nothing.
        """
        waiting = next((kept for kept in profile.waiting if kept.import_id == import_id), None)
        if waiting is None or profile.rules > self.rules.number:
            return profile, ()
        rest = [kept for kept in profile.waiting if kept is not waiting]
        known = msgspec.structs.replace(
            profile, waiting=rest, history=[kept.import_id for kept in rest]
        )
        end = instant(until)
        life = self._life(known)
        self._answer_definitions(life, known)
        life.settle(end)
        facts: list[Fact] = [*waiting.facts, *waiting.told]
        latest = max([end, *(fact.time for fact in facts)])
        if life.clock is not None:
            latest = max(latest, life.clock)
        if known.whole and life.transitions == 0:
            return self._live_from_zero(known, facts, import_id, latest)
        return self._live_once(life, facts, import_id, latest)

    def _live_from_zero(
        self, known: Profile, facts: list[Fact], import_id: str, end: int
    ) -> Outcome:
        """The past as if it had been lived, with its true moments, up to the end of the import."""
        facts = sorted([*facts, *known.facts, *known.told], key=in_order)
        unborn = msgspec.structs.replace(
            known,
            clock=None, totals={}, happened={}, words=[], told=[], due={}, forgets=False,
            lost=None, lacks=[],
        )  # fmt: skip
        timers = Why("history", None, import_id, import_id)
        life = Life(unborn, self.rules, timers)
        for fact in facts:
            event = event_of(fact, known.id)
            life.meet(fact, fact.time, Why("history", event, import_id, import_id, 1))
        life.settle(end + 1)
        # Of whom nothing is left that was ever seen, the first event is still to come.
        life.clock = end if facts or known.clock is not None else None
        return self._close(life, end, timers)

    def _live_once(self, life: Life, facts: list[Fact], import_id: str, at: int) -> Outcome:
        """The facts change the present alone: they are known from the end of the import on."""
        life.settle(at)
        kinds = {kind for fact in sorted(facts, key=in_order) for kind in life.take(fact)}
        why = Why("history", None, import_id, import_id)
        life.ask(kinds, at, why)
        return self._close(life, at, why)

    def _life(self, known: Profile) -> Life:
        """A life that is asked only rules for which the profile keeps enough."""
        lacks = known.lacks
        if known.rules != self.rules.number and known.clock is not None:
            lacks = self.lacks(known)
        life = Life(known, self.rules.without(lacks), TIME)
        life.lacks = lacks
        return life

    def lacks(self, known: Profile) -> list[str]:
        """The rules for which the profile does not keep enough when it takes up this set."""
        at = max(known.clock, self.rules.at) if known.clock else self.rules.at
        return lacking(known, self.rules, instant(at), self.horizon // _MILLISECOND)

    def _too_many(self, life: Life) -> bool:
        return sum(map(len, life.view.happened.values())) > self.cap

    @property
    def _kept(self) -> int:
        """How long facts are kept one by one, in milliseconds."""
        return max(self.horizon // _MILLISECOND, self.rules.look_back)

    @property
    def _since(self) -> int | None:
        """The instant from which on all is kept."""
        told = [each for each in (self.since, self.rules.since) if each is not None]
        return min(told, default=None)

    def _known(self, profile: Profile | None, event: Event) -> Profile:
        if profile is not None:
            return profile
        customer = event.light.subject
        if customer is None:
            message = f"{event.light.id} concerns no customer"
            raise ValueError(message)
        return Profile(id=customer, partition=event.partition, rules=self.rules.number)

    def _unseen(self, known: Profile, event: Event) -> Profile:
        """The profile after an event that changes no answer: facts in motion are put by."""
        moving = isinstance(event.data, Moving) and not known.removed
        return put_in_motion(known, event) if moving else known

    def _put_by(self, known: Profile, import_id: str, fact: Fact) -> Profile:
        """Keep a fact of an import that has not ended."""
        kept = {waiting.import_id: waiting for waiting in known.waiting}
        old = kept.get(import_id, Waiting(import_id, [], []))
        if isinstance(fact, Happened):
            kept[import_id] = Waiting(import_id, [*old.facts, fact], old.told)
        else:
            kept[import_id] = Waiting(import_id, old.facts, [*old.told, fact])
        return msgspec.structs.replace(
            known,
            waiting=list(kept.values()),
            history=list(kept),
            names=names_of(known).all.copy(),
        )

    def _answer_definitions(self, life: Life, known: Profile) -> None:
        """Bring the life up to the present rule set; before the first fact there is nothing to ask.

        Only rules that changed are asked: the others answer as they did when time was settled. A
        timer of an unchanged rule fires as ever, also when it is due at that very moment; what else
        changes then, changes because of the definitions.
        """
        if known.rules == self.rules.number or life.clock is None:
            return
        at = max(life.clock, instant(self.rules.at))
        life.forget_outdated()
        life.settle(at + 1)
        changed = self.rules.without(life.lacks).changed_since(known.rules)
        life.answer(changed, at, Why("definition"))

    def _close(self, life: Life, at: int, why: Why) -> Outcome:
        life.trim(self._kept, self._since)
        if not life.crowded and self._too_many(life):
            life.leave_all(at, why)
        return life.profile(self.rules.number), life.events
