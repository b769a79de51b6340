"""Purchases after campaigns: the same sums in whatever order topics are read.

They are held against a plain recomputation that knows nothing of documents.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given as where
from hypothesis import settings
from hypothesis import strategies as st

from services.notify.domain.effect import DAY, Window, bought, joined, with_purchase
from services.notify.domain.uplift import Group
from services.notify.projections import CAMPAIGN_EFFECTS
from services.notify.queries import Effects
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.contract import EventData
from shared.events.interaction import ReceiptRecorded, ReceiptReturned, ReceiptVoided
from shared.events.merging import CustomerErased, CustomerMerged, MergeReverted
from shared.events.moving import Direction, FactsMoved, FactWithdrawn, MovedFact
from shared.events.notification import (
    MessageDeferred,
    MessageFailed,
    MessageFellBack,
    MessageHeldOut,
    MessageScheduled,
    MessageSending,
    MessageSent,
    MessageUncertain,
)
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import MemoryDocuments, MemoryEventStore, MemoryKeyStore, MemoryParking
from shared.projector import Folder
from shared.testing import Log, logs_of, readings
from shared.testing.aggregating import MemorySums
from shared.testing.facts import tell

START = datetime(2018, 1, 1, tzinfo=UTC)
KEYRING = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
CAMPAIGN = "we-miss-you"
PEOPLE = ("anna", "boris", "cora")


@dataclass(slots=True)
class Receipt:
    """A receipt as the naive recomputation knows it."""

    fact: str
    owner: str
    home: str
    at: datetime
    total: int
    voided: bool = False
    returned: list[int] = field(default_factory=list)
    hops: int = 0


@dataclass(slots=True)
class World:
    """What happened, told to three topics, and remembered plainly."""

    topics: dict[str, MemoryEventStore] = field(
        default_factory=lambda: defaultdict(MemoryEventStore)
    )
    receipts: list[Receipt] = field(default_factory=list)
    windows: list[tuple[str, str, str, str | None, datetime, datetime]] = field(
        default_factory=list
    )
    survivors: dict[str, str] = field(default_factory=dict)
    merges: list[tuple[str, str]] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: count(1))

    async def tell(self, topic: str, stream: str, who: str, data: EventData, at: datetime) -> None:
        writer = Writer(self.topics[topic], KEYRING, ManualClock(at), topic)
        await tell(writer, stream, who, [NewEvent(data, at)])

    def root(self, customer: str) -> str:
        while customer in self.survivors:
            customer = self.survivors[customer]
        return customer

    async def message(
        self,
        customer: str,
        at: datetime,
        *,
        arm: str = "sent",
        variant: str | None = None,
        days: int | None = None,
        campaign: str = CAMPAIGN,
    ) -> None:
        """One that was sent or held out, or only begun: `failed`, `fell_back`, `open`."""
        name = f"m{next(self.numbers)}"
        known: dict[str, Any] = {"message": name, "campaign": campaign}
        told: list[EventData] = [
            MessageScheduled(**known, occurrence="o", channel="email"),
        ]
        if arm == "held_out":
            told.append(MessageHeldOut(**known, attribution_days=days))
        else:
            told.append(
                MessageSending(
                    **known, contact="c", attempt="a", variant=variant, attribution_days=days
                )
            )
        if arm == "late":
            told.append(MessageDeferred(**known, attempt="a", reason="late"))
            told.append(told[1])
        if arm == "told":
            told += [MessageUncertain(**known), MessageSent(**known, uncertain=True)]
        if arm in {"sent", "fell_back", "again", "late"}:
            told.append(MessageSent(**known))
        if arm == "failed":
            told.append(MessageFailed(**known, code="550"))
        if arm in {"fell_back", "again"}:
            told.append(MessageFellBack(**known, channel="email", reason="bounced"))
        if arm == "again":
            told += [told[1], MessageSent(**known)]
        for data in told:
            await self.tell("notify", f"message-{name}", customer, data, at)
        if arm not in {"failed", "fell_back", "open"}:
            group = "held_out" if arm == "held_out" else "sent"
            end = at + timedelta(days=days or 7)
            chosen = variant if group == "sent" else None
            self.windows.append((customer, campaign, group, chosen, at, end))

    async def receipt(self, customer: str, at: datetime, total: int) -> None:
        owner = self.root(customer)
        receipt = Receipt(f"f{next(self.numbers)}", owner, owner, at, total)
        self.receipts.append(receipt)
        await self.tell("interaction", f"interaction-{owner}", owner, _recorded(receipt), at)

    async def give_back(self, index: int, total: int) -> None:
        receipt = self.receipts[index % len(self.receipts)]
        rest = receipt.total - sum(receipt.returned)
        if receipt.voided or rest <= 0:
            return
        receipt.returned.append(min(total, rest))
        number = len(receipt.returned)
        data = _returned(receipt, number)
        await self.tell("interaction", f"interaction-{receipt.owner}", receipt.owner, data, START)

    async def void(self, index: int) -> None:
        receipt = self.receipts[index % len(self.receipts)]
        if receipt.voided:
            return
        receipt.voided = True
        data = _voided(receipt)
        await self.tell("interaction", f"interaction-{receipt.owner}", receipt.owner, data, START)

    async def move(self, receipts: Sequence[Receipt], to: str) -> None:
        """Change the hands of receipts of one customer, in two parts."""
        if not receipts:
            return
        source, move = receipts[0].owner, f"move-{next(self.numbers)}"
        for receipt in receipts:
            receipt.hops += 1
            facts = [_moved(receipt, data) for data in _facts(receipt)]
            receipt.owner = to
            ends: tuple[tuple[str, Direction], ...] = ((source, "out"), (to, "in"))
            for who, direction in ends:
                moved = FactsMoved(move=move, direction=direction, facts=tuple(facts))
                await self.tell("interaction", f"interaction-{who}", who, moved, START)

    async def by_hand(self, index: int, to: str) -> None:
        receipt, to = self.receipts[index % len(self.receipts)], self.root(to)
        if receipt.owner != to:
            receipt.home = to
            await self.move([receipt], to)

    async def merge(self, loser: str, survivor: str) -> None:
        loser, survivor = self.root(loser), self.root(survivor)
        if loser == survivor:
            return
        self.survivors[loser] = survivor
        self.merges.append((loser, survivor))
        merged = CustomerMerged(merge=f"{loser}-{survivor}", survivor=survivor)
        await self.tell("customer", f"customer-{loser}", loser, merged, START)
        await self.move([each for each in self.receipts if each.owner == loser], survivor)

    async def revert(self) -> None:
        if not self.merges:
            return
        loser, survivor = self.merges.pop()
        del self.survivors[loser]
        name = f"{loser}-{survivor}"
        lost = MergeReverted(merge=name, other=survivor, role="loser")
        await self.tell("customer", f"customer-{loser}", loser, lost, START)
        kept = MergeReverted(merge=name, other=loser, role="survivor")
        await self.tell("customer", f"customer-{survivor}", survivor, kept, START)
        back = [each for each in self.receipts if self.root(each.home) != each.owner]
        await self.move([each for each in back if each.owner == survivor], loser)

    def logs(self) -> list[Log]:
        """A log for each topic and customer: only within them there is an order."""
        return [log for store in self.topics.values() for log in logs_of(store.commits)]

    def expected(self, arm: str, variant: str | None = None) -> tuple[Group, Group]:
        """Everybody's group, and that of those who can be compared: straight from what happened."""
        persons: dict[str, list[tuple[str, str | None, datetime, datetime]]] = defaultdict(list)
        for customer, campaign, group, name, begin, end in self.windows:
            if campaign == CAMPAIGN:
                persons[self.root(customer)].append((group, name, begin, end))
        everybody, comparable = [], []
        for person, windows in persons.items():
            own = [each for each in windows if each[0] == arm]
            meant = [each for each in own if variant is None or each[1] == variant]
            if not meant:
                continue
            receipts = turnover = 0
            for each in self.receipts:
                if self.root(each.owner) != person:
                    continue
                if any(begin <= each.at < end for _, _, begin, end in meant):
                    receipts += not each.voided
                    turnover += 0 if each.voided else each.total - sum(each.returned)
            alone = Group(1, int(receipts > 0), receipts, turnover, float(turnover**2))
            everybody.append(alone)
            mixed = len({each[0] for each in windows}) > 1
            several = variant is not None and len({each[1] for each in own}) > 1
            if not mixed and not several:
                comparable.append(alone)
        return _sum(everybody), _sum(comparable)


def _sum(groups: Sequence[Group]) -> Group:
    return Group(
        len(groups),
        sum(each.buyers for each in groups),
        sum(each.receipts for each in groups),
        sum(each.turnover for each in groups),
        sum(each.squares for each in groups),
    )


def _recorded(receipt: Receipt) -> ReceiptRecorded:
    named: dict[str, Any] = {"fact": receipt.fact, "source": "pos", "source_id": receipt.fact}
    return ReceiptRecorded(**named, total=receipt.total, coupon_lines=0, lines=())


def _returned(receipt: Receipt, number: int) -> ReceiptReturned:
    name = f"{receipt.fact}-{number}"
    return ReceiptReturned(
        fact=name,
        source="pos",
        source_id=name,
        receipt=receipt.fact,
        bought=receipt.at,
        total=receipt.returned[number - 1],
        lines=(),
    )


def _voided(receipt: Receipt) -> ReceiptVoided:
    name = f"{receipt.fact}-void"
    return ReceiptVoided(
        fact=name,
        source="pos",
        source_id=name,
        receipt=receipt.fact,
        bought=receipt.at,
        bought_at="center",
        total=receipt.total - sum(receipt.returned),
        lines=(),
    )


def _facts(receipt: Receipt) -> list[EventData]:
    """The receipt as it goes from hand to hand, with what was given back of it."""
    facts: list[EventData] = [_recorded(receipt)]
    facts += [_returned(receipt, number + 1) for number in range(len(receipt.returned))]
    return [*facts, _voided(receipt)] if receipt.voided else facts


def _moved(receipt: Receipt, data: EventData) -> MovedFact:
    body = data.model_dump(mode="json", exclude_none=True)
    is_receipt = isinstance(data, ReceiptRecorded)
    return MovedFact(
        fact=body["fact"],
        type=data.type,
        time=receipt.at if is_receipt else START,
        recordedtime=START,
        home=receipt.home,
        hops=max(receipt.hops, 1),
        data=body,
    )


async def asked(batches: Sequence[Log]) -> Effects:
    documents, parking = MemoryDocuments(), MemoryParking()
    folder = Folder(CAMPAIGN_EFFECTS, documents, parking, KEYRING)
    for batch in batches:
        await folder.fold(batch)
    assert await parking.count() == 0
    return Effects(MemorySums(documents))


async def found(world: World) -> Effects:
    return await asked(world.logs())


def after(days: float) -> datetime:
    return START + timedelta(days=days)


async def test_a_receipt_counts_from_the_message_on_until_so_many_days_later() -> None:
    world = World()
    await world.message("anna", after(1))
    for day, total in ((0.99, 1), (1, 10), (7.99, 100), (8, 1_000)):
        await world.receipt("anna", after(day), total)
    effect = await (await found(world)).of([CAMPAIGN])
    # The message went out on day 1 and counts for seven days: the receipts of day 1 and 7.99.
    assert effect.all(CAMPAIGN, "sent") == Group(1, 1, 2, 110, 12_100.0)
    assert effect.all(CAMPAIGN, "held_out") == Group()


async def test_a_receipt_in_two_windows_counts_once() -> None:
    world = World()
    await world.message("anna", after(1), days=3)
    await world.message("anna", after(2), days=3)
    await world.receipt("anna", after(3), 500)
    effect = await (await found(world)).of([CAMPAIGN])
    assert effect.all(CAMPAIGN, "sent") == Group(1, 1, 1, 500, 250_000.0)


async def test_a_return_takes_off_and_a_void_takes_away() -> None:
    world = World()
    await world.message("anna", after(1))
    await world.message("boris", after(1), arm="held_out")
    await world.receipt("anna", after(2), 500)
    await world.receipt("boris", after(2), 700)
    await world.give_back(0, 200)
    await world.give_back(1, 100)
    await world.void(1)
    effect = await (await found(world)).of([CAMPAIGN])
    # Anna keeps 500 - 200 and is a buyer; of what Boris bought nothing is left.
    assert effect.all(CAMPAIGN, "sent") == Group(1, 1, 1, 300, 90_000.0)
    assert effect.all(CAMPAIGN, "held_out") == Group(1, 0, 0, 0, 0.0)


async def test_a_withdrawn_receipt_never_was_and_an_erase_changes_no_figure() -> None:
    world = World()
    await world.message("anna", after(1))
    await world.receipt("anna", after(2), 500)
    await world.receipt("anna", after(3), 40)
    withdrawn = FactWithdrawn(
        fact=world.receipts[0].fact,
        withdrawn=_moved(world.receipts[0], _recorded(world.receipts[0])),
        reason="import_reverted",
    )
    await world.tell("interaction", "interaction-anna", "anna", withdrawn, START)
    erased = CustomerErased(erase="e", reason="request")
    await world.tell("customer", "customer-anna", "anna", erased, START)
    effect = await (await found(world)).of([CAMPAIGN])
    assert effect.all(CAMPAIGN, "sent") == Group(1, 1, 1, 40, 1_600.0)


@pytest.mark.parametrize("arm", ["failed", "fell_back", "open"])
async def test_nothing_counts_for_what_did_not_go_out(arm: str) -> None:
    world = World()
    await world.message("anna", after(1), arm=arm)
    await world.receipt("anna", after(2), 500)
    assert (await (await found(world)).of([CAMPAIGN])).all(CAMPAIGN, "sent") == Group()


@pytest.mark.parametrize("arm", ["told", "again", "late"])
async def test_what_went_out_in_the_end_counts_whatever_came_before(arm: str) -> None:
    world = World()
    await world.message("anna", after(1), arm=arm, variant="a")
    await world.receipt("anna", after(2), 500)
    effect = await (await found(world)).of([CAMPAIGN])
    assert effect.all(CAMPAIGN, "sent", "a").turnover == 500


async def test_who_is_in_both_groups_counts_and_is_not_compared() -> None:
    world = World()
    await world.message("anna", after(1), variant="a")
    await world.message("anna", after(2), arm="held_out")
    await world.message("boris", after(1), variant="a")
    await world.message("boris", after(3), variant="b")
    effect = await (await found(world)).of([CAMPAIGN])
    assert effect.all(CAMPAIGN, "sent").customers == 2
    # Boris may be held against the holdout, but not variant against variant; Anna against nobody.
    assert effect.comparable(CAMPAIGN, "sent").customers == 1
    assert effect.comparable(CAMPAIGN, "sent", "a").customers == 0
    assert effect.comparable(CAMPAIGN, "held_out").customers == 0


async def test_a_merged_record_has_what_its_person_buys_until_the_merge_is_reverted() -> None:
    world = World()
    await world.message("anna", after(1))
    await world.receipt("anna", after(2), 100)
    await world.merge("anna", "boris")
    await world.receipt("boris", after(3), 20)
    effects = await found(world)
    # One person, who bought for 100 as Anna and for 20 as Boris.
    assert (await effects.of([CAMPAIGN])).all(CAMPAIGN, "sent") == Group(1, 1, 2, 120, 14_400.0)
    await world.revert()
    effects = await found(world)
    assert (await effects.of([CAMPAIGN])).all(CAMPAIGN, "sent") == Group(1, 1, 1, 100, 10_000.0)


async def test_two_records_of_one_person_are_one_customer() -> None:
    world = World()
    for customer in PEOPLE:
        await world.message(customer, after(1))
    await world.receipt("cora", after(2), 5)
    await world.merge("anna", "boris")
    await world.merge("boris", "cora")
    effects = await found(world)
    assert (await effects.of([CAMPAIGN])).all(CAMPAIGN, "sent") == Group(1, 1, 1, 5, 25.0)


def test_purchases_are_kept_in_order_and_nothing_is_kept_of_nothing() -> None:
    packed = with_purchase(with_purchase(b"", 5, 1, 50), 2, 1, 20)
    assert with_purchase(packed, 2, -1, -20) == with_purchase(b"", 5, 1, 50)
    # What goes before it has come is owed, and settled when it comes.
    owed = with_purchase(b"", 2, -1, -20)
    assert owed
    assert with_purchase(owed, 2, 1, 20) == b""
    assert joined([with_purchase(b"", 5, 1, 50), with_purchase(b"", 2, 1, 20)]) == packed


def test_windows_that_overlap_are_one() -> None:
    packed = b""
    for day in range(10):
        packed = with_purchase(packed, day * DAY, 1, 1)
    windows = [Window("c", "sent", None, begin * DAY, (begin + 3) * DAY) for begin in (4, 2, 0)]
    # Days 0 to 6 without a gap and without counting days 2 and 4 twice.
    (one,) = bought(windows, packed)
    assert (one.receipts, one.turnover) == (7, 7)


DAYS = st.integers(0, 30)
INDEX = st.integers(0, 50)
WHO = st.sampled_from(PEOPLE)
ARMS = st.sampled_from(
    ["sent", "sent", "held_out", "failed", "fell_back", "again", "late", "told", "open"]
)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(
            st.just("message"), WHO, DAYS, ARMS, st.sampled_from([None, "a", "b"]),
            st.sampled_from([None, 1, 20]),
        ),
        st.tuples(st.just("receipt"), WHO, DAYS, st.integers(0, 500)),
        st.tuples(st.just("return"), INDEX, st.integers(1, 300)),
        st.tuples(st.just("void"), INDEX),
        st.tuples(st.just("hand"), INDEX, WHO),
        st.tuples(st.just("merge"), WHO, WHO),
        st.tuples(st.just("revert")),
    ),
    min_size=3,
    max_size=25,
)  # fmt: skip


async def happened(actions: Sequence[tuple[Any, ...]]) -> World:
    world = World()
    for what, *more in actions:
        match what:
            case "message":
                who, day, arm, variant, days = more
                await world.message(who, after(day), arm=arm, variant=variant, days=days)
            case "receipt":
                await world.receipt(more[0], after(more[1]), more[2])
            case "merge":
                await world.merge(*more)
            case "revert":
                await world.revert()
            case _ if not world.receipts:
                continue
            case "return":
                await world.give_back(*more)
            case "void":
                await world.void(*more)
            case "hand":
                await world.by_hand(*more)
    return world


@settings(max_examples=150, deadline=None)
@where(ACTIONS, st.data())
def test_the_figures_are_those_of_a_recomputation_in_whatever_order_topics_are_read(
    actions: Sequence[tuple[Any, ...]], data: st.DataObject
) -> None:
    world = asyncio.run(happened(actions))
    batches = data.draw(readings(world.logs())) if world.topics else []

    async def answered() -> None:
        effect = await (await asked(batches)).of([CAMPAIGN])
        for arm in ("sent", "held_out"):
            for variant in (None, "a", "b"):
                everybody, comparable = world.expected(arm, variant)
                assert effect.all(CAMPAIGN, arm, variant) == everybody
                assert effect.comparable(CAMPAIGN, arm, variant) == comparable

    asyncio.run(answered())
