"""Budgets of branches: in messages and in money, exact however many dispatchers count."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.notify.channels import Accepted, Outgoing, Receipt, Rejected, Unknown
from services.notify.domain.branch_budget import (
    BRANCH_BUDGETS,
    BRANCH_SPENDING,
    Amount,
    BranchPurse,
    BranchSpent,
    DefineBranchBudgets,
    Period,
    counting,
    page_stream,
    period_of,
)
from services.notify.domain.budget import PAGE_EVENTS
from services.notify.handlers.budgets.branches import BranchBudgetBook, BranchSpending
from services.notify.handlers.budgets.campaigns import Budgets
from services.notify.handlers.deciding.charging import Charge, Tariff
from services.notify.handlers.sending.dispatcher import Dispatcher
from shared.decider import Decider, Refused
from shared.events.budgets import (
    Allowance,
    BranchBudget,
    BranchBudgetsDefined,
    BranchSpendingContinued,
    BranchSpendingCounted,
)
from shared.events.campaign import Budget, CampaignDefined, Template
from shared.events.customer import (
    ConsentGiven,
    CustomerChanged,
    Evidence,
    Identifier,
    IdentifierAdded,
)
from shared.eventstore import Append, EventStore, StoreUnavailable
from shared.testing import InterceptedStore, given
from tests.unit.test_notify_dispatcher import CAMPAIGN, DEFINED, NOW, Desk, answering
from tests.unit.test_sending_policy import until, work

Json = Any
BRANCH = "b-1"
DAY = timedelta(days=1)
BY_SMS = ConsentGiven(topic="marketing", channel="sms", evidence=Evidence(source="till"))
PEOPLE = [f"customer-{number:02}" for number in range(12)]
THREE_SEGMENTS = "x" * 320
"""Two messages hold 306 septets, so it takes a third."""


def of_branch(text: str = "Come back", **more: Json) -> CampaignDefined:
    template = Template(subject="Hello", text=text)
    change = {"channel": "sms", "branch": BRANCH, "template": template, **more}
    return DEFINED.model_copy(update=change)


async def opened(
    *people: str, definition: CampaignDefined | None = None, **budget: Allowance
) -> Desk:
    desk = await Desk.opened(definition=definition or of_branch())
    if budget:
        await limit(desk, BranchBudget(branch=BRANCH, **budget))
    await arrive(desk, *people)
    return desk


async def limit(desk: Desk, *budgets: BranchBudget) -> None:
    definition = BranchBudgetsDefined(budgets=budgets)
    book = BranchBudgetBook(desk.writer())
    await book.define(f"b{definition!r}", definition, NOW, lambda _version: None)


async def arrive(desk: Desk, *people: str) -> None:
    for number, name in enumerate(people):
        phone = Identifier(
            kind="phone", hash=f"p-{name}", epoch=1, value=f"+4930{number:03}{len(name):03}"
        )
        await desk.customer(name, BY_SMS, IdentifierAdded(identifier=phone), email=False)
    await desk.schedule(*people)
    desk.know_all()


async def at_work(desk: Desk, store: EventStore | None = None) -> Dispatcher:
    return await desk.dispatcher(store, channels={"sms": desk.channel}, tariff=Tariff(7))


async def finish(desk: Desk) -> None:
    """Let fresh dispatchers work until nothing moves any more."""
    before = -1
    while len(desk.store.commits) != before:
        before = len(desk.store.commits)
        await work(desk, await at_work(desk))


async def spent(desk: Desk) -> BranchSpent:
    return await BranchSpending(desk.writer(), UTC).spent(BRANCH)


async def test_no_more_than_a_branch_may_goes_out_in_its_name_and_the_rest_says_so() -> None:
    desk = await opened(*PEOPLE[:5], per_day=Allowance(messages=3))
    await finish(desk)
    assert len(desk.channel.taken) == 3
    reasons = await desk.reasons()
    assert (reasons.count(None), reasons.count("budget")) == (3, 2)


async def test_money_is_counted_in_segments_and_never_overdrawn() -> None:
    definition = of_branch(THREE_SEGMENTS)
    desk = await opened(*PEOPLE[:4], definition=definition, per_month=Allowance(cost=50))
    await finish(desk)
    # Three segments at 7 are 21: two messages are 42, and the third would make 63.
    assert len(desk.channel.taken) == 2
    assert (await spent(desk)).this_month == Amount(2, 42)
    assert (await desk.reasons()).count("budget") == 2


async def test_what_costs_less_still_fits_where_something_longer_does_not() -> None:
    first_longer = "{% if customer.name == 'Customer-00' %}" + "x" * 200 + "{% else %}Hi{% endif %}"
    definition = of_branch(first_longer)
    desk = await opened(*PEOPLE[:2], definition=definition, per_day=Allowance(cost=13))
    await finish(desk)
    assert [message.text for message in desk.channel.taken] == ["Hi"]


async def test_several_dispatchers_at_once_never_spend_more() -> None:
    desk = await opened(*PEOPLE, per_day=Allowance(messages=7, cost=10_000))
    await work(desk, *[await at_work(desk) for _ in range(3)])
    await finish(desk)
    assert len(desk.channel.taken) == 7
    assert (await spent(desk)).today == Amount(7, 49)


async def test_what_reached_nobody_is_given_back_to_the_others() -> None:
    desk = await opened(*PEOPLE[:4], per_day=Allowance(cost=14))
    refused: list[str] = []

    async def refuses_two(message: Outgoing) -> Receipt:
        if len(refused) < 2:
            refused.append(message.address)
            return Rejected("550")
        return Accepted("r")

    desk.channel.answer = refuses_two
    await finish(desk)
    # Two were refused for good, so two others went out.
    assert (len(desk.channel.taken), (await spent(desk)).today) == (4, Amount(2, 14))


async def test_one_of_which_nobody_can_tell_stays_counted() -> None:
    desk = await opened(*PEOPLE[:2], per_day=Allowance(messages=1))
    desk.channel.answer = answering(Unknown())
    await finish(desk)
    assert (len(desk.channel.taken), (await spent(desk)).today) == (1, Amount(1, 7))


async def test_a_day_that_is_used_up_leaves_the_next_one_its_own() -> None:
    desk = await opened("anna", "boris", per_day=Allowance(messages=1))
    await finish(desk)
    await desk.customer("clara", BY_SMS)
    until(desk, NOW + DAY)
    await arrive(desk, "clara")
    await finish(desk)
    assert len(desk.channel.taken) == 2
    state = await spent(desk)
    assert (state.today, state.this_month) == (Amount(1, 7), Amount(2, 14))


async def test_service_messages_keep_to_no_budget_of_a_branch_and_take_nothing_of_it() -> None:
    definition = of_branch(purpose="service")
    desk = await opened("anna", "boris", definition=definition, per_day=Allowance(messages=1))
    await finish(desk)
    assert (len(desk.channel.taken), (await spent(desk)).today) == (2, Amount())


async def test_what_goes_in_the_name_of_the_home_branch_counts_there() -> None:
    definition = of_branch(branch=None, home_sender=True)
    desk = await opened(definition=definition, per_day=Allowance(messages=1))
    for name, home in (("anna", BRANCH), ("boris", BRANCH), ("clara", "b-2")):
        await desk.customer(name, CustomerChanged(home_branch=home), email=False)
    await arrive(desk, "anna", "boris", "clara")
    await finish(desk)
    # One of the two of the branch; the other branch has no budget.
    assert len(desk.channel.taken) == 2
    assert (await desk.reasons())[2] is None


async def test_what_the_branch_has_no_room_for_goes_back_into_the_campaign_s_budget() -> None:
    """Two dispatchers see room for one each; who comes second gives the campaign its own back."""
    definition = of_branch(budget=Budget(messages=10))
    desk = await opened("anna", definition=definition, per_day=Allowance(messages=1))
    rival, overtaken = BranchSpending(desk.writer(), UTC), list[bool]()

    async def overtakes(appends: Sequence[Append]) -> None:
        if not overtaken and any("branch-budget" in each.commit.stream for each in appends):
            overtaken.append(True)
            before = await rival.spent(BRANCH)
            after = before.counted(Amount(1, 7))
            events = counting(BRANCH, 1, before, after, amount=Amount(1, 7), at=NOW)
            assert await rival._pages.append(BRANCH, events)  # noqa: SLF001 - a rival of the kind

    store = InterceptedStore(desk.store, before=overtakes)
    await (await at_work(desk, store)).step()
    assert desk.channel.taken == []
    assert (await Budgets(desk.writer(), UTC).spent(CAMPAIGN)).messages == 0
    await finish(desk)
    assert await desk.reasons() == ["budget"]


async def test_a_batch_of_any_size_is_counted_by_one_append_of_a_branch() -> None:
    desk = await opened(*PEOPLE, per_day=Allowance(messages=100))
    before = len(desk.store.commits)
    await (await at_work(desk)).step()
    made = [each for each in desk.store.commits[before:] if each.stream.startswith("branch-budget")]
    assert [len(each.events) for each in made] == [1]


async def test_without_budgets_nothing_is_counted() -> None:
    desk = await opened("anna")
    await finish(desk)
    assert await desk.store.names("branch-budget-") == []


async def test_a_hand_over_says_what_it_costs() -> None:
    desk = await opened("anna", definition=of_branch(THREE_SEGMENTS))
    await finish(desk)
    (began,) = [text for each in desk.store.commits for text in each.events if '"attempt"' in text]
    assert '"segments":3' in began
    assert '"cost":21' in began


async def test_a_batch_whose_append_failed_is_counted_once() -> None:
    """Nobody knows whether it got in: it may not take the budget twice."""
    desk = await opened("anna", "boris", per_day=Allowance(messages=2))
    failing = [True]

    async def fails_for_long(appends: Sequence[Append]) -> None:
        if failing and any("message.sending" in str(each.commit.events) for each in appends):
            text = "gone"
            raise StoreUnavailable(text)

    dispatcher = await at_work(desk, InterceptedStore(desk.store, before=fails_for_long))
    with pytest.raises(StoreUnavailable):
        await dispatcher.step()
    failing.clear()
    await work(desk, dispatcher)
    assert len(desk.channel.taken) == 2
    assert (await spent(desk)).today == Amount(2, 14)


async def test_what_cannot_be_given_back_stays_counted() -> None:
    desk = await opened("anna", per_day=Allowance(messages=2))
    desk.channel.answer = answering(Rejected("550"))
    counted: list[str] = []

    async def counts_once(appends: Sequence[Append]) -> None:
        if any(each.commit.stream.startswith("branch-budget") for each in appends):
            counted.append("once")
            if len(counted) > 1:
                text = "gone"
                raise StoreUnavailable(text)

    await (await at_work(desk, InterceptedStore(desk.store, before=counts_once))).step()
    assert (await spent(desk)).today == Amount(1, 7)


async def test_pages_follow_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.notify.domain.budget.PAGE_EVENTS", 2)
    desk = await opened(per_day=Allowance(messages=5))
    for name in PEOPLE[:7]:
        await arrive(desk, name)
        await work(desk, await at_work(desk))
    assert len(desk.channel.taken) == 5
    assert list(await desk.store.names("branch-budget-")) == [
        page_stream(BRANCH, number) for number in (1, 2, 3)
    ]


def test_an_sms_costs_its_segments_and_nothing_else_costs_anything() -> None:
    assert Tariff(7).of("sms", THREE_SEGMENTS) == Charge(3, 21)
    assert Tariff().of("sms", "Привет") == Charge(1, None)
    assert Tariff(7).of("email", "Hello") == Charge()


def test_days_and_months_are_those_of_the_chain_s_calendar() -> None:
    at = datetime(2018, 1, 31, 23, 30, tzinfo=UTC)
    assert period_of(at, UTC) == Period("2018-01-31", "2018-01")
    assert period_of(at, ZoneInfo("Europe/Berlin")) == Period("2018-02-01", "2018-02")


JANUARY = Period("2018-01-31", "2018-01")
FEBRUARY = Period("2018-02-01", "2018-02")
SEEN = BranchSpent(3, JANUARY, Amount(4, 28), Amount(9, 63))


def test_a_new_day_and_a_new_month_begin_at_nothing_and_a_clock_behind_counts_to_the_later() -> (
    None
):
    assert SEEN.by(FEBRUARY) == BranchSpent(3, FEBRUARY, Amount(), Amount())
    next_day = SEEN.by(Period("2018-01-31", "2018-01"))
    assert next_day == SEEN
    later = BranchSpent(3, FEBRUARY, Amount(1, 7), Amount(1, 7))
    assert later.by(JANUARY) == later


def test_what_comes_back_later_makes_no_room_in_another_day_or_month() -> None:
    same = SEEN.returned(Amount(1, 7), JANUARY)
    assert (same.today, same.this_month) == (Amount(3, 21), Amount(8, 56))
    day_before = SEEN.returned(Amount(1, 7), Period("2018-01-30", "2018-01"))
    assert (day_before.today, day_before.this_month) == (Amount(4, 28), Amount(8, 56))
    assert SEEN.returned(Amount(1, 7), Period("2017-12-31", "2017-12")) == SEEN


def test_a_look_waits_while_what_the_batch_takes_may_come_back() -> None:
    budget = BranchBudget(branch=BRANCH, per_day=Allowance(messages=5))
    purse = BranchPurse(budget, SEEN, held={"held"})
    assert purse.affords("m-1", 7) is True
    purse.take("m-1", 7)
    assert purse.affords("m-2", 7) is None
    assert purse.affords("held", 7) is True
    purse.put_back("m-1", 7)
    assert purse.affords("m-2", 7) is True
    purse.take("held", 7)
    assert purse.affords("m-2", 7) is True
    full = BranchPurse(budget, SEEN.counted(Amount(1, 7)))
    assert full.affords("m-1", 7) is False


def test_a_full_page_is_closed_by_the_first_count_of_the_next() -> None:
    full = BranchSpent(PAGE_EVENTS, JANUARY)
    one = Amount(1, 7)
    events = counting(BRANCH, 7, full, full.counted(one), amount=one, at=NOW)
    assert list(events) == [page_stream(BRANCH, 8), page_stream(BRANCH, 7)]
    (closing,) = events[page_stream(BRANCH, 7)]
    assert closing.data == BranchSpendingContinued(branch=BRANCH, page=8)
    (said,) = events[page_stream(BRANCH, 8)]
    assert isinstance(said.data, BranchSpendingCounted)
    state = BRANCH_SPENDING.fold([said.data])
    assert (state.today, state.this_month, state.period) == (one, one, JANUARY)


def defining(*budgets: BranchBudget) -> DefineBranchBudgets:
    return DefineBranchBudgets(BranchBudgetsDefined(budgets=budgets), NOW)


FIVE = BranchBudget(branch=BRANCH, per_day=Allowance(messages=5))


def test_budgets_are_defined_as_a_whole_and_the_same_again_changes_nothing() -> None:
    definition = BranchBudgetsDefined(budgets=(FIVE,))
    given(BRANCH_BUDGETS).when(defining(FIVE)).then([definition])
    given(BRANCH_BUDGETS, [definition]).when(defining(FIVE)).then_nothing()
    given(BRANCH_BUDGETS, [definition]).when(defining()).then([BranchBudgetsDefined()])
    assert BRANCH_BUDGETS.fold([definition]).by == {BRANCH: FIVE}


@pytest.mark.parametrize(
    ("budgets", "field"),
    [
        ([FIVE, FIVE], "budgets.1.branch"),
        ([BranchBudget(branch="b")], "budgets.0"),
        ([BranchBudget(branch="b", per_month=Allowance())], "budgets.0.per_month"),
        ([BranchBudget(branch="b", per_day=Allowance(cost=0))], "budgets.0.per_day.cost"),
        ([FIVE.model_copy(update={"branch": str(n)}) for n in range(2_001)], "budgets"),
    ],
)
def test_a_budget_that_is_none_is_refused_by_its_field(
    budgets: Sequence[BranchBudget], field: str
) -> None:
    with pytest.raises(Refused) as refusal:
        BRANCH_BUDGETS.decide(defining(*budgets), BRANCH_BUDGETS.initial())
    assert [each.field for each in refusal.value.errors] == [field]


def test_whoever_has_not_seen_what_stands_changes_nothing() -> None:
    def refuses(_version: int) -> None:
        raise Refused("stale", 412, "Somebody has changed it.")

    standing = BRANCH_BUDGETS.fold([BranchBudgetsDefined(budgets=(FIVE,))])
    command = DefineBranchBudgets(BranchBudgetsDefined(), NOW, refuses)
    with pytest.raises(Refused):
        BRANCH_BUDGETS.decide(command, standing)


@pytest.mark.parametrize("decider", [BRANCH_BUDGETS, BRANCH_SPENDING])
def test_there_are_no_other_events(decider: Decider[Json, Json]) -> None:
    with pytest.raises(TypeError, match="no event"):
        decider.evolve(decider.initial(), BY_SMS)
