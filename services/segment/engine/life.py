"""One customer being lived forward: facts taken in, timers fired, memberships changed and logged.

A `Life` is private to one call of the engine and changes in place; what comes out are a new profile
and events. Time only goes forward in it, and every evaluation is at one exact instant:

- before anything happens at t, what is due before t is settled, each at its own instant;
- what is due exactly at t is settled by what happens at t;
- only rules that a fact can touch, or that are due, are evaluated;
- whoever enters or leaves a segment is asked, at that very instant and for the same cause, about
  every segment that names it.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from services.segment.engine.facts import Fact
from services.segment.engine.profile import (
    Membership,
    Profile,
    leave_view,
    take_view,
    totals_of,
)
from services.segment.rules.evaluating.tree import evaluate
from services.segment.rules.happened import Happened
from services.segment.rules.instants import instant, moment
from services.segment.rules.language.kinds import FACT_NAMES
from services.segment.rules.ruleset import Asked, LiveRule, NamedRules, RuleSet
from services.segment.rules.view import View
from shared.decider import NewEvent
from shared.envelope import Causation
from shared.events.contract import show_moment
from shared.events.segment import Cause, CauseKind, SegmentEntered, SegmentExited
from shared.ids import derived_id
from shared.moments import with_moment


def membership_stream(customer: str) -> str:
    """The stream of a customer's transitions."""
    return f"membership-{customer}"


@dataclass(frozen=True, slots=True)
class Why:
    """Why memberships change: the kind, the causing event or import, and the chain it is in.

    Without `correlation`, the change begins a chain of its own.
    """

    kind: CauseKind
    event: str | None = None
    import_id: str | None = None
    correlation: str | None = None
    depth: int = 0


TIME = Why("time")
MOST_TOLD = 500
"""Events about the customer that are kept one by one: for a past to be lived, and for replays."""

NEVER = -(2**63)
"""No fact was let go of that is later than this."""


class Life:
    """The profile on its way; `events` are the transitions so far, in order."""

    __slots__ = (
        "_learnt", "_outdated", "_rules", "_timers", "away", "clock", "crowded", "due", "events",
        "forgets", "known", "lacks", "lost", "memberships", "moving", "told",
        "transitions", "view", "waiting",
    )  # fmt: skip

    def __init__(self, profile: Profile, rules: RuleSet, timers: Why = TIME) -> None:
        """Go on with the profile. `timers` is why memberships change when nothing but time does."""
        self.known = profile
        self._rules = rules
        self._timers = timers
        self._learnt = False
        self._outdated: frozenset[str] = frozenset()
        self.events: list[NewEvent] = []
        self.transitions = profile.transitions
        self.crowded = profile.crowded
        self.away = profile.away
        self.forgets = profile.forgets
        self.lost = profile.lost
        self.lacks = profile.lacks
        self.moving = profile.moving
        self.waiting = profile.waiting
        self.clock = None if profile.clock is None else instant(profile.clock)
        self.due = profile.due.copy()
        self.memberships = profile.memberships.copy()
        self.told = profile.told.copy()
        self.view = take_view(profile)
        self.view.inside = self.memberships
        self.view.surroundings = rules.surroundings

    def settle(self, until: int) -> None:
        """Fire every timer that is due strictly before an instant."""
        while self.due and (at := min(self.due.values())) < until:
            groups = [group for group, due in self.due.items() if due == at]
            if len(groups) == 1 and not self._outdated:
                asked = self._rules.asking_group(groups[0])
            else:
                asked = self._rules.asked(self._at(at))
            # Also a group of which some are not asked now: those are, once all are.
            for group in groups:
                del self.due[group]
            self._evaluate(asked, at, self._timers)

    def meet(self, fact: Fact, at: int, why: Why) -> None:
        """Take in a fact at an instant, at or after all that was met before, and evaluate.

        The first fact of all begins the customer: every rule is asked.
        """
        self.settle(at)
        begins = self.clock is None
        kinds = self.take(fact)
        if begins:
            self._evaluate(self._rules.asking_all, at, why)
        else:
            self.ask(kinds, at, why)

    def change(self, amend: Callable[[], Iterable[str]], at: int, why: Why) -> None:
        """Let what is known of facts change at an instant, and evaluate what that may touch."""
        self.settle(at)
        begins = self.clock is None
        touched = amend()
        if begins:
            self._evaluate(self._rules.asking_all, at, why)
        else:
            self.ask(touched, at, why)

    def take(self, fact: Fact) -> Iterable[str]:
        """Take in a fact and evaluate nothing; gives what it may touch."""
        if isinstance(fact, Happened):
            if self.crowded:
                self.view.count(fact)
            else:
                self.view.add(fact)
            return (FACT_NAMES[fact.kind],)
        self.view.known.learn(fact.words)
        self.told.append(fact)
        self._learnt = True
        return {name for word in fact.words for name in word.touches}

    def ask(self, kinds: Iterable[str], at: int, why: Why) -> None:
        """Evaluate the rules that look at any of this, and those due exactly at the instant."""
        touched = [self._rules.asking(kind) for kind in kinds]
        due = self._at(at) if at in self.due.values() else ()
        if len(touched) == 1 and not due:
            self._evaluate(touched[0], at, why)
            return
        several = {name for part in (*(each.rules for each in touched), due) for name, _ in part}
        self._evaluate(self._rules.asked(self._rules.in_order(several)), at, why)

    def ask_all(self, at: int, why: Why) -> None:
        """Evaluate every rule at an instant, and leave the segments that have none."""
        self.answer(self._rules.every, at, why)

    def ask_some(self, names: Iterable[str], at: int, why: Why) -> None:
        """Evaluate the rules of some segments at an instant."""
        self._evaluate(self._rules.asked(self._rules.in_order(names)), at, why)

    def answer(self, changed: NamedRules, at: int, why: Why) -> None:
        """Evaluate what is new in the rule set at an instant, and leave segments without a rule.

        Memberships in segments that are held stay as they are.
        """
        self._outdated = frozenset()
        rules = self._rules
        gone = self.memberships.keys() - rules.rules.keys() - rules.held.keys()
        for name in sorted(gone):
            self._exit(name, at, why)
        # Who names a segment that is gone is found nowhere any more: then all are asked.
        whole = gone or len(changed) == len(rules.rules)
        self._evaluate(rules.asking_all if whole else rules.asked(changed), at, why)

    def leave_all(self, at: int, why: Why) -> None:
        """Leave every segment for good: this is no person."""
        self._exit_all(at, why)
        self.crowd()

    def crowd(self) -> None:
        """Keep only what is counted for ever."""
        self.crowded = self.forgets = True
        self.lacks = []
        self.view = self._only_totals()

    def depart(self, at: int, why: Why) -> None:
        """Leave every segment, and enter none: this is another customer."""
        self.settle(at)
        self._exit_all(at, why)
        self.clock = at
        self.away = True

    def come_back(self, fact: Fact, at: int, why: Why) -> None:
        """Be somebody again: every rule is asked."""
        self.away = False
        self.take(fact)
        self.ask_all(at, why)

    def _exit_all(self, at: int, why: Why) -> None:
        for name in sorted(self.memberships):
            self._exit(name, at, why)
        self.due = {}

    def forget_outdated(self) -> None:
        """Drop the timers of rules that are gone, or were defined after the last evaluation.

        These are not asked about until all are, also where a segment that they name changes. A rule
        that was asked before keeps its timer, also where it was defined after the event that asked
        it: who reads late reads with rules of later.
        """
        clock = self.clock
        self._outdated = frozenset(
            name
            for name, live in self._rules.changed_since(self.known.rules)
            if clock is None or instant(live.defined_at) > clock
        )
        grouped = self._rules.grouped
        for group in tuple(self.due):
            if all(name in self._outdated for name, _ in grouped.get(group, ())):
                del self.due[group]

    def trim(self, horizon: int, since: int | None) -> None:
        """Let go of facts that no window reaches any more; the totals keep counting them.

        `horizon` is how long facts are kept one by one; what is from `since` on is, for ever.
        """
        if self.clock is None:
            return
        limit = self.clock - horizon
        if since is not None:
            limit = min(limit, since - 1)
        view = self.view
        for kind, facts in view.happened.items():
            if not facts or facts[0].time > limit:
                continue
            gone = bisect_right(facts, limit, key=lambda fact: fact.time)
            for fact in facts[:gone]:
                if view.counts(fact):
                    tally = view.counting(kind)
                    tally.let_go = with_moment(tally.let_go, fact.time)
            view.happened[kind] = facts[gone:]
            self.forgets = True
            self.lost = limit if self.lost is None else max(self.lost, limit)

    def profile(self, rules: int) -> Profile:
        """The profile as it is now, evaluated with the rule set of that number."""
        view = self.view
        changed: dict[str, object] = {}
        if self._learnt:
            changed["words"] = view.known.all()
        if len(view.names.all) != len(self.known.names):
            changed["names"] = view.names.all.copy()
        told = self.told[-MOST_TOLD:]
        if len(told) < len(self.told):
            self.lost = self.lost if self.forgets else NEVER
            self.forgets = True
        after = msgspec.structs.replace(
            self.known,
            **changed,
            clock=None if self.clock is None else moment(self.clock),
            totals={kind: totals_of(tally) for kind, tally in view.tallies.items()},
            happened=view.happened,
            told=told,
            memberships=self.memberships,
            due=self.due,
            due_at=moment(min(self.due.values())) if self.due else None,
            transitions=self.transitions,
            rules=rules,
            crowded=self.crowded,
            away=self.away,
            forgets=self.forgets,
            lost=self.lost,
            lacks=self.lacks,
            moving=self.moving,
            waiting=self.waiting,
        )
        leave_view(after, view)
        return after

    def _at(self, at: int) -> NamedRules:
        """The rules of the groups that are due at an instant."""
        grouped = self._rules.grouped
        due = (grouped.get(group, ()) for group, instant in self.due.items() if instant == at)
        names = {name for rules in due for name, _ in rules}
        return self._rules.in_order(names - self._outdated)

    def _evaluate(self, asked: Asked, at: int, why: Why) -> None:
        self.clock = at
        if self.crowded or self.away:
            return
        for group in asked.groups.intersection(self.due):
            del self.due[group]
        turn, known = asked.alone, dict[str, bool]()
        if asked.fused is not None:
            changes = asked.fused(self.view, at, self.due, self.memberships)
            if changes:
                known = dict(changes)
                turn = self._rules.in_order({*known, *(name for name, _ in asked.alone)})
        while turn:
            turn = self._ask_in_turn(turn, known, at, why)

    def _ask_in_turn(
        self, asked: NamedRules, known: Mapping[str, bool], at: int, why: Why
    ) -> NamedRules:
        """Ask until a segment that others name changes; gives who is to be asked after that.

        What is `known` is not asked again: it rests on no segment.
        """
        rules, view, memberships = self._rules, self.view, self.memberships
        for turn, (name, live) in enumerate(asked, start=1):
            value = known.get(name)
            if value is None:
                value, changes = evaluate(live.rule, view, at)
                if changes is not None:
                    self._wait(rules.groups[name], changes)
            if value is not (name in memberships):
                if value:
                    self._enter(name, live, at, why)
                else:
                    self._exit(name, at, why)
                if name in rules.naming:
                    left = {other for other, _ in asked[turn:]}
                    return rules.in_order(left | (rules.naming[name] - self._outdated))
        return ()

    def _wait(self, group: str, until: int) -> None:
        """Ask the group again no later than at an instant."""
        due = self.due.get(group)
        if due is None or until < due:
            self.due[group] = until

    def _enter(self, name: str, live: LiveRule, at: int, why: Why) -> None:
        data = SegmentEntered(
            segment=name, definition=live.definition, cause=self._cause(name, why)
        )
        self._log(data, name, at, why)
        self.memberships[name] = Membership(moment(at), self.transitions, live.definition)

    def _exit(self, name: str, at: int, why: Why) -> None:
        live = self._rules.rules.get(name)
        held = self.memberships.pop(name)
        definition = held.definition if live is None else live.definition
        data = SegmentExited(segment=name, definition=definition, cause=self._cause(name, why))
        self._log(data, name, at, why)

    def _cause(self, name: str, why: Why) -> Cause:
        event = why.event
        if why.kind == "definition" and (live := self._rules.causing.get(name)) is not None:
            event = live.event
        return Cause(kind=why.kind, event=event, import_id=why.import_id)

    def _log(self, data: SegmentEntered | SegmentExited, name: str, at: int, why: Why) -> None:
        self.transitions += 1
        time = moment(at)
        causation = self._causation(data.cause, name, time, why)
        self.events.append(NewEvent(data, time, causation=causation))

    def _causation(self, cause: Cause, name: str, time: datetime, why: Why) -> Causation:
        correlation, depth = why.correlation, why.depth
        if cause.kind == "definition" and (live := self._rules.causing.get(name)) is not None:
            correlation, depth = live.correlation, live.depth + 1
        if correlation is None:
            stream = membership_stream(self.known.id)
            correlation = derived_id(stream, show_moment(time))
        return Causation(correlation, cause.event, depth, why.import_id)

    def _only_totals(self) -> View:
        view, full = View(self.view.names), self.view
        view.known, view.tallies, view.customer = full.known, full.tallies, full.customer
        return view
