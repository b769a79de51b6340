"""The deals as a read model: the fold of their events, however Kafka hands them out."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.customer.projections.deals import DEALS
from services.customer.queries.deals import Part, figures, rounded
from shared.decider import Refused
from shared.keyring import PREFIX
from shared.memory import MemoryDocuments, MemoryParking
from shared.projector import Folder
from shared.testing import readings
from tests.unit.dealing import GROUND, Office, folded


async def test_texts_are_kept_sealed_so_that_an_erase_has_nothing_to_wipe() -> None:
    office = Office()
    await office.customer("anna")
    deal = await office.open("anna", amount=5)
    document = (await folded(office.logs()))[deal]
    assert document.words.title is not None
    assert document.words.title.startswith(PREFIX)
    assert (document.customer, document.status, document.terms.amount) == ("anna", "open", 5)


async def test_stays_are_timed_and_the_outcome_ends_the_last() -> None:
    office = Office()
    await office.customer("anna")
    deal = await office.open("anna")
    office.clock.advance(timedelta(hours=2))
    await office.deals.move(office.request(), deal, "offer")
    office.clock.advance(timedelta(hours=1))
    await office.deals.lose(office.request(), deal, "price", "dear")
    document = (await folded(office.logs()))[deal]
    assert [(each.stage, each.next, each.milliseconds) for each in document.stays] == [
        ("new", "offer", 2 * 3_600_000), ("offer", "lost", 3_600_000),
    ]  # fmt: skip
    assert (document.status, document.lost_reason) == ("lost", "price")
    await office.deals.reopen(office.request(), deal)
    document = (await folded(office.logs()))[deal]
    assert (document.status, document.closed, document.lost_comment) == ("open", None, None)
    assert document.stays[-1].left is None


def test_a_deal_whose_first_event_is_missing_is_parked() -> None:
    async def scene() -> None:
        office = Office()
        await office.customer("anna")
        deal = await office.open("anna")
        await office.deals.win(office.request(), deal)
        (log,) = office.logs()
        parking = MemoryParking()
        await Folder(DEALS, MemoryDocuments(), parking).fold(log[1:])
        assert await parking.count() == 1

    asyncio.run(scene())


steps = st.lists(
    st.tuples(
        st.sampled_from(["open", "change", "move", "win", "lose", "reopen", "assign"]),
        st.integers(0, 3),
        st.integers(0, 10**9),
    ),
    max_size=14,
)


async def life(office: Office, plan: Sequence[tuple[str, int, int]]) -> None:
    """Carry out what can be; refusals of a closed deal are part of life."""
    for name in ("anna", "boris"):
        await office.customer(name)
    deals = [await office.open("anna", amount=7)]
    for what, which, number in plan:
        office.clock.advance(timedelta(minutes=1))
        if what == "open":
            deals.append(await office.open(["anna", "boris"][number % 2], amount=number))
            continue
        try:
            await office.touch(what, deals[which % len(deals)], number)
        except Refused as refusal:
            assert refusal.type == "deal-closed"  # noqa: PT017 - any other one fails the test


@settings(max_examples=40, deadline=None)
@given(plan=steps, data=st.data())
def test_the_deals_are_the_same_however_the_log_is_read(
    plan: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    office = Office()
    asyncio.run(life(office, plan))
    logs = office.logs()
    once = asyncio.run(folded(logs))
    assert asyncio.run(folded(data.draw(readings(logs)))) == once


@settings(max_examples=40, deadline=None)
@given(plan=steps)
def test_loads_and_board_are_what_the_deals_come_to(plan: list[tuple[str, int, int]]) -> None:
    office = Office()

    async def scene() -> None:
        await life(office, plan)
        found = await folded(office.logs())
        still = [each for each in found.values() if each.status == "open"]
        # The numbers that assignment rests on are those of the open deals.
        counted = Counter(each.responsible for each in still if each.responsible)
        claims = await office.store.claims([f"open-deals|e{n}" for n in range(3)])
        held = {each.id.partition("|")[2]: int(each.owner or 0) for each in claims.values()}
        assert {name: number for name, number in held.items() if number} == dict(counted)
        # Sums by stage, weighted and rounded once, are the exact sum over the deals.
        sums: dict[str, list[int]] = {}
        for each in still:
            sums.setdefault(each.stage, []).append(each.terms.amount)
        parts = [Part(None, "sales", name, len(s), sum(s)) for name, s in sums.items()]
        result = figures(parts, GROUND.pipelines)
        exact = sum(
            each.terms.amount * GROUND.pipelines.probability("sales", each.stage) for each in still
        )
        assert (result.count, result.amount) == (len(still), sum(e.terms.amount for e in still))
        assert abs(result.weighted * 10_000 - exact) * 2 <= 10_000

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("weighted", "units"),
    # In ten-thousandths of a unit: half a unit goes up.
    [(0, 0), (4_999, 0), (5_000, 1), (14_999, 1), (15_000, 2), (10**20, 10**16)],
)
def test_what_is_weighted_is_rounded_half_up(weighted: int, units: int) -> None:
    assert rounded(weighted) == units
