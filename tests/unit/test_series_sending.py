"""What a series has to say of its messages is heard at the moment of sending."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

import pytest

from services.notify.domain import Stage
from services.notify.domain.series import Course, Series, Turn
from services.notify.handlers.books.series import SeriesEntry
from services.notify.handlers.campaigns.scheduling import Occasion, schedule
from services.notify.handlers.deciding.stepping import Steps
from services.notify.projections import QueuedMessage
from services.notify.projections.journeys import JourneyDocument, journey_key
from shared.envelope import Causation
from tests.unit.test_notify_dispatcher import CAMPAIGN, GIVEN, NOW, Desk

State = Literal["running", "paused", "stopped"]
LATER = NOW + timedelta(milliseconds=1)


def steps(state: State, journey: str = "open", number: int = 1) -> Steps:
    """The series stands so since the message was due, and the customer on a journey."""
    course = Course(turns=(Turn(NOW - timedelta(days=1), "running"), Turn(LATER, state)))
    document = JourneyDocument(
        id=journey_key("welcome", "anna"),
        series="welcome",
        customer="anna",
        state=journey,
        number=number,
        correlation="c",
        cause="e",
        depth=1,
    )
    entry = SeriesEntry("welcome", Series(state=state), course)
    return Steps({"welcome": entry}, {document.id: document})


@pytest.mark.parametrize(
    ("known", "stage", "reason"),
    [
        (steps("running"), Stage.SENT, None),
        (steps("running", "finished"), Stage.SENT, None),
        (steps("running", "exit", number=2), Stage.SENT, None),
        (steps("running", "exit"), Stage.SUPPRESSED, "condition"),
        (steps("running", "merged"), Stage.SUPPRESSED, "condition"),
        (steps("stopped"), Stage.SUPPRESSED, "campaign_stopped"),
        (steps("paused"), Stage.SCHEDULED, None),
    ],
)
async def test_a_message_goes_out_as_its_series_allows(
    known: Steps, stage: Stage, reason: str | None
) -> None:
    async def look(_messages: Sequence[QueuedMessage]) -> Steps:
        return known

    desk = await Desk.opened()
    await desk.customer("anna", GIVEN)
    why = Causation("c", "journey@2", 2)
    occasion = Occasion(CAMPAIGN, "anna", "welcome/1/hello", "email", why, NOW)
    await schedule(desk.writer(), [occasion])
    await desk.fold()
    desk.know_all()
    dispatcher = await desk.dispatcher(steps=look)
    for _ in range(2):
        await dispatcher.step()
    assert (await desk.stages(), await desk.reasons()) == ([stage], [reason])
    assert len(desk.channel.taken) == (stage is Stage.SENT)
