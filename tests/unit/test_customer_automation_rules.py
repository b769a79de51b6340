"""Rules of automation: what may be defined, and what they do when something happens."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.customer.domain.automating import Cause, applies, commands_of, reactions
from services.customer.domain.commands import ChangeCategories, RequestTask, SetDiscount
from services.customer.domain.configuration.automation import AUTOMATION, Automation
from services.customer.domain.configuration.catalogue import Archive, Define, Restore
from services.customer.domain.configuration.categories import CATEGORIES
from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.configuration.employees import EMPLOYEES, Employees
from services.customer.domain.referring import check_rule_references
from shared.decider import NewEvent, Refused
from shared.events.automation import (
    AutomationArchived,
    AutomationDefined,
    AutomationRestored,
    Occasion,
    TaskTemplate,
    Then,
    When,
)
from shared.events.care import TaskRequested
from shared.events.configuration import CategoryDefined, EmployeeHired, EmployeeLeft
from shared.testing import DAY, given

ENTERING = When(on="segment_entered", segment="big", while_inside=True)
LATER = DAY + timedelta(days=1)


def rule(name: str = "gold", **changes: object) -> AutomationDefined:
    fields: dict[str, Any] = {
        "rule": name,
        "titles": {"en": name},
        "when": ENTERING,
        "then": Then(give_categories=("gold",), discount=500),
        "since": DAY,
    }
    return AutomationDefined(**{**fields, **changes})


def define(definition: AutomationDefined, at: datetime = DAY) -> Define[AutomationDefined]:
    return Define(definition.rule, definition, at)


def chain_with(*rules: AutomationDefined, archived: bool = False) -> Configuration:
    gold = CategoryDefined(category="gold", titles={"en": "Gold"}, colour="#ffd700")
    events: list[Any] = list(rules)
    if archived:
        events += [AutomationArchived(rule=each.rule) for each in rules]
    return Configuration(automation=AUTOMATION.fold(events), categories=CATEGORIES.fold([gold]))


def employees(name: str, *, left: bool = False) -> Employees:
    events: list[Any] = [EmployeeHired(employee=name, name="E", position="seller")]
    if left:
        events.append(EmployeeLeft(employee=name, since="2018-01-01"))
    return EMPLOYEES.fold(events)


def cause(on: Occasion | None = "segment_entered", **changes: object) -> Cause:
    fields: dict[str, Any] = {
        "event": "membership-anna@1",
        "customer": "anna",
        "on": on,
        "time": DAY,
        "recorded": DAY,
        "correlation": "c",
        "depth": 0,
        "name": "big",
    }
    return Cause(**{**fields, **changes})


def parts(configuration: Configuration, because: Cause) -> list[tuple[str, str]]:
    return [
        (reaction.rule, part)
        for reaction in reactions(configuration, because)
        if applies(reaction, because.branch)
        for part, _ in commands_of(configuration, reaction, because)
    ]


def test_a_rule_counts_from_its_first_definition_and_a_restored_one_from_then_on() -> None:
    first, second = rule(), rule(then=Then(discount=700), since=LATER)
    given(AUTOMATION).when(define(rule(since=LATER))).then([NewEvent(first, DAY)])
    given(AUTOMATION, [first]).when(define(second, LATER)).then(
        [NewEvent(second.model_copy(update={"since": DAY}), LATER)]
    )
    given(AUTOMATION, [first]).when(define(rule(since=LATER), LATER)).then_nothing()
    archived = [first, AutomationArchived(rule="gold")]
    restored = AutomationRestored(rule="gold", since=LATER)
    given(AUTOMATION, archived).when(Restore("gold", LATER)).then([restored])
    state: Automation = AUTOMATION.fold([*archived, restored])
    assert state.items["gold"].definition.since == LATER
    given(AUTOMATION, archived).when(define(second)).then_refused("archived")
    given(AUTOMATION).when(Archive("gold", DAY)).then_refused("not-found")
    given(AUTOMATION, [first]).when(define(rule("other", titles={"en": "gold"}))).then_refused(
        "title-taken"
    )


@pytest.mark.parametrize(
    ("when", "then", "field"),
    [
        (When(on="receipt"), Then(discount=1), "when.at_least"),
        (When(on="receipt", at_least=1, segment="s"), Then(discount=1), "when.segment"),
        (When(on="segment_left"), Then(discount=1), "when.segment"),
        (When(on="status_reached"), Then(discount=1), "when.status"),
        (When(on="inactive"), Then(archive=True), "when.after"),
        (When(on="inactive", after="P6M"), Then(archive=True), "when.after"),
        (
            When(on="segment_left", segment="s", while_inside=True),
            Then(discount=1),
            "when.while_inside",
        ),
        (ENTERING, Then(), "then"),
        (ENTERING, Then(archive=True), "then.archive"),
        (ENTERING, Then(add_tags=("vip",)), "then.add_tags"),
        (ENTERING, Then(status="active"), "then.status"),
        (ENTERING, Then(responsible="e1"), "then.responsible"),
        (ENTERING, Then(task=TaskTemplate(title="call", due="P1D")), "then.task"),
        (
            When(on="receipt", at_least=1),
            Then(give_categories=("a",), take_categories=("a",)),
            "then.take_categories",
        ),
        (
            When(on="receipt", at_least=1),
            Then(add_tags=("a",), remove_tags=("a",)),
            "then.remove_tags",
        ),
        (
            When(on="receipt", at_least=1),
            Then(task=TaskTemplate(title="call", due="P1M")),
            "then.task.due",
        ),
    ],
)
def test_a_rule_that_cannot_be_carried_out_is_refused(when: When, then: Then, field: str) -> None:
    given(AUTOMATION).when(define(rule(when=when, then=then))).then_refused("invalid", field)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"then": Then(give_categories=("silver",))}, "then.give_categories.0"),
        ({"then": Then(take_categories=("silver",))}, "then.take_categories.0"),
        ({"when": When(on="status_reached", status="none")}, "when.status"),
        ({"then": Then(status="none")}, "then.status"),
        ({"then": Then(responsible="nobody")}, "then.responsible"),
        (
            {"then": Then(task=TaskTemplate(title="t", due="P1D", employee="nobody"))},
            "then.task.employee",
        ),
    ],
)
def test_a_rule_names_only_what_is_there(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as refused:
        check_rule_references(rule(**changes), chain_with())
    assert [error.field for error in refused.value.errors] == [field]


def test_entering_gives_and_leaving_takes_back_all_that_stands_in_the_name_of_the_rule() -> None:
    configuration = chain_with(rule())
    assert parts(configuration, cause()) == [("gold", "categories"), ("gold", "discount")]
    (reaction,) = reactions(configuration, cause("segment_left"))
    assert dict(commands_of(configuration, reaction, cause("segment_left"))) == {
        "categories": ChangeCategories(
            customer="anna", at=DAY, withdraw=frozenset({"gold"}), giver="rule:gold"
        ),
        "discount": SetDiscount(customer="anna", at=DAY, discount=None, giver="rule:gold"),
    }
    assert parts(configuration, cause(name="small")) == []


def test_an_archived_rule_gives_nothing_and_still_takes_back() -> None:
    configuration = chain_with(rule(), archived=True)
    assert parts(configuration, cause()) == []
    assert parts(configuration, cause("segment_left")) == [
        ("gold", "categories"), ("gold", "discount"),
    ]  # fmt: skip


def test_who_left_while_the_rule_was_archived_is_taken_back_after_it_was_restored() -> None:
    events: list[Any] = [rule(), AutomationArchived(rule="gold")]
    events.append(AutomationRestored(rule="gold", since=LATER))
    configuration = Configuration(automation=AUTOMATION.fold(events))
    left = cause("segment_left", recorded=LATER - timedelta(hours=1))
    assert parts(configuration, left) == [("gold", "categories"), ("gold", "discount")]
    assert parts(configuration, cause(recorded=LATER - timedelta(hours=1))) == []


@pytest.mark.parametrize(
    "when",
    [
        When(on="segment_entered", segment="small", while_inside=True),
        When(on="segment_entered", segment="big"),
        When(on="receipt", at_least=1),
    ],
)
def test_a_rule_keeps_the_segment_inside_of_which_it_gave(when: When) -> None:
    given(AUTOMATION, [rule()]).when(define(rule(when=when))).then_refused("invalid", "when")
    once = rule(when=When(on="segment_entered", segment="big"))
    given(AUTOMATION, [once]).when(define(rule())).then([NewEvent(rule(), DAY)])


def test_causes_from_before_the_rule_are_not_taken() -> None:
    configuration = chain_with(rule(since=LATER))
    assert parts(configuration, cause(recorded=LATER - timedelta(milliseconds=1))) == []
    assert parts(configuration, cause(recorded=LATER)) != []


def test_what_an_import_brings_is_followed_only_by_rules_that_say_what_is_true_now() -> None:
    once = rule("once", when=When(on="segment_entered", segment="big"))
    receipts = rule("receipts", when=When(on="receipt", at_least=1_000))
    configuration = chain_with(rule(), once, receipts)
    assert {name for name, _ in parts(configuration, cause(imported=True))} == {"gold"}
    assert parts(configuration, cause("receipt", total=5_000, imported=True)) == []


def test_a_receipt_counts_from_the_total_on_and_in_the_branches_of_the_rule() -> None:
    big = rule(when=When(on="receipt", at_least=1_000), branches=("12",))
    configuration = chain_with(big)
    assert parts(configuration, cause("receipt", total=999, branch="12")) == []
    assert parts(configuration, cause("receipt", total=1_000, branch="12")) != []
    assert parts(configuration, cause("receipt", total=1_000, branch="13")) == []


def test_everything_that_a_rule_says_is_done_in_one_order() -> None:
    all_of_it = rule(
        when=When(on="status_reached", status="active"),
        then=Then(
            give_categories=("gold", "archived-meanwhile"),
            discount=0,
            add_tags=("vip",),
            remove_tags=("new",),
            status="lapsed",
            responsible="e1",
            task=TaskTemplate(title="Call", due="P3D"),
        ),
    )
    configuration = replace(chain_with(all_of_it), employees=employees("e1"))
    because = cause("status_reached", name="active")
    (reaction,) = reactions(configuration, because)
    found = dict(commands_of(configuration, reaction, because))
    assert list(found) == ["categories", "discount", "tags", "status", "responsible", "task"]
    about: dict[str, Any] = {"customer": "anna", "at": DAY}
    # The category that was archived meanwhile is left out; 0 is no discount any more.
    gold = frozenset({"gold"})
    assert found["categories"] == ChangeCategories(give=gold, giver="rule:gold", **about)
    assert found["discount"] == SetDiscount(discount=None, giver="rule:gold", **about)
    due = DAY + timedelta(days=3)
    task = TaskRequested(rule="gold", title="Call", due=due)
    assert found["task"] == RequestTask(task=task, **about)


def test_who_left_gets_neither_customers_nor_tasks() -> None:
    call = TaskTemplate(title="Call", due="P3D", employee="e1")
    to_e1 = rule(when=When(on="receipt", at_least=1), then=Then(responsible="e1", task=call))
    because = cause("receipt", total=1)
    for working, expected in ((True, "e1"), (False, None)):
        who = employees("e1", left=not working)
        configuration = replace(chain_with(to_e1), employees=who)
        (reaction,) = reactions(configuration, because)
        found = dict(commands_of(configuration, reaction, because))
        assert ("responsible" in found) is working
        task = found["task"]
        assert isinstance(task, RequestTask)
        assert task.task.employee == expected


def test_only_the_rule_that_waited_follows_from_inactivity() -> None:
    sleeping = rule(when=When(on="inactive", after="P730D"), then=Then(archive=True))
    other = rule("other", when=When(on="inactive", after="P365D"), then=Then(archive=True))
    configuration = chain_with(sleeping, other)
    assert parts(configuration, cause("inactive", name="other")) == [("other", "archive")]


def test_the_ninth_cause_is_one_too_many() -> None:
    assert not cause(depth=7).too_deep
    assert cause(depth=8).too_deep
