"""What is asked of the deals finds its documents by an index, and adds up exactly."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.customer.domain.deal_stays import Stay
from services.customer.projections.deals import DEALS, DealDocument, Terms, Words
from services.customer.queries.deals import DealBoard, Filters, Part, Passage
from shared.access import Kind, Scope
from shared.events.contract import show_moment
from shared.keyring import Keyring, seal
from shared.memory import MemoryKeyStore
from shared.mongo import MongoDocuments
from shared.projector.folder import raw_document
from shared.testing import MongoSpace
from shared.testing.plans import require_plans, scans

DAY = datetime(2018, 1, 1, tzinfo=UTC)
CHAIN = Scope(Kind.DEAL, None)
BRANCHES = Scope(Kind.DEAL, frozenset({"1", "2"}))
DEALS_MADE = 400


def deal(number: int) -> DealDocument:
    dice = random.Random(number)
    opened = DAY + timedelta(hours=number)
    stage = dice.choice(["new", "offer"])
    stays = [Stay("new", opened)]
    if stage == "offer":
        left = opened + timedelta(minutes=dice.randrange(1, 500))
        milliseconds = (left - opened) // timedelta(milliseconds=1)
        stays = [Stay("new", opened, left, "offer", milliseconds), Stay("offer", left)]
    month = dice.choice([None, "2018-02", "2018-03"])
    return DealDocument(
        id=f"d{number}",
        generation=1,
        customer=f"c{number % 7}",
        company=None,
        pipeline=dice.choice(["sales", "leases"]),
        stage=stage,
        status=dice.choice(["open", "won", "lost"]),
        branch=str(number % 5),
        responsible=dice.choice([None, "eve", "max"]),
        close_month=month,
        terms=Terms(amount=dice.randrange(10**13)),
        turn=f"{show_moment(opened)}|d{number}",
        opened=opened,
        stays=stays,
    )


MADE = [deal(number) for number in range(DEALS_MADE)]


@pytest.fixture
async def board(mongo: MongoSpace) -> DealBoard:
    documents = MongoDocuments(mongo.database("customer"), "deals_v1")
    await documents.create_indexes(DEALS.indexes)
    await documents.write([raw_document(deal(number)) for number in range(DEALS_MADE)])
    keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
    return DealBoard(documents.collection, keyring)


def inside(scope: Scope, each: DealDocument) -> bool:
    return scope.allows(each.branch)


@pytest.mark.parametrize("scope", [CHAIN, BRANCHES])
async def test_sums_by_stage_and_group_are_those_of_the_deals(
    board: DealBoard, scope: Scope
) -> None:
    expected: dict[tuple[str | None, str, str], Part] = {}
    for each in MADE:
        if each.status == "open" and inside(scope, each):
            key = (each.responsible, each.pipeline, each.stage)
            had = expected.get(key, Part(*key, 0, 0))
            expected[key] = Part(*key, had.count + 1, had.amount + each.terms.amount)
    found = await board.forecast(scope, "responsible", None, None)
    assert {(p.group, p.pipeline, p.stage): p for p in found} == expected
    stages = {each.stage: each.count for each in await board.open_in(scope, "sales")}
    assert stages == {
        stage: sum(p.count for p in expected.values()
                   if (p.pipeline, p.stage) == ("sales", stage))
        for stage in stages
    }  # fmt: skip
    early = await board.forecast(scope, "month", "sales", "2018-02")
    assert {each.group for each in early} == {"2018-02"}


@pytest.mark.parametrize("scope", [CHAIN, BRANCHES])
async def test_passages_are_those_of_the_stays_that_began_in_the_time(
    board: DealBoard, scope: Scope
) -> None:
    begin, end = DAY + timedelta(days=2), DAY + timedelta(days=9)
    expected: dict[tuple[str, str | None], Passage] = {}
    for each in MADE:
        if each.pipeline != "sales" or not inside(scope, each):
            continue
        for stay in each.stays:
            if begin <= stay.entered < end:
                key = (stay.stage, stay.next)
                had = expected.get(key, Passage(*key, 0, 0, 0))
                lasted = stay.milliseconds or 0
                expected[key] = Passage(
                    *key, had.count + 1, had.milliseconds + lasted, max(had.longest, lasted)
                )
    found = await board.passages(scope, "sales", begin, end)
    assert {(each.stage, each.next): each for each in found} == expected


async def test_pages_go_through_all_deals_once(board: DealBoard) -> None:
    seen: list[str] = []
    after: str | None = None
    while True:
        page = await board.page(BRANCHES, Filters(status="open"), after, 7)
        seen += [each.id for each in page.deals]
        after = page.after
        if after is None:
            break
    assert seen == [e.id for e in MADE if e.status == "open" and inside(BRANCHES, e)]
    narrow = await board.page(BRANCHES, Filters(branch="4"), None, 10)
    assert narrow.deals == []


@pytest.mark.parametrize("scope", [CHAIN, BRANCHES])
@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(pipeline="sales", status="open", stage="new"),
        Filters(customer="c1"),
        Filters(responsible="eve", status="open"),
        Filters(branch="1"),
    ],
)
async def test_no_page_scans_all_deals(
    board: DealBoard, mongo: MongoSpace, scope: Scope, filters: Filters
) -> None:
    await require_plans(mongo.database("plans"))
    where = board.page_filter(scope, filters, None)
    plan = await board.collection.motor.find(where).sort([("turn", 1)]).limit(5).explain()
    assert not scans(plan)


async def test_what_was_written_of_an_erased_customer_with_anothers_key_is_not_shown(
    board: DealBoard, mongo: MongoSpace
) -> None:
    # The deal was its survivor's while the comment was written, and came back by a revert.
    keys = await board.keyring.ensure(["loser", "survivor"])
    words: dict[str, Any] = {"title": "A lamp", "comment": "as bright as the sun"}
    for name, key in (("title", "loser"), ("comment", "survivor")):
        opened = keys[key]
        assert isinstance(opened, AESGCM)
        seal(words, [(name,)], key, opened, "deal-d")
    made = msgspec.structs.replace(deal(1), id="d", customer="loser", words=Words(**words))
    documents = MongoDocuments(mongo.database("customer"), "deals_v1")
    await documents.write([raw_document(made)])
    shown = await board.get("d")
    assert shown is not None
    assert shown.words == Words(title="A lamp", comment="as bright as the sun")
    await board.keyring.erase(["loser"], "e")
    shown = await board.get("d")
    assert shown is not None
    assert shown.words == Words()
