"""Codes of coupons, pools, and one coupon: pure, and told by what goes in and what comes out."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given as every
from hypothesis import strategies as st

from services.notify.domain.coupons import (
    BLOCK,
    COUPON,
    POOL,
    AddCodes,
    DefinePool,
    IssueCoupon,
    RedeemCoupon,
    ReturnRedemption,
    added_claim,
    coupon_stream,
    generated,
    is_mistyped,
    normal,
    valid_until,
)
from services.notify.domain.coupons.codes import LETTERS
from services.notify.domain.coupons.coupon import TAKEN, Coupon, issue
from shared.decider import Refused
from shared.events.coupons import (
    CouponCodesAdded,
    CouponIssued,
    CouponPoolDefined,
    CouponRedeemed,
    CouponRedemptionReturned,
    Referring,
)
from shared.eventstore import Claim
from shared.testing.specification import given

SECRET = b"s" * 32
NOW = datetime(2018, 1, 2, 12, tzinfo=UTC)
POOLED = CouponPoolDefined(pool="spring", title="Spring", codes="generated", valid_for="P14D")
ISSUED = CouponIssued(
    pool="spring", code="SPRING-K7QM", customer="anna", occasion="m1", campaign="c",
    valid_until=NOW + timedelta(days=14),
)  # fmt: skip
BOUGHT = RedeemCoupon("r1", 1299, "anna", NOW)
REDEEMED = CouponRedeemed(
    pool="spring", code="SPRING-K7QM", customer="anna", receipt="r1", total=1299, by="anna",
    campaign="c",
)  # fmt: skip


def test_a_code_follows_from_its_pool_and_occasion_and_from_the_secret() -> None:
    one = generated(SECRET, "spring", "m1", 8, prefix="SPRING")
    assert one == generated(SECRET, "spring", "m1", 8, prefix="SPRING")
    letters = one.removeprefix("SPRING-")
    # Eight letters and the one that checks them.
    assert len(letters) == 9
    assert set(letters) <= set(LETTERS)
    others = {
        generated(SECRET, "spring", "m2", 8),
        generated(SECRET, "autumn", "m1", 8),
        generated(b"t" * 32, "spring", "m1", 8),
        generated(SECRET, "spring", "m1", 8, turn=1),
    }
    assert len(others | {letters}) == 5


@every(occasion=st.text(), at=st.integers(0, 8), letter=st.sampled_from(LETTERS))
def test_a_wrong_letter_and_two_that_changed_places_are_found(
    occasion: str, at: int, letter: str
) -> None:
    code = generated(SECRET, "spring", occasion, 8)
    assert not is_mistyped(code)
    wrong = code[:at] + letter + code[at + 1 :]
    assert is_mistyped(wrong) == (wrong != code)
    swapped = code[:at] + code[at : at + 2][::-1] + code[at + 2 :]
    assert is_mistyped(swapped) == (swapped != code)


def test_a_code_is_the_same_however_it_is_written() -> None:
    assert normal(" spring-k7 qm ") == "SPRINGK7QM" == normal("SPRINGK7QM")
    assert coupon_stream("spring-k7qm") == "coupon-SPRINGK7QM"
    assert [normal(each) for each in ("A-1", "№", "x" * 41, "КУПОН1")] == [None] * 4
    with pytest.raises(ValueError, match="no code"):
        coupon_stream("?")
    assert is_mistyped("SPRING")  # I is none of the letters


def test_the_last_day_counts_whole_on_the_clock_of_the_chain() -> None:
    riga = ZoneInfo("Europe/Riga")
    # 2 January, 14:00 in Riga; 14 days later is the 16th, which ends at 22:00 UTC.
    assert valid_until(POOLED, NOW, riga) == datetime(2018, 1, 16, 22, tzinfo=UTC)
    end = datetime(2018, 1, 10, tzinfo=UTC)
    both = POOLED.model_copy(update={"valid_until": end})
    assert valid_until(both, NOW, riga) == end
    assert valid_until(POOLED.model_copy(update={"valid_for": None}), NOW, riga) is None


def test_a_pool_is_defined_once_and_changed_by_who_has_seen_it() -> None:
    seen: list[int] = []
    given(POOL).when(DefinePool(POOLED, NOW)).then([POOLED])
    given(POOL, [POOLED]).when(DefinePool(POOLED, NOW, seen.append)).then_nothing()
    other = POOLED.model_copy(update={"title": "Spring 2018"})
    given(POOL, [POOLED]).when(DefinePool(other, NOW, seen.append)).then([other])
    assert seen == [1]


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"pool": "Spring"}, "name"),
        ({"title": " "}, "title"),
        ({"valid_for": "P1M"}, "valid_for"),
        ({"prefix": "spring"}, "prefix"),
        ({"uses": 1_000_001}, "uses"),
        ({"codes": "imported", "prefix": "A"}, "prefix"),
        ({"codes": "imported", "referring": Referring()}, "codes"),
    ],
)
def test_what_is_wrong_with_a_pool_is_named(change: dict[str, object], wrong: str) -> None:
    definition = POOLED.model_copy(update=change)
    given(POOL).when(DefinePool(definition, NOW)).then_refused("invalid", wrong)


def test_where_codes_come_from_and_what_they_are_for_stays() -> None:
    for change in ({"codes": "imported"}, {"referring": Referring()}):
        other = POOLED.model_copy(update=change)
        given(POOL, [POOLED]).when(DefinePool(other, NOW)).then_refused("pool-fixed")


def test_codes_are_brought_in_once_in_whatever_pool_and_however_written() -> None:
    claims = {added_claim("OLD1"): Claim(added_claim("OLD1"), "another", 1)}
    codes = ("new-1", "NEW 1", "old1", "New2")
    asked = AddCodes("partner", codes, NOW, claims)
    assert asked.claim_ids == sorted(map(added_claim, ("NEW1", "NEW2", "OLD1")))
    given(BLOCK).when(asked).then([CouponCodesAdded(pool="partner", codes=("new-1", "New2"))])
    given(BLOCK).when(AddCodes("partner", ("old1",), NOW, claims)).then_nothing()
    given(BLOCK).when(AddCodes("partner", (), NOW)).then_refused("invalid", "codes")
    given(BLOCK).when(AddCodes("partner", ("good", "?"), NOW)).then_refused("invalid", "codes.1")


def test_a_code_is_given_once_and_again_only_for_the_same_occasion() -> None:
    command = IssueCoupon(ISSUED, NOW)
    assert [event.data for event in issue(command, Coupon())] == [ISSUED]
    assert issue(command, Coupon(issued=ISSUED)) == ()
    other = ISSUED.model_copy(update={"occasion": "m2"})
    with pytest.raises(Refused) as refused:
        issue(IssueCoupon(other, NOW), Coupon(issued=ISSUED))
    assert (refused.value.type, refused.value.extra) == (TAKEN, {"occasion": "m2"})


def test_a_code_is_redeemed_once_and_a_return_makes_it_good_again() -> None:
    given(COUPON).when(BOUGHT).then_nothing()
    given(COUPON, [ISSUED]).when(BOUGHT).then([REDEEMED])
    again = RedeemCoupon("r2", 1, "boris", NOW)
    given(COUPON, [ISSUED, REDEEMED]).when(BOUGHT).then_nothing()
    given(COUPON, [ISSUED, REDEEMED]).when(again).then_nothing()
    back = CouponRedemptionReturned(
        pool="spring", code="SPRING-K7QM", customer="anna", receipt="r1", campaign="c"
    )
    given(COUPON, [ISSUED, REDEEMED]).when(ReturnRedemption("r1", NOW)).then([back])
    given(COUPON, [ISSUED, REDEEMED]).when(ReturnRedemption("r9", NOW)).then_nothing()
    given(COUPON, [ISSUED]).when(ReturnRedemption("r1", NOW)).then_nothing()
    # 12.98 of 12.99 came back: something was bought by the coupon.
    part, whole = ReturnRedemption("r1", NOW, 1298), ReturnRedemption("r1", NOW, 1299)
    given(COUPON, [ISSUED, REDEEMED]).when(part).then_nothing()
    given(COUPON, [ISSUED, REDEEMED]).when(whole).then([back])
    later = REDEEMED.model_copy(update={"receipt": "r2", "total": 1, "by": "boris"})
    given(COUPON, [ISSUED, REDEEMED, back]).when(again).then([later])


def test_a_code_may_be_good_for_several_receipts_and_a_late_one_is_said_to_be() -> None:
    twice = ISSUED.model_copy(update={"uses": 2})
    second = RedeemCoupon("r2", 1, None, NOW + timedelta(days=14))
    late = REDEEMED.model_copy(update={"receipt": "r2", "total": 1, "by": None, "late": True})
    given(COUPON, [twice, REDEEMED]).when(second).then([late])
    third = RedeemCoupon("r3", 1, None, NOW)
    given(COUPON, [twice, REDEEMED, late]).when(third).then_nothing()


def test_nobody_redeems_the_code_that_he_recommends_by_and_others_do_without_end() -> None:
    own = ISSUED.model_copy(update={"referring": True, "valid_until": None})
    given(COUPON, [own]).when(BOUGHT).then_nothing()
    used = REDEEMED.model_copy(update={"by": "boris"})
    third = RedeemCoupon("r3", 1, "clara", NOW)
    redeemed = REDEEMED.model_copy(update={"receipt": "r3", "total": 1, "by": "clara"})
    given(COUPON, [own, used]).when(third).then([redeemed])
