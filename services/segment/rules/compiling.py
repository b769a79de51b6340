"""Rules fused into one function: what the interpreter says, for a fraction of the work.

Rules that the same thing touches are asked together, thousands of times a second. So they are
written out as one Python function, in which what several clauses need (a series, where a window
begins in it) is found once, where it is needed at all, a clause that settles a join for good ends
it, and what is cheap is asked first: who is meant stands before what they did, once for all rules
that mean the same, and where it is not so all of these are passed over. Clauses without a written
form of their own ask the interpreter, which stays the oracle: a property test holds both together.

Nothing from outside becomes text of the function: names and values are objects that it is given,
and only whole numbers of the rules are written into it.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.segment.rules.evaluating.facts import average_of, next_by_average, next_by_sum
from services.segment.rules.evaluating.record import TESTS, consent_state, value_of
from services.segment.rules.evaluating.tree import FORMS
from services.segment.rules.language.facts import Facts
from services.segment.rules.language.forms import UNBOUNDED
from services.segment.rules.language.record import Attribute, Consent
from services.segment.rules.language.tree import All, AnyOf, Not, Rule
from services.segment.rules.series import COUNT, Measure
from services.segment.rules.view import View
from services.segment.rules.words import FieldValue

Fused = Callable[[View, int, dict[str, int], Collection[str]], list[tuple[str, bool]]]
"""`(view, at, due, inside) -> changes`: lowers what is due of each group to its rules' next
instants, and gives the segments whose truth is not what `inside` says, with their truths."""

_NEVER = "None"
_CHEAP = frozenset({"attribute", "consent", "identifier", "random", "list"})
"""Kinds that time never changes, and that cost one look."""
MOST_GUARDS = 8
"""Of one rule; Python has a limit on how deep lines may stand."""


@dataclass(frozen=True, slots=True)
class _Guarded:
    """A rule that is true only where all `guards` are, which time never changes, and all of `rest`.

    Guards are kept by what they say.
    """

    name: str
    group: str
    guards: Mapping[str, Rule]
    rest: Sequence[Rule]

    @classmethod
    def of(cls, name: str, group: str, rule: Rule) -> "_Guarded":
        """The rule taken apart."""
        clauses = rule.clauses if isinstance(rule, All) else (rule,)
        cheap = [clause for clause in clauses if clause.kind in _CHEAP][:MOST_GUARDS]
        guards = {clause.model_dump_json(): clause for clause in cheap}
        rest = [clause for clause in clauses if not any(clause is each for each in cheap)]
        return cls(name, group, guards, rest)

    def without(self, guard: str) -> "_Guarded":
        """The rule where a guard is known to be true."""
        left = {key: clause for key, clause in self.guards.items() if key != guard}
        return _Guarded(self.name, self.group, left, self.rest)


def fuse(rules: Sequence[tuple[str, str, Rule]]) -> Fused:
    """The function for rules, each with the name of its segment and its group."""
    writing = _Writing(frozenset(name for name, _, _ in rules))
    _write_rules(writing, [_Guarded.of(*each) for each in rules])
    text = "\n".join(writing.text())
    scope: dict[str, Any] = {
        **writing.objects,
        "bisect_right": bisect_right,
        "next_by_average": next_by_average,
        "next_by_sum": next_by_sum,
        "value_of": value_of,
        "consent_state": consent_state,
        "tagged": _tagged,
    }
    exec(compile(text, "<rules>", "exec"), scope)  # noqa: S102 - written above, of numbers alone
    fused: Fused = scope["fused"]
    return fused


@dataclass(slots=True)
class _Writing:
    """A function on its way, for segments by name; `objects` are what it is given by name.

    What is found where it is first needed is None until then (`_later`).
    """

    segments: frozenset[str]
    objects: dict[str, object] = field(default_factory=dict)
    depth: int = 1
    _head: list[str] = field(default_factory=list)
    _later: list[str] = field(default_factory=list)
    _body: list[str] = field(default_factory=list)
    _names: dict[object, str] = field(default_factory=dict)
    _groups: dict[str, str] = field(default_factory=dict)
    _count: int = 0

    def text(self) -> list[str]:
        """All lines."""
        foot = []
        for group, least in self._groups.items():
            key = self.given(group)
            foot += [
                f"    if {least} is not None and {least} < due.get({key}, {least} + 1):",
                f"        due[{key}] = {least}",
            ]
        begin = ["def fused(view, at, due, inside):", "    held = []"]
        begin += [f"    {name} = None" for name in (*self._groups.values(), *self._later)]
        asked = self.given(self.segments)
        foot += [
            "    true = set(held)",
            "    changes = [(name, True) for name in held if name not in inside]",
            "    for name in inside:",
            f"        if name in {asked} and name not in true: changes.append((name, False))",
            "    return changes",
        ]
        return [*begin, *self._head, *self._body, *foot]

    def line(self, text: str) -> None:
        """One more line at this depth."""
        self._body.append("    " * self.depth + text)

    def name(self, begin: str) -> str:
        """A name that is not used yet."""
        self._count += 1
        return f"{begin}{self._count}"

    def given(self, thing: object) -> str:
        """The name of an object that the function is given."""
        place = ("given", id(thing))
        if place not in self._names:
            self._names[place] = self.name("g")
            self.objects[self._names[place]] = thing
        return self._names[place]

    def least(self, group: str) -> str:
        """The variable of a group's next instant."""
        return self._groups.setdefault(group, f"m{len(self._groups)}")

    def field(self, field: str) -> str:
        """The variable of what a field holds; with `k` the values in it, each with its kind."""
        place = ("field", field)
        name = self._names.get(place)
        if name is None:
            name = self._names[place] = self.name("h")
            self._head.append(f"    {name} = value_of(view, {self.given(field)})")
            self._head.append(f"    {name}k = tagged({name})")
        return name

    def consent(self, rule: Consent) -> str:
        """The variable of what counts of all that was said on a topic by a channel."""
        name = self._later_name("consent", rule.topic, rule.channel)
        self.line(f"if {name} is None: {name} = consent_state({self.given(rule)}, view)")
        return name

    def start(self, rule: Facts, measure: Measure, span: int) -> tuple[str, str]:
        """The variable of a series, and that of where a window begins in it.

        The first with `t` holds its times, with `z` how many; the second with `n` how many of them
        are in the window.
        """
        where = None if rule.where is None else rule.where.key
        series = self._later_name("series", rule.kind, where, measure)
        start = self._later_name("start", series, span)
        given = ", ".join(self.given(each) for each in (rule.kind, rule.where, measure))
        self.line(f"if {start} is None:")
        self.line(f"    if {series} is None:")
        self.line(f"        {series} = view.series({given})")
        self.line(f"        {series}t = {series}.times; {series}z = len({series}t)")
        self.line(f"    {start} = bisect_right({series}t, at - {span})")
        self.line(f"    {start}n = {series}z - {start}")
        return series, start

    def _later_name(self, *place: object) -> str:
        """The variable of what is found when it is first needed."""
        name = self._names.get(place)
        if name is None:
            name = self._names[place] = self.name("l")
            self._later.append(name)
        return name


def _write_rules(writing: _Writing, rules: Sequence[_Guarded]) -> None:
    """Write rules, each behind its guards: those of one guard together, the commonest first."""
    left = list(rules)
    counts = Counter(guard for rule in left for guard in rule.guards)
    while common := counts.most_common(1):
        guard = common[0][0]
        those = [rule for rule in left if guard in rule.guards]
        left = [rule for rule in left if guard not in rule.guards]
        counts.subtract(each for rule in those for each in rule.guards)
        counts = +counts
        truth, _never = _write(writing, those[0].guards[guard])
        writing.line(f"if {truth}:")
        writing.depth += 1
        _write_rules(writing, [rule.without(guard) for rule in those])
        writing.depth -= 1
    for rule in left:
        _write_rule(writing, rule)


def _write_rule(writing: _Writing, rule: _Guarded) -> None:
    """Write what is left to be asked of a rule whose guards are true."""
    name, least = writing.given(rule.name), writing.least(rule.group)
    if not rule.rest:
        writing.line(f"held.append({name})")
        return
    if len(rule.rest) == 1:
        truth, due = _write(writing, rule.rest[0])
    else:
        truth, due = _join(writing, rule.rest, settles="False", other="True")
    if due != _NEVER:
        writing.line(
            f"if {due} is not None and ({least} is None or {due} < {least}): {least} = {due}"
        )
    writing.line(f"if {truth}: held.append({name})")


def _write(writing: _Writing, rule: Rule) -> tuple[str, str]:
    """Write a clause; gives the names of its truth and its next instant."""
    match rule:
        case All():
            return _join(writing, rule.clauses, settles="False", other="True")
        case AnyOf():
            return _join(writing, rule.clauses, settles="True", other="False")
        case Not():
            truth, due = _write(writing, rule.clause)
            name = writing.name("v")
            writing.line(f"{name} = not {truth}")
            return name, due
        case Facts(aggregate="count") if rule.span is not None:
            return _Window.of(writing, rule, rule.span, COUNT).count()
        case Facts(aggregate="sum") if rule.span is not None:
            return _Window.of(writing, rule, rule.span, Measure(rule.number)).sum()
        case Facts(aggregate="average") if rule.span is not None:
            return _Window.of(writing, rule, rule.span, Measure(rule.number)).average()
        case Attribute():
            return _attribute(writing, rule), _NEVER
        case Consent():
            truth = writing.name("v")
            state = writing.given(rule.state or "given")
            writing.line(f"{truth} = {writing.consent(rule)} == {state}")
            return truth, _NEVER
        case _:
            return _ask(writing, rule)


def _ask(writing: _Writing, rule: Rule) -> tuple[str, str]:
    form, clause = writing.given(FORMS[rule.kind]), writing.given(rule)
    truth, due = writing.name("v"), writing.name("x")
    if rule.kind in _CHEAP:
        writing.line(f"{truth} = {form}({clause}, view, at)[0]")
        return truth, _NEVER
    writing.line(f"{truth}, {due} = {form}({clause}, view, at)")
    return truth, due


def _attribute(writing: _Writing, rule: Attribute) -> str:
    held, truth = writing.field(rule.field), writing.name("v")
    match rule.test.op:
        case "is" | "is_not" | "any_of":
            wanted = writing.given(_tagged(rule.values))
            opposite = "" if rule.test.op == "is_not" else "not "
            writing.line(f"{truth} = {opposite}{held}k.isdisjoint({wanted})")
        case "known":
            writing.line(f"{truth} = {held} is not None")
        case op:
            test, clause = writing.given(TESTS[op]), writing.given(rule)
            writing.line(f"{truth} = {test}({clause}, {held})")
    return truth


def _tagged(held: FieldValue | tuple[FieldValue, ...] | None) -> frozenset[tuple[bool, object]]:
    """The values of a field. Python holds that 1 equals True; a marketer does not."""
    if held is None:
        return frozenset()
    values = held if isinstance(held, tuple) else (held,)
    return frozenset((isinstance(value, bool), value) for value in values)


def _join(writing: _Writing, clauses: Sequence[Rule], settles: str, other: str) -> tuple[str, str]:
    """A loop of one round, which the first clause that settles the join for good leaves.

    Settled only for a while, it is so until the last of the settling clauses changes; not settled,
    until the first clause changes.
    """
    truth, due, settled = writing.name("v"), writing.name("x"), writing.name("y")
    writing.line("while True:")
    writing.depth += 1
    writing.line(f"{settled} = {due} = None")
    for clause in sorted(clauses, key=_cost):
        value, changes = _write(writing, clause)
        leave = f"{truth} = {settles}; {settled} = {due} = None; break"
        writing.line(f"if {value} is {settles}:")
        if changes == _NEVER:
            writing.line(f"    {leave}")
            continue
        writing.line(f"    if {changes} is None: {leave}")
        writing.line(f"    if {settled} is None or {changes} > {settled}: {settled} = {changes}")
        writing.line(f"elif {changes} is not None and ({due} is None or {changes} < {due}):")
        writing.line(f"    {due} = {changes}")
    writing.line(f"if {settled} is None: {truth} = {other}")
    writing.line(f"else: {truth} = {settles}; {due} = {settled}")
    writing.line("break")
    writing.depth -= 1
    return truth, due


def _cost(rule: Rule) -> int:
    return 0 if rule.kind in _CHEAP else 1


@dataclass(slots=True)
class _Window:
    """A window of a series that a clause counts or sums up."""

    writing: _Writing
    rule: Facts
    span: int
    series: str
    start: str

    @classmethod
    def of(cls, writing: _Writing, rule: Facts, span: int, measure: Measure) -> "_Window":
        """The window of a clause."""
        series, start = writing.start(rule, measure, span)
        return cls(writing, rule, span, series, start)

    def count(self) -> tuple[str, str]:
        """How many: too few stay too few until one comes, and nothing is due."""
        low, high = self.rule.bounds
        writing, truth, due = self.writing, self.writing.name("v"), self.writing.name("x")
        if low > 0:
            writing.line(f"if {self.start}n < {low}: {truth} = False; {due} = None")
        else:
            writing.line(f"if {self.start}n <= {high}: {truth} = True; {due} = None")
        writing.line("else:")
        if high == UNBOUNDED:
            leaving = f"{self.series}t[{self.series}z - {low}] + {self.span}"
            writing.line(f"    {truth} = True; {due} = {leaving}")
        else:
            form, clause = writing.given(FORMS[self.rule.kind]), writing.given(self.rule)
            writing.line(f"    {truth}, {due} = {form}({clause}, view, at)")
        return truth, due

    def sum(self) -> tuple[str, str]:
        """What they sum to: too little stays so, as long as none is negative."""
        bounds = low, high = self.rule.bounds
        writing, truth, due = self.writing, self.writing.name("v"), self.writing.name("x")
        value = writing.name("n")
        writing.line(f"{value} = {self.series}.sums[-1] - {self.series}.sums[{self.start}]")
        writing.line(f"if {value} < {low} and {self.series}.rising: {truth} = False; {due} = None")
        writing.line("else:")
        writing.line(f"    {truth} = {low} <= {value} <= {high}")
        given = writing.given(bounds)
        writing.line(f"    {due} = next_by_sum({self.series}, {self.start}, {given})[1]")
        writing.line(f"    if {due} is not None: {due} += {self.span}")
        return truth, due

    def average(self) -> tuple[str, str]:
        """What they come to on average."""
        writing, truth, due = self.writing, self.writing.name("v"), self.writing.name("x")
        given = ", ".join(writing.given(each) for each in average_of(self.rule))
        writing.line(f"{truth}, {due} = next_by_average({self.series}, {self.start}, {given})")
        writing.line(f"if {due} is not None: {due} += {self.span}")
        return truth, due
