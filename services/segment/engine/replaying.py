"""A customer's past as it is known now: what a rule would have said at every moment of it.

A replay takes in what the profile keeps in the order in which it happened, settles every timer at
its exact instant, and so gives the same truth at each instant as the engine would, had all that is
known now been known then. It differs from the log of memberships by what was learnt late, which
changes the present and never the past. What the profile let go of counts from the beginning.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from services.segment.engine.facts import Fact, in_order
from services.segment.engine.profile import Profile, tally_of
from services.segment.rules.evaluating.tree import evaluate
from services.segment.rules.graph import named_in
from services.segment.rules.happened import Happened, Names
from services.segment.rules.language.forms import UNBOUNDED
from services.segment.rules.language.kinds import FACT_NAMES
from services.segment.rules.language.tree import Rule
from services.segment.rules.ruleset import NO_RULES, RuleSet
from services.segment.rules.view import View
from services.segment.rules.words import Known


@dataclass(slots=True)
class Course:
    """How the truth of one rule went: `changes` are instants and truths, in order, by turns.

    `next` is when time alone may change it after the last instant that was asked about.
    """

    rule: Rule
    changes: list[tuple[int, bool]] = field(default_factory=list)
    next: int | None = None

    @property
    def value(self) -> bool:
        """The truth at the end; false where nothing was known yet."""
        return bool(self.changes) and self.changes[-1][1]

    @property
    def since(self) -> int | None:
        """Since when; None where it was never otherwise as far as is known."""
        return self.changes[-1][0] if len(self.changes) > 1 else None

    def at(self, instant: int) -> bool:
        """The truth at an instant within the replay."""
        value = False
        for changed, truth in self.changes:
            if changed > instant:
                break
            value = truth
        return value

    def ahead(self, at: int) -> "Course":
        """The same from an instant on."""
        return Course(self.rule, [(at, self.value)], self.next)

    def ask(self, view: View, at: int) -> None:
        """Evaluate at an instant."""
        value, self.next = evaluate(self.rule, view, at)
        if not self.changes or self.changes[-1][1] is not value:
            self.changes.append((at, value))

    def settle(self, view: View, until: int) -> None:
        """Fire its timers that are due strictly before an instant."""
        while self.next is not None and self.next < until:
            self.ask(view, self.next)


@dataclass(slots=True)
class Replay:
    """Courses that are asked together; `named` are those of segments that others name.

    Each comes after those that it names, so that one pass at an instant settles it.
    """

    view: View
    named: Mapping[str, Course]
    asked: Sequence[Course]
    inside: set[str]

    def take(self, facts: Iterable[Fact]) -> None:
        """Learn what happened, and evaluate nothing."""
        for fact in facts:
            if isinstance(fact, Happened):
                self.view.add(fact)
            else:
                self.view.known.learn(fact.words)

    def ask(self, at: int) -> None:
        """Evaluate everything at an instant."""
        for name, course in self.named.items():
            course.ask(self.view, at)
            self._stand(name, course)
        for course in self.asked:
            course.ask(self.view, at)

    def settle(self, until: int) -> None:
        """Fire every timer that is due strictly before an instant, in order."""
        if not self.named:
            for course in self.asked:
                course.settle(self.view, until)
            return
        courses = [*self.named.values(), *self.asked]
        while dues := [each.next for each in courses if each.next is not None]:
            if (at := min(dues)) >= until:
                break
            self.ask(at)

    def turning(self, course: Course, at: int, most: int) -> int | None:
        """When time alone makes a course otherwise after an instant that everything was asked at.

        Early timers are looked beyond, so many at most; segments that the rule names change with
        time, too.
        """
        named = self.named if named_in(course.rule) else {}
        later = {name: each.ahead(at) for name, each in named.items()}
        ahead, inside = course.ahead(at), set(self.inside)
        run, self.view.inside = Replay(self.view, later, [ahead], inside), inside
        for _ in range(most):
            dues = [each.next for each in (*later.values(), ahead) if each.next is not None]
            if not dues or len(ahead.changes) > 1:
                break
            run.ask(min(dues))
        self.view.inside = self.inside
        return ahead.changes[1][0] if len(ahead.changes) > 1 else None

    def _stand(self, name: str, course: Course) -> None:
        if course.value:
            self.inside.add(name)
        else:
            self.inside.discard(name)


def replay(
    profile: Profile,
    rules: Sequence[Rule],
    until: int,
    around: RuleSet = NO_RULES,
    most: int = UNBOUNDED,
) -> Replay:
    """The courses of rules up to an instant, which counts, in the view of that instant.

    Segments that the rules name are replayed beside them by the rules of `around`; those that are
    held, and lists, are taken as they are now. Of all moments at which something happened the last
    `most` are asked about; what was before counts from the beginning.
    """
    run = _run(profile, rules, around)
    let_go = _let_go(run.view)
    if let_go is not None and let_go <= until:
        run.ask(let_go)
    told = [fact for fact in _facts(profile) if fact.time <= until]
    moments = [(at, list(facts)) for at, facts in groupby(told, key=_time)]
    early = moments[: max(0, len(moments) - most)]
    for _, facts in early:
        run.take(facts)
    if early:
        run.ask(early[-1][0])
    for at, facts in moments[len(early) :]:
        run.settle(at)
        run.take(facts)
        run.ask(at)
    run.settle(until + 1)
    return run


def truths(
    profile: Profile, rule: Rule, moments: Sequence[int], around: RuleSet = NO_RULES
) -> Sequence[bool]:
    """The truth of a rule at some instants in order; false where nothing was known yet.

    It is what the rule's course says of them, and costs as much as asking at these alone.
    """
    run = _run(profile, (rule,), around)
    let_go, told = _let_go(run.view), _facts(profile)
    taken, found = 0, []
    for at in moments:
        behind = bisect_right(told, at, key=_time)
        run.take(told[taken:behind])
        taken = behind
        if taken or (let_go is not None and let_go <= at):
            run.ask(at)
        found.append(run.asked[0].value)
    return found


def _run(profile: Profile, rules: Sequence[Rule], around: RuleSet) -> Replay:
    view = _beginning(profile)
    view.surroundings = around.surroundings
    named = {name: Course(live.rule) for name, live in around.in_order(_named(rules, around))}
    inside = {name for name in profile.memberships if name not in named}
    view.inside = inside
    return Replay(view, named, [Course(rule) for rule in rules], inside)


def _let_go(view: View) -> int | None:
    """The last instant of what is counted and not kept one by one."""
    lasts = (each.last for each in view.tallies.values())
    return max((last for last in lasts if last is not None), default=None)


def _named(rules: Sequence[Rule], around: RuleSet) -> frozenset[str]:
    """The segments whose rules these rest on, directly or not."""
    found: set[str] = set()
    level = {name for rule in rules for name in named_in(rule)}
    while level := (level & around.rules.keys()) - found:
        found |= level
        level = {name for each in level for name in named_in(around.rules[each].rule)}
    return frozenset(found)


def _facts(profile: Profile) -> Sequence[Fact]:
    return sorted([*profile.facts, *profile.told], key=in_order)


def _time(fact: Fact) -> int:
    return fact.time


def _beginning(profile: Profile) -> View:
    """What is known before the first fact that is kept one by one."""
    view = View(Names(profile.names))
    view.customer = profile.id
    view.tallies = {kind: tally_of(totals) for kind, totals in profile.totals.items()}
    for fact in filter(view.counts, profile.facts):
        tally = view.tally(FACT_NAMES[fact.kind])
        tally.remove(fact.number or 0, ())
    retold = Known(word for told in profile.told for word in told.words)
    for word in profile.words:
        again: Any = retold.on(type(word), word.place, word.group)
        before = word if again is None else word.besides(again)
        if before is not None:
            view.known.learn((before,))
    return view
