"""Segments that name segments, and random shares: what is true, said, refused, and in which order.

Days count from 1 January 2026.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.segment.domain import ArchiveSegment, DefineSegment, References, segments
from services.segment.engine.facts import Merged
from services.segment.engine.profile import Profile
from services.segment.engine.reported import Recorded
from services.segment.engine.stepping import HORIZON, Engine
from services.segment.handlers import definitions as handlers
from services.segment.rules.evaluating.tree import evaluate
from services.segment.rules.graph import circle, depths
from services.segment.rules.language.relations import RandomShare
from services.segment.rules.language.tree import reads, to_json
from services.segment.rules.reading import InvalidRule, parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from services.segment.rules.sentences.tree import describe
from services.segment.rules.view import View
from shared.clock import ManualClock
from shared.decider import NewEvent, Refused
from shared.envelope import Light
from shared.events.segment import SegmentArchived, SegmentDefined, SegmentEntered, SegmentExited
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.projection import Event
from shared.testing import given
from shared.wording import Languages

ENGLISH = Languages().wording("en")
MILLISECOND = timedelta(milliseconds=1)
WEEKLY = {
    "kind": "receipts", "aggregate": "count", "within": "P7D", "compare": {"op": ">=", "value": 1},
}  # fmt: skip
Rule = Mapping[str, Any]


def day(number: float) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)


def member(segment: str, *, inside: bool = True) -> dict[str, Any]:
    return {"kind": "segment", "segment": segment, "inside": inside}


def rule_set(
    defined: Mapping[str, float] | None = None, /, number: int = 1, **rules: Rule
) -> RuleSet:
    """Each defined on its day (`defined`), else on the first."""
    live = {
        name: LiveRule(
            1, parse_rule(rule), day((defined or {}).get(name, 0)), f"segment-{name}@1", name
        )
        for name, rule in rules.items()
    }
    return RuleSet(number, live, max(rule.defined_at for rule in live.values()))


def told(data: msgspec.Struct, version: int, at: float) -> Event:
    light = Light(
        "x.x.v1", f"interaction-c{type(data).__name__}", version, day(at), day(at),
        msgspec.Raw(b""), "c", correlationid="till",
    )  # fmt: skip
    return Event(light, data, 0)


def bought(version: int, at: float) -> Event:
    return told(Recorded(f"{version}", 100, 0), version, at)


def lines(events: Sequence[NewEvent]) -> Sequence[tuple[str, str, datetime, str, str | None]]:
    found = []
    for event in events:
        data = event.data
        assert isinstance(data, SegmentEntered | SegmentExited)
        sign = "+" if isinstance(data, SegmentEntered) else "-"
        found.append((sign, data.segment, event.time, data.cause.kind, data.cause.event))
    return found


class Customer:
    """A profile on its way through an engine."""

    def __init__(self, rules: RuleSet, profile: Profile | None = None) -> None:
        self.engine = Engine(rules)
        self.profile = profile
        self.events: list[NewEvent] = []

    def reads(self, event: Event) -> "Customer":
        self.profile, events = self.engine.step(self.profile, event)
        self.events += events
        return self

    def wakes(self, until: float) -> "Customer":
        assert self.profile is not None
        self.profile, events = self.engine.wake(self.profile, day(until))
        self.events += events
        return self

    def revises(self, rules: RuleSet) -> "Customer":
        assert self.profile is not None
        self.engine = Engine(rules)
        self.profile, events = self.engine.revise(self.profile, day(0))
        self.events += events
        return self


# Segments inside segments


def test_a_change_carries_through_a_chain_in_the_same_step_for_the_same_cause() -> None:
    # a rests on b, b on c: so c is asked first, whatever the names say.
    rules = rule_set(a=member("b"), b=member("c"), c=WEEKLY)
    customer = Customer(rules).reads(bought(1, 1))
    cause = ("event", customer.events[0].causation and customer.events[0].causation.causation)
    assert lines(customer.events) == [("+", name, day(1), *cause) for name in "cba"]
    assert cause[1] == "interaction-cRecorded@1"
    # The receipt leaves the window at 1 + 7, and all follow at that very instant.
    customer.wakes(99)
    assert lines(customer.events[3:]) == [("-", name, day(8), "time", None) for name in "cba"]
    assert len({event.causation for event in customer.events[3:]}) == 1


def test_who_is_asked_anyway_is_asked_once_and_after_those_that_it_names() -> None:
    both = {"kind": "all", "clauses": [WEEKLY, member("z", inside=False)]}
    customer = Customer(rule_set(both=both, z=WEEKLY)).reads(bought(1, 1))
    # Were `both` asked before z, it would be entered and left at once.
    assert [line[:2] for line in lines(customer.events)] == [("+", "z")]


def test_not_inside_is_true_of_whoever_the_other_segment_does_not_hold() -> None:
    customer = Customer(rule_set(idle=member("active", inside=False), active=WEEKLY))
    customer.reads(bought(1, 1)).wakes(99)
    assert lines(customer.events) == [
        ("+", "active", day(1), "event", "interaction-cRecorded@1"),
        ("-", "active", day(8), "time", None),
        ("+", "idle", day(8), "time", None),
    ]


def test_who_becomes_another_customer_leaves_the_chain_and_enters_none_of_it() -> None:
    customer = Customer(rule_set(idle=member("active", inside=False), active=WEEKLY))
    customer.reads(bought(1, 1)).reads(told(Merged(), 1, 2))
    assert [line[:2] for line in lines(customer.events)] == [("+", "active"), ("-", "active")]


def test_a_changed_definition_changes_those_that_name_it_and_is_their_cause() -> None:
    customer = Customer(rule_set(a=member("b"), b=WEEKLY)).reads(bought(1, 1))
    never = {**WEEKLY, "compare": {"op": ">=", "value": 9}}
    customer.revises(rule_set({"b": 3}, number=2, a=member("b"), b=never))
    assert lines(customer.events[2:]) == [
        ("-", "b", day(3), "definition", "segment-b@1"),
        ("-", "a", day(3), "definition", "segment-b@1"),
    ]


def test_a_segment_that_is_not_there_holds_nobody() -> None:
    customer = Customer(rule_set(a=member("gone"), b=member("gone", inside=False)))
    customer.reads(bought(1, 1))
    assert [line[:2] for line in lines(customer.events)] == [("+", "b")]


def test_a_circle_of_two_definitions_recorded_at_once_leaves_the_later_one_out() -> None:
    rules = rule_set({"b": 2, "a": 1}, a=member("b", inside=False), b=member("a"), c=WEEKLY)
    assert list(rules.rules) == ["a", "c"]


def test_the_shortest_circle_is_told_and_none_where_there_is_none() -> None:
    graph = {
        name: frozenset(named) for name, named in {"a": "bd", "b": "c", "c": "a", "d": "b"}.items()
    }
    assert circle(graph, "a") == ["a", "b", "c", "a"]
    assert circle(graph, "d") == ["d", "b", "c", "a", "d"]
    assert circle({**graph, "e": frozenset("e")}, "e") == ["e", "e"]
    assert circle({"a": frozenset("b"), "b": frozenset()}, "a") is None


def test_the_depth_of_a_segment_is_the_longest_way_down() -> None:
    graph = {"a": frozenset({"b", "c"}), "b": frozenset({"c"}), "c": frozenset({"elsewhere"})}
    assert depths(graph) == {"c": 0, "b": 1, "a": 2}
    assert depths({"x": frozenset({"y"}), "y": frozenset({"x"}), "z": frozenset()}) == {"z": 0}


# Random shares

CUSTOMERS = [f"customer-{number}" for number in range(20_000)]


def share(percent: int, seed: str | None = None) -> set[str]:
    rule = parse_rule({"kind": "random", "percent": percent, **({"seed": seed} if seed else {})})
    assert isinstance(rule, RandomShare)
    return {customer for customer in CUSTOMERS if rule.draws(customer)}


@pytest.mark.parametrize("percent", [1, 10, 50, 99])
@pytest.mark.parametrize("seed", [None, "spring"])
def test_a_share_has_its_percent_of_all(percent: int, seed: str | None) -> None:
    # 20,000 draws: a standard deviation is √(p(1−p)/20,000) ≤ 0.354 %, and this allows for four.
    deviation = (percent / 100 * (1 - percent / 100) / len(CUSTOMERS)) ** 0.5
    assert abs(len(share(percent, seed)) / len(CUSTOMERS) - percent / 100) <= 4 * deviation


def test_shares_of_different_seeds_know_nothing_of_each_other() -> None:
    both = share(50, "spring") & share(50, "autumn")
    # A quarter of all, within four standard deviations of √(¼·¾/20,000) = 0.306 %.
    assert abs(len(both) / len(CUSTOMERS) - 0.25) <= 4 * 0.00306


def test_a_smaller_share_lies_within_a_larger_one_of_the_same_seed() -> None:
    assert share(10, "spring") < share(11, "spring")


def test_a_share_is_the_same_for_ever() -> None:
    view = View()
    view.customer = "customer-1"
    answers = [
        evaluate(parse_rule({"kind": "random", "percent": percent, "seed": "spring"}), view, 0)
        for percent in range(1, 100)
    ]
    # The first 64 bits of BLAKE2b of "spring\ncustomer-1" are 63.67 hundredths of 2^64.
    assert [verdict.value for verdict in answers] == [percent > 63.67 for percent in range(1, 100)]
    assert all(verdict.next is None for verdict in answers)


# The language


def test_what_they_look_at_decides_who_asks_them() -> None:
    assert reads(parse_rule(member("new-ones"))) == {"segment new-ones"}
    assert reads(parse_rule({"kind": "random", "percent": 5})) == set()


def test_inside_is_written_out() -> None:
    assert to_json(parse_rule({"kind": "segment", "segment": "x"})) == member("x")


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (member("new-ones"), "is in segment new-ones"),
        (member("new-ones", inside=False), "is not in segment new-ones"),
        ({"kind": "random", "percent": 5}, "is in a random 5 %"),
        ({"kind": "random", "percent": 5, "seed": "spring"}, "is in a random 5 % (spring)"),
    ],
)
def test_every_form_has_a_sentence(rule: Rule, sentence: str) -> None:
    assert describe(parse_rule(rule), ENGLISH) == sentence


@pytest.mark.parametrize(
    ("rule", "path", "words"),
    [
        ({"kind": "segment"}, "rule.segment", "is needed"),
        ({"kind": "segment", "segment": "x", "inside": "no"}, "rule.inside", "boolean"),
        ({"kind": "random", "percent": 0}, "rule.percent", "greater than or equal to 1"),
        ({"kind": "random", "percent": 100}, "rule.percent", "less than or equal to 99"),
        ({"kind": "random", "percent": 2.5}, "rule.percent", "integer"),
        ({"kind": "random", "percent": 5, "seed": ""}, "rule.seed", "at least 1 character"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(rule: Rule, path: str, words: str) -> None:
    with pytest.raises(InvalidRule) as refused:
        parse_rule(rule)
    assert [error.field for error in refused.value.errors] == [path]
    assert words in refused.value.errors[0].message


# Definitions

BEHAVIOUR = segments(timedelta(days=400))
STANDING = References(
    {"new": parse_rule(WEEKLY), "a": parse_rule(member("b")), "b": parse_rule(WEEKLY)}
)


def define(name: str, rule: Rule) -> DefineSegment:
    return DefineSegment(name, "Title", rule, day(0), refers=partial(STANDING.require, name))


def test_a_segment_that_names_another_is_defined() -> None:
    rule = member("a")
    (event,) = given(BEHAVIOUR).when(define("c", rule)).events
    assert isinstance(event.data, SegmentDefined)
    assert event.data.rule == rule


@pytest.mark.parametrize(
    ("name", "rule", "path", "words"),
    [
        ("c", member("gone"), "rule.segment", "there is no segment gone that stands"),
        ("c", member("c"), "rule.segment", "closes a circle: c → c"),
        ("b", member("a"), "rule.segment", "closes a circle: b → a → b"),
        (
            "b",
            {"kind": "all", "clauses": [WEEKLY, {"kind": "not", "clause": member("a")}]},
            "rule.clauses[1].clause.segment",
            "closes a circle: b → a → b",
        ),
    ],
)
def test_a_definition_that_names_what_is_not_there_or_itself_is_refused(
    name: str, rule: Rule, path: str, words: str
) -> None:
    refusal = given(BEHAVIOUR).when(define(name, rule)).then_refused("invalid", path)
    assert words in refusal.errors[0].message


def test_a_segment_that_others_name_is_not_archived() -> None:
    defined = SegmentDefined(segment="b", definition=1, title="Title", rule=WEEKLY)
    archive = ArchiveSegment("b", day(1), naming=STANDING.naming("b"))
    refusal = given(BEHAVIOUR, [defined]).when(archive).then_refused("segment-named")
    assert (refusal.status, refusal.detail) == (409, "change or archive them first: a")
    archived = SegmentArchived(segment="b")
    given(BEHAVIOUR, [defined, archived]).when(archive).then_nothing()
    given(BEHAVIOUR, [defined]).when(ArchiveSegment("b", day(1))).then([archived])


async def test_what_stands_in_the_log_is_what_a_definition_may_name() -> None:
    keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
    writer = Writer(MemoryEventStore(), keyring, ManualClock(day(1)), "segment")

    async def defines(name: str, rule: Rule) -> None:
        command = DefineSegment(name, "Title", rule, day(1))
        await handlers.define(writer, HORIZON, handlers.Request(name, rule, day(1)), command)

    async def archives(name: str) -> None:
        request = handlers.Request(f"{name}|archive", "archive", day(1))
        await handlers.archive(writer, HORIZON, request, name)

    with pytest.raises(Refused, match="not valid"):
        await defines("a", member("b"))
    await defines("b", WEEKLY)
    await defines("a", member("b"))
    with pytest.raises(Refused, match="Other segments name this one"):
        await archives("b")
    await archives("a")
    await archives("b")
    with pytest.raises(Refused, match="not valid"):
        await defines("c", member("b"))
