"""Transitions of the engine = a naive evaluation at every instant where anything can change.

The oracle below knows rules as JSON and facts as a list, follows the definition of each form word
by word, and looks at every instant at which a fact can enter or leave a window, and at the
milliseconds beside it. It shares no code with the engine. The engine is driven as the runner drives
it: events in batches, profiles stored and loaded between them, timers woken now and then or never,
ends of imports repeated.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.segment.engine.glancing import Glance
from services.segment.engine.profile import Profile
from services.segment.engine.reported import Returned, ReturnedLine, Voided
from services.segment.engine.stepping import Engine
from services.segment.rules import ruleset
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from services.segment.rules.surroundings import Surroundings
from services.segment.rules.tables import Cuts, Percentiles, Table
from shared.decider import NewEvent
from shared.envelope import Light
from shared.events.segment import SegmentEntered, SegmentExited
from shared.moves import Ended as MoveEnded
from shared.moves import Moved as MovedFact
from shared.moves import Moving, Withdrawn
from shared.projection import Event
from tests.unit.naive import fact_histories, record, record_histories, relations
from tests.unit.naive import facts as happened
from tests.unit.naive.fact_histories import BRANCHES, comparisons
from tests.unit.naive.facts import SPANS
from tests.unit.naive.record import HOUR, START, compared

CASES = int(os.environ.get("HYPOTHESIS_CASES", "60"))
TABLES = {
    name: Table(
        each["look_back"],
        each["branch"],
        Cuts(each["recency"], each["frequency"], each["monetary"]),
        Percentiles(each["spent"], each["receipts"], each["average"]),
    )
    for name, each in relations.TABLES.items()
}
SURROUNDINGS = Surroundings(record.ZONE, record.ZONES, TABLES)
Defined = tuple[int, int, dict[str, Any]]  # version of the definition, since when, rule
Rules = dict[str, Defined]


# What happens


@dataclass(frozen=True)
class Fact:
    """`time` and `recorded` are milliseconds after START."""

    kind: str
    time: int
    recorded: int
    history: str | None
    data: Any
    branch: str | None = None
    version: int = 0
    stream: str = "interaction-c1"

    @property
    def counts_from(self) -> int:
        return min(self.time, self.recorded)

    @property
    def id(self) -> str:
        return f"{self.stream}@{self.version}"


@dataclass(frozen=True)
class Amended:
    """A receipt is returned in part (`total`), or voided (None); any other fact is withdrawn.

    Of what is returned `total` is also that of a line, by its position, with half of a piece.
    """

    fact: Fact
    recorded: int
    total: int | None
    version: int
    line: int | None = None

    @property
    def after(self) -> Fact | None:
        """What is left."""
        if self.total is None:
            return None
        data = {**self.fact.data, "total": self.fact.data["total"] - self.total}
        if self.line is not None:
            line = data["lines"][self.line]
            less = {
                "amount": line["amount"] - self.total,
                "quantity": str(Decimal(line["quantity"]) - Decimal("0.5")),
            }
            data["lines"] = [*data["lines"]]
            data["lines"][self.line] = {**line, **less}
        return replace(self.fact, data=data)

    @property
    def id(self) -> str:
        return f"interaction-c1@{self.version}"


@dataclass(frozen=True)
class Moved:
    """Facts come or go; `version` is that of the end of their move."""

    facts: tuple[Fact, ...]
    comes: bool
    recorded: int
    version: int

    @property
    def id(self) -> str:
        return f"interaction-c1@{self.version}"


@dataclass(frozen=True)
class Ended:
    import_id: str
    until: int


@dataclass(frozen=True)
class Redefined:
    number: int
    at: int
    rules: Rules
    held: Rules = field(default_factory=dict)


Happening = Fact | Amended | Moved | Ended | Redefined


# The oracle


Inside = Callable[[str], bool]


def truth(rule: dict[str, Any], known: Sequence[Fact], at: int, inside: Inside) -> bool:
    facts = [fact for fact in known if fact.counts_from <= at]
    match rule["kind"]:
        case "all":
            return all(truth(clause, known, at, inside) for clause in rule["clauses"])
        case "any":
            return any(truth(clause, known, at, inside) for clause in rule["clauses"])
        case "not":
            return not truth(rule["clause"], known, at, inside)
        case "segment":
            return inside(rule["segment"]) is rule["inside"]
        case "random":
            return relations.drawn(rule)
        case "rfm" | "rfm_cell" | "percentile":
            bought = [f for f in facts if f.kind == "receipt"]
            receipts = [(f.counts_from, f.data["total"], f.branch) for f in bought]
            return stands(rule, relations.standing(rule, receipts, at))
    value = happened.truth(rule, facts, at)
    if value is None:
        value = record.truth(rule, facts, at)
    assert value is not None, rule["kind"]
    return value


def stands(rule: dict[str, Any], standing: dict[str, Any] | None) -> bool:
    if standing is None:
        return False
    if rule["kind"] == "rfm_cell":
        return standing["cell"] in rule["cells"]
    return compared(standing[rule.get("score") or rule["of"]], rule["compare"])


def named_in(rule: dict[str, Any]) -> set[str]:
    if rule["kind"] == "segment":
        return {rule["segment"]}
    inner = [*rule.get("clauses", ()), *([rule["clause"]] if "clause" in rule else [])]
    return {name for clause in inner for name in named_in(clause)}


def depth(rules: Rules, name: str) -> int:
    """How long the longest way down from a segment is, over those that it names."""
    return max((1 + depth(rules, n) for n in named_in(rules[name][2]) if n in rules), default=0)


def by_depth(rules: Rules) -> list[str]:
    return sorted(rules, key=lambda name: (depth(rules, name), name))


def latest(rules: Rules, name: str) -> tuple[int, str]:
    """Since when, and the id of, the last definition that a segment rests on; its own, if equal."""
    definition, since, rule = rules[name]
    ways = [(since, f"segment-{name}@{definition}")]
    ways += [latest(rules, each) for each in sorted(named_in(rule)) if each in rules]
    return max(ways, key=lambda way: way[0])


@dataclass
class Oracle:
    """The same customer, by definition. A logged line: segment, entered?, at, cause, definition."""

    rules: Rules
    number: int
    horizon: int
    known: list[Fact] = field(default_factory=list)
    waiting: dict[str, list[Fact]] = field(default_factory=dict)
    inside: dict[str, int] = field(default_factory=dict)
    log: list[tuple[Any, ...]] = field(default_factory=list)
    clock: int | None = None
    looked: int = -(10**15)
    whole: bool = True
    held: Rules = field(default_factory=dict)

    def holds(self, name: str, at: int) -> bool:
        """Whether the customer belongs into a segment, by its rule; into one without, never.

        Of a segment that is held, who is inside stays, and nobody comes.
        """
        if name in self.held:
            return name in self.inside
        if name not in self.rules:
            return False
        return truth(self.rules[name][2], self.known, at, lambda named: self.holds(named, at))

    def look(self, at: int, cause: tuple[Any, ...], only: Sequence[str] | None = None) -> None:
        """Ask all; or some, while the others are as they were."""
        for name in by_depth(self.rules):
            definition, _, rule = self.rules[name]
            if only is None:
                value = self.holds(name, at)
            elif name in only:
                value = truth(rule, self.known, at, self.inside.__contains__)
            else:
                continue
            if value is not (name in self.inside):
                self.log.append((name, value, at, cause, definition))
                if value:
                    self.inside[name] = definition
                else:
                    del self.inside[name]
        self.looked = max(self.looked, at)

    def pass_time(self, before: int, cause: tuple[Any, ...]) -> None:
        """Look at every instant until (and without) a moment at which time can change anything."""
        if self.clock is None:
            return
        written = repr(self.rules)
        spans = {span for text, span in SPANS.items() if text in written}
        spans |= relations.edges(written)
        edges = {
            fact.counts_from + span + beside
            for fact in self.known
            if happened.is_fact(fact.kind)
            for span in spans
            for beside in (-1, 0, 1)
        }
        since = max(self.looked, self.clock) if self.known else before
        edges |= {
            edge + beside
            for edge in record.edges(self.known, written, since, before)
            for beside in (-1, 0, 1)
        }
        for at in sorted(edges):
            if self.looked < at < before:
                self.look(at, cause)

    def happen(self, fact: Fact) -> None:
        if fact.history is not None:
            self.waiting.setdefault(fact.history, []).append(fact)
            return
        at = fact.recorded if self.clock is None else max(self.clock, fact.recorded)
        self.pass_time(at, ("time", None, None))
        self.known.append(fact)
        self.look(at, ("event", fact.id, None))
        self.close(at)

    def amend(self, what: Amended | Moved) -> None:
        if isinstance(what, Amended) and self.change(self.waiting, what):
            return
        at = what.recorded if self.clock is None else max(self.clock, what.recorded)
        self.pass_time(at, ("time", None, None))
        visible = {"": self.known}
        if isinstance(what, Amended):
            assert self.change(visible, what)
        elif what.comes:
            visible[""] = [*self.known, *what.facts]
        else:
            gone = {fact.id for fact in what.facts}
            visible[""] = [fact for fact in self.known if fact.id not in gone]
            self.waiting = {
                name: [fact for fact in facts if fact.id not in gone]
                for name, facts in self.waiting.items()
            }
        self.known = visible[""]
        cause = "merge" if isinstance(what, Moved) else "event"
        self.look(at, (cause, what.id, None))
        self.close(at)

    def change(self, places: dict[str, list[Fact]], what: Amended) -> bool:
        """Whether the receipt was in one of the places, and is changed."""
        for name, facts in places.items():
            for index, fact in enumerate(facts):
                if fact.id == what.fact.id:
                    left = [] if what.after is None else [what.after]
                    places[name] = [*facts[:index], *left, *facts[index + 1 :]]
                    return True
        return False

    def close(self, at: int) -> None:
        self.clock = at
        limit = at - self.horizon
        old = [f for f in self.known if happened.is_fact(f.kind) and f.counts_from <= limit]
        self.whole = self.whole and not old

    def end(self, ended: Ended) -> None:
        facts = self.waiting.pop(ended.import_id, None)
        if facts is None:
            return
        self.pass_time(ended.until, ("time", None, None))
        if self.clock is None and not facts:
            return  # all that it brought was taken back: nothing was ever seen
        at = max([ended.until, *(fact.counts_from for fact in facts)])
        if self.clock is not None:
            at = max(at, self.clock, self.looked)
        if self.log or not self.whole:
            self.pass_time(at, ("time", None, None))
            self.known += facts
            self.look(at, ("history", None, ended.import_id))
        else:
            self.live(facts, ended.import_id, at)
        self.close(at)

    def live(self, facts: Sequence[Fact], import_id: str, until: int) -> None:
        past = sorted(
            [*facts, *self.known],
            key=lambda fact: (
                fact.counts_from,
                fact.version,
                happened.is_fact(fact.kind),
                "" if fact.stream == "customer-c1" or happened.is_fact(fact.kind) else fact.stream,
                happened.turn(fact),
            ),
        )
        self.known, self.inside, self.clock, self.looked = [], {}, None, -(10**15)
        for fact in past:
            self.pass_time(fact.counts_from, ("history", None, import_id))
            self.known.append(fact)
            self.look(fact.counts_from, ("history", fact.id, import_id))
            self.clock = fact.counts_from
        self.pass_time(until + 1, ("history", None, import_id))

    def redefine(self, redefined: Redefined) -> None:
        old, self.rules = self.rules, redefined.rules
        if self.clock is None:
            self.held = redefined.held
            return
        at = max(self.clock, redefined.at)
        same_rules = [name for name in self.rules if old.get(name) == self.rules[name]]
        self.rules = {**old}
        self.pass_time(at, ("time", None, None))
        self.rules, self.held = redefined.rules, redefined.held
        self.look(at, ("time", None, None), only=same_rules)
        for name in sorted(self.inside.keys() - self.rules.keys() - self.held.keys()):
            cause = ("definition", None, None)
            self.log.append((name, False, at, cause, self.inside.pop(name)))
        for name in by_depth(self.rules):
            self.look(at, ("definition", latest(self.rules, name)[1], None), [name])
        self.clock = at


# The engine, driven as the runner drives it


def moment(at: int) -> datetime:
    return START + timedelta(milliseconds=at)


def live_rules(rules: Rules) -> dict[str, LiveRule]:
    return {
        name: LiveRule(
            definition=definition,
            rule=parse_rule(rule),
            defined_at=moment(since),
            event=f"segment-{name}@{definition}",
            correlation="defining",
        )
        for name, (definition, since, rule) in rules.items()
    }


def rule_set(
    rules: Rules, number: int, at: int, held: Rules | None = None, before: Sequence[int] = ()
) -> RuleSet:
    """`before` are the moments of the sets before it, where they are to be told apart."""
    moments = [moment(each) for each in (*before, at)] if before else []
    live, held_back = live_rules(rules), live_rules(held or {})
    return RuleSet(number, live, moment(at), held_back, moments, SURROUNDINGS)


def event_of(kind: str, data: Any, recorded: int, version: int) -> Event:  # noqa: ANN401 - one of the structs
    light = Light(
        type=f"interaction.{kind}.v1", stream="interaction-c1", streamversion=version,
        time=moment(recorded), recordedtime=moment(recorded), data=msgspec.Raw(b""),
        subject="c1", branch="1", correlationid="k",
    )  # fmt: skip
    return Event(light, data, 0)


def amending(what: Amended) -> Event:
    fact = what.fact
    if fact.kind != "receipt":
        gone = Withdrawn(moved(fact))
        return event_of("fact_withdrawn", gone, what.recorded, what.version)
    if what.total is None:
        void = Voided(fact.id, moment(fact.counts_from), fact.data["total"])
        return event_of("receipt_voided", void, what.recorded, what.version)
    lines = () if what.line is None else (ReturnedLine(what.line + 1, "0.5", what.total),)
    back = Returned(fact.id, what.total, lines)
    return event_of("receipt_returned", back, what.recorded, what.version)


def moved(fact: Fact) -> MovedFact:
    told = msgspec.json.encode({"fact": fact.id, **fact.data})
    kind = fact_histories.type_of(fact.kind, fact.data)
    return MovedFact(
        fact.id, kind, moment(fact.time), moment(fact.recorded), msgspec.Raw(told), fact.branch
    )


def moving(what: Moved) -> Iterator[Event]:
    """The move, a part for each fact, and its end: what comes is known by its part's version."""
    for version, fact in enumerate(what.facts, what.version - len(what.facts)):
        yield event_of("facts_moved", Moving("m", (moved(fact),)), what.recorded, version)
    ended = MoveEnded("m", "in" if what.comes else "out")
    yield event_of("move_ended", ended, what.recorded, what.version)


def as_event(fact: Fact) -> Event:
    if happened.is_fact(fact.kind):
        kind = fact_histories.type_of(fact.kind, fact.data)
        data: Any = fact_histories.told_by(fact.kind, fact.id, fact.data)
    else:
        kind, data = record_histories.data_of(fact.kind, fact.data, fact.stream)
    light = Light(
        type=kind, stream=fact.stream, streamversion=fact.version,
        time=moment(fact.time), recordedtime=moment(fact.recorded), data=msgspec.Raw(b""),
        subject="c1", branch=fact.branch, history=fact.history, correlationid="k",
    )  # fmt: skip
    return Event(light, data, 0)


def stored(profile: Profile) -> dict[str, Any]:
    raw: dict[str, Any] = msgspec.to_builtins(profile, builtin_types=(datetime, bytes))
    return raw


@dataclass
class Driven:
    engine: Engine
    tells_apart: bool = False
    moments: list[int] = field(default_factory=lambda: [-HOUR])
    profile: Profile | None = None
    log: list[tuple[Any, ...]] = field(default_factory=list)

    def note(self, outcome: tuple[Profile, Sequence[NewEvent]]) -> None:
        self.profile, events = outcome
        for event in events:
            data = event.data
            assert isinstance(data, SegmentEntered | SegmentExited)
            at = (event.time - START) // timedelta(milliseconds=1)
            cause = (data.cause.kind, data.cause.event, data.cause.import_id)
            entered = isinstance(data, SegmentEntered)
            self.log.append((data.segment, entered, at, cause, data.definition))

    def store(self) -> None:
        """As the runner does between batches: the stream's head moves, only fields survive."""
        if self.profile is not None:
            self.profile.stream_version = self.profile.transitions
            raw = msgspec.to_builtins(self.profile, builtin_types=(datetime,))
            self.profile = msgspec.convert(raw, Profile)

    def wake(self, until: int) -> None:
        if self.profile is not None:
            self.note(self.engine.wake(self.profile, moment(until)))
            assert self.profile.due_at is None or self.profile.due_at >= moment(until)

    def revise(self) -> None:
        if self.profile is not None:
            revised, events = self.engine.revise(self.profile, START)
            for glanced in self.glanced():
                assert (stored(glanced), []) == (stored(revised), list(events))
            self.note((revised, events))

    def glanced(self) -> Iterator[Profile]:
        """What each glance makes of the profile, as it is stored without what it does not see."""
        if self.profile is None or self.profile.rules == self.engine.rules.number:
            return
        raw = stored(self.profile)
        for glance in Glance.all_of(self.engine):
            seen = {name: value for name, value in raw.items() if name not in glance.unseen}
            fields = glance(msgspec.convert(seen, Profile))
            if fields is not None:
                yield msgspec.convert({**raw, **fields}, Profile)

    def happen(self, what: Happening, *, at_once: bool) -> None:
        match what:
            case Fact():
                self.note(self.engine.step(self.profile, as_event(what)))
            case Amended():
                self.note(self.engine.step(self.profile, amending(what)))
            case Moved():
                for event in moving(what):
                    self.store()
                    self.note(self.engine.step(self.profile, event))
            case Ended():
                if self.profile is not None:
                    self.note(self.engine.live(self.profile, what.import_id, moment(what.until)))
            case Redefined():
                self.revise()  # else the rule set in between would pass this profile by
                self.wake(what.at)
                self.moments.append(what.at)
                before = self.moments[:-1] if self.tells_apart else ()
                rules = rule_set(what.rules, what.number, what.at, what.held, before)
                self.engine = Engine(rules, self.engine.horizon)
                if at_once:
                    self.revise()


# Random rules and histories


WITHIN = st.sampled_from(sorted(SPANS))
COUNT = {
    "kind": st.just("receipts"), "aggregate": st.just("count"), "compare": comparisons(0, 3)
}  # fmt: skip
SUM = {
    "kind": st.just("receipts"),
    "aggregate": st.just("sum"),
    "compare": comparisons(-2, 6, 100),
}
WINDOWED = st.one_of(
    st.fixed_dictionaries({**COUNT, "within": WITHIN}),
    st.fixed_dictionaries({**SUM, "within": WITHIN}),
    fact_histories.RULES,
    fact_histories.RULES,
    st.fixed_dictionaries({"kind": st.just("first_receipt"), "within": WITHIN}),
)
TIMELESS = st.one_of(
    st.fixed_dictionaries(COUNT), st.fixed_dictionaries(SUM), record_histories.TIMELESS
)
LEAVES = st.one_of(WINDOWED, TIMELESS, record_histories.TIMED)
JOINS = st.sampled_from(["all", "any"])
NESTED = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"kind": JOINS, "clauses": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"kind": st.just("not"), "clause": inner}),
    ),
    max_leaves=5,
)
RULES = st.one_of(
    st.fixed_dictionaries(
        {"kind": JOINS, "clauses": st.tuples(WINDOWED, relations.RANDOM).map(list)}
    ),
    relations.STANDING,
    WINDOWED,
    st.fixed_dictionaries({"kind": JOINS, "clauses": st.lists(WINDOWED, min_size=2, max_size=3)}),
    st.fixed_dictionaries({"kind": JOINS, "clauses": st.tuples(WINDOWED, TIMELESS).map(list)}),
    TIMELESS,
    NESTED,
    record_histories.TIMED,
    st.fixed_dictionaries(
        {"kind": JOINS, "clauses": st.lists(record_histories.TIMED, min_size=2, max_size=2)}
    ),
)
NAMES = "abcd"


def rules_of(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Rules that a segment may have: it names only such as come later in the alphabet."""
    later = [each for each in (*NAMES, "new") if each > name]
    if not later:
        return RULES
    member = st.fixed_dictionaries(
        {"kind": st.just("segment"), "segment": st.sampled_from(later), "inside": st.booleans()}
    )
    joined = st.fixed_dictionaries(
        {"kind": JOINS, "clauses": st.lists(st.one_of(member, RULES), min_size=2, max_size=3)}
    )
    return st.one_of(RULES, member, joined)


DISTANCES = st.sampled_from(
    [0, 1, HOUR // 2, HOUR // 2, HOUR // 2, HOUR - 1, HOUR, HOUR + 1, HOUR * 3 // 2, 5 * HOUR]
)


DELAYS = st.sampled_from([0, 0, 0, 1, HOUR // 2, HOUR, HOUR * 3 // 2, 5 * HOUR, -HOUR])
IMPORTS = [(None,), (None, None, "i1", "i2"), ("i1",), ("i1",) * 6 + ("i2", None)]


def change_of(
    draw: st.DrawFn, kind: str, recorded: int, here: dict[str, Fact], version: dict[str, int]
) -> Iterator[Happening]:
    """A return, a void, a withdrawal or a move of facts that are `here`; they change with it."""
    stream = "interaction-c1"
    if kind == "moved" and draw(st.booleans()):
        came = []
        for _ in range(draw(st.integers(1, 2))):
            version[stream] += 1
            time = recorded - draw(DELAYS)
            of = draw(st.sampled_from(["receipt", "receipt", "visits", "orders"]))
            data = draw(fact_histories.CONTENTS[of])
            fact = Fact(of, time, recorded, None, data, "1", version[stream])
            came.append(fact)
        here.update({fact.id: fact for fact in came})
        version[stream] += 1
        yield Moved(tuple(came), comes=True, recorded=recorded, version=version[stream])
    elif here:
        chosen = here[draw(st.sampled_from(sorted(here)))]
        version[stream] += 1
        if kind == "moved":
            # It goes as it was recorded: a fact keeps its id and data through every move.
            del here[chosen.id]
            version[stream] += 1
            yield Moved((chosen,), comes=False, recorded=recorded, version=version[stream])
            return
        yield (change := amendment(draw, chosen, recorded, version[stream]))
        if change.after is None:
            del here[chosen.id]
        else:
            here[chosen.id] = change.after


def amendment(draw: st.DrawFn, fact: Fact, recorded: int, version: int) -> Amended:
    if fact.kind != "receipt":
        return Amended(fact, recorded, None, version)
    total = draw(st.none() | st.integers(0, 2).map(lambda share: share * 50))
    lines = fact.data.get("lines", ())
    line = draw(st.none() | st.integers(0, len(lines) - 1)) if lines and total else None
    return Amended(fact, recorded, total, version, line)


def told(draw: st.DrawFn, fact: Fact, begun: set[str]) -> Fact:
    """The fact with what it tells."""
    if fact.kind == "notifications":
        data = draw(fact_histories.NOTIFICATION)
        return replace(fact, data=data, stream=f"message-{data['message']}")
    if happened.is_fact(fact.kind):
        branch = draw(st.sampled_from([*BRANCHES, None]))
        return replace(fact, data=draw(fact_histories.CONTENTS[fact.kind]), branch=branch)
    kind = draw(st.sampled_from(record_histories.KINDS))
    stream, data = record_histories.content(draw, kind, begun)
    return replace(fact, kind=kind, data=data, stream=stream)


@st.composite
def happenings(draw: st.DrawFn, rules: Rules) -> list[Happening]:
    """Up to 16 things in the order of reading; recorded times may step back a little."""
    now = floor = 0
    number = 1
    version: dict[str, int] = defaultdict(int)
    begun: set[str] = set()
    what: list[Happening] = []
    here: dict[str, Fact] = {}
    held: Rules = {}
    imports = draw(st.sampled_from(IMPORTS))
    for _ in range(draw(st.integers(4, 16))):
        now += draw(DISTANCES)
        kinds = ["receipt"] * 8 + ["record"] * 5 + ["amended"] * 2
        kinds += ["visits", "calls", "notifications", *fact_histories.OTHERS]
        kinds += ["moved", "ended", "redefined"]
        kind = draw(st.sampled_from(kinds))
        if kind == "ended":
            what.append(Ended(draw(st.sampled_from(["i1", "i2"])), now))
            continue
        if kind == "redefined":
            number, floor = number + 1, now
            if held and (not rules or draw(st.booleans())):
                name = draw(st.sampled_from(sorted(held)))
                rules = {**rules, name: (held[name][0], now, held[name][2])}
                held = {each: kept for each, kept in held.items() if each != name}
            elif len(rules) > 1 and draw(st.booleans()):
                name = draw(st.sampled_from(sorted(rules)))
                held = {**held, name: rules[name]}
                rules = {each: kept for each, kept in rules.items() if each != name}
            changed = draw(st.sampled_from([*rules, *({"new"} - held.keys())]))
            definition = rules[changed][0] + 1 if changed in rules else 2
            rules = {**rules, changed: (definition, now, draw(rules_of(changed)))}
            if draw(st.booleans()):
                rules.pop(draw(st.sampled_from(sorted(rules))))
            what.append(Redefined(number, now, rules, held))
            continue
        recorded = max(floor, now - draw(st.sampled_from([0, 0, 0, 1, HOUR])))
        if kind in {"amended", "moved"}:
            what += change_of(draw, kind, recorded, here, version)
            continue
        time = recorded - draw(DELAYS)
        history = draw(st.sampled_from(imports))
        fact = told(draw, Fact(kind, time, recorded, history, None), begun)
        version[fact.stream] += 1
        what.append(fact := replace(fact, version=version[fact.stream]))
        if happened.is_fact(kind) and kind != "notifications":
            here[fact.id] = fact
    what.append(Ended("i1", now + HOUR))
    return what


def earliest_to_come(what: Sequence[Happening]) -> int:
    """Nothing that is still to be read was recorded before this."""
    moments = [
        one.recorded
        if isinstance(one, Fact | Amended | Moved)
        else one.until
        if isinstance(one, Ended)
        else one.at
        for one in what
    ]
    return min(moments, default=60 * 24 * HOUR)


def first_rules(draw: st.DataObject) -> Iterator[tuple[str, Defined]]:
    for name in NAMES[: draw.draw(st.integers(2, 4))]:
        yield name, (1, -HOUR, draw.draw(rules_of(name)))


@pytest.fixture(autouse=True, scope="module")
def _fused() -> Iterator[None]:
    """Every rule is written out, however few there are; the interpreter asks the others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ruleset, "LEAST_FUSED", 1)
        yield


@settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=CASES <= 120,
)
@given(st.data())
def test_the_engine_transitions_as_a_naive_evaluation_at_every_instant(data: st.DataObject) -> None:
    rules: Rules = dict(first_rules(data))
    what = data.draw(happenings(rules))
    asked = [rules, *(one.rules for one in what if isinstance(one, Redefined))]
    deep = any(happened.looks_deep(rule) for each in asked for _, _, rule in each.values())
    horizon = 9600 * HOUR if deep else data.draw(st.sampled_from([5, 7, 9600])) * HOUR
    oracle = Oracle(rules, 1, horizon)
    engine = Engine(rule_set(rules, 1, -HOUR), timedelta(milliseconds=horizon))
    driven = Driven(engine, tells_apart=data.draw(st.booleans()))
    for index, one in enumerate(what):
        if data.draw(st.sampled_from([False, False, True])):
            driven.store()
        if data.draw(st.booleans()):
            driven.wake(earliest_to_come(what[index:]))
        driven.happen(one, at_once=data.draw(st.booleans()))
        match one:
            case Fact():
                oracle.happen(one)
            case Amended() | Moved():
                oracle.amend(one)
            case Ended():
                oracle.end(one)
                driven.happen(one, at_once=True)
            case Redefined():
                oracle.redefine(one)
    end = earliest_to_come([])
    oracle.pass_time(end, ("time", None, None))
    driven.revise()
    driven.wake(end)
    assert driven.log == oracle.log
    inside = {} if driven.profile is None else driven.profile.memberships
    assert {name: held.definition for name, held in inside.items()} == oracle.inside
