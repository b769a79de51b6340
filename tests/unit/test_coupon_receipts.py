"""Receipts and coupons on memory: redeemed once, good after a return, both sides told."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.notify.consumers.receipts import react
from services.notify.domain.coupons import COUPON, IssueCoupon, coupon_stream
from services.notify.handlers.coupons.issuing import issue_all
from services.notify.projections.coupons import COUPONS, GivenCoupon
from services.notify.queries.coupons import CouponCounts, GivenCoupons
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.contract import EventData
from shared.events.coupons import CouponIssued, ReferralBrought, ReferralCame
from shared.events.interaction import (
    ReceiptLine,
    ReceiptRecorded,
    ReceiptReturned,
    ReceiptVoided,
)
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import MemoryDocuments, MemoryEventStore, MemoryKeyStore, MemoryParking
from shared.projector import Folder
from shared.testing import DAY
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import records_of, tell

KEYRING = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))


class Shop:
    """A till, and the notification service that reads what it says."""

    def __init__(self) -> None:
        self.clock = ManualClock(DAY)
        self.store, self.facts = MemoryEventStore(), MemoryEventStore()
        self.writer = Writer(self.store, KEYRING, self.clock, "notify")
        self.till = Writer(self.facts, KEYRING, self.clock, "interaction")
        self.documents = MemoryDocuments()

    async def given(self, code: str, customer: str, **more: object) -> None:
        about = {"pool": "spring", "code": code, "customer": customer, "occasion": code}
        told = CouponIssued.model_validate({**about, **more})
        await issue_all(self.writer, [IssueCoupon(told, self.clock.moment)])

    async def told(self, customer: str, *events: EventData) -> None:
        """A fact of a customer, read by the service: twice, as after a crash."""
        read = len(self.facts.commits)
        new = [NewEvent(event, self.clock.moment, "riga-1") for event in events]
        await tell(self.till, f"interaction-{customer}", customer, new)
        records = records_of(self.facts.commits[read:], self.clock.moment)
        for _ in range(2):
            await react(self.writer, records)

    async def uses(self, code: str) -> list[str]:
        state, _ = await self.writer.state(COUPON, coupon_stream(code))
        return sorted(state.uses)

    async def read(self) -> None:
        """Let the read model have everything."""
        folder = Folder(COUPONS, self.documents, MemoryParking(), KEYRING)
        coupons = [each for each in self.store.commits if each.stream.startswith("coupon-")]
        await folder.fold(records_of(coupons, self.clock.moment))

    def happened(self) -> Sequence[str]:
        return [commit.stream for commit in self.store.commits]


def receipt(fact: str, *codes: str, total: int = 1000) -> ReceiptRecorded:
    line = ReceiptLine(product="milk", quantity=Decimal(1), amount=total)
    return ReceiptRecorded(
        fact=fact, source="pos", source_id=fact, total=total, coupon_lines=0, lines=(line,),
        coupons=codes or None,
    )  # fmt: skip


def returned(fact: str, total: int) -> ReceiptReturned:
    return ReceiptReturned(
        fact=f"{fact}-back-{total}", source="pos", source_id=f"{fact}-{total}", receipt=fact,
        bought=DAY, total=total, lines=(),
    )  # fmt: skip


async def test_a_code_on_a_receipt_is_redeemed_however_it_is_written_and_once() -> None:
    shop = Shop()
    await shop.given("SPRING-K7QM", "anna")
    await shop.told("anna", receipt("r1", "spring k7qm", "SPRING-K7QM", "unknown", "?"))
    await shop.told("boris", receipt("r2", "SPRING-K7QM"))
    assert await shop.uses("SPRING-K7QM") == ["r1"]
    assert [each for each in shop.happened() if "UNKNOWN" in each] == []


async def test_what_comes_back_whole_makes_the_code_good_again() -> None:
    shop = Shop()
    await shop.given("AAAA", "anna")
    await shop.given("BBBB", "anna")
    await shop.told("anna", receipt("r1", "AAAA", "BBBB"))
    await shop.told("anna", returned("r1", 999))
    assert await shop.uses("AAAA") == ["r1"]
    await shop.told("anna", returned("r1", 1000))
    assert [await shop.uses(code) for code in ("AAAA", "BBBB")] == [[], []]
    await shop.told("anna", receipt("r3", "AAAA"))
    assert await shop.uses("AAAA") == ["r3"]
    void = ReceiptVoided(
        fact="v", source="pos", source_id="v", receipt="r3", bought=DAY, bought_at="riga-1",
        total=1, lines=(),
    )  # fmt: skip
    await shop.told("anna", void)
    assert await shop.uses("AAAA") == []


async def test_both_sides_are_told_of_a_recommendation_once_in_a_life() -> None:
    shop = Shop()
    await shop.given("ANNAS", "anna", referring=True)
    await shop.given("CLARAS", "clara", referring=True)
    await shop.told("anna", receipt("r0", "ANNAS"))
    await shop.told("boris", receipt("r1", "ANNAS"))
    await shop.told("boris", receipt("r2", "CLARAS"))
    await shop.told("dora", receipt("r3", "ANNAS"))
    histories = await shop.writer.histories(["referral-boris", "referrals-anna", "referral-anna"])
    told = {stream: list(events) for stream, (events, _) in histories.items()}
    about = {"pool": "spring", "code": "ANNAS"}
    assert told == {
        "referral-boris": [ReferralCame(**about, customer="boris", referrer="anna", receipt="r1")],
        "referrals-anna": [
            ReferralBrought(**about, customer="anna", friend="boris", receipt="r1"),
            ReferralBrought(**about, customer="anna", friend="dora", receipt="r3"),
        ],
    }
    # Clara's code was used, though Boris had come before.
    assert await shop.uses("CLARAS") == ["r2"]
    assert await shop.uses("ANNAS") == ["r1", "r3"]


async def test_the_figures_of_a_pool_are_what_its_codes_brought() -> None:
    shop = Shop()
    until = DAY + timedelta(days=1)
    await shop.given("AAAA", "anna", campaign="c1", valid_until=until)
    await shop.given("BBBB", "boris", campaign="c1")
    await shop.given("CCCC", "clara")
    await shop.told("anna", receipt("r1", "AAAA", total=700))
    shop.clock.advance(timedelta(days=2))
    await shop.told("clara", receipt("r2", "CCCC", total=300))
    await shop.told("boris", receipt("r3", "BBBB", total=500))
    await shop.told("boris", returned("r3", 500))
    await shop.read()
    coupons = GivenCoupons(MemoryQuestions(shop.documents))  # type: ignore[arg-type]  # a collection on memory
    found = await coupons.of("AAAA")
    assert isinstance(found, GivenCoupon)
    assert [(use.receipt, use.total, use.branch, use.by) for use in found.uses] == [
        ("r1", 700, "riga-1", "anna")
    ]
    assert found.valid_until == until
    gone = await coupons.of("BBBB")
    assert gone is not None
    assert (gone.redeemed, gone.turnover, gone.uses) == (0, 0, [])
    assert [each.code for each in await coupons.of_customer("clara")] == ["CCCC"]
    assert await coupons.issued("spring") == 3
    assert CouponCounts("c1", 2, 1, 1, 700) != CouponCounts(None, 1, 1, 1, 300)
