"""Budgets: never one more than they have, however many dispatchers count, and whatever fails."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.channels import Accepted, NotTaken, Outgoing, Receipt, Rejected
from services.notify.domain import Facts, Hold, Knowledge, Reject, Wait, Way, verdict
from services.notify.domain.budget import (
    BUDGET,
    PAGE_EVENTS,
    Queueing,
    Spent,
    check_budget,
    counting,
    page_stream,
    times_of,
)
from services.notify.handlers.budgets.campaigns import Budgets
from shared.decider import Refused
from shared.events.budgets import BudgetContinued, BudgetCounted
from shared.events.campaign import Budget, CampaignDefined
from shared.eventstore import Append, StoreUnavailable
from shared.testing import InterceptedStore
from tests.unit.test_notify_dispatcher import CAMPAIGN, DEFINED, GIVEN, NOW, WITHDRAWN, Desk
from tests.unit.test_sending_policy import addresses, until, work

MINUTE = timedelta(minutes=1)
KNOWN = Knowledge(NOW, NOW - MINUTE, NOW)
PEOPLE = [f"customer-{number:02}" for number in range(12)]


def budgeted(**budget: int) -> CampaignDefined:
    return DEFINED.model_copy(update={"budget": Budget(**budget)})


async def opened(*people: str, **budget: int) -> Desk:
    desk = await Desk.opened(definition=budgeted(**budget))
    for name in people:
        await desk.customer(name, GIVEN)
    await desk.schedule(*people)
    desk.know_all()
    return desk


async def spent(desk: Desk) -> Spent:
    return await Budgets(desk.writer(), UTC).spent(CAMPAIGN)


async def test_no_more_than_the_budget_goes_out_and_the_rest_says_so() -> None:
    desk = await opened(*PEOPLE[:5], messages=3)
    await work(desk)
    assert len(desk.channel.taken) == 3
    reasons = await desk.reasons()
    assert (reasons.count(None), reasons.count("budget")) == (3, 2)


async def test_several_dispatchers_at_once_never_send_one_more() -> None:
    desk = await opened(*PEOPLE, messages=7)
    dispatchers = [await desk.dispatcher() for _ in range(3)]
    await work(desk, *dispatchers)
    await work(desk)
    assert len(desk.channel.taken) == 7
    assert (await spent(desk)).messages == 7


async def test_what_reached_nobody_is_given_back_to_the_others() -> None:
    desk = await opened(*PEOPLE[:4], messages=2)
    refused: list[str] = []

    async def refuses_two(message: Outgoing) -> Receipt:
        if len(refused) < 2:
            refused.append(message.address)
            return Rejected("550")
        return Accepted("r")

    desk.channel.answer = refuses_two
    await work(desk)
    # Two were refused for good, so two others went out.
    assert (len(desk.channel.taken), (await spent(desk)).messages) == (4, 2)


async def test_what_is_tried_again_counts_once() -> None:
    desk = await opened("anna", messages=1)
    answers: list[Receipt] = [NotTaken("away"), Accepted("r")]

    async def away_at_first(_message: Outgoing) -> Receipt:
        return answers.pop(0)

    desk.channel.answer = away_at_first
    await (await desk.dispatcher()).step()
    assert (await spent(desk)).messages == 0
    await work(desk, await desk.dispatcher())
    assert (answers, (await spent(desk)).messages) == ([], 1)


async def test_a_batch_whose_append_failed_is_counted_once() -> None:
    """Nobody knows whether it got in: it may not take the budget twice."""
    desk = await opened("anna", "boris", messages=2)
    failing = [True]

    async def fails_for_long(appends: Sequence[Append]) -> None:
        if failing and any("message.sending" in str(each.commit.events) for each in appends):
            text = "gone"
            raise StoreUnavailable(text)

    store = InterceptedStore(desk.store, before=fails_for_long)
    dispatcher = await desk.dispatcher(store)
    with pytest.raises(StoreUnavailable):
        await dispatcher.step()
    failing.clear()
    await work(desk, dispatcher)
    assert len(desk.channel.taken) == 2
    assert (await spent(desk)).messages == 2


async def test_what_a_minute_has_no_place_for_waits_for_one_that_has() -> None:
    desk = await opened(*PEOPLE[:5], per_minute=2)
    await work(desk)
    assert len(desk.channel.taken) == 2
    # It is three seconds past midnight: the next minutes take two each.
    waits = sorted(raw["until"] for raw in desk.queue.everything() if raw.get("until"))
    assert waits == [NOW + MINUTE, NOW + MINUTE, NOW + 2 * MINUTE]
    assert {raw["reason"] for raw in desk.queue.everything() if raw.get("until")} == {"pace"}
    until(desk, NOW + MINUTE)
    await work(desk)
    assert len(desk.channel.taken) == 4
    until(desk, NOW + 2 * MINUTE)
    await work(desk)
    assert len(desk.channel.taken) == 5


async def test_a_day_is_one_of_the_calendar_of_the_chain() -> None:
    desk = await opened("anna", "boris", per_day=1)
    berlin = ZoneInfo("Europe/Berlin")
    await work(desk, await desk.dispatcher(zone=berlin))
    # One in the morning in Berlin: the next day begins at 23:00 UTC.
    (waiting,) = [raw for raw in desk.queue.everything() if raw.get("until")]
    assert waiting["until"] == NOW + timedelta(hours=23)
    until(desk, NOW + timedelta(hours=23))
    await work(desk, await desk.dispatcher(zone=berlin))
    assert len(desk.channel.taken) == 2


async def test_dispatchers_keep_to_the_pace_together() -> None:
    desk = await opened(*PEOPLE, per_minute=4)
    for minute in range(4):
        until(desk, NOW + minute * MINUTE + timedelta(seconds=5))
        await work(desk, *[await desk.dispatcher() for _ in range(2)])
        assert len(desk.channel.taken) <= 4 * (minute + 1)
    assert len(set(addresses(desk))) == len(PEOPLE)


async def test_who_would_be_too_old_by_then_expires() -> None:
    definition = budgeted(per_day=1).model_copy(update={"max_age": "PT1H"})
    desk = await Desk.opened(definition=definition)
    for name in ("anna", "boris"):
        await desk.customer(name, GIVEN)
    await desk.schedule("anna", "boris")
    desk.know_all()
    await work(desk)
    assert sorted(str(reason) for reason in await desk.reasons()) == ["None", "expired"]


async def test_a_batch_of_any_size_is_counted_by_one_append() -> None:
    desk = await opened(*PEOPLE, messages=100)
    before = len(desk.store.commits)
    await (await desk.dispatcher()).step()
    counted = [each for each in desk.store.commits[before:] if each.stream.startswith("budget-")]
    assert [len(each.events) for each in counted] == [1]


async def test_pages_follow_one_another_and_only_the_last_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.notify.domain.budget.PAGE_EVENTS", 2)
    desk = await Desk.opened(definition=budgeted(messages=5))
    for name in PEOPLE[:8]:
        await desk.customer(name, GIVEN)
        await desk.schedule(name)
        desk.know_all()
        await work(desk)
    assert len(desk.channel.taken) == 5
    assert list(await desk.store.names("budget-")) == [
        page_stream(CAMPAIGN, number) for number in (1, 2, 3)
    ]
    assert (await spent(desk)).messages == 5


async def test_who_has_an_old_page_in_mind_goes_on_to_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.notify.domain.budget.PAGE_EVENTS", 1)
    desk = await opened("anna", messages=3)
    slow, quick = await desk.dispatcher(), await desk.dispatcher()
    await work(desk, slow)
    for name in ("boris", "clara"):
        await desk.customer(name, GIVEN)
        await desk.schedule(name)
        desk.know_all()
        await work(desk, slow if name == "clara" else quick)
    await desk.customer("dora", GIVEN)
    await desk.schedule("dora")
    desk.know_all()
    await work(desk, quick)
    assert len(desk.channel.taken) == 3


FACTS = Facts(known=True, ways=(Way("email", contact="h"),))


def test_the_verdict_waits_while_the_last_of_the_budget_may_come_back() -> None:
    assert verdict(replace(FACTS, spent=True), KNOWN) == Reject("budget")
    assert verdict(replace(FACTS, spent=None), KNOWN) == Wait()
    paced = replace(FACTS, paced_until=NOW + MINUTE)
    assert verdict(paced, KNOWN) == Hold(NOW + MINUTE, "pace")


def test_a_clock_that_is_behind_counts_to_the_later_minute() -> None:
    at = datetime(2018, 1, 2, 12, 0, 30, tzinfo=UTC)
    seen = Spent(1, 10, "2018-01-03", 4, at + MINUTE, 3)
    late = seen.by(times_of(at, UTC))
    assert (late.day, late.today, late.minute, late.this_minute) == (
        "2018-01-03",
        4,
        at + MINUTE,
        3,
    )


def test_a_new_minute_and_a_new_day_begin_at_nothing() -> None:
    at = datetime(2018, 1, 2, 12, 0, tzinfo=UTC)
    seen = Spent(1, 10, "2018-01-02", 4, at, 3)
    later = seen.by(times_of(at + MINUTE, UTC))
    assert (later.messages, later.today, later.this_minute) == (10, 4, 0)
    tomorrow = seen.by(times_of(at + timedelta(days=1), UTC))
    assert (tomorrow.messages, tomorrow.today, tomorrow.this_minute) == (10, 0, 0)


def test_a_full_page_is_closed_by_the_first_count_of_the_next() -> None:
    full = Spent(PAGE_EVENTS, 10, "", 0, None, 0).by(times_of(NOW, UTC))
    events = counting("c", 7, full, full.counted(2), NOW)
    (first, second) = events
    assert (first, second) == (page_stream("c", 8), page_stream("c", 7))
    assert [each.data for each in events[second]] == [BudgetContinued(campaign="c", page=8)]
    (said,) = events[first]
    assert isinstance(said.data, BudgetCounted)
    assert (said.data.count, said.data.messages) == (2, 12)
    assert BUDGET.fold([said.data]).messages == 12


def test_a_budget_has_no_other_events() -> None:
    with pytest.raises(TypeError, match="no event"):
        BUDGET.evolve(Spent(), GIVEN)


@given(
    per_minute=st.integers(1, 5),
    per_day=st.integers(1, 12),
    waiting=st.integers(1, 30),
)
def test_places_are_given_in_order_and_no_minute_or_day_has_more_than_it_may(
    per_minute: int, per_day: int, waiting: int
) -> None:
    budget = Budget(per_minute=per_minute, per_day=per_day)
    now = times_of(NOW, UTC)
    full = Spent(1, 0, now.day, min(per_minute, per_day), now.minute, min(per_minute, per_day))
    queueing, places = Queueing(), []
    for _ in range(waiting):
        places.append(queueing.place(budget, full, now, UTC))
        queueing.take()
    assert places == sorted(places)
    assert places[0] > NOW
    for place in places:
        assert places.count(place) <= per_minute
        same_day = [each for each in places if each.date() == place.date()]
        already = full.today if place.date() == NOW.date() else 0
        assert len(same_day) + already <= per_day


def test_a_budget_that_limits_nothing_is_refused() -> None:
    with pytest.raises(Refused):
        check_budget(Budget())
    check_budget(Budget(per_day=1))


async def test_a_count_that_nobody_lets_through_waits_its_turn() -> None:
    """Others are faster for ever: nothing goes out, and nothing is lost."""
    desk = await opened("anna", messages=50)
    rival = Budgets(desk.writer(), UTC)

    async def overtakes(appends: Sequence[Append]) -> None:
        if any(each.commit.stream.startswith("budget-") for each in appends):
            await rival.spent(CAMPAIGN)
            await rival._count(CAMPAIGN, Budget(), 1)  # noqa: SLF001 - a rival of the same kind

    store = InterceptedStore(desk.store, before=overtakes)
    await (await desk.dispatcher(store)).step()
    assert desk.channel.taken == []


@pytest.mark.parametrize("pace", ["per_minute", "per_day"])
async def test_what_comes_back_later_makes_no_room_in_another_minute_or_day(pace: str) -> None:
    """Two are counted at 23:59:58 and reach nobody: by then the next day has its own two."""
    desk = await opened("anna", "boris", **{pace: 2})
    until(desk, NOW + timedelta(days=1) - timedelta(seconds=2))
    rival, refused = await desk.dispatcher(), list[str]()

    async def two_more(*names: str) -> None:
        for name in names:
            await desk.customer(name, GIVEN)
        await desk.schedule(*names)
        until(desk, desk.clock.moment + timedelta(seconds=3))
        await work(desk, rival)

    async def refuses_two_past_midnight(message: Outgoing) -> Receipt:
        if len(refused) == 2:
            return Accepted("r")
        refused.append(message.address)
        if len(refused) == 2:
            await two_more("clara", "dora")
        return Rejected("550")

    desk.channel.answer = refuses_two_past_midnight
    await work(desk, await desk.dispatcher())
    assert len(desk.channel.taken) == 4
    await two_more("eva", "fay")
    assert len(desk.channel.taken) == 4
    assert (await spent(desk)).messages == 2


async def test_what_was_counted_and_never_begins_is_given_back() -> None:
    """The append failed, and by the next look the customer gets nothing any more."""
    desk = await opened("anna", messages=1)
    failing = [True]

    async def fails_for_long(appends: Sequence[Append]) -> None:
        if failing and any("message.sending" in str(each.commit.events) for each in appends):
            text = "gone"
            raise StoreUnavailable(text)

    store = InterceptedStore(desk.store, before=fails_for_long)
    dispatcher = await desk.dispatcher(store)
    with pytest.raises(StoreUnavailable):
        await dispatcher.step()
    assert (await spent(desk)).messages == 1
    failing.clear()
    await desk.customer("anna", WITHDRAWN)
    desk.know_all()
    await work(desk, dispatcher)
    assert desk.channel.taken == []
    assert (await spent(desk)).messages == 0
