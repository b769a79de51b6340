"""What every channel must do, against a provider of its own kind that misbehaves.

What is asked: a receipt never says more than is certain, a hand-over ends by its deadline, and one
message id is one thing for the provider. Cases are in channel_cases.py; the channel that
docs/architecture/channels.md shows is one of them.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.notify.channels import Channel, NotTaken, Outgoing, Receipt, Rejected, Unknown
from tests.contract.channel_cases import CASES, SECRET, Case, Gateway
from tests.contract.shown_channel import SHOWN

AT = datetime(2018, 1, 2, tzinfo=UTC)
MESSAGE = "0b6f3c1e-0000-5000-8000-000000000001"
ALL = (*CASES, SHOWN)

each_case = pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
each_row = pytest.mark.parametrize(
    ("case", "manner"),
    [
        pytest.param(case, manner, id=f"{case.name}: {manner}")
        for case in ALL
        for manner in case.receipts
    ],
)
Up = tuple[Channel, Gateway, Outgoing]


@pytest.fixture
async def up(case: Case) -> AsyncIterator[Up]:
    async with case.up() as (channel, gateway):
        url = getattr(getattr(gateway, "server", None), "url", "")
        yield channel, gateway, outgoing(case.address(url))


def outgoing(address: str, seconds: float = 5.0) -> Outgoing:
    return Outgoing(
        id=MESSAGE,
        address=address,
        subject="Grüße",
        text="Schön, Sie zu sehen.",
        at=AT,
        deadline=asyncio.get_running_loop().time() + seconds,
    )


def soon(message: Outgoing, seconds: float = 0.3) -> Outgoing:
    return replace(message, deadline=asyncio.get_running_loop().time() + seconds)


@each_case
async def test_what_is_accepted_is_there_once(case: Case, up: Up) -> None:
    channel, gateway, message = up
    assert await channel.send(message) == case.accepted
    assert gateway.taken() == 1


@each_row
async def test_the_table_of_the_channel_holds(case: Case, manner: str, up: Up) -> None:
    channel, gateway, message = up
    gateway.behave(manner)
    wanted: Receipt = case.receipts[manner]
    slow = manner == "slow"
    assert await channel.send(soon(message) if slow else message) == wanted
    # Whatever it was, the next message goes out, over a connection that gives no old answers.
    gateway.behave(None)
    assert await channel.send(soon(message, 5.0)) == case.accepted


@each_case
async def test_a_hand_over_ends_by_its_deadline(case: Case, up: Up) -> None:
    channel, gateway, message = up
    gateway.behave("slow")
    began = asyncio.get_running_loop().time()
    assert await channel.send(soon(message)) == Unknown()
    assert 0.25 < asyncio.get_running_loop().time() - began < 2.0
    del case


@each_case
async def test_nothing_is_handed_over_after_the_deadline(case: Case, up: Up) -> None:
    channel, gateway, message = up
    assert await channel.send(soon(message, -1.0)) == NotTaken("late")
    assert gateway.taken() == 0
    del case


@each_case
async def test_a_process_that_was_frozen_hands_nothing_over_when_it_wakes(
    case: Case, up: Up
) -> None:
    channel, gateway, message = up
    for steps in (1, 2, 4):
        sending = asyncio.ensure_future(channel.send(soon(message, 0.1)))
        for _ in range(steps):
            await asyncio.sleep(0)
        time.sleep(0.15)  # noqa: ASYNC251 - the whole process stands still
        assert isinstance(await sending, NotTaken)
    assert gateway.taken() == 0
    del case


@each_case
async def test_a_provider_that_is_not_there_is_certain_to_have_nothing(case: Case) -> None:
    async with case.up() as (_, gone):
        url = getattr(getattr(gone, "server", None), "url", "")
    channel = case.make(url)
    assert await channel.send(outgoing(case.address(url))) == case.absent
    await channel.close()


@each_case
async def test_a_connection_that_was_let_go_is_replaced_unnoticed(case: Case, up: Up) -> None:
    channel, gateway, message = up
    assert await channel.send(message) == case.accepted
    gateway.hang_up()
    # The channel's side hears of it in the next rounds of the loop.
    for _ in range(20):
        await asyncio.sleep(0)
    assert await channel.send(message) == case.accepted
    assert gateway.taken() == 2


@each_case
async def test_the_same_id_is_the_same_thing_for_a_provider_that_tells_by_it(
    case: Case, up: Up
) -> None:
    channel, gateway, message = up
    for manner in ("dropped after accept", None):
        gateway.behave(manner)
        await channel.send(message)
    ids = set(gateway.ids())
    # Who declares to deduplicate hands the id over: the provider can tell by it.
    assert ids == {MESSAGE} or (not ids and channel.deduplicates is None)
    del case


@each_case
async def test_no_more_are_under_way_than_the_channel_declares(case: Case, up: Up) -> None:
    channel, gateway, message = up
    sent = await asyncio.gather(*(channel.send(message) for _ in range(channel.at_once + 5)))
    assert set(sent) == {case.accepted}
    server = getattr(gateway, "server", None)
    most = getattr(server, "most_at_once", None)
    assert (getattr(server, "connections", 0) if most is None else most) <= channel.at_once


@each_case
async def test_the_longest_text_goes_out_and_a_longer_one_does_not(case: Case, up: Up) -> None:
    channel, gateway, message = up
    if channel.longest is None:
        long = replace(message, text="x" * 200_000)
        assert await channel.send(long) == case.accepted
        return
    assert await channel.send(replace(message, text="x" * channel.longest)) == case.accepted
    too_long = replace(message, text="x" * (channel.longest + 1))
    assert await channel.send(too_long) == Rejected("too-long")
    assert gateway.taken() == 1


@pytest.mark.parametrize(
    ("case", "address"),
    [
        pytest.param(case, address, id=f"{case.name}: {number}")
        for case in ALL
        for number, address in enumerate(case.no_addresses)
    ],
)
async def test_what_is_no_address_is_marked_and_never_sent_to(
    case: Case, address: str, up: Up
) -> None:
    channel, gateway, message = up
    refused = await channel.send(replace(message, address=address))
    assert refused == Rejected("unwritable", address=True)
    assert gateway.taken() == 0
    del case


@each_case
async def test_neither_secrets_nor_what_is_personal_show(
    case: Case, up: Up, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    channel, gateway, message = up
    await channel.send(message)
    # What the test's own mail server notes is no matter.
    noted = [each.getMessage() for each in caplog.records if each.name != "mail.log"]
    shown = "\n".join([repr(channel), repr(message), *noted])
    assert SECRET not in shown
    assert message.address not in shown
    del case, gateway


def test_every_channel_has_a_name_of_its_own() -> None:
    names = [case.make("http://127.0.0.1:9").name for case in ALL]
    assert len(set(names)) == len(names)
