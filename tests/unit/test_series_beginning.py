"""Series that begin on a date, and steps that wait for a click: on memory, at exact moments."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from services.notify.consumers.signs import MESSAGES, entering, topics_of_series
from services.notify.domain import message_id, message_stream
from services.notify.handlers.books.series import SeriesBook
from services.notify.handlers.series.beginning import dates_of
from shared.decider import NewEvent
from shared.events.campaign import Condition, OnDate, OnEntering, OnEvent, OnLeaving
from shared.events.contract import EventData
from shared.events.coupons import CouponRedeemed, ReferralBrought
from shared.events.customer import CustomerChanged, CustomerRegistered
from shared.events.merging import CustomerErased, CustomerMerged
from shared.events.notification import MessageClicked, MessageDelivered, MessageOpened
from shared.events.series import (
    EndStep,
    JourneyEntered,
    JourneyWaiting,
    KnownStep,
    SendStep,
    SeriesDefined,
    WaitEventStep,
    WaitMessageStep,
    WaitStep,
)
from shared.eventstore import Append, StoreUnavailable
from shared.testing import InterceptedStore
from tests.unit.seriesworld import TICK, World, entered_segment, left_segment
from tests.unit.test_series_running import DAY, HOUR, NOW, STEPS, defined, went, world

BIRTHDAY = OnDate(field="birth_date", at="10:00")
TEN = datetime(2018, 1, 8, 10, tzinfo=UTC)
"""The hour of who was born on 8 January, by the chain's clock."""
GREETING = defined(
    SendStep(id="hello", campaign="hello"), WaitStep(id="rest", length="P1D"), entry=BIRTHDAY
)
CLICKED = WaitMessageStep(
    id="click", step="hello", state="clicked", at_most="P3D", otherwise="remind"
)
ASKING: tuple[KnownStep, ...] = (
    STEPS[0],
    CLICKED,
    SendStep(id="thanks", campaign="thanks", next="done"),
    SendStep(id="remind", campaign="remind"),
    EndStep(id="done"),
)


def born(text: str = "1990-01-08", zone: str | None = None) -> CustomerRegistered:
    return CustomerRegistered(birth_date=text, time_zone=zone)


async def entries_of(chain: World, customer: str = "anna") -> list[datetime]:
    """When the customer entered."""
    history = await chain.history(customer)
    return [each.at for each in history if isinstance(each, JourneyEntered)]


async def test_who_has_the_day_begins_at_the_exact_hour_of_the_own_clock() -> None:
    chain = await world(GREETING)
    await chain.person("anna", born())
    await chain.person("chie", born(zone="Asia/Tokyo"))
    await chain.person("dora", born("1990-01-09"))
    await chain.beginnings().look(TEN - TICK)
    assert await chain.history() == []
    chain.until(TEN + 5 * HOUR)
    await chain.beginnings().look(TEN + 5 * HOUR)
    await chain.go_on(TEN + 2 * DAY)
    assert await entries_of(chain) == [TEN]
    # Tokyo is nine hours ahead of UTC.
    assert await entries_of(chain, "chie") == [TEN - 9 * HOUR]
    assert await entries_of(chain, "dora") == []
    (ended,) = [each for each in await chain.history() if each.type == "journey.ended.v1"]
    assert getattr(ended, "at", None) == TEN + DAY
    (said,) = [each for each in await chain.messages() if each.customer == "anna"]
    assert (said.occurrence, said.occurred) == ("welcome/1/hello", TEN)
    stream = (await SeriesBook(chain.store).now())["welcome"].causes[1]
    assert (said.why.correlation, said.why.depth) == (stream.correlation, 2)


@pytest.mark.parametrize(("days", "at"), [(-7, TEN - 6 * DAY), (3, TEN + 3 * DAY)])
async def test_so_many_days_before_and_after(days: int, at: datetime) -> None:
    rule = BIRTHDAY.model_copy(update={"days": days})
    chain = await world(GREETING.model_copy(update={"entry": rule}))
    await chain.person("anna", born("1990-01-09" if days < 0 else "1990-01-08"))
    await chain.beginnings().look(at + DAY)
    assert await entries_of(chain) == [at]


async def test_a_custom_date_once_and_a_year_of_a_registration() -> None:
    rule = OnDate(field="custom.expires", at="10:00", days=-3, yearly=False)
    chain = await world(GREETING.model_copy(update={"entry": rule}))
    await chain.person("anna", CustomerRegistered(custom={"expires": "2018-01-11"}))
    await chain.person("boris", CustomerRegistered(custom={"expires": "2017-01-11"}))
    await chain.beginnings().look(TEN + DAY)
    assert (await entries_of(chain), await entries_of(chain, "boris")) == ([TEN], [])
    rule = OnDate(field="registered", at="10:00")
    chain = await world(GREETING.model_copy(update={"entry": rule}))
    await chain.person("anna", CustomerRegistered())
    year = datetime(2019, 1, 1, 10, tzinfo=UTC)
    await chain.beginnings().look(year - TICK)
    assert await entries_of(chain) == []
    await chain.beginnings().look(year)
    assert await entries_of(chain) == [year]


async def test_a_day_of_before_the_start_of_a_stop_and_of_a_change_lets_nobody_begin() -> None:
    chain = World()
    chain.until(TEN - DAY)
    await chain.begin(GREETING)
    for name, day in (("anna", "06"), ("boris", "09"), ("clara", "12"), ("dora", "11")):
        await chain.person(name, born(f"1990-01-{day}"))
    chain.until(TEN + HOUR)
    await chain.steer("stop")
    chain.until(TEN + 2 * DAY)
    await chain.steer("start")
    chain.until(TEN + 3 * DAY + HOUR)
    await chain.define(GREETING.model_copy(update={"entry": OnEntering(segment="new")}))
    await chain.beginnings().look(TEN + 9 * DAY)
    await chain.go_on(TEN + 9 * DAY)
    found = {name: await entries_of(chain, name) for name in ("anna", "boris", "clara", "dora")}
    assert found == {"anna": [], "boris": [], "clara": [], "dora": [TEN + 3 * DAY]}


async def test_who_is_merged_or_gone_when_the_day_is_looked_at_does_not_begin() -> None:
    chain = await world(GREETING)
    await chain.person("anna", born(), CustomerMerged(merge="m", survivor="boris"))
    await chain.person("boris", born())
    await chain.person("clara", born(), CustomerErased(erase="e", reason="request"))
    await chain.person("dora", born(), CustomerChanged(birth_date="1990-02-08"))
    await chain.beginnings().look(TEN)
    found = {
        name: len(await entries_of(chain, name)) for name in ("anna", "boris", "clara", "dora")
    }
    assert found == {"anna": 0, "boris": 1, "clara": 0, "dora": 0}


async def test_each_year_again_where_that_is_said_and_once_where_not() -> None:
    for reentry, count in (("never", 1), ("ended", 3)):
        chain = await world(GREETING.model_copy(update={"reentry": reentry}))
        await chain.person("anna", born())
        for year in range(3):
            until = TEN.replace(year=2018 + year) + 2 * DAY
            await chain.beginnings().look(until)
            await chain.go_on(until)
        assert len(await entries_of(chain)) == count


async def test_two_workers_and_kills_let_a_journey_begin_once() -> None:
    chain = await world(GREETING)
    names = [f"c-{number}" for number in range(5)]
    for name in names:
        await chain.person(name, born())

    async def killed(_batch: Sequence[Append]) -> None:
        message = "killed"
        raise StoreUnavailable(message)

    with pytest.raises(StoreUnavailable):
        await chain.beginnings(InterceptedStore(chain.store, before=killed)).look(TEN)
    assert not await chain.beginnings().passed("welcome", TEN)
    await asyncio.gather(*(chain.beginnings().look(TEN) for _ in range(3)))
    count = len(chain.store.commits)
    chain.leases = type(chain.leases)(chain.clock)  # as if nothing had been saved
    await chain.beginnings().look(TEN)
    assert len(chain.store.commits) == count
    assert [await entries_of(chain, name) for name in names] == [[TEN]] * 5
    assert await chain.beginnings().passed("welcome", TEN)
    assert not await chain.beginnings().passed("welcome", TEN + TICK)


async def test_what_ends_journeys_waits_until_the_dates_before_it_were_looked_at() -> None:
    chain = await world(GREETING)
    await chain.person("anna", born())
    left = await chain.tell("anna", left_segment("new"), TEN + HOUR)
    readers = chain.readers()
    moving_on = asyncio.ensure_future(readers.move([left]))
    await asyncio.sleep(0)
    assert not moving_on.done()
    await chain.beginnings().look(TEN + HOUR)
    await moving_on
    await chain.go_on(TEN + 2 * DAY)
    assert went(await chain.history()) == [("hello", "sent"), ("end", "exit")]


async def test_what_came_first_begins_it_also_where_it_came_by_another_way() -> None:
    """Until noon by a date, since then by a segment: whichever is read first."""
    for order in ("date", "segment"):
        chain = World()
        await chain.begin(GREETING)
        chain.until(TEN + HOUR)
        by_segment = GREETING.model_copy(update={"entry": OnEntering(segment="new")})
        await chain.define(by_segment)
        await chain.person("anna", born())
        entered = await chain.tell("anna", entered_segment("new"), TEN + 2 * HOUR)
        work: list[Any] = [
            lambda chain=chain: chain.beginnings().look(TEN + 3 * HOUR),
            lambda chain=chain, entered=entered: chain.readers().enter([entered]),
        ]
        for each in work if order == "date" else reversed(work):
            await each()
        # Nobody begins before it is known that nobody began before.
        assert await chain.history() == []
        await chain.go_on(TEN + 3 * HOUR)
        assert await entries_of(chain) == [TEN]


async def clicking(chain: World, kind: Any, at: datetime, number: int = 1) -> None:  # noqa: ANN401 - a type of event
    """Something becomes of the first message, and both readers hear of it."""
    message = message_id("hello", "anna", f"welcome/{number}/hello")
    event = NewEvent(kind(message=message, campaign="hello"), at)
    await chain.read(await chain.happens(message_stream(message), "anna", event, at))


async def asking(*steps: KnownStep, **more: object) -> World:
    chain = await world(defined(*(steps or ASKING), **more))
    await chain.read(await chain.tell("anna", entered_segment("new"), NOW))
    return chain


async def test_a_click_lets_it_go_on_at_its_moment() -> None:
    chain = await asking()
    await chain.go_on(NOW + HOUR)
    standing = await chain.standing()
    assert standing is not None
    assert (standing.step, standing.until, standing.due_at) == (
        "click",
        NOW + 3 * DAY,
        NOW + 3 * DAY,
    )
    await clicking(chain, MessageClicked, NOW + DAY)
    await chain.go_on(NOW + DAY)
    assert went(await chain.history()) == [("hello", "sent")]
    # It is due by itself, not at the end of the wait.
    await chain.go_on(NOW + DAY + TICK)
    assert went(await chain.history())[1:] == [
        ("click", "came"),
        ("thanks", "sent"),
        ("end", "finished"),
    ]
    assert getattr((await chain.history())[-1], "at", None) == NOW + DAY


@pytest.mark.parametrize(
    ("state", "kind", "outcome"),
    [
        ("clicked", MessageOpened, "timed_out"),
        ("opened", MessageOpened, "came"),
        ("opened", MessageClicked, "came"),
        ("delivered", MessageOpened, "came"),
        ("opened", MessageDelivered, "timed_out"),
    ],
)
async def test_what_shows_more_shows_less(state: Any, kind: Any, outcome: str) -> None:  # noqa: ANN401 - a literal, a type
    chain = await asking(ASKING[0], CLICKED.model_copy(update={"state": state}), *ASKING[2:])
    await clicking(chain, kind, NOW + DAY)
    await chain.go_on(NOW + 4 * DAY)
    assert went(await chain.history())[1] == ("click", outcome)


async def test_a_click_after_the_end_of_the_wait_comes_too_late_however_late_that_is_seen() -> None:
    for at, outcome in ((NOW + 3 * DAY, "came"), (NOW + 3 * DAY + TICK, "timed_out")):
        chain = await asking()
        await clicking(chain, MessageClicked, at)
        await chain.go_on(NOW + 9 * DAY)
        assert went(await chain.history())[1] == ("click", outcome)


async def test_who_clicked_before_anybody_waited_for_it_does_not_wait() -> None:
    chain = await asking(ASKING[0], WaitStep(id="rest", length="P1D"), *ASKING[1:])
    await clicking(chain, MessageClicked, NOW + HOUR)
    await chain.go_on(NOW + DAY)
    await chain.go_on(NOW + 2 * DAY)
    assert went(await chain.history())[1:3] == [("rest", "waited"), ("click", "came")]
    waits = [e for e in await chain.history() if isinstance(e, JourneyWaiting) and e.step != "rest"]
    assert waits == []


async def test_a_click_on_the_message_of_another_journey_counts_for_that_alone() -> None:
    chain = await asking(reentry="ended")
    await chain.go_on(NOW + 4 * DAY)
    await chain.read(await chain.tell("anna", entered_segment("new"), NOW + 5 * DAY))
    await chain.go_on(NOW + 5 * DAY + HOUR)
    await clicking(chain, MessageClicked, NOW + 6 * DAY, number=1)
    await chain.go_on(NOW + 7 * DAY)
    assert went(await chain.history())[4:] == [("hello", "sent")]
    await clicking(chain, MessageClicked, NOW + 7 * DAY, number=2)
    await chain.go_on(NOW + 8 * DAY)
    assert went(await chain.history())[5] == ("click", "came")


async def test_clicks_after_the_step_are_not_noted_any_more() -> None:
    chain = await asking(*ASKING[:2], WaitStep(id="rest", length="P9D"), *ASKING[2:])
    await clicking(chain, MessageClicked, NOW + DAY)
    await chain.go_on(NOW + 2 * DAY)
    assert went(await chain.history())[-1] == ("click", "came")
    count = len(chain.store.commits)
    for number in range(5):
        await clicking(chain, MessageClicked, NOW + 3 * DAY + number * HOUR)
    await chain.go_on(NOW + 4 * DAY)
    assert len(chain.store.commits) == count + 5


async def test_a_click_in_a_pause_counts_when_it_is_over_and_after_a_stop_nothing_does() -> None:
    for end, expected in (("resume", ("click", "came")), ("stop", ("end", "stopped"))):
        chain = await asking()
        await chain.go_on(NOW + HOUR)
        chain.until(NOW + 2 * HOUR)
        await chain.steer("pause")
        await clicking(chain, MessageClicked, NOW + DAY)
        await chain.go_on(NOW + DAY + HOUR)
        assert went(await chain.history()) == [("hello", "sent")]
        chain.until(NOW + 2 * DAY)
        await chain.steer(end)
        await chain.go_on(NOW + 3 * DAY)
        assert went(await chain.history())[1] == expected


async def test_an_exit_of_the_same_moment_comes_before_a_click() -> None:
    chain = await asking()
    await chain.read(await chain.tell("anna", left_segment("new"), NOW + DAY))
    await clicking(chain, MessageClicked, NOW + DAY)
    await chain.go_on(NOW + 4 * DAY)
    assert went(await chain.history()) == [("hello", "sent"), ("end", "exit")]


BROUGHT = ReferralBrought(pool="p", code="C", customer="anna", friend="boris", receipt="r")
REDEEMED = CouponRedeemed(pool="p", code="C", customer="anna", receipt="r", total=500)
MUCH = (Condition(field="total", test="at_least", value=500),)


@pytest.mark.parametrize(
    ("event", "where"),
    [(BROUGHT, ()), (REDEEMED, MUCH)],
)
async def test_coupons_and_recommendations_let_it_begin_go_on_and_end(
    event: EventData, where: tuple[Condition, ...]
) -> None:
    sign = OnEvent(event=event.type, where=where)
    waits = WaitEventStep(
        id="came", event=event.type, where=where, at_most="P3D", otherwise="remind"
    )
    chain = await asking(ASKING[0], waits, *ASKING[2:])
    await chain.read(await chain.tell("anna", event, NOW + DAY, topic="n"))
    await chain.go_on(NOW + 4 * DAY)
    assert went(await chain.history())[1] == ("came", "came")
    chain = await asking(exits=(sign,))
    await chain.read(await chain.tell("anna", event, NOW + DAY, topic="n"))
    await chain.go_on(NOW + 2 * DAY)
    assert went(await chain.history())[1] == ("end", "exit")
    chain = await world(defined(STEPS[0], entry=sign))
    record = await chain.tell("anna", event, NOW, topic="n")
    await chain.read(record)
    assert await entries_of(chain) == [NOW]
    entries = list((await SeriesBook(chain.store).now()).values())
    assert [each.customer for _, each in entering(entries, [record])] == ["anna"]


async def test_a_series_that_asks_of_messages_depends_on_this_services_own_topic() -> None:
    async def topics(definition: SeriesDefined) -> Sequence[str]:
        chain = await world(definition)
        (entry,) = (await SeriesBook(chain.store).now()).values()
        return topics_of_series(entry)

    assert MESSAGES in await topics(defined(*ASKING))
    assert MESSAGES in await topics(defined(STEPS[0], entry=OnEvent(event=BROUGHT.type)))
    assert MESSAGES not in await topics(defined(*STEPS))
    assert await topics(GREETING.model_copy(update={"exits": ()})) == ["customer.events.v1"]


async def test_the_dates_of_a_series_are_kept_apart_from_those_of_a_campaign_of_its_name() -> None:
    assert dates_of("welcome") != "dates-series-welcome"
    chain = await world(GREETING.model_copy(update={"exits": (OnLeaving(segment="new"),)}))
    await chain.beginnings().look(TEN)
    assert await chain.beginnings().dates.looked_until("dates-welcome") is None
    assert await chain.beginnings().dates.looked_until(dates_of("welcome")) == TEN


async def test_what_was_noted_and_came_to_nothing_is_passed_over() -> None:
    chain = await asking(ASKING[0], WaitStep(id="rest", length="P2D"), *ASKING[1:])
    await clicking(chain, MessageOpened, NOW + HOUR)
    await clicking(chain, MessageClicked, NOW + 2 * HOUR)
    await chain.go_on(NOW + DAY)
    standing = await chain.standing()
    assert standing is not None
    assert (standing.step, standing.noted, standing.due_at) == ("rest", [], NOW + 2 * DAY)
