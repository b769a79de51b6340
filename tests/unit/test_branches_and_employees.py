"""Branches and employees: opened, moved, closed; hired, changed, gone; and what is refused."""

from dataclasses import replace
from datetime import date

import pytest

from services.customer.domain.configuration.branches import (
    BRANCHES,
    BranchCommand,
    ChangeBranch,
    CloseBranch,
    MoveBranch,
    OpenBranch,
)
from services.customer.domain.configuration.employees import (
    EMPLOYEES,
    ChangeEmployee,
    Contract,
    Employees,
    EraseEmployee,
    Hire,
    Leave,
    Return,
    subject_of,
)
from shared.decider import Refused
from shared.events.configuration import (
    BranchChanged,
    BranchClosed,
    BranchMoved,
    BranchOpened,
    BranchPlace,
    EmployeeChanged,
    EmployeeErased,
    EmployeeHired,
    EmployeeLeft,
    EmployeeReturned,
    Hours,
)
from shared.events.contract import EventData
from shared.http.preconditions import precondition_of
from shared.testing import DAY, given

BERLIN = BranchPlace(zone="Europe/Berlin", city="Berlin")
PARIS = BranchPlace(zone="Europe/Paris", city="Paris")
MORNING = Hours(day="monday", opens="09:00", closes="13:00")
EVENING = Hours(day="monday", opens="13:00", closes="24:00")
TODAY = DAY.date()
EVA = Contract("Eva", "administrator", ("12",), ("key:1",))
STALE = precondition_of('"7"').require_of


def opened(name: str = "12", title: str | None = None) -> BranchOpened:
    return BranchOpened(
        branch=name, titles={"en": title or name}, place=BERLIN, hours=(MORNING,),
        since=TODAY.isoformat(),
    )  # fmt: skip


def opening(name: str = "12", title: str | None = None) -> OpenBranch:
    return OpenBranch(name, {"en": title or name}, BERLIN, (MORNING,), TODAY, DAY)


def closed(name: str = "12", heir: str | None = None) -> BranchClosed:
    return BranchClosed(branch=name, since=TODAY.isoformat(), customers_to=heir)


def test_a_branch_is_opened_once() -> None:
    given(BRANCHES).when(opening()).then([opened()])
    begun = given(BRANCHES, [opened()])
    begun.when(opening()).then_nothing()
    begun.when(replace(opening(), place=PARIS)).then_refused("branch-open")
    begun.when(opening("13", title="12")).then_refused("title-taken")


def test_a_closed_branch_opens_again_and_changes_nothing_before() -> None:
    history: list[EventData] = [opened(), closed()]
    gone = given(BRANCHES, history)
    gone.when(replace(opening(), rests_on=STALE)).then_refused("precondition-failed")
    gone.when(opening()).then([opened()])
    gone.when(CloseBranch("12", TODAY, None, DAY)).then_nothing()
    gone.when(ChangeBranch("12", {"en": "New"}, (), DAY)).then_refused("branch-closed")
    gone.when(MoveBranch("12", PARIS, TODAY, None, DAY)).then_refused("branch-closed")
    again = BRANCHES.fold([*history, opened()])
    assert again.is_open("12")


@pytest.mark.parametrize(
    "command",
    [
        ChangeBranch("12", {"en": "New"}, (), DAY),
        MoveBranch("12", PARIS, TODAY, None, DAY),
        CloseBranch("12", TODAY, None, DAY),
    ],
)
def test_a_branch_that_is_not_there_is_not_found_and_a_stale_change_refused(
    command: BranchCommand,
) -> None:
    given(BRANCHES).when(command).then_refused("not-found")
    stale = replace(command, rests_on=STALE)
    given(BRANCHES, [opened()]).when(stale).then_refused("precondition-failed")


@pytest.mark.parametrize(
    ("hours", "place"),
    [
        ((MORNING.model_copy(update={"closes": "09:00"}),), "hours.0"),
        ((MORNING.model_copy(update={"closes": "24:30"}),), "hours.0"),
        ((MORNING, EVENING.model_copy(update={"opens": "12:59"})), "hours.1"),
    ],
)
def test_hours_that_nobody_could_keep_are_refused(hours: tuple[Hours, ...], place: str) -> None:
    given(BRANCHES).when(replace(opening(), hours=hours)).then_refused("invalid", place)


def test_a_branch_changes_what_is_read_of_it() -> None:
    hours = (MORNING, EVENING, MORNING.model_copy(update={"day": "sunday"}))
    begun = given(BRANCHES, [opened()])
    changed = BranchChanged(branch="12", titles={"en": "Main"}, hours=hours)
    begun.when(ChangeBranch("12", {"en": "Main"}, hours, DAY)).then([changed])
    begun.when(ChangeBranch("12", {"en": "12"}, (MORNING,), DAY)).then_nothing()
    folded = BRANCHES.fold([opened(), changed]).items["12"]
    assert (folded.titles, folded.hours, folded.place) == ({"en": "Main"}, hours, BERLIN)


def test_a_branch_moves_and_its_customers_go_where_they_are_sent() -> None:
    two = given(BRANCHES, [opened(), opened("13")])
    moved = BranchMoved(branch="12", place=PARIS, since=TODAY.isoformat(), customers_to="13")
    two.when(MoveBranch("12", PARIS, TODAY, "13", DAY)).then([moved])
    two.when(MoveBranch("12", BERLIN, TODAY, None, DAY)).then_nothing()
    for heir in ("12", "14"):
        two.when(MoveBranch("12", PARIS, TODAY, heir, DAY)).then_refused("invalid", "customers_to")
        two.when(CloseBranch("12", TODAY, heir, DAY)).then_refused("invalid", "customers_to")
    nowhere = BranchPlace(zone="Europe/Nowhere")
    two.when(MoveBranch("12", nowhere, TODAY, None, DAY)).then_refused("invalid", "place.zone")
    after = BRANCHES.fold([opened(), moved])
    assert after.zone("12") == "Europe/Paris"
    assert (after.items["12"].heir, after.items["12"].heir_version) == ("13", 2)
    assert BRANCHES.fold([opened(), closed()]).items["12"].heir is None


def test_a_branch_closes_after_it_was_opened() -> None:
    two = given(BRANCHES, [opened(), opened("13")])
    two.when(CloseBranch("12", TODAY, "13", DAY)).then([closed(heir="13")])
    early = date(2017, 11, 30)  # the day before it was opened
    two.when(CloseBranch("12", early, None, DAY)).then_refused("invalid", "since")


def test_any_name_is_a_branch_until_the_first_is_opened() -> None:
    BRANCHES.initial().require("anything", "home_branch")
    folded = BRANCHES.fold([opened(), opened("13"), closed("13")])
    folded.require("12", "home_branch")
    for name in ("13", "14"):
        with pytest.raises(Refused):
            folded.require(name, "home_branch")
    assert folded.zone("14") is None
    assert [name for name, _ in folded.open()] == ["12"]


def hired(name: str = "eva", contract: Contract = EVA) -> EmployeeHired:
    return EmployeeHired(
        employee=name,
        name=contract.name,
        position=contract.position,
        branches=contract.branches,
        principals=contract.principals,
    )


def left(name: str = "eva", successor: str | None = None) -> EmployeeLeft:
    return EmployeeLeft(employee=name, since=TODAY.isoformat(), successor=successor)


BOB = Contract("Bob", "administrator")
STAFF: list[EventData] = [hired(), hired("bob", BOB)]


def test_somebody_is_hired_once() -> None:
    given(EMPLOYEES).when(Hire("eva", EVA, DAY)).then([hired()])
    given(EMPLOYEES, [hired()]).when(Hire("eva", BOB, DAY)).then_refused("employee-exists")


def test_a_key_is_of_one_working_person_and_never_of_somebody_after_one_who_left() -> None:
    also = replace(BOB, principals=("key:1",))
    given(EMPLOYEES, [hired()]).when(Hire("bob", also, DAY)).then_refused("principal-taken")
    twice = replace(BOB, principals=("key:2", "key:2"))
    given(EMPLOYEES).when(Hire("bob", twice, DAY)).then_refused("invalid", "principals.1")
    given(EMPLOYEES, [*STAFF, left()]).when(ChangeEmployee("bob", also, DAY)).then_refused(
        "invalid", "principals.0"
    )


def test_somebody_changes() -> None:
    director = replace(EVA, position="director", branches=None)
    changed = EmployeeChanged(
        employee="eva", name="Eva", position="director", principals=("key:1",)
    )
    begun = given(EMPLOYEES, STAFF)
    begun.when(ChangeEmployee("eva", director, DAY)).then([changed])
    begun.when(ChangeEmployee("eva", EVA, DAY)).then_nothing()
    begun.when(ChangeEmployee("eva", director, DAY, STALE)).then_refused("precondition-failed")
    begun.when(ChangeEmployee("max", director, DAY)).then_refused("not-found")
    given(EMPLOYEES, [*STAFF, left()]).when(ChangeEmployee("eva", director, DAY)).then_refused(
        "has-left"
    )
    assert EMPLOYEES.fold([*STAFF, changed]).items["eva"].contract == director


def test_who_leaves_names_a_successor_who_works_here() -> None:
    begun = given(EMPLOYEES, STAFF)
    begun.when(Leave("eva", TODAY, "bob", DAY)).then([left(successor="bob")])
    begun.when(Leave("eva", TODAY, None, DAY)).then([left()])
    for nobody in ("eva", "max"):
        begun.when(Leave("eva", TODAY, nobody, DAY)).then_refused("invalid", "successor")
    begun.when(Leave("eva", TODAY, None, DAY, STALE)).then_refused("precondition-failed")
    gone = given(EMPLOYEES, [*STAFF, left(successor="bob")])
    gone.when(Leave("eva", TODAY, "bob", DAY)).then_nothing()


def test_who_takes_over_may_be_said_after_somebody_left() -> None:
    gone = given(EMPLOYEES, [*STAFF, left()])
    tomorrow = date(2017, 12, 2)
    # The day of leaving stays what it was.
    gone.when(Leave("eva", tomorrow, "bob", DAY)).then([left(successor="bob")])
    gone.when(Leave("eva", tomorrow, None, DAY)).then_nothing()
    # Two were hired, and Eva left twice: 2 + 2.
    after = EMPLOYEES.fold([*STAFF, left(), left(successor="bob")]).items["eva"]
    assert (after.left_version, after.successor, after.keys_of_old) == (
        4,
        "bob",
        frozenset({"key:1"}),
    )


def test_who_left_may_return_without_the_keys_of_old() -> None:
    gone = given(EMPLOYEES, [*STAFF, left(successor="bob")])
    gone.when(Return("eva", DAY)).then([EmployeeReturned(employee="eva")])
    gone.when(Return("eva", DAY, STALE)).then_refused("precondition-failed")
    given(EMPLOYEES, STAFF).when(Return("eva", DAY)).then_nothing()
    back = EMPLOYEES.fold([*STAFF, left(successor="bob"), EmployeeReturned(employee="eva")])
    assert back.works("eva")
    assert back.items["eva"].contract.principals == ()
    assert back.items["eva"].keys_of_old == {"key:1"}


def test_employees_are_found_by_key_and_by_what_they_do_where() -> None:
    staff = EMPLOYEES.fold(STAFF)
    assert staff.of_principal("key:1") == "eva"
    assert staff.of_principal("key:2") is None
    # Eva is of just this branch, Bob of the whole chain.
    assert staff.of_position("administrator", "12") == ["eva", "bob"]
    assert staff.of_position("administrator", "13") == ["bob"]
    staff.require("eva", "responsible")
    gone = EMPLOYEES.fold([*STAFF, left()])
    assert gone.of_position("administrator", "12") == ["bob"]
    assert gone.of_principal("key:1") is None
    for nobody in ("eva", "max"):
        with pytest.raises(Refused):
            gone.require(nobody, "responsible")
    assert subject_of("eva") == "employee-eva"
    assert Employees().works("eva") is False


def test_an_erased_name_is_none_and_the_rest_stays() -> None:
    nameless = hired().model_copy(update={"name": None})
    assert EMPLOYEES.fold([nameless]).items["eva"].contract == replace(EVA, name=None)


def test_only_who_left_is_erased_and_never_returns() -> None:
    erase = EraseEmployee("eva", DAY)
    erased = EmployeeErased(employee="eva")
    given(EMPLOYEES).when(erase).then_refused("not-found")
    given(EMPLOYEES, STAFF).when(erase).then_refused("works-here")
    given(EMPLOYEES, [*STAFF, left()]).when(erase).then([erased])
    gone = given(EMPLOYEES, [*STAFF, left(), erased])
    gone.when(erase).then_nothing()
    gone.when(Return("eva", DAY)).then_refused("erased")
    assert EMPLOYEES.fold([*STAFF, left(), erased]).items["eva"].contract.name is None


def test_neither_takes_events_of_others() -> None:
    with pytest.raises(TypeError):
        BRANCHES.fold([hired()])
    with pytest.raises(TypeError):
        EMPLOYEES.fold([opened()])
