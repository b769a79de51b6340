"""The engine: given a profile, when something happens or time passes, then these transitions.

Days count from 1 January 2026; `day(3, hours=2)` is 4 January, 02:00.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.segment.engine.facts import Erased, Merged
from services.segment.engine.life import MOST_TOLD
from services.segment.engine.profile import Profile
from services.segment.engine.reported import Recorded, Voided
from services.segment.engine.stepping import CAP, HORIZON, Engine, OlderRules
from services.segment.engine.telling import (
    Absorbed,
    Changed,
    ConsentState,
    ConsentWord,
    Fields,
    Registered,
    Reverted,
)
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from shared.decider import NewEvent
from shared.envelope import Light
from shared.events.segment import SegmentEntered, SegmentExited
from shared.projection import Event

MILLISECOND = timedelta(milliseconds=1)
EVER: dict[str, Any] = {"kind": "receipts", "aggregate": "count"}
MONTHLY: dict[str, Any] = {**EVER, "within": "P30D"}
BOUGHT = {**EVER, "compare": {"op": ">=", "value": 1}}
LAPSED = {
    "kind": "all",
    "clauses": [BOUGHT, {**MONTHLY, "compare": {"op": "==", "value": 0}}],
}
TWICE = {**MONTHLY, "compare": {"op": ">=", "value": 2}}
NEW = {"kind": "receipts", "aggregate": "first", "within": "P14D"}
NOTHING_YET = {**EVER, "compare": {"op": "==", "value": 0}}
NEWS = {"kind": "consent", "topic": "news", "channel": "email"}
AT_12 = {"kind": "attribute", "field": "home_branch", "test": {"op": "is", "value": "12"}}
Line = tuple[str, str, datetime, str, str | None]


def day(days: int, hours: int = 0) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=days, hours=hours)


def rule_set(number: int = 1, at: datetime | None = None, **rules: dict[str, Any]) -> RuleSet:
    """Segments by name, with `_` for `-`; each defined at the moment of the set."""
    at = at or day(-1000)
    live = {
        name.replace("_", "-"): LiveRule(number, parse_rule(rule), at, f"segment-{name}@1", "chain")
        for name, rule in rules.items()
    }
    return RuleSet(number, live, at)


def event(data: object, kind: str, stream: str, version: int, light: dict[str, Any]) -> Event:
    """`light` holds `time`, and what else is not as usual of the envelope."""
    light = {**light}
    time = light.pop("time")
    recorded = light.pop("recorded", time)
    return Event(
        Light(kind, f"{stream}-c1", version, time, recorded, msgspec.Raw(b""), "c1", **light),
        data,
        7,
    )


def receipt(version: int, time: datetime, total: int = 100, **light: object) -> Event:
    kind = "interaction.receipt_recorded.v1"
    return event(
        Recorded(f"{version}", total, 0), kind, "interaction", version, {**light, "time": time}
    )


def registered(
    version: int, time: datetime, home_branch: str | None = None, **light: object
) -> Event:
    data = Registered(home_branch=home_branch)
    return event(data, "customer.registered.v1", "customer", version, {**light, "time": time})


def consent(version: int, time: datetime, *, given: bool, **light: object) -> Event:
    kind = f"customer.consent_{'given' if given else 'withdrawn'}.v1"
    return event(ConsentWord("news", "email"), kind, "customer", version, {**light, "time": time})


def told(data: object, version: int, time: datetime) -> Event:
    """An event of the customer's own stream."""
    return event(data, "customer.x.v1", "customer", version, {"time": time})


class Customer:
    """A profile on its way through an engine; `log` says what came of it."""

    def __init__(self, rules: RuleSet, horizon: timedelta = HORIZON, cap: int = CAP) -> None:
        self.engine = Engine(rules, horizon, cap)
        self.profile: Profile | None = None
        self.events: list[NewEvent] = []

    @property
    def log(self) -> list[Line]:
        return [line(event) for event in self.events]

    @property
    def inside(self) -> set[str]:
        return set(self.known.memberships)

    @property
    def known(self) -> Profile:
        assert self.profile is not None
        return self.profile

    def reads(self, *events: Event) -> "Customer":
        for one in events:
            self._note(self.engine.step(self.profile, one))
        return self

    def wakes(self, until: datetime) -> "Customer":
        return self._note(self.engine.wake(self.known, until))

    def lives(self, import_id: str, until: datetime) -> "Customer":
        return self._note(self.engine.live(self.known, import_id, until))

    def revises(self, rules: RuleSet) -> "Customer":
        self.engine = Engine(rules)
        return self._note(self.engine.revise(self.known, day(10_000)))

    def _note(self, outcome: tuple[Profile, Sequence[NewEvent]]) -> "Customer":
        self.profile, events = outcome
        self.events += events
        return self


def line(new: NewEvent) -> Line:
    data = new.data
    assert isinstance(data, SegmentEntered | SegmentExited)
    what = "entered" if isinstance(data, SegmentEntered) else "exited"
    return data.segment, what, new.time, data.cause.kind, data.cause.event


# Events


def test_a_receipt_enters_the_segment_at_the_moment_it_was_recorded() -> None:
    customer = Customer(rule_set(bought=BOUGHT))
    customer.reads(receipt(1, day(1), recorded=day(1, hours=2)))
    assert customer.log == [("bought", "entered", day(1, hours=2), "event", "interaction-c1@1")]


def test_a_late_receipt_changes_the_present_and_not_the_past() -> None:
    customer = Customer(rule_set(twice=TWICE))
    customer.reads(receipt(1, day(20)), receipt(2, day(5), recorded=day(25)))
    assert customer.log == [("twice", "entered", day(25), "event", "interaction-c1@2")]
    assert customer.known.due_at == day(35)  # the late one leaves the window: 5 + 30


def test_a_receipt_from_a_clock_that_is_ahead_counts_from_when_it_was_recorded() -> None:
    customer = Customer(rule_set(new=NEW)).reads(receipt(1, day(9), recorded=day(1)))
    assert customer.known.due_at == day(15)  # 1 + 14


def test_the_clock_of_a_profile_never_goes_back() -> None:
    customer = Customer(rule_set(bought=BOUGHT, twice=TWICE))
    customer.reads(receipt(1, day(3)), receipt(2, day(2), recorded=day(2)))
    assert customer.log == [
        ("bought", "entered", day(3), "event", "interaction-c1@1"),
        ("twice", "entered", day(3), "event", "interaction-c1@2"),
    ]


def test_every_event_is_a_moment_also_two_at_one_instant() -> None:
    once = {**EVER, "compare": {"op": "==", "value": 1}}
    customer = Customer(rule_set(once=once)).reads(receipt(1, day(1)), receipt(2, day(1)))
    assert customer.log == [
        ("once", "entered", day(1), "event", "interaction-c1@1"),
        ("once", "exited", day(1), "event", "interaction-c1@2"),
    ]


def test_a_consent_is_given_and_withdrawn() -> None:
    customer = Customer(rule_set(news=NEWS))
    customer.reads(consent(2, day(1), given=True), consent(3, day(2), given=False))
    assert customer.log == [
        ("news", "entered", day(1), "event", "customer-c1@2"),
        ("news", "exited", day(2), "event", "customer-c1@3"),
    ]


def test_what_is_known_at_registration_is_asked_at_once() -> None:
    customer = Customer(rule_set(at_12=AT_12)).reads(registered(1, day(1), home_branch="12"))
    assert customer.inside == {"at-12"}


def test_the_first_event_asks_every_rule_also_those_about_nothing() -> None:
    customer = Customer(rule_set(nothing_yet=NOTHING_YET)).reads(registered(1, day(1)))
    assert customer.log == [("nothing-yet", "entered", day(1), "event", "customer-c1@1")]


def test_a_transition_is_caused_by_the_event_in_the_chain_of_its_causes() -> None:
    customer = Customer(rule_set(bought=BOUGHT))
    customer.reads(receipt(1, day(1), correlationid="till", causedepth=2))
    why = customer.events[0].causation
    assert why is not None
    assert (why.correlation, why.causation, why.depth) == ("till", "interaction-c1@1", 3)


def test_a_membership_knows_when_it_began_and_what_the_log_calls_it() -> None:
    customer = Customer(rule_set(bought=BOUGHT, new=NEW, twice=TWICE))
    customer.reads(receipt(1, day(1)), receipt(2, day(2)))
    held = customer.known.memberships
    assert {name: (m.since, m.version) for name, m in held.items()} == {
        "bought": (day(1), 1),
        "new": (day(1), 2),
        "twice": (day(2), 3),
    }
    assert customer.known.transitions == 3


def test_an_event_that_rules_cannot_ask_about_changes_nothing() -> None:
    customer = Customer(rule_set(bought=BOUGHT)).reads(receipt(1, day(1)))
    before = customer.known
    other = event(None, "customer.note_added.v1", "customer", 2, {"time": day(2)})
    assert customer.reads(other).known is before


# Time


def test_a_timer_fires_at_its_own_moment_however_late_it_is_woken() -> None:
    customer = Customer(rule_set(lapsed=LAPSED)).reads(receipt(1, day(1)))
    assert customer.known.due_at == day(31)
    customer.wakes(day(31))
    assert customer.log == []  # due at 31, and only what lies before 31 has passed
    customer.wakes(day(31) + MILLISECOND).wakes(day(99))
    assert customer.log == [("lapsed", "entered", day(31), "time", None)]
    assert customer.known.due_at is None


def test_timers_fire_in_order_each_at_its_own_moment() -> None:
    customer = Customer(rule_set(lapsed=LAPSED, new=NEW, twice=TWICE))
    customer.reads(receipt(1, day(0)), receipt(2, day(3))).wakes(day(99))
    assert customer.log[2:] == [
        ("new", "exited", day(14), "time", None),
        ("twice", "exited", day(30), "time", None),  # the receipt of day 0 leaves
        ("lapsed", "entered", day(33), "time", None),  # and that of day 3
    ]


def test_an_event_settles_first_what_was_due_before_it() -> None:
    customer = Customer(rule_set(lapsed=LAPSED)).reads(receipt(1, day(1)), receipt(2, day(40)))
    assert customer.log == [
        ("lapsed", "entered", day(31), "time", None),
        ("lapsed", "exited", day(40), "event", "interaction-c1@2"),
    ]


def test_what_is_due_exactly_when_an_event_comes_is_settled_by_the_event() -> None:
    customer = Customer(rule_set(lapsed=LAPSED)).reads(receipt(1, day(1)), receipt(2, day(31)))
    assert customer.log == []  # one receipt left the window as the other came
    customer = Customer(rule_set(lapsed=LAPSED))
    customer.reads(receipt(1, day(1)), consent(2, day(31), given=True))
    assert customer.log == [("lapsed", "entered", day(31), "event", "customer-c1@2")]


def test_woken_or_not_the_transitions_are_the_same() -> None:
    events = [receipt(version, day(version * 16)) for version in range(1, 9)]
    asleep = Customer(rule_set(lapsed=LAPSED, new=NEW, twice=TWICE)).reads(*events).wakes(day(999))
    awake = Customer(asleep.engine.rules)
    for one in events:
        awake.reads(one).wakes(one.time + timedelta(days=13)).wakes(one.time + timedelta(days=15))
    assert awake.wakes(day(999)).log == asleep.log
    assert len(asleep.log) > 4


def test_changes_that_time_makes_at_one_moment_are_one_chain() -> None:
    rules = rule_set(lapsed=LAPSED, active={"kind": "not", "clause": LAPSED})
    customer = Customer(rules).reads(receipt(1, day(0))).wakes(day(99))
    exited, entered = customer.events[1:]
    assert exited.causation is not None
    assert exited.causation == entered.causation
    assert (exited.causation.causation, exited.causation.depth) == (None, 0)


# History


def test_an_imports_past_is_lived_with_its_true_moments() -> None:
    customer = Customer(rule_set(lapsed=LAPSED, new=NEW, twice=TWICE))
    now = day(100)
    customer.reads(
        receipt(1, day(50), recorded=now, history="i"),
        receipt(2, day(0), recorded=now, history="i"),
        receipt(3, day(3), recorded=now, history="i"),
    )
    assert (customer.log, customer.known.history) == ([], ["i"])
    customer.lives("i", now)
    assert customer.log == [
        ("new", "entered", day(0), "history", "interaction-c1@2"),
        ("twice", "entered", day(3), "history", "interaction-c1@3"),
        ("new", "exited", day(14), "history", None),
        ("twice", "exited", day(30), "history", None),
        ("lapsed", "entered", day(33), "history", None),
        ("lapsed", "exited", day(50), "history", "interaction-c1@1"),
        ("lapsed", "entered", day(80), "history", None),
    ]
    assert {new.causation.history for new in customer.events if new.causation} == {"i"}
    assert customer.known.clock == now
    assert customer.known.history == []


def test_what_is_due_exactly_when_the_import_ended_is_settled_there() -> None:
    customer = Customer(rule_set(lapsed=LAPSED))
    customer.reads(receipt(1, day(0), recorded=day(40), history="i")).lives("i", day(30))
    assert customer.log == [("lapsed", "entered", day(30), "history", None)]
    assert customer.known.due_at is None


def test_what_was_read_beside_the_import_takes_part_in_the_order_of_its_time() -> None:
    customer = Customer(rule_set(twice=TWICE))
    customer.reads(
        receipt(1, day(5)),
        receipt(2, day(0), recorded=day(9), history="i"),
        receipt(3, day(8), recorded=day(9), history="other"),
    ).lives("i", day(10))
    assert customer.log == [("twice", "entered", day(5), "history", "interaction-c1@1")]
    assert customer.known.history == ["other"]


def test_a_profile_with_a_log_is_evaluated_once_when_the_import_has_ended() -> None:
    customer = Customer(rule_set(bought=BOUGHT, twice=TWICE))
    customer.reads(
        receipt(1, day(5)),
        receipt(2, day(0), recorded=day(9), history="i"),
        receipt(3, day(4), recorded=day(9), history="i"),
    ).lives("i", day(10))
    assert customer.log == [
        ("bought", "entered", day(5), "event", "interaction-c1@1"),
        ("twice", "entered", day(10), "history", None),
    ]


def test_a_timer_due_before_the_import_ended_counts_as_a_log_woken_or_not() -> None:
    quiet = {"kind": "not", "clause": {**MONTHLY, "compare": {"op": ">=", "value": 1}}}
    rules = rule_set(quiet=quiet)
    imported = receipt(2, day(0), recorded=day(40), history="i")
    asleep = Customer(rules).reads(receipt(1, day(1)), imported).lives("i", day(50))
    awake = Customer(rules).reads(receipt(1, day(1)), imported).wakes(day(45)).lives("i", day(50))
    assert asleep.log == awake.log == [("quiet", "entered", day(31), "time", None)]


def test_an_import_that_ended_before_the_profiles_clock_is_lived_up_to_that_clock() -> None:
    customer = Customer(rule_set(lapsed=LAPSED))
    customer.reads(consent(2, day(40), given=True))
    customer.reads(receipt(1, day(0), recorded=day(20), history="i")).lives("i", day(20))
    assert customer.log == [("lapsed", "entered", day(30), "history", None)]
    assert customer.known.clock == day(40)


def test_with_a_log_too_the_clock_does_not_go_back_to_the_imports_end() -> None:
    customer = Customer(rule_set(bought=BOUGHT, twice=TWICE)).reads(receipt(1, day(40)))
    customer.reads(receipt(2, day(15), recorded=day(20), history="i")).lives("i", day(20))
    assert customer.log[1:] == [("twice", "entered", day(40), "history", None)]


def test_an_imports_fact_from_after_its_end_moves_the_end() -> None:
    customer = Customer(rule_set(bought=BOUGHT, twice=TWICE)).reads(receipt(1, day(1)))
    customer.reads(receipt(2, day(10), history="i")).lives("i", day(9))
    assert customer.log[1:] == [("twice", "entered", day(10), "history", None)]
    assert customer.known.clock == day(10)


def test_who_is_known_by_nothing_but_what_an_import_took_back_begins_with_the_next_event() -> None:
    """Otherwise nobody would ever ask of them what no event touches, such as *never bought*."""
    customer = Customer(rule_set(nothing_yet=NOTHING_YET))
    void = event(
        Voided("1", day(0), 100), "interaction.receipt_voided.v1", "interaction", 2,
        {"time": day(9)},
    )  # fmt: skip
    imported = receipt(1, day(0), recorded=day(9), history="i")
    customer.reads(imported, void).lives("i", day(10))
    assert (customer.log, customer.known.clock) == ([], None)
    customer.reads(registered(1, day(12)))
    assert customer.log == [("nothing-yet", "entered", day(12), "event", "customer-c1@1")]


def test_a_repeated_end_changes_nothing() -> None:
    customer = Customer(rule_set(bought=BOUGHT))
    customer.reads(receipt(1, day(0), recorded=day(9), history="i")).lives("i", day(10))
    before = customer.known
    assert customer.lives("i", day(11)).lives("other", day(12)).known is before
    assert len(customer.log) == 1


def test_a_registration_and_consents_of_an_import_are_lived_too() -> None:
    past = {"recorded": day(9), "history": "i"}
    customer = Customer(rule_set(at_12=AT_12, news=NEWS)).reads(
        registered(1, day(0), home_branch="12", **past),
        consent(2, day(1), given=True, **past),
        consent(3, day(2), given=False, **past),
    )
    assert customer.lives("i", day(10)).log == [
        ("at-12", "entered", day(0), "history", "customer-c1@1"),
        ("news", "entered", day(1), "history", "customer-c1@2"),
        ("news", "exited", day(2), "history", "customer-c1@3"),
    ]


def test_after_living_a_receipt_behaves_as_ever() -> None:
    customer = Customer(rule_set(lapsed=LAPSED))
    customer.reads(receipt(1, day(0), recorded=day(40), history="i")).lives("i", day(40))
    customer.reads(receipt(2, day(41))).wakes(day(99))
    assert customer.log == [
        ("lapsed", "entered", day(30), "history", None),
        ("lapsed", "exited", day(41), "event", "interaction-c1@2"),
        ("lapsed", "entered", day(71), "time", None),
    ]


# What is kept


def test_receipts_beyond_the_horizon_are_let_go_and_still_counted() -> None:
    three = {**EVER, "compare": {"op": ">=", "value": 3}}
    customer = Customer(rule_set(three=three), horizon=timedelta(days=30))
    customer.reads(
        receipt(1, day(0), 70), receipt(2, day(10)), receipt(3, day(30), recorded=day(39))
    )
    known = customer.known
    assert [kept.version for kept in known.receipts] == [2, 3]  # 0 is not within 30 days of 39
    assert (known.totals_of("receipts").count, known.totals_of("receipts").total) == (3, 270)
    assert customer.inside == {"three"}


def test_a_rule_that_looks_back_further_than_the_horizon_widens_it() -> None:
    customer = Customer(rule_set(twice=TWICE), horizon=timedelta(days=1))
    assert customer.reads(receipt(1, day(0)), receipt(2, day(29))).inside == {"twice"}


def test_who_has_lost_facts_to_the_horizon_is_not_lived_from_zero() -> None:
    rules = rule_set(four={**EVER, "compare": {"op": ">=", "value": 4}})
    customer = Customer(rules, horizon=timedelta(days=30))
    customer.reads(receipt(1, day(0)), receipt(2, day(50)))
    customer.reads(*[receipt(v, day(v), recorded=day(60), history="i") for v in (3, 4)])
    customer.lives("i", day(60))
    assert customer.log == [("four", "entered", day(60), "history", None)]


def test_the_last_things_told_are_kept_one_by_one_and_a_past_that_lacks_some_is_not_lived() -> None:
    customer = Customer(rule_set(bought=BOUGHT)).reads(consent(2, day(1), given=True))
    assert customer.reads(receipt(1, day(2))).known.told[0].version == 2
    customer.reads(*[consent(3 + n, day(3), given=True) for n in range(MOST_TOLD)])
    assert customer.known.told[0].version == 3
    assert len(customer.known.told) == MOST_TOLD
    assert len(customer.known.words) == 1
    assert not customer.known.whole


def test_too_many_receipts_are_no_persons_and_leave_every_segment_for_good() -> None:
    customer = Customer(rule_set(bought=BOUGHT, twice=TWICE), cap=3)
    customer.reads(*[receipt(version, day(version)) for version in range(1, 7)]).wakes(day(99))
    assert customer.log[2:] == [
        ("bought", "exited", day(4), "event", "interaction-c1@4"),  # the fourth is one too many
        ("twice", "exited", day(4), "event", "interaction-c1@4"),
    ]
    assert customer.known.crowded
    assert (list(customer.known.receipts), customer.known.due_at) == ([], None)
    assert customer.known.totals_of("receipts").count == 6
    customer.reads(receipt(7, day(9), recorded=day(50), history="i")).lives("i", day(60))
    assert customer.known.totals_of("receipts").count == 7
    assert len(customer.log) == 4


# Merges and erases


def test_who_is_merged_leaves_every_segment_and_comes_back_as_what_is_true_then() -> None:
    customer = Customer(rule_set(bought=BOUGHT, new=NEW, news=NEWS))
    customer.reads(receipt(1, day(1)), consent(2, day(1), given=True))
    customer.reads(told(Merged(), 3, day(2)))
    assert customer.log[3:] == [
        (name, "exited", day(2), "merge", "customer-c1@3") for name in ("bought", "new", "news")
    ]
    # Facts are kept and nothing is evaluated, neither for them nor for time.
    customer.reads(receipt(2, day(3))).wakes(day(99)).revises(rule_set(2, day(4), bought=BOUGHT))
    assert (customer.inside, len(customer.log), customer.known.due_at) == (set(), 6, None)
    back = Reverted(role="loser", consents=(ConsentState("news", "email", given=False),))
    customer.engine = Engine(rule_set(2, day(4), bought=BOUGHT, twice=TWICE, news=NEWS))
    customer.reads(told(back, 4, day(20)))
    assert customer.log[6:] == [
        ("bought", "entered", day(20), "merge", "customer-c1@4"),
        ("twice", "entered", day(20), "merge", "customer-c1@4"),
    ]


def test_a_survivor_has_what_it_absorbed_until_they_part() -> None:
    customer = Customer(rule_set(at_12=AT_12, news=NEWS)).reads(registered(1, day(0)))
    absorbed = Absorbed(
        fields=Fields(home_branch="12"), consents=(ConsentState("news", "email", given=True),)
    )
    customer.reads(told(absorbed, 2, day(1)))
    parted = Reverted(
        role="survivor", cleared=("home_branch", "birth_date"),
        consents=(ConsentState("news", "email"),),
    )  # fmt: skip
    customer.reads(told(parted, 3, day(2)))
    assert customer.log == [
        ("at-12", "entered", day(1), "merge", "customer-c1@2"),
        ("news", "entered", day(1), "merge", "customer-c1@2"),
        ("at-12", "exited", day(2), "merge", "customer-c1@3"),
        ("news", "exited", day(2), "merge", "customer-c1@3"),
    ]


def test_a_field_that_changes_or_is_cleared_is_what_rules_ask_about() -> None:
    customer = Customer(rule_set(at_12=AT_12)).reads(registered(1, day(0), home_branch="11"))
    customer.reads(told(Changed(home_branch="12"), 2, day(1)))
    customer.reads(told(Changed(cleared=("home_branch",)), 3, day(2)))
    assert [each[1:3] for each in customer.log] == [("entered", day(1)), ("exited", day(2))]


def test_of_who_was_erased_nothing_is_left_and_nothing_comes_back() -> None:
    customer = Customer(rule_set(bought=BOUGHT, at_12=AT_12))
    customer.reads(registered(1, day(0), home_branch="12"), receipt(1, day(1)))
    customer.reads(told(Erased(), 2, day(2)))
    assert [each[:2] for each in customer.log[2:]] == [("at-12", "exited"), ("bought", "exited")]
    left = customer.known
    customer.reads(receipt(2, day(3)), told(Changed(home_branch="12"), 3, day(4)))
    customer.wakes(day(99))
    assert customer.known == left
    assert left == Profile(id="c1", partition=7, rules=1, clock=day(2), transitions=4, removed=True)


def test_a_rebuilt_profile_knows_who_is_merged_or_erased_and_answers_nothing() -> None:
    engine = Engine(rule_set(bought=BOUGHT))
    merged = None
    for one in (receipt(1, day(1)), told(Merged(), 1, day(2))):
        merged = engine.fold(merged, one)
    assert merged is not None
    assert list(engine.revise(merged, day(9))[1]) == []
    back = engine.fold(merged, told(Reverted(role="loser"), 2, day(3)))
    assert not back.away
    erased = engine.fold(merged, told(Erased(), 2, day(3)))
    assert (erased.removed, erased.happened) == (True, {})
    assert engine.fold(erased, receipt(2, day(4))) == erased


# Definitions


def test_a_new_definition_is_evaluated_at_the_moment_it_was_made() -> None:
    customer = Customer(rule_set(bought=BOUGHT)).reads(receipt(1, day(1)))
    customer.revises(rule_set(2, day(5), bought=BOUGHT, new=NEW))
    assert customer.log[1:] == [("new", "entered", day(5), "definition", "segment-new@1")]
    assert customer.events[1].causation is not None
    assert customer.events[1].causation.correlation == "chain"
    assert customer.known.rules == 2
    assert customer.known.due_at == day(15)


def test_an_archived_segment_is_left() -> None:
    customer = Customer(rule_set(bought=BOUGHT, new=NEW)).reads(receipt(1, day(1)))
    customer.revises(rule_set(3, day(5), bought=BOUGHT))
    assert customer.log[2:] == [("new", "exited", day(5), "definition", None)]
    assert customer.known.due_at is None


def test_a_timer_of_an_unchanged_rule_fires_at_its_moment_before_the_new_definition() -> None:
    first = rule_set(lapsed=LAPSED)
    customer = Customer(first).reads(receipt(1, day(1)))
    second = RuleSet(2, {**first.rules, **rule_set(2, day(31), new=NEW).rules}, day(31))
    assert customer.revises(second).log == [("lapsed", "entered", day(31), "time", None)]


def test_a_timer_of_the_old_definition_does_not_fire() -> None:
    customer = Customer(rule_set(lapsed=LAPSED)).reads(receipt(1, day(1)))
    later = {
        **LAPSED,
        "clauses": [BOUGHT, {**EVER, "within": "P60D", "compare": {"op": "==", "value": 0}}],
    }
    customer.revises(rule_set(2, day(40), lapsed=later)).wakes(day(99))
    assert customer.log == [("lapsed", "entered", day(61), "time", None)]


def test_an_event_that_comes_before_the_revision_makes_it_first() -> None:
    events = [receipt(1, day(1)), receipt(2, day(6))]
    second = rule_set(2, day(5), bought=BOUGHT, twice=TWICE)
    swept = Customer(rule_set(bought=BOUGHT)).reads(events[0]).revises(second).reads(events[1])
    late = Customer(rule_set(bought=BOUGHT)).reads(events[0])
    late.engine = Engine(second)
    assert late.reads(events[1]).log == swept.log
    assert late.known.rules == 2


def test_timers_wait_for_a_rule_set_that_lies_ahead_of_what_has_passed() -> None:
    customer = Customer(rule_set(lapsed=LAPSED)).reads(receipt(1, day(1)))
    customer.engine = Engine(rule_set(2, day(50), bought=BOUGHT, lapsed=LAPSED))
    customer.wakes(day(45))
    assert (customer.log, customer.known.rules) == ([], 1)
    customer.revises(customer.engine.rules)
    assert customer.log == [
        ("bought", "entered", day(50), "definition", "segment-bought@1"),
        ("lapsed", "entered", day(50), "definition", "segment-lapsed@1"),
    ]


def test_a_revision_is_made_once() -> None:
    customer = Customer(rule_set(bought=BOUGHT)).reads(receipt(1, day(1)))
    second = rule_set(2, day(5), new=NEW)
    before = customer.revises(second).known
    assert customer.revises(second).known is before


def test_with_older_rules_nothing_is_evaluated() -> None:
    customer = Customer(rule_set(5, lapsed=LAPSED)).reads(
        receipt(1, day(1)), receipt(2, day(0), recorded=day(2), history="i")
    )
    before = customer.known
    customer.engine = Engine(rule_set(4, new=NEW))
    with pytest.raises(OlderRules):
        customer.reads(receipt(3, day(3)))
    assert customer.wakes(day(99)).lives("i", day(99)).known is before


def test_who_is_only_known_from_an_import_is_asked_nothing_before_it_has_ended() -> None:
    customer = Customer(rule_set(nothing_yet=NOTHING_YET))
    customer.reads(receipt(1, day(0), recorded=day(9), history="i"))
    customer.revises(rule_set(2, day(9), nothing_yet=NOTHING_YET))
    assert (customer.log, customer.known.rules) == ([], 2)
    assert customer.lives("i", day(10)).log == []


# Purity


def test_a_step_changes_nothing_of_the_profile_that_it_was_given() -> None:
    customer = Customer(rule_set(lapsed=LAPSED, twice=TWICE, news=NEWS))
    customer.reads(receipt(1, day(1)), registered(1, day(1), home_branch="1"))
    before = customer.known
    written = msgspec.json.encode(before)
    follow_ups = [
        customer.engine.step(before, receipt(2, day(2))),
        customer.engine.step(before, receipt(2, day(0), recorded=day(2), history="i")),
        customer.engine.step(before, consent(2, day(2), given=True)),
        customer.engine.wake(before, day(99)),
        customer.engine.step(before, receipt(2, day(2))),
    ]
    assert msgspec.json.encode(before) == written
    assert follow_ups[0] == follow_ups[-1]


def test_folding_alone_evaluates_nothing_and_is_revised_afterwards() -> None:
    engine = Engine(rule_set(bought=BOUGHT))
    folded = engine.fold(None, receipt(1, day(1)))
    folded = engine.fold(folded, receipt(2, day(0), recorded=day(2), history="i"))
    assert (folded.memberships, folded.rules, folded.history) == ({}, 0, ["i"])
    profile, events = engine.revise(folded, day(3))
    assert [line(new)[:3] for new in events] == [("bought", "entered", day(1))]
    assert profile.rules == 1


def test_an_event_of_no_customer_makes_no_profile() -> None:
    light = Light("x", "unknown-1", 1, day(1), day(1), msgspec.Raw(b""))
    with pytest.raises(ValueError, match="unknown-1@1 concerns no customer"):
        Engine(rule_set()).step(None, Event(light, Recorded("f", 1, 0), 0))
