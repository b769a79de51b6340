"""When something is tried again: each provider by itself, as long as it asks, never all at once."""

import asyncio
from datetime import UTC, datetime

import pytest

from services.notify.channels import Accepted, NotTaken, Receipt, Rejected, Unknown
from services.notify.domain import Stage
from services.notify.handlers.sending.pacing import Pacing
from services.notify.projections import QueuedMessage
from shared.testing.virtual_time import in_virtual_time

NOW = datetime(2018, 1, 2, tzinfo=UTC)
AWAY = NotTaken("away")


def pacing(*, spread: float = 0.0) -> Pacing:
    """Without chance, unless it is what is asked about."""
    return Pacing(random=lambda: spread)


def message(name: str = "m1", refusals: int = 0) -> QueuedMessage:
    return QueuedMessage(
        id=name,
        campaign="c",
        customer="anna",
        occurrence="o",
        channel="push",
        bucket=1,
        turn="1",
        due="1",
        recorded=NOW,
        scheduled_at=NOW,
        changed_at=NOW,
        stage=Stage.SENDING,
        correlation="x",
        depth=1,
        refusals=refusals,
    )


async def rest_of(found: Pacing, provider: str) -> float:
    """Seconds until the provider may be tried, which it then is."""
    began = asyncio.get_running_loop().time()
    while not found.admits(provider):
        await asyncio.sleep(0.125)
    return asyncio.get_running_loop().time() - began


@in_virtual_time
async def test_a_provider_that_is_away_rests_twice_as_long_each_time_up_to_a_minute() -> None:
    found = pacing()
    rests = []
    for _ in range(8):
        found.note(message(), AWAY, "fcm")
        rests.append(await rest_of(found, "fcm"))
    assert rests == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize("receipt", [Accepted(), Rejected("x"), NotTaken("refused")])
@in_virtual_time
async def test_any_word_of_a_provider_ends_its_rests(receipt: Receipt) -> None:
    found = pacing()
    for _ in range(4):
        found.note(message(), Unknown(), "fcm")
        await rest_of(found, "fcm")
    found.note(message(), receipt, "fcm")
    assert await rest_of(found, "fcm") == 0
    found.note(message(), AWAY, "fcm")
    assert await rest_of(found, "fcm") == 1


@in_virtual_time
async def test_what_fails_at_one_provider_is_no_other_ones_fault() -> None:
    found = pacing()
    found.note(message(), AWAY, "fcm")
    assert (found.admits("fcm"), found.admits("webpush")) == (False, True)


@in_virtual_time
async def test_after_a_rest_one_message_tries_the_provider() -> None:
    found = pacing()
    found.note(message(), AWAY, "fcm")
    await rest_of(found, "fcm")
    # The next may go when that one has an answer, or a rest later.
    assert not found.admits("fcm")
    await asyncio.sleep(1)
    assert found.admits("fcm")


@in_virtual_time
async def test_a_provider_rests_for_as_long_as_it_asks_but_not_for_ever() -> None:
    for asked, rest in ((35.0, 35.0), (0.5, 1.0), (1e9, 3600.0), (-5.0, 1.0)):
        found = pacing()
        found.note(message(), NotTaken("away", "429", asked), "telegram")
        assert await rest_of(found, "telegram") == rest


@in_virtual_time
async def test_the_longest_that_is_asked_for_counts_of_what_failed_together() -> None:
    found = pacing()
    for asked in (None, 20.0, 5.0, None):
        found.note(message(), NotTaken("away", "429", asked), "telegram")
    assert await rest_of(found, "telegram") == 20


@in_virtual_time
async def test_a_refused_message_waits_longer_each_time_or_as_long_as_is_asked() -> None:
    loop = asyncio.get_running_loop()
    for refusals, asked, wait in ((0, None, 1), (3, None, 8), (12, None, 300), (1, 50.0, 50)):
        found = pacing()
        began = loop.time()
        found.note(message("m1", refusals), NotTaken("refused", "451", asked), "email")
        while not found.is_due("m1"):
            await asyncio.sleep(0.5)
        assert loop.time() - began == wait


@in_virtual_time
async def test_waits_are_spread_so_that_what_failed_together_comes_back_apart() -> None:
    # Half as long again at the most.
    for spread, rest in ((0.0, 10.0), (0.5, 12.5), (1.0, 15.0)):
        found = pacing(spread=spread)
        found.note(message(), NotTaken("away", "503", 10.0), "sms")
        assert await rest_of(found, "sms") == rest


@in_virtual_time
async def test_no_more_begin_within_any_second_than_the_channel_declares() -> None:
    found = pacing()
    loop = asyncio.get_running_loop()
    begun: list[float] = []
    while len(begun) < 40:
        if found.admits("telegram", 7.0):
            begun.append(loop.time())
        await asyncio.sleep(0.0625)
    for at in begun:
        assert sum(at <= other < at + 1 for other in begun) <= 7
    # And as many as it declares: 40 take little more than 40 / 7 seconds.
    assert begun[-1] - begun[0] < 6.5


@in_virtual_time
async def test_a_limit_below_one_a_second_is_kept_too() -> None:
    found = pacing()
    loop = asyncio.get_running_loop()
    began = loop.time()
    begun: list[float] = []
    while len(begun) < 3:
        if found.admits("sms", 0.25):
            begun.append(loop.time() - began)
        await asyncio.sleep(0.5)
    assert begun == [0, 4, 8]
