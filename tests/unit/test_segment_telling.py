"""What events say of a customer, from their bytes to the answer of a rule."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.segment.engine.facts import READS
from services.segment.engine.profile import Profile
from services.segment.engine.stepping import Engine
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from services.segment.rules.words import Attribute
from shared.decider import NewEvent
from shared.envelope import Causation, Placed, decode_light, encode
from shared.events import care, deal, interaction, merging, task
from shared.events.contract import EventData
from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerChanged,
    CustomerRegistered,
    Evidence,
    Identifier,
    IdentifierAdded,
    IdentifierChanged,
    IdentifierRemoved,
)
from shared.events.segment import SegmentEntered, SegmentExited
from shared.projection import Event

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
EVIDENCE = Evidence(source="till")
OWN = "customer-c1"
Story = Sequence[tuple[EventData, bool]]


class Lived:
    """One customer asked by one rule; each event comes an hour after the one before."""

    def __init__(self, rule: dict[str, Any]) -> None:
        live = LiveRule(1, parse_rule(rule), START - 9 * HOUR, "segment-a@1", "why")
        self.engine = Engine(RuleSet(1, {"a": live}, START - 9 * HOUR))
        self.profile: Profile | None = None
        self.now = START
        self.versions: dict[str, int] = {}
        self.log = list[NewEvent]()

    @property
    def inside(self) -> bool:
        return self.profile is not None and "a" in self.profile.memberships

    def tell(self, data: EventData, stream: str = OWN, after: timedelta = HOUR) -> bool:
        """Whether the rule is true after the event."""
        self.now += after
        version = self.versions[stream] = self.versions.get(stream, 0) + 1
        placed = Placed(
            data, "test", stream, version, self.now, self.now, Causation("k"), subject="c1"
        )
        light = decode_light(encode(placed).encode())
        event = Event(light, msgspec.json.decode(light.data, type=READS[light.type]), 0)
        self.profile, events = self.engine.step(self.profile, event)
        self.log += events
        self.profile = msgspec.convert(
            msgspec.to_builtins(self.profile, builtin_types=(datetime, bytes)), Profile
        )
        return self.inside

    def wait(self, until: datetime) -> bool:
        assert self.profile is not None
        self.profile, events = self.engine.wake(self.profile, until)
        self.log += events
        return self.inside

    @property
    def moments(self) -> list[tuple[bool, datetime, str]]:
        """Entered or left, when, and why."""
        return [
            (isinstance(event.data, SegmentEntered), event.time, event.data.cause.kind)
            for event in self.log
            if isinstance(event.data, SegmentEntered | SegmentExited)
        ]


def field(name: str, op: str, **test: object) -> dict[str, Any]:
    return {"kind": "attribute", "field": name, "test": {"op": op, **test}}


def contact(hashed: str, kind: str = "email", state: str | None = None) -> Identifier:
    return Identifier(kind=kind, hash=hashed, epoch=1, state=state)  # type: ignore[arg-type]  # one of the kinds


def given(contact_: str | None = None) -> ConsentGiven:
    return ConsentGiven(topic="news", channel="email", contact=contact_, evidence=EVIDENCE)


def withdrawn(contact_: str | None = None) -> ConsentWithdrawn:
    return ConsentWithdrawn(topic="news", channel="email", contact=contact_, evidence=EVIDENCE)


REGISTERED = CustomerRegistered()
NEWS = {"kind": "consent", "topic": "news", "channel": "email"}
EMAIL = {"kind": "identifier", "identifier": "email"}
TELL: dict[str, tuple[dict[str, Any], Story]] = {
    "a text": (
        field("city", "begins", value="sa"),
        [
            (CustomerRegistered(city="Samara"), True),
            (CustomerChanged(city="Perm"), False),
            (CustomerChanged(city="SAMARA"), True),
            (CustomerChanged(cleared=("city",)), False),
        ],
    ),
    "a personal field": (
        field("surname", "contains", value="ov"), [(CustomerRegistered(surname="Petrov"), True)]
    ),
    "a custom date": (
        field("custom.until", "between", low="2026-01-01", high="2026-12-31"),
        [
            (CustomerRegistered(custom={"until": "2026-05-05"}), True),
            (CustomerChanged(cleared=("custom.until",)), False),
        ],
    ),
    "a custom choice of several": (
        field("custom.likes", "is", value="b"),
        [
            (CustomerRegistered(custom={"likes": ("a", "b")}), True),
            (CustomerChanged(custom={"likes": ("a",)}), False),
        ],
    ),
    "internal": (
        field("internal", "is", value=False),
        [
            (REGISTERED, True),
            (CustomerChanged(internal=True), False),
            (CustomerChanged(cleared=("internal",)), True),
        ],
    ),
    "tags": (
        field("tags", "any_of", values=["vip", "new"]),
        [
            (REGISTERED, False),
            (care.TagsChanged(added=("vip", "x")), True),
            (care.TagsChanged(removed=("vip",)), False),
        ],
    ),
    "categories, which stand as long as one giver has them": (
        field("categories", "is", value="gold"),
        [
            (REGISTERED, False),
            (care.CategoriesChanged(given=(care.Grant(category="gold", by="person"),)), True),
            (care.CategoriesChanged(given=(care.Grant(category="gold", by="rule:x"),)), True),
            (care.CategoriesChanged(withdrawn=(care.Grant(category="gold", by="rule:x"),)), True),
            (care.CategoriesChanged(withdrawn=(care.Grant(category="gold", by="person"),)), False),
        ],
    ),
    "the highest discount": (
        field("discount", ">", value=400),
        [
            (care.DiscountChanged(by="person", discount=300), False),
            (care.DiscountChanged(by="rule:x", discount=500), True),
            (care.DiscountChanged(by="rule:x"), False),
        ],
    ),
    "the status": (
        field("status", "is", value="active"),
        [(care.StatusChanged(status="active"), True), (care.StatusChanged(status="lost"), False)],
    ),
    "the responsible": (
        field("responsible", "known"),
        [(care.ResponsibleAssigned(employee="e1"), True), (care.ResponsibleAssigned(), False)],
    ),
    "links": (
        field("linked", "is", value="family"),
        [
            (care.CustomersLinked(other="c2", relation="family"), True),
            (care.CustomersLinked(other="c3", relation="family"), True),
            (care.CustomersUnlinked(other="c2", relation="family"), True),
            (care.CustomersUnlinked(other="c3", relation="family"), False),
        ],
    ),
    "the archive": (
        field("archived", "is_not", value=True),
        [
            (REGISTERED, True),
            (care.CustomerArchived(by="person"), False),
            (care.CustomerRestored(by="person"), True),
        ],
    ),
    "the blacklist": (
        field("blacklisted", "is", value=True),
        [(care.CustomerBlacklisted(), True), (care.BlacklistingEnded(cause="lifted"), False)],
    ),
    "identifiers that are known": (
        {**EMAIL, "test": {"op": "==", "value": 2}},
        [
            (CustomerRegistered(identifiers=(contact("h1"), contact("h9", "card"))), False),
            (IdentifierAdded(identifier=contact("h2")), True),
            (IdentifierRemoved(kind="email", hash="h1", epoch=2), False),
        ],
    ),
    "identifiers that are verified": (
        {**EMAIL, "test": {"op": "verified"}},
        [
            (CustomerRegistered(identifiers=(contact("h1"),)), False),
            (IdentifierChanged(kind="email", hash="h1", state="verified"), True),
            (IdentifierChanged(kind="email", hash="h1", label="home"), True),
            (IdentifierRemoved(kind="email", hash="h1", epoch=2), False),
            (IdentifierAdded(identifier=contact("h1")), False),
        ],
    ),
    "identifiers that are bad": (
        {**EMAIL, "test": {"op": "bad"}},
        [(IdentifierAdded(identifier=contact("h1", state="bad")), True)],
    ),
    "consents, bound to a contact point as long as it is there": (
        NEWS,
        [
            (given("h1"), False),
            (IdentifierAdded(identifier=contact("h1")), True),
            (withdrawn("h2"), True),
            (IdentifierRemoved(kind="email", hash="h1", epoch=2), False),
            (given(), True),
            (withdrawn(), False),
            (IdentifierAdded(identifier=contact("h1")), False),
            (given("h1"), True),
        ],
    ),
    "consents that were withdrawn": (
        {**NEWS, "state": "withdrawn"},
        [(REGISTERED, False), (withdrawn(), True), (given(), False)],
    ),
    "consents by any channel": (
        {"kind": "consent", "topic": "news", "state": "unknown"},
        [(REGISTERED, True), (given(), False)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(TELL))
def test_an_event_changes_what_it_says(name: str) -> None:
    rule, story = TELL[name]
    lived = Lived(rule)
    truths = [lived.tell(data) for data, _ in story]
    assert truths == [expected for _, expected in story]


def test_suspicions_of_misuse_are_days() -> None:
    lived = Lived(field("misuse", ">=", value=2))
    for day, expected in (("2026-01-01", False), ("2026-01-02", True)):
        suspected = interaction.MisuseSuspected(day=day, count=9, limit=5)
        assert lived.tell(suspected, "misuse-c1") is expected
    assert lived.tell(interaction.MisuseLifted(days=("2026-01-01",)), "misuse-c1") is False


ABSORBED = merging.CustomerAbsorbed(
    merge="m", other="c2",
    identifiers=(contact("h2"),),
    consents=(merging.ConsentState(topic="news", channel="email", given=True, contact="h2"),),
    tags=("vip",),
    categories=(care.Grant(category="gold", by="person"),),
    discounts=(merging.DiscountGrant(by="person", discount=500),),
    status="active", responsible="e1", blacklist=merging.Blacklisting(),
)  # fmt: skip
PARTED = merging.MergeReverted(
    merge="m", other="c2", role="survivor",
    released=(merging.ReleasedIdentifier(kind="email", hash="h2", epoch=2),),
    consents=(merging.ConsentState(topic="news", channel="email", contact="h2"),),
    cleared=("status", "responsible", "blacklist"),
    tags_removed=("vip",),
    categories_withdrawn=(care.Grant(category="gold", by="person"),),
    discounts_withdrawn=("person",),
)  # fmt: skip


@pytest.mark.parametrize(
    "rule",
    [
        {**EMAIL, "test": {"op": "known"}},
        NEWS,
        field("tags", "is", value="vip"),
        field("categories", "is", value="gold"),
        field("discount", "==", value=500),
        field("status", "is", value="active"),
        field("responsible", "is", value="e1"),
        field("blacklisted", "is", value=True),
    ],
)
def test_what_a_merge_brings_its_revert_takes_back(rule: dict[str, Any]) -> None:
    lived = Lived(rule)
    assert [lived.tell(data) for data in (REGISTERED, ABSORBED, PARTED)] == [False, True, False]
    assert [cause for _, _, cause in lived.moments] == ["merge", "merge"]


def test_who_parts_is_found_by_what_the_revert_says_and_by_nothing_else() -> None:
    lived = Lived({**EMAIL, "test": {"op": ">=", "value": 1}})
    assert lived.tell(CustomerRegistered(identifiers=(contact("h1"),)))
    assert not lived.tell(merging.CustomerMerged(merge="m", survivor="c2"))
    back = merging.MergeReverted(merge="m", other="c2", role="loser", identifiers=(contact("h3"),))
    assert lived.tell(back)
    assert not lived.tell(IdentifierRemoved(kind="email", hash="h3", epoch=3))


def test_of_somebody_erased_nothing_is_left() -> None:
    lived = Lived(field("surname", "known"))
    assert lived.tell(CustomerRegistered(surname="Petrov", birth_date="1990-01-01"))
    assert not lived.tell(merging.CustomerErased(erase="e", reason="request"))
    assert lived.profile is not None
    assert (lived.profile.words, lived.profile.told, lived.profile.removed) == ([], [], True)


def test_a_redacted_value_is_not_said() -> None:
    lived = Lived(field("surname", "known"))
    assert not lived.tell(REGISTERED)
    assert lived.profile is not None
    assert [word.field for word in lived.profile.words if isinstance(word, Attribute)] == [
        "registered"
    ]


# Deals

TERMS = deal.Terms(amount=500, deal_type="new", source="web", branch="12")
OPENED = deal.DealOpened(deal="d", pipeline="p", stage="s1", terms=TERMS, responsible="e1")
ONE = {"op": ">=", "value": 1}


def deals(**where: object) -> dict[str, Any]:
    return {"kind": "deals", "where": where, "compare": ONE}


def moved(stage: str) -> deal.DealStageMoved:
    return deal.DealStageMoved(deal="d", pipeline="p", before="s1", stage=stage)


WON = deal.DealWon(deal="d", pipeline="p", stage="s2", amount=500)
LOST = deal.DealLost(deal="d", pipeline="p", stage="s2", reason="price")
DEAL_STORIES: dict[str, tuple[dict[str, Any], Story]] = {
    "what it is about": (
        deals(deal_type=["new"], source=["web"], branch=["12"], amount={"op": ">", "value": 400}),
        [(OPENED, True), (deal.DealChanged(deal="d", terms=deal.Terms(amount=500)), False),
         (deal.DealChanged(deal="d", terms=TERMS), True), (deal.DealChanged(deal="d"), True)],
    ),
    "where it stands": (
        deals(state="open", pipeline=["p"], stage=["s2"]),
        [(OPENED, False), (moved("s2"), True), (WON, False),
         (deal.DealReopened(deal="d", pipeline="p", stage="s2"), True), (LOST, False)],
    ),
    "who answers for it": (
        deals(responsible=["e1"]),
        [(OPENED, True), (deal.DealResponsibleAssigned(deal="d", before="e1"), False),
         (deal.DealResponsibleAssigned(deal="d", responsible="e1"), True)],
    ),
    "how it ended": (deals(state="lost"), [(OPENED, False), (WON, False), (LOST, True)]),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(DEAL_STORIES))
def test_a_deal_is_what_its_events_say(name: str) -> None:
    rule, story = DEAL_STORIES[name]
    lived = Lived(rule)
    assert [lived.tell(data, "deal-d") for data, _ in story] == [true for _, true in story]


def test_a_deal_has_been_in_its_stage_for_long_enough_at_an_exact_moment() -> None:
    lived = Lived(deals(in_stage="P1D"))
    assert not lived.tell(OPENED, "deal-d")  # at 1:00
    assert not lived.tell(moved("s2"), "deal-d")  # at 2:00
    long_enough = START + 26 * HOUR
    assert not lived.wait(long_enough)
    assert lived.wait(long_enough + HOUR)
    assert not lived.tell(WON, "deal-d", after=99 * HOUR)
    assert lived.moments[0] == (True, long_enough, "time")


def test_a_deal_was_opened_or_closed_within_a_span() -> None:
    opened, closed = Lived(deals(opened="PT5H")), Lived(deals(closed="PT5H"))
    for lived in (opened, closed):
        lived.tell(OPENED, "deal-d")
        lived.tell(WON, "deal-d")
        lived.wait(START + 99 * HOUR)
    # Opened at 1:00 and closed at 2:00, each for five hours.
    assert [(entered, at - START) for entered, at, _ in opened.moments] == [
        (True, HOUR), (False, 6 * HOUR)
    ]  # fmt: skip
    assert [(entered, at - START) for entered, at, _ in closed.moments] == [
        (True, 2 * HOUR), (False, 7 * HOUR)
    ]  # fmt: skip


def continued(generation: int, **more: Any) -> deal.DealContinued:  # noqa: ANN401 - fields of any kind
    fields: dict[str, Any] = {
        "deal": "d", "generation": generation, "merge": "m", "origins": (), "pipeline": "p",
        "stage": "s1", "status": "open", "terms": TERMS, "opened": START,
        "visits": (deal.Visit(stage="s1", entered=START),),
    }  # fmt: skip
    return deal.DealContinued(**(fields | more))


def test_a_deal_goes_to_another_customer_and_comes_back_because_of_a_merge() -> None:
    lived = Lived(deals(state="open"))
    gone = deal.DealTransferred(deal="d", stream="deal-d-2", customer="c2", merge="m")
    assert lived.tell(OPENED, "deal-d")
    assert not lived.tell(gone, "deal-d")
    assert lived.tell(continued(3), "deal-d-3")
    assert [cause for _, _, cause in lived.moments] == ["event", "merge", "merge"]


def test_a_deal_that_goes_on_here_has_been_in_its_stage_all_the_time() -> None:
    lived = Lived(deals(in_stage="P1D", responsible=["e2"]))
    assert lived.tell(continued(2, responsible="e2"), "deal-d-2", after=24 * HOUR)


# Tasks


def agreed(**more: Any) -> task.TaskTerms:  # noqa: ANN401 - fields of any kind
    terms: dict[str, Any] = {"kind": "call", "since": START}
    return task.TaskTerms(**(terms | more))


def planned(**more: Any) -> task.TaskPlanned:  # noqa: ANN401 - fields of any kind
    return task.TaskPlanned(task="t", terms=agreed(**more), origin=task.TaskOrigin(kind="person"))


def tasks(**where: object) -> dict[str, Any]:
    return {"kind": "tasks", "where": where, "compare": ONE}


def done(outcome: str | None = "reached") -> task.TaskCompleted:
    return task.TaskCompleted(task="t", at=START, outcome=outcome)


CANCELLED = task.TaskCancelled(task="t", at=START, reason="not_needed")
AGAIN = task.TaskReopened(task="t")
TASK_STORIES: dict[str, tuple[dict[str, Any], Story]] = {
    "what is to be done": (
        tasks(kind=["call"], responsible=["e1"], branch=["12"]),
        [(planned(responsible="e1", branch="12"), True),
         (task.TaskChanged(task="t", terms=agreed(responsible="e1")), False),
         (task.TaskChanged(task="t"), False)],
    ),
    "whether it is done": (
        tasks(state="open"),
        [(planned(), True), (done(), False), (AGAIN, True), (CANCELLED, False)],
    ),
    "how it ended": (
        tasks(state="completed", outcome=["reached"]),
        [(planned(), False), (done("no_answer"), False), (AGAIN, False), (done(), True)],
    ),
    "why it was dropped": (
        tasks(state="cancelled", outcome=["not_needed"]), [(planned(), False), (CANCELLED, True)]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(TASK_STORIES))
def test_a_task_is_what_its_events_say(name: str) -> None:
    rule, story = TASK_STORIES[name]
    lived = Lived(rule)
    assert [lived.tell(data, "task-t") for data, _ in story] == [true for _, true in story]


def test_a_task_is_overdue_from_its_due_moment_on() -> None:
    lived = Lived(tasks(state="overdue"))
    due = START + 5 * HOUR
    assert not lived.tell(planned(due=due), "task-t")
    assert not lived.wait(due)
    assert lived.wait(due + HOUR)
    later = task.TaskChanged(task="t", terms=agreed(due=due + 9 * HOUR))
    assert not lived.tell(later, "task-t", after=6 * HOUR)
    assert lived.moments[0] == (True, due, "time")


def test_a_task_goes_to_another_customer_and_comes_back_because_of_a_merge() -> None:
    lived = Lived(tasks(state="completed", outcome=["reached"], ended="PT5H"))
    gone = task.TaskTransferred(task="t", stream="task-t-2", customer="c2", merge="m")
    lived.tell(planned(), "task-t")
    assert lived.tell(done(), "task-t")  # at 2:00
    assert not lived.tell(gone, "task-t")
    back = task.TaskContinued(
        task="t", generation=3, merge="m", merges=(), status="completed", terms=agreed(),
        origin=task.TaskOrigin(kind="person"),
        outcome=task.TaskOutcome(at=START + 2 * HOUR, outcome="reached"),
    )  # fmt: skip
    assert lived.tell(back, "task-t-3")
    assert not lived.wait(START + 99 * HOUR)
    assert lived.moments[-1] == (False, START + 7 * HOUR, "time")
    assert [cause for _, _, cause in lived.moments] == ["event", "merge", "merge", "time"]


def test_an_event_asks_only_the_rules_that_it_can_touch() -> None:
    rules = {
        "amount": deals(amount={"op": ">", "value": 0}),
        "stage": deals(stage=["s1"]),
        "city": field("city", "known"),
        "email": {**EMAIL, "test": {"op": "known"}},
        "card": {"kind": "identifier", "identifier": "card", "test": {"op": "known"}},
    }
    live = {
        name: LiveRule(1, parse_rule(rule), START, f"segment-{name}@1", "why")
        for name, rule in rules.items()
    }
    touched = RuleSet(1, live, START).touched_by
    names = {read: {name for name, _ in found} for read, found in touched.items()}
    assert names == {
        "deals": {"amount", "stage"}, "deals terms": {"amount"},
        "field city": {"city"}, "identifier email": {"email"}, "identifier card": {"card"},
    }  # fmt: skip
