"""Coupons through dispatchers on memory twins: no code twice, for the same message the same."""

import asyncio
from collections.abc import Sequence

import pytest

from services.notify.channels import Accepted, NotTaken, Outgoing, Receipt
from services.notify.domain import Stage, message_id
from services.notify.domain.coupons import COUPON, IssueCoupon, coupon_stream, generated
from services.notify.handlers.books.coupon_pools import LISTED_SECONDS, PoolBook
from services.notify.handlers.campaigns.requests import Request, define, start
from services.notify.handlers.coupons.issuing import issue_all
from shared.decider import Refused
from shared.events.campaign import CampaignDefined, Template
from shared.events.coupons import CouponIssued, CouponPoolDefined, Referring
from shared.testing.virtual_time import in_virtual_time
from tests.unit.test_notify_dispatcher import DEFINED, GIVEN, NOW, SECRET, Desk
from tests.unit.test_sending_policy import due

SAYING = Template(subject="For you", text="{{ coupon.code }}")
GENERATED = CouponPoolDefined(pool="spring", title="Spring", codes="generated", prefix="SPRING")
BROUGHT_IN = CouponPoolDefined(pool="spring", title="Cinema", codes="imported")
FRIENDS = CouponPoolDefined(pool="friends", title="F", codes="generated", referring=Referring())


def saying(template: Template = SAYING, coupon: str | None = "spring") -> CampaignDefined:
    return DEFINED.model_copy(update={"template": template, "coupon": coupon})


async def pool(desk: Desk, definition: CouponPoolDefined, *codes: str) -> PoolBook:
    book = PoolBook(desk.writer())
    await book.define(f"pool {definition}", definition, NOW, lambda _version: None)
    if codes:
        await book.add(f"codes {codes}", definition.pool, codes, NOW)
    return book


async def people(desk: Desk, *names: str) -> None:
    for name in names:
        await desk.customer(name, GIVEN)
    await desk.schedule(*names)
    desk.know_all()


def texts(desk: Desk) -> list[str]:
    return [message.text.strip() for message in desk.channel.taken]


def given_out(desk: Desk) -> Sequence[str]:
    """The streams of codes that were given to somebody."""
    streams = sorted({commit.stream for commit in desk.store.commits})
    books = ("coupon-pool-", "coupon-codes-")
    return [each for each in streams if each.startswith("coupon-") and not each.startswith(books)]


async def issued(desk: Desk, code: str) -> CouponIssued | None:
    state, _ = await desk.writer().state(COUPON, coupon_stream(code))
    return state.issued


async def test_each_message_says_a_code_of_its_own_that_is_recorded_with_its_hand_over() -> None:
    desk = await Desk.opened(definition=saying())
    await pool(desk, GENERATED)
    await people(desk, "anna", "boris")
    await (await desk.dispatcher()).step()
    first, second = texts(desk)
    assert first.startswith("SPRING-")
    assert first != second
    assert set(given_out(desk)) == {coupon_stream(first), coupon_stream(second)}
    told = await issued(desk, first)
    assert told is not None
    assert (told.pool, told.campaign, told.message) == (
        "spring", DEFINED.campaign, desk.channel.taken[0].id
    )  # fmt: skip


@pytest.mark.parametrize("definition", [GENERATED, BROUGHT_IN])
@in_virtual_time
async def test_a_message_that_is_tried_again_by_another_process_says_the_same(
    definition: CouponPoolDefined,
) -> None:
    answers: list[Receipt] = [NotTaken("refused"), Accepted()]

    async def answer(_message: Outgoing) -> Receipt:
        return answers.pop(0)

    desk = await Desk.opened(answer, definition=saying())
    brought_in = definition is BROUGHT_IN
    await pool(desk, definition, *(("ONE-1", "TWO-2", "THREE-3") if brought_in else ()))
    await people(desk, "anna")
    await (await desk.dispatcher()).step()
    await desk.fold()
    desk.know_all()
    await (await desk.dispatcher()).step()
    one, other = texts(desk)
    assert one == other
    assert given_out(desk) == [coupon_stream(one)]
    assert await desk.stages() == [Stage.SENT]


@in_virtual_time
async def test_codes_that_were_brought_in_go_to_one_message_each_by_two_dispatchers() -> None:
    desk = await Desk.opened(definition=saying())
    codes = [f"CINEMA-{number:04}" for number in range(30)]
    await pool(desk, BROUGHT_IN, *codes)
    await people(desk, *(f"c{number:02}" for number in range(25)))
    first, second = await desk.dispatcher(), await desk.dispatcher()
    while len(desk.channel.taken) < 25:
        await asyncio.gather(first.step(), second.step())
        await desk.fold()
        await asyncio.sleep(1)
        desk.know_all()
    said = texts(desk)
    # 25 messages, 25 codes, each as it was brought in.
    assert len(said) == len(set(said)) == 25
    assert set(said) <= set(codes)
    assert set(given_out(desk)) == {coupon_stream(code) for code in said}


@in_virtual_time
async def test_a_message_waits_while_its_pool_is_empty_and_goes_when_codes_come() -> None:
    desk = await Desk.opened(definition=saying())
    book = await pool(desk, BROUGHT_IN, "ONLY-ONE")
    await people(desk, "anna", "boris")
    dispatcher = await desk.dispatcher()
    await dispatcher.step()
    assert texts(desk) == ["ONLY-ONE"]
    assert sorted(await desk.stages()) == [Stage.SCHEDULED, Stage.SENT]
    assert await book.add("more", "spring", ["ONE-MORE", "only one"], NOW) == 1
    await asyncio.sleep(LISTED_SECONDS + 1)
    await dispatcher.buckets.tend()
    desk.know_all()
    await dispatcher.step()
    assert texts(desk) == ["ONLY-ONE", "ONE-MORE"]


async def test_who_gets_no_message_burns_no_code() -> None:
    held_out = saying().model_copy(update={"holdout_percent": 100})
    desk = await Desk.opened(definition=held_out)
    await pool(desk, GENERATED)
    await people(desk, "anna")
    await (await desk.dispatcher()).step()
    assert await desk.stages() == [Stage.HELD_OUT]
    assert given_out(desk) == []


async def test_a_pool_whose_time_is_over_gives_nothing_and_the_message_is_not_sent() -> None:
    desk = await Desk.opened(definition=saying())
    await pool(desk, GENERATED.model_copy(update={"valid_until": NOW}))
    await people(desk, "anna")
    await (await desk.dispatcher()).step()
    assert await desk.reasons() == ["template_error"]
    assert given_out(desk) == []


async def test_the_last_day_is_said_as_the_customer_writes_dates() -> None:
    template = Template(subject="For you", text="{{ coupon.valid_until | date: 'medium' }}")
    desk = await Desk.opened(definition=saying(template))
    await pool(desk, GENERATED.model_copy(update={"valid_for": "P14D"}))
    await people(desk, "anna")
    await (await desk.dispatcher()).step()
    # 2 January and 14 days.
    assert texts(desk) == ["Jan 16, 2018"]


async def test_words_that_say_no_code_take_none() -> None:
    desk = await Desk.opened(definition=saying(Template(subject="Hello", text="Come back")))
    await pool(desk, GENERATED)
    await people(desk, "anna")
    await (await desk.dispatcher()).step()
    assert (texts(desk), given_out(desk)) == (["Come back"], [])


@in_virtual_time
async def test_a_code_that_another_has_already_is_passed_over() -> None:
    desk = await Desk.opened(definition=saying())
    await pool(desk, GENERATED)
    await people(desk, "anna")
    # The code that her message would have is somebody else's.
    message = message_id(DEFINED.campaign, "anna", "lapsed@1")
    code = generated(SECRET, "spring", message, GENERATED.letters, prefix="SPRING")
    told = CouponIssued(pool="spring", code=code, customer="zoe", occasion="elsewhere")
    await issue_all(desk.writer(), [IssueCoupon(told, NOW)])
    dispatcher = await desk.dispatcher()
    await dispatcher.step()
    assert texts(desk) == []
    await asyncio.sleep(2)
    desk.know_all()
    await dispatcher.step()
    (said,) = texts(desk)
    assert said == generated(SECRET, "spring", message, GENERATED.letters, prefix="SPRING", turn=1)
    assert await issued(desk, code) == told


async def test_a_customer_recommends_by_one_code_in_all_campaigns() -> None:
    template = Template(subject="Tell your friends", text="{{ referral.code }}")
    desk = await Desk.opened(definition=saying(template, None))
    await pool(desk, FRIENDS)
    second = saying(template, None).model_copy(update={"campaign": "again"})
    writer = desk.writer()
    await define(writer, Request("d2", "d2", NOW), second, lambda _version: None)
    await start(writer, Request("s2", "s2", NOW), "again")
    await desk.customer("anna", GIVEN)
    await due(desk, DEFINED.campaign, "anna")
    await due(desk, "again", "anna")
    desk.know_all()
    await (await desk.dispatcher()).step()
    one, other = texts(desk)
    assert one == other
    assert given_out(desk) == [coupon_stream(one)]
    told = await issued(desk, one)
    assert told is not None
    assert (told.customer, told.referring, told.occasion) == ("anna", True, "anna")


async def test_words_that_say_a_code_without_a_pool_are_refused() -> None:
    desk = await Desk.opened()
    with pytest.raises(Refused) as refused:
        await define(
            desk.writer(), Request("d3", "d3", NOW), saying(coupon=None), lambda _version: None
        )
    assert [error.field for error in refused.value.errors] == ["coupon"]


async def test_there_is_one_pool_of_codes_to_recommend_by() -> None:
    desk = await Desk.opened()
    await pool(desk, FRIENDS)
    with pytest.raises(Refused, match="referring-twice"):
        await pool(desk, FRIENDS.model_copy(update={"pool": "others"}))
