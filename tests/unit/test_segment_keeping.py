"""Rules that look back further than profiles keep: never asked of half the facts, exact after it.

The oracle is that of the naive test: it forgets nothing. The engine keeps facts for a few hours
only; beside it everything is folded anew, and now and then what is missing is brought back.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.segment.engine.keeping import knows_the_same
from services.segment.engine.profile import Profile
from services.segment.engine.stepping import Engine
from services.segment.rules import ruleset
from services.segment.rules.ruleset import NO_RULES
from shared.projection import Event
from tests.unit.naive.record import HOUR
from tests.unit.test_segment_engine_naive import (
    CASES,
    COUNT,
    Amended,
    Driven,
    Ended,
    Fact,
    Happening,
    Moved,
    Oracle,
    Redefined,
    Rules,
    amending,
    as_event,
    earliest_to_come,
    happenings,
    moving,
    named_in,
    rule_set,
    rules_of,
)

NEAR = {"kind": "receipts", "aggregate": "count", "compare": {"op": ">=", "value": 1}}
FAR = st.one_of(
    st.fixed_dictionaries({**COUNT, "within": st.just("PT5H")}),
    st.fixed_dictionaries({**COUNT, "where": st.just({"branch": ["1"]})}),
)
ALL_TIME = timedelta(days=10_000)


@dataclass
class Twice(Driven):
    """The profile, and beside it what all events say of the customer, which nobody asks."""

    whole: Profile | None = None
    folding: Engine = field(default_factory=lambda: Engine(NO_RULES, ALL_TIME))

    def happen(self, what: Happening, *, at_once: bool) -> None:
        super().happen(what, at_once=at_once)
        for event in events_of(what):
            self.whole = self.folding.fold(self.whole, event)
            for profile in (self.whole, self.profile):
                assert profile is not None
                profile.versions[event.light.stream] = event.light.streamversion

    def deepen(self) -> None:
        """Bring back what is missing, as the runner does between batches."""
        if self.profile is None or self.whole is None:
            return
        self.store()
        raw = msgspec.to_builtins(self.whole, builtin_types=(timedelta,))
        whole = msgspec.convert(raw, Profile)
        assert knows_the_same(self.profile, whole)
        if self.profile.rules == self.engine.rules.number:
            self.note(self.engine.deepen(self.profile, whole))
            self.store()


@st.composite
def redefined(draw: st.DrawFn, rules: Rules) -> list[Happening]:
    """What happens while rules look back further and further, some of them named by others."""
    drawn = draw(happenings(rules))
    last = drawn[-1]
    assert isinstance(last, Ended)
    told = [one for one in drawn if not isinstance(one, Redefined)]
    places = draw(st.lists(st.integers(0, len(told)), min_size=1, max_size=3))
    what: list[Happening] = []
    number = 1
    for index, one in enumerate([*told, Ended("i2", last.until)]):
        for _ in range(places.count(index)):
            number, at = number + 1, max((moment_of(each) for each in what), default=0)
            name = draw(st.sampled_from("abc"))
            definition = rules[name][0] + 1 if name in rules else 1
            rules = {**rules, name: (definition, at, draw(st.one_of(rules_of(name), FAR)))}
            what.append(Redefined(number, at, rules))
        what.append(one)
    return what


def moment_of(one: Happening) -> int:
    match one:
        case Ended():
            return one.until
        case Redefined():
            return one.at
        case _:
            return one.recorded


def events_of(what: Happening) -> Iterator[Event]:
    match what:
        case Fact():
            yield as_event(what)
        case Amended():
            yield amending(what)
        case Moved():
            yield from moving(what)


def not_asked(lacks: list[str], rules: Rules) -> set[str]:
    """The segments whose rules are not asked, or name one that is not, and so on."""
    found = set(lacks)
    while more := {name for name, (_, _, rule) in rules.items() if named_in(rule) & found} - found:
        found |= more
    return found


@pytest.fixture(autouse=True, scope="module")
def _fused() -> Iterator[None]:
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
def test_what_is_asked_is_right_and_in_the_end_all_are_as_if_nothing_was_ever_let_go(
    data: st.DataObject,
) -> None:
    rules: Rules = {"a": (1, -HOUR, NEAR)}
    what = data.draw(redefined(rules))
    horizon = data.draw(st.sampled_from([1, 1, 2])) * HOUR
    oracle = Oracle(rules, 1, horizon)
    driven = Twice(Engine(rule_set(rules, 1, -HOUR), timedelta(milliseconds=horizon)))
    for index, one in enumerate(what):
        if data.draw(st.booleans()):
            driven.wake(earliest_to_come(what[index:]))
        driven.happen(one, at_once=data.draw(st.booleans()))
        tell(oracle, one)
        if isinstance(one, Fact) and one.history is None and driven.profile is not None:
            apart = not_asked(driven.profile.lacks, oracle.rules)
            assert driven.profile.memberships.keys() - apart == oracle.inside.keys() - apart
        if data.draw(st.sampled_from([False, False, False, True])):
            driven.deepen()
    end = earliest_to_come([])
    oracle.pass_time(end, ("time", None, None))
    driven.revise()
    driven.deepen()
    driven.wake(end)
    if driven.profile is not None:
        assert not driven.profile.lacks
        assert driven.profile.memberships.keys() == oracle.inside.keys()
    assert all(cause[0] != "reconciled" for *_, cause, _ in driven.log)


def tell(oracle: Oracle, one: Happening) -> None:
    match one:
        case Fact():
            oracle.happen(one)
        case Amended() | Moved():
            oracle.amend(one)
        case Ended():
            oracle.end(one)
        case Redefined():
            oracle.redefine(one)
