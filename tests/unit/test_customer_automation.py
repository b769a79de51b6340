"""Carrying out rules: each command once, however often a batch comes again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.customer.consumers.automation import causes_of, react
from services.customer.domain.automating import Cause
from services.customer.domain.commands import Register
from services.customer.domain.configuration.catalogue import Define
from services.customer.domain.customer import CUSTOMER
from services.customer.domain.state import Customer, stream_of
from services.customer.handlers import automation
from services.customer.handlers.automation import MOST_BROKEN, TRIES, Automating
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.configuration import Request as Change
from services.customer.handlers.customers import Request, carry_out, carry_out_all
from shared import telemetry
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.envelope import decode
from shared.events.automation import (
    AutomationDefined,
    CustomerActiveAgain,
    CustomerBecameInactive,
    TaskTemplate,
    Then,
    When,
)
from shared.events.configuration import CategoryDefined
from shared.events.contract import EventData
from shared.events.customer import CustomerRegistered
from shared.events.merging import CustomerErased, CustomerMerged
from shared.events.segment import Cause as Because
from shared.events.segment import SegmentEntered, SegmentExited
from shared.eventstore import Commit
from shared.execute import Outcome, Writer
from shared.keyring import MissingKey
from shared.memory import MemoryEventStore
from shared.testing import DAY, LoggedRecord
from shared.testing.facts import records_of, tell
from tests.unit.folding import KEYS

GOLD = CategoryDefined(category="gold", titles={"en": "Gold"}, colour="#ffd700")
BIG = When(on="segment_entered", segment="big", while_inside=True)
ENTERED = SegmentEntered(segment="big", definition=1, cause=Because(kind="time"))
LEFT = SegmentExited(segment="big", definition=1, cause=Because(kind="time"))


@dataclass(slots=True)
class Chain:
    """The customer service in memory, and the streams of others."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    others: MemoryEventStore = field(default_factory=MemoryEventStore)

    @property
    def writer(self) -> Writer:
        return Writer(self.store, KEYS, ManualClock(DAY), "customer")

    def automating(self) -> Automating:
        """As a process that has just started has it."""
        return Automating(self.writer, ConfigurationBook(self.writer))

    async def rule(
        self, name: str, when: When, then: Then, branches: tuple[str, ...] | None = None
    ) -> None:
        definition = AutomationDefined(
            rule=name, titles={"en": name}, when=when, then=then, branches=branches, since=DAY
        )
        book = ConfigurationBook(self.writer)
        await book.change("categories", Change(f"c|{name}", "", DAY), Define("gold", GOLD, DAY))
        await book.change("automation", Change(f"r|{name}", "", DAY), Define(name, definition, DAY))

    async def register(self, customer: str, branch: str | None = None) -> None:
        person = CustomerRegistered(home_branch=branch)
        command = Register(customer=customer, at=DAY, person=person)
        await carry_out(self.writer, Request(f"register|{customer}", "", DAY), command)

    async def happens(self, stream: str, customer: str, *events: EventData) -> Sequence[Any]:
        """Records of another service's events."""
        writer = Writer(self.others, KEYS, ManualClock(DAY), "segment")
        before = len(self.others.commits)
        await tell(writer, stream, customer, [NewEvent(data, DAY) for data in events])
        return records_of(self.others.commits[before:], DAY)

    async def state(self, customer: str) -> Customer:
        state, _version = await self.writer.state(CUSTOMER, stream_of(customer))
        return state

    def of(self, customer: str) -> list[Commit]:
        return [each for each in self.store.commits if each.stream == stream_of(customer)]


def counted(outcome: str) -> float:
    value = telemetry.AUTOMATION.labels(outcome)._value.get()  # noqa: SLF001 - prometheus has no other way
    return float(value)


async def gold() -> Chain:
    chain = Chain()
    await chain.rule("gold", BIG, Then(give_categories=("gold",), discount=500))
    await chain.register("anna")
    return chain


async def test_a_reaction_that_died_before_its_acknowledgement_repeats_to_no_effect() -> None:
    chain = await gold()
    records = await chain.happens("membership-anna", "anna", ENTERED, LEFT, ENTERED)
    await react(chain.automating(), records)
    once = list(chain.store.commits)
    assert (await chain.state("anna")).categories == {("gold", "rule:gold")}
    # Another process begins again at any offset that was not acknowledged.
    for start in range(3):
        await react(chain.automating(), records[start:])
        await react(chain.automating(), records[start : start + 1])
    assert chain.store.commits == once
    assert (await chain.state("anna")).discounts == {"rule:gold": 500}


async def test_one_that_died_among_its_commands_is_finished_by_the_next() -> None:
    chain, whole = await gold(), await gold()
    for each in (chain, whole):
        records = await each.happens("membership-anna", "anna", ENTERED, LEFT)
        if each is chain:
            await react(each.automating(), records[:1])
        await react(each.automating(), records)
    told = [
        [decode(text).type for commit in each.of("anna") for text in commit.events]
        for each in (chain, whole)
    ]
    assert told[0] == told[1]
    assert (await chain.state("anna")).categories == frozenset()


async def test_a_rule_that_was_changed_meanwhile_is_the_same_command() -> None:
    chain = await gold()
    records = await chain.happens("membership-anna", "anna", ENTERED)
    await react(chain.automating(), records)
    await chain.rule("gold2", BIG, Then(discount=100))
    book = ConfigurationBook(chain.writer)
    changed = AutomationDefined(
        rule="gold", titles={"en": "gold"}, when=BIG, then=Then(discount=900), since=DAY
    )
    await book.change("automation", Change("r|3", "", DAY), Define("gold", changed, DAY))
    await react(chain.automating(), records)
    assert (await chain.state("anna")).discounts == {"rule:gold": 500, "rule:gold2": 100}
    left = await chain.happens("membership-anna", "anna", LEFT)
    await react(chain.automating(), left)
    state = await chain.state("anna")
    # The category is of the definition that the rule had before.
    assert (state.discounts, state.categories) == ({}, frozenset())


async def test_who_was_merged_gets_it_as_the_survivor_and_who_was_erased_nothing() -> None:
    chain = await gold()
    for name in ("boris", "clara"):
        await chain.register(name)
    merged = NewEvent(CustomerMerged(merge="m", survivor="anna"), DAY)
    await tell(chain.writer, stream_of("boris"), "boris", [merged])
    erased = NewEvent(CustomerErased(erase="x", reason="request"), DAY)
    await tell(chain.writer, stream_of("clara"), "clara", [erased])
    before = counted("refused")
    for name in ("boris", "clara", "nobody"):
        await react(chain.automating(), await chain.happens(f"membership-{name}", name, ENTERED))
    assert (await chain.state("anna")).categories == {("gold", "rule:gold")}
    # Two commands each: of one who was erased, and of one who is not there.
    assert counted("refused") - before == 4


async def test_a_rule_of_some_branches_asks_where_the_customer_belongs() -> None:
    chain = Chain()
    entering = When(on="segment_entered", segment="big")
    await chain.rule("vip", entering, Then(add_tags=("vip",)), branches=("12",))
    await chain.register("anna", "12")
    await chain.register("boris", "13")
    await chain.register("clara")
    merged = NewEvent(CustomerMerged(merge="m", survivor="anna"), DAY)
    await tell(chain.writer, stream_of("clara"), "clara", [merged])
    for name in ("boris", "clara"):
        await react(chain.automating(), await chain.happens(f"membership-{name}", name, ENTERED))
    assert (await chain.state("anna")).tags == {"vip"}
    assert (await chain.state("boris")).tags == frozenset()


async def test_what_time_noticed_archives_and_restores() -> None:
    chain = Chain()
    task = TaskTemplate(title="Say goodbye", due="P7D")
    quiet = When(on="inactive", after="P730D")
    await chain.rule("quiet", quiet, Then(archive=True, task=task))
    await chain.register("anna")
    silent = CustomerBecameInactive(rule="quiet", since=DAY)
    await react(chain.automating(), await chain.happens("care-anna", "anna", silent))
    assert (await chain.state("anna")).archived
    types = [decode(text).type for commit in chain.of("anna") for text in commit.events]
    assert types[1:] == ["customer.archived.v1", "customer.task_requested.v1"]
    back = CustomerActiveAgain(event="interaction-anna@1")
    await react(chain.automating(), await chain.happens("care-anna", "anna", back))
    assert not (await chain.state("anna")).archived


async def test_what_cannot_be_read_is_counted_and_passed_over() -> None:
    chain = Chain()
    (record,) = await chain.happens("membership-anna", "anna", ENTERED)
    labels = telemetry.REACTION_PASSED_OVER.labels("automation")
    before = labels._value.get()  # noqa: SLF001 - prometheus has no other way
    broken = [
        LoggedRecord("t", 0, 1, b"anna", record.value.replace(b'"segment":"big"', b'"segment":7')),
        LoggedRecord("t", 0, 2, b"anna", b"\xff"),
        LoggedRecord("t", 0, 3, b"anna", b""),
    ]
    assert causes_of(broken) == []
    assert labels._value.get() - before == 1  # noqa: SLF001 - prometheus has no other way
    (cause,) = causes_of([record])
    assert cause == Cause(
        event="membership-anna@1", customer="anna", on="segment_entered", time=DAY,
        recorded=DAY, correlation="told", depth=0, name="big",
    )  # fmt: skip


async def test_a_customer_for_whom_nothing_can_be_decided_keeps_nobody_else_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain = await gold()
    await chain.register("boris")
    records = [
        *await chain.happens("membership-anna", "anna", ENTERED),
        *await chain.happens("membership-boris", "boris", ENTERED),
    ]

    async def without_anna(writer: Writer, asked: Sequence[Any]) -> Sequence[Outcome]:
        if any(command.customer == "anna" for _, command in asked):
            raise MissingKey
        return await carry_out_all(writer, asked)

    automating = chain.automating()
    before = counted("failed")
    with monkeypatch.context() as patched:
        patched.setattr(automation, "carry_out_all", without_anna)
        # It may pass: so it is tried again, by whoever calls.
        for _ in range(TRIES - 1):
            with pytest.raises(MissingKey):
                await react(automating, records)
            assert (await chain.state("boris")).discounts == {"rule:gold": 500}
        await react(automating, records)
    assert counted("failed") - before == 1
    # Once it can be done, what comes is done.
    again = await chain.happens("membership-anna", "anna", ENTERED)
    await react(automating, again)
    assert (await chain.state("anna")).discounts == {"rule:gold": 500}


async def test_where_it_fails_for_everybody_nobody_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain = await gold()
    names = [f"c{number}" for number in range(MOST_BROKEN + 1)]
    records = [
        record
        for name in names
        for record in await chain.happens(f"membership-{name}", name, ENTERED)
    ]

    async def fails(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(automation, "carry_out_all", fails)
    automating = chain.automating()
    before = counted("failed")
    for _ in range(TRIES + 1):
        with pytest.raises(RuntimeError):
            await react(automating, records)
    assert counted("failed") == before


def counted_trips(name: str, trips: list[str]) -> Any:  # noqa: ANN401 - any method of a store
    asked = getattr(MemoryEventStore, name)

    async def counting(self: MemoryEventStore, given: Any) -> Any:  # noqa: ANN401 - as above
        trips.append(name)
        return await asked(self, given)

    return counting


async def test_thousands_who_enter_at_once_cost_as_many_round_trips_as_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trips: list[str] = []
    for name in ("read", "append", "known", "heads", "claims"):
        monkeypatch.setattr(MemoryEventStore, name, counted_trips(name, trips))
    chain = Chain()
    entering = When(on="segment_entered", segment="big")
    await chain.rule("vip", entering, Then(add_tags=("vip",)), branches=("12",))
    costs = []
    for many in (1, 300):
        names = [f"{many}-{number}" for number in range(many)]
        records: list[Any] = []
        for name in names:
            await chain.register(name, "12")
            records += await chain.happens(f"membership-{name}", name, ENTERED)
        automating = chain.automating()
        trips.clear()
        await react(automating, records)
        costs.append(len(trips))
        assert (await chain.state(names[-1])).tags == {"vip"}
    assert costs[0] == costs[1]
