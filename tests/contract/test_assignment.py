"""Fifty deals opened at once by four processes: spread exactly evenly, on every store."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.customer.domain.assignment import ASSIGNMENTS
from services.customer.domain.deal_terms import Ground
from services.customer.domain.pipeline import PIPELINES
from services.customer.handlers.deals import Deals, Opening, Request, deal_log
from shared.clock import SystemClock
from shared.decider import NewEvent
from shared.events.customer import CustomerRegistered
from shared.events.deal import AssignmentDefined, PipelineDefined, Stage, Strategy
from shared.eventstore import EventStore
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import MemoryKeyStore
from shared.testing import DAY
from shared.testing.facts import tell

PEOPLE = ("a", "b", "c", "d", "e")
SALES = PipelineDefined(
    pipeline="sales",
    titles={"en": "Sales"},
    stages=(Stage(stage="new", titles={}, probability=1),),
    won={},
    lost={},
)


def ground_with(strategy: Strategy) -> Ground:
    rule = AssignmentDefined(deal_type="lease", titles={}, strategy=strategy, employees=PEOPLE)
    return Ground(pipelines=PIPELINES.fold([SALES]), assignments=ASSIGNMENTS.fold([rule]))


@pytest.mark.parametrize("strategy", ["round_robin", "least_open"])
async def test_fifty_deals_are_spread_exactly_evenly(store: EventStore, strategy: Strategy) -> None:
    writer = Writer(
        store,
        Keyring(MemoryKeyStore(), AESGCM(bytes(32))),
        SystemClock(),
        "customer",
        timedelta(seconds=10),
    )
    await tell(writer, "customer-anna", "anna", [NewEvent(CustomerRegistered(), DAY)])
    ground = ground_with(strategy)

    async def given() -> Ground:
        return ground

    processes = [Deals(writer, given) for _ in range(4)]
    opening = Opening("sales", {"deal_type": "lease"}, customer="anna")

    async def open_one(number: int) -> str:
        process = processes[number % len(processes)]
        request = Request(f"r{number}", "", DAY)
        settled = await process.open(request, opening)
        # Sent again, to another process: the same deal, and no other turn.
        again = await processes[(number + 1) % len(processes)].open(request, opening)
        assert (again.deal, again.repeated) == (settled.deal, True)
        return settled.deal

    deals = await asyncio.gather(*(open_one(number) for number in range(50)))
    found = [await deal_log(writer, f"deal-{each}") for each in deals]
    chosen = Counter(each.state.responsible for each in found if each is not None)
    # 50 over five of them.
    assert chosen == dict.fromkeys(PEOPLE, 10)
    claims = await store.claims([f"open-deals|{each}" for each in PEOPLE])
    assert {each.owner for each in claims.values()} == {"10"}
