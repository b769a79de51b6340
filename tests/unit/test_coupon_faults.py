"""Codes while the store fails before and after appends, and dispatchers are replaced at random."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from services.notify.channels import Accepted, NotTaken, Outgoing, Receipt, Unknown
from services.notify.domain.coupons import COUPON, coupon_stream
from shared.events.coupons import CouponPoolDefined
from shared.eventstore import Append, StoreUnavailable
from shared.testing import InterceptedStore
from shared.testing.virtual_time import in_virtual_time
from tests.unit.test_notify_coupons import (
    BROUGHT_IN,
    GENERATED,
    given_out,
    people,
    pool,
    saying,
)
from tests.unit.test_notify_dispatcher import Desk

PEOPLE = 12


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("definition", [GENERATED, BROUGHT_IN])
@in_virtual_time
async def test_each_message_keeps_its_code_and_no_code_has_two_customers(
    definition: CouponPoolDefined, seed: int
) -> None:
    chance = random.Random(seed)

    async def fails(_appends: Sequence[Append]) -> None:
        if chance.random() < 0.3:
            message = "away"
            raise StoreUnavailable(message)

    async def answer(_message: Outgoing) -> Receipt:
        answers: list[Receipt] = [Accepted(), Accepted(), NotTaken("refused"), Unknown()]
        return chance.choice(answers)

    desk = await Desk.opened(answer, definition=saying())
    codes = [f"CINEMA-{number:04}" for number in range(3 * PEOPLE)]
    await pool(desk, definition, *(codes if definition is BROUGHT_IN else ()))
    await people(desk, *(f"c{number:02}" for number in range(PEOPLE)))
    for _ in range(25):
        store = InterceptedStore(desk.store, before=fails, after=fails)
        both = [await desk.dispatcher(store) for _ in range(2)]
        steps = [asyncio.ensure_future(each.step()) for each in both]
        # Whoever waits for the store with its results is cut off, as by a kill.
        await asyncio.wait(steps, timeout=chance.uniform(0, 3))
        for step in steps:
            step.cancel()
        await asyncio.gather(*steps, return_exceptions=True)
        await desk.fold()
        desk.know_all()
    said: dict[str, set[str]] = {}
    for message in desk.channel.taken:
        said.setdefault(message.id, set()).add(message.text.strip())
    assert len(said) > PEOPLE // 2
    # However often a message was tried, it said one code, and each its own.
    assert all(len(each) == 1 for each in said.values())
    told = [code for each in said.values() for code in each]
    assert len(set(told)) == len(told)
    for message_id, (code,) in ((key, tuple(each)) for key, each in said.items()):
        state, _ = await desk.writer().state(COUPON, coupon_stream(code))
        assert state.issued is not None
        assert state.issued.message == message_id
    # Nothing is given out but to messages whose hand-over began, one code to each.
    states = [(await desk.writer().state(COUPON, stream))[0] for stream in given_out(desk)]
    owners = [state.issued.occasion for state in states if state.issued is not None]
    assert len(set(owners)) == len(owners) == len(given_out(desk)) <= PEOPLE
