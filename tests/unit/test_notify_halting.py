"""A stop, a pause and a no, while a batch of slow hand-overs is under way: nothing begins after."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Literal

import pytest

from services.notify.channels import Accepted, Outgoing, Receipt
from services.notify.channels.turns import Turns
from services.notify.domain import Stage
from services.notify.domain.preference import preferences_stream
from services.notify.domain.series import Course, Series, Turn
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.books.series import SeriesEntry
from services.notify.handlers.campaigns.requests import Request, pause, resume, stop
from services.notify.handlers.sending.halting import Halts
from services.notify.projections import QueuedMessage
from services.notify.projections.queue import queued
from shared.decider import NewEvent
from shared.envelope import Causation
from shared.events.notification import MessageScheduled
from shared.events.preferences import PreferenceWithdrawn
from shared.eventstore import StoreUnavailable
from shared.testing import InterceptedStore
from shared.testing.facts import tell
from shared.testing.virtual_time import at_once, in_virtual_time
from tests.unit.test_notify_dispatcher import CAMPAIGN, DEFINED, GIVEN, NOW, Desk

AT_ONCE, SECONDS, RECIPIENTS = 4, 0.25, 40
"""A mail server like many, of some distance: 40 mails take it 40 / 4 * 0.25 = 2.5 seconds."""
STRUCK = 0.6
"""When somebody strikes: in the midst of a mail, three of ten fours are through or begun."""


class Server:
    """Takes four mails at once, each in its time; `begun` is when each began, by the loop's."""

    def __init__(self) -> None:
        self.turns = Turns(AT_ONCE)
        self.begun: list[tuple[float, str]] = []

    async def __call__(self, message: Outgoing) -> Receipt:
        async with self.turns.turn(message.deadline):
            self.begun.append((asyncio.get_running_loop().time(), message.address))
            await asyncio.sleep(SECONDS)
        return Accepted()


Strike = Callable[[Desk], Awaitable[object]]


async def struck(server: Server, strike: Strike) -> tuple[Desk, float]:
    """A batch, struck in the midst of it; gives when."""
    desk = await Desk.opened(server)
    desk.channel.at_once = AT_ONCE
    names = [f"c{number:03d}" for number in range(RECIPIENTS)]
    for name in names:
        await desk.customer(name, GIVEN)
    await desk.schedule(*names)
    desk.know_all()
    dispatcher = await desk.dispatcher()

    async def striking() -> float:
        await asyncio.sleep(STRUCK)
        await strike(desk)
        return asyncio.get_running_loop().time()

    at = asyncio.ensure_future(striking())
    await dispatcher.step()
    return desk, await at


async def stopping(desk: Desk) -> None:
    await stop(desk.writer(), Request("stop", "stop", NOW), CAMPAIGN)


async def pausing(desk: Desk) -> None:
    await pause(desk.writer(), Request("pause", "pause", NOW), CAMPAIGN)


@pytest.mark.parametrize("strike", [stopping, pausing])
def test_nothing_of_a_batch_is_handed_over_later_than_a_second_after_it_was_halted(
    strike: Strike,
) -> None:
    server = Server()

    async def test() -> None:
        desk, at = await struck(server, strike)
        late = [moment - at for moment, _ in server.begun if moment > at + 1]
        assert (len(server.begun) < RECIPIENTS, late) == (True, [])
        # What was not begun is as before, and nothing of it is in doubt.
        stages = await desk.stages()
        assert stages.count(Stage.SENT) == len(server.begun)
        assert stages.count(Stage.SCHEDULED) == RECIPIENTS - len(server.begun)

    at_once(test())


def test_what_a_stop_has_halted_is_suppressed_and_what_a_pause_has_goes_on() -> None:
    server = Server()

    async def after(strike: Strike, *more: Strike) -> list[str | None]:
        desk, _ = await struck(server, strike)
        for each in more:
            await each(desk)
        await asyncio.sleep(2)
        dispatcher = await desk.dispatcher()
        while await dispatcher.step():
            await desk.fold()
        return await desk.reasons()

    async def resuming(desk: Desk) -> None:
        await resume(desk.writer(), Request("resume", "resume", NOW), CAMPAIGN)

    async def test() -> None:
        begun = len(server.begun)
        reasons = await after(stopping)
        assert reasons.count("campaign_stopped") == RECIPIENTS - (len(server.begun) - begun)
        begun = len(server.begun)
        assert set(await after(pausing, resuming)) <= {None, "late"}
        assert len(server.begun) - begun == RECIPIENTS

    at_once(test())


def test_a_no_by_a_link_acts_on_what_waits_for_its_turn() -> None:
    server = Server()
    last = f"c{RECIPIENTS - 1:03d}"

    async def refusing(desk: Desk) -> None:
        no = PreferenceWithdrawn(
            customer=last, topic="marketing", channel="email", source="one-click"
        )
        event = NewEvent(no, desk.clock.moment)
        await tell(desk.writer(), preferences_stream(last), last, [event])

    async def test() -> None:
        await struck(server, refusing)
        assert f"{last}@x.example" not in {address for _, address in server.begun}
        assert len(server.begun) == RECIPIENTS - 1

    at_once(test())


# --- What stands in the way -----------------------------------------------------------------------

State = Literal["running", "paused", "stopped"]


def waiting(campaign: str = CAMPAIGN, occurrence: str = "lapsed@1") -> QueuedMessage:
    """A message that waits for its turn."""
    message = "0b6f3c1e-0000-5000-8000-000000000001"
    scheduled = MessageScheduled(
        message=message, campaign=campaign, occurrence=occurrence, channel="email"
    )
    return queued(message, scheduled, "anna", at=NOW, recorded=NOW, why=Causation("c"))


@in_virtual_time
async def test_the_end_of_a_campaign_acts_to_the_millisecond() -> None:
    ending = DEFINED.model_copy(update={"end": NOW + timedelta(hours=1)})
    desk = await Desk.opened(definition=ending)
    halts = Halts(CampaignBook(desk.store), desk.clock)
    desk.clock.advance(timedelta(hours=1) - timedelta(milliseconds=1))
    assert not await halts.of(waiting())
    desk.clock.advance(timedelta(milliseconds=1))
    assert await halts.of(waiting())


@pytest.mark.parametrize(
    ("state", "halted"), [("running", False), ("paused", True), ("stopped", True)]
)
async def test_a_series_halts_its_steps(state: State, halted: bool) -> None:  # noqa: FBT001 - a parameter of the test
    later = NOW + timedelta(milliseconds=1)
    course = Course(turns=(Turn(NOW - timedelta(days=1), "running"), Turn(later, state)))
    entry = SeriesEntry("welcome", Series(state=state), course)

    async def series() -> Mapping[str, SeriesEntry]:
        return {"welcome": entry}

    desk = await Desk.opened()
    halts = Halts(CampaignBook(desk.store), desk.clock, series)
    assert await halts.of(waiting(occurrence="welcome/1/hello")) == halted
    # Nobody else is kept back by it.
    assert not await halts.of(waiting())


async def test_nothing_stands_in_the_way_of_what_an_employee_wrote() -> None:
    desk = await Desk.opened()
    halts = Halts(CampaignBook(desk.store), desk.clock)
    assert not await halts.of(waiting(campaign="written/1", occurrence="written"))


@in_virtual_time
async def test_what_cannot_be_told_keeps_it_back() -> None:
    class Away(CampaignBook):
        """Its store does not answer."""

        async def _read(self) -> None:
            raise StoreUnavailable

    desk = await Desk.opened()
    assert await Halts(Away(desk.store), desk.clock).of(waiting())


@in_virtual_time
async def test_campaigns_are_asked_four_times_a_second_however_many_wait() -> None:
    desk = await Desk.opened()
    store = InterceptedStore(desk.store)
    halts = Halts(CampaignBook(store), desk.clock)
    for _ in range(100):
        await halts.of(waiting())
        await asyncio.sleep(0.01)
    # A second in hundredths: at 0.00, 0.26, 0.52 and 0.78.
    assert store.questions.count("names") == 4
