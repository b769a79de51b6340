"""What follows for ledgers from facts and merges, once and at the right customer; on memory."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from services.interaction.consumers import points as consumer
from services.interaction.domain.points.commands import CancelSpending, GiveBack, Settle
from services.interaction.handlers.points.due import TellDue
from services.interaction.handlers.points.following import SeenMerge, SeenReceipt, SeenReturn
from services.interaction.projections.points import POINTS
from shared.decider import Refused
from shared.events.contract import show_moment
from shared.execute import Done
from shared.testing import DAY, LoggedRecord, logs_of
from shared.testing import read as read_model
from tests.unit.pointswork import HOLD, Chain, ten_percent


@pytest.fixture
async def chain() -> Chain:
    """A chain that gives a tenth of what is paid."""
    chain = Chain()
    await chain.define(ten_percent())
    return chain


async def test_a_receipt_earns_once_however_often_it_is_told(chain: Chain) -> None:
    for _ in range(3):
        await chain.buy("r1", "anna", 1000)
    assert await chain.left("anna") == [100]


async def test_without_rules_nothing_is_earned_and_nothing_is_written() -> None:
    chain = Chain()
    await chain.buy("r1", "anna", 1000, points_spent=50)
    await chain.merge("m1", "anna", "eva")
    assert chain.store.commits == []


async def test_receipts_go_by_the_rules_of_their_time(chain: Chain) -> None:
    chain.clock.advance(timedelta(days=-1))
    await chain.buy("before", "anna", 1000)
    chain.clock.advance(timedelta(days=2))
    await chain.define(ten_percent(minimum=5000, since=chain.clock.now()))
    await chain.buy("small", "anna", 1000)
    chain.clock.advance(timedelta(days=-1))
    await chain.buy("late", "anna", 1000)
    assert sorted((await chain.state("anna")).lots) == ["late"]


async def test_imported_receipts_earn_only_where_the_rules_say_so(chain: Chain) -> None:
    await chain.buy("r1", "anna", 1000, imported=True, points_spent=30)
    assert await chain.left("anna") == [0]
    chain.clock.advance(timedelta(days=1))
    await chain.define(ten_percent(history=True, since=chain.clock.now()))
    await chain.buy("r2", "anna", 1000, imported=True)
    assert await chain.left("anna") == [100]


async def test_points_pend_and_end_as_the_rules_say(chain: Chain) -> None:
    chain.clock.advance(timedelta(days=1))
    now = chain.clock.now()
    await chain.define(ten_percent(pending_days=14, life="P30D", since=now))
    await chain.buy("r1", "anna", 1000)
    lot = (await chain.state("anna")).lots["r1"]
    assert (lot.usable_from, lot.expires) == (now + timedelta(days=14), now + timedelta(days=44))


async def test_a_ledger_that_is_no_persons_takes_in_no_more(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    await chain.buy("r1", "anna", 1000)
    monkeypatch.setattr("services.interaction.handlers.points.ledgers.FULL", 1)
    await chain.buy("r2", "anna", 1000)
    await chain.buy("r3", "eva", 1000)
    assert await chain.left("anna", "eva") == [100, 100]
    assert isinstance(await chain.spend("r4", "anna", 40), Done)


async def test_a_till_has_points_kept_and_the_receipt_is_matched(chain: Chain) -> None:
    await chain.buy("r1", "anna", 1000)
    first, again = await chain.spend("r2", "anna", 40), await chain.spend("r2", "anna", 40)
    assert isinstance(first, Done)
    assert isinstance(again, Done)
    assert (first.repeated, again.repeated, again.version) == (False, True, first.version)
    await chain.buy("r2", "anna", 500, points_spent=40)
    state = await chain.state("anna")
    assert state.spendings["r2"].lapses is None
    # 100 - 40, and 10 % of the 460 that were paid otherwise.
    assert state.left == 106


async def test_what_was_kept_is_settled_by_a_receipt_of_a_file_or_of_a_clock_that_is_behind(
    chain: Chain,
) -> None:
    await chain.buy("r1", "anna", 1000)
    await chain.spend("r2", "anna", 40)
    await chain.spend("r3", "anna", 50)
    await chain.buy("r2", "anna", 500, points_spent=40, imported=True)
    chain.clock.advance(timedelta(days=-1))
    await chain.buy("r3", "anna", 500, points_spent=50)
    # None of the two earns anything; what paid for them does not lapse.
    chain.clock.advance(timedelta(days=1) + HOLD)
    await chain.ask("due", "anna", Settle(at=chain.clock.now()))
    assert await chain.left("anna") == [100 - 40 - 50]
    await chain.take_back("b1", "r2", "anna", (1, 250))
    assert await chain.left("anna") == [10 + 20]


async def test_what_was_kept_is_settled_by_a_receipt_of_nobody_who_is_known(chain: Chain) -> None:
    await chain.buy("r1", "anna", 1000)
    await chain.spend("r2", "anna", 40)
    await chain.buy("r2", None, 500, points_spent=40)
    await chain.buy("r3", None, 500, points_spent=30)
    chain.clock.advance(HOLD)
    await chain.ask("due", "anna", Settle(at=chain.clock.now()))
    # Nobody has earned by the two, and nothing was kept for the second.
    assert await chain.left("anna") == [60]
    await chain.take_back("b1", "r2", None, (1, 250))
    assert await chain.left("anna") == [80]
    # They turn out to be eva's: 10 % of half of 460, and of 470, less 30.
    await chain.buy("r2", "eva", 500, points_spent=40, moved=True)
    await chain.buy("r3", "eva", 500, points_spent=30, moved=True)
    await chain.take_back("b1", "r2", "eva", (1, 250))
    assert await chain.left("anna", "eva") == [80, 23 + 47 - 30]


async def test_another_number_is_kept_after_the_first_was_cancelled(chain: Chain) -> None:
    await chain.buy("r1", "anna", 1000)
    await chain.spend("r2", "anna", 40)
    refused = await chain.spend("r2", "anna", 50)
    assert isinstance(refused, Refused)
    assert refused.type == "command-differs"
    await chain.ask("cancel", "anna", CancelSpending(at=DAY, spending="r2"))
    assert isinstance(await chain.spend("r2", "anna", 50, attempt=2), Done)
    await chain.buy("r2", "anna", 500, points_spent=50)
    assert (await chain.state("anna")).spendings["r2"].points == 50


async def test_of_ten_who_spend_at_once_only_those_succeed_for_whom_there_is_enough(
    chain: Chain,
) -> None:
    await chain.buy("r1", "anna", 1000)
    outcomes = await asyncio.gather(*(chain.spend(f"t{n}", "anna", 30) for n in range(10)))
    kinds = [each.type if isinstance(each, Refused) else "done" for each in outcomes]
    # 100 points are three times 30, and 10.
    assert sorted(kinds) == ["done"] * 3 + ["too-few-points"] * 7
    assert await chain.left("anna") == [10]


async def test_a_return_takes_back_what_was_earned_and_gives_back_what_was_paid(
    chain: Chain,
) -> None:
    await chain.buy("r1", "anna", 1000)
    await chain.buy("r2", "anna", 400, 600, points_spent=100)
    # 100 - 100, and 10 % of 900.
    assert await chain.left("anna") == [90]
    for _ in range(2):
        await chain.take_back("b1", "r2", "anna", (2, 600))
    # Of the points that paid 60 come back; of the 90 earned 36 are left: 10 % of 400 - 40.
    assert await chain.left("anna") == [96]
    await chain.take_back("b2", "r2", "anna", (1, 400), why="voided")
    assert await chain.left("anna") == [100]


async def test_a_receipt_may_be_one_customers_and_its_points_anothers(chain: Chain) -> None:
    await chain.buy("r1", "anna", 1000)
    await chain.spend("r2", "anna", 40)
    await chain.buy("r2", "eva", 1000, points_spent=40)
    assert (await chain.state("anna")).spendings["r2"].lapses is None
    assert await chain.left("anna", "eva") == [60, 96]
    await chain.take_back("b1", "r2", "eva", (1, 1000), why="voided")
    assert await chain.left("anna", "eva") == [100, 0]


async def test_facts_of_a_merge_earn_at_their_home_and_go_with_its_ledger(chain: Chain) -> None:
    await chain.buy("r1", "anna", 1000)
    await chain.merge("m1", "anna", "eva")
    await chain.buy("r1", "anna", 1000, moved=True)
    # One that was recorded before the merge and is heard of only now.
    await chain.buy("r2", "anna", 500)
    await chain.buy("r3", "eva", 10)
    assert await chain.left("anna", "eva") == [0, 151]
    await chain.take_back("b1", "r2", "eva", (1, 100))
    assert await chain.left("anna", "eva") == [0, 141]
    await chain.revert("m1", "anna", "eva")
    assert await chain.left("anna", "eva") == [140, 1]
    # Its return is heard of at Anna, though it was earned while she was Eva.
    await chain.take_back("b2", "r2", "anna", (1, 400))
    assert await chain.left("anna", "eva") == [100, 1]


async def test_a_merge_and_its_revert_follow_once(chain: Chain) -> None:
    await chain.buy("r1", "anna", 1000)
    for _ in range(2):
        await chain.merge("m1", "anna", "eva")
    await chain.revert("m1", "anna", "eva")
    for _ in range(2):
        await chain.merge("m1", "anna", "eva")
        await chain.revert("m1", "anna", "eva")
    assert await chain.left("anna", "eva") == [100, 0]
    await chain.merge("m2", "anna", "eva")
    assert await chain.left("anna", "eva") == [0, 100]


async def test_merges_may_be_heard_of_in_any_order_of_their_customers(chain: Chain) -> None:
    for fact, customer in (("r1", "anna"), ("r2", "bea"), ("r3", "eva")):
        await chain.buy(fact, customer, 1000)
    await chain.merge("m2", "bea", "eva")
    await chain.merge("m1", "anna", "bea")
    assert await chain.left("anna", "bea", "eva") == [0, 0, 300]
    await chain.revert("m1", "anna", "bea")
    assert await chain.left("anna", "bea", "eva") == [100, 0, 200]
    await chain.take_back("b1", "r1", "anna", (1, 1000))
    await chain.revert("m2", "bea", "eva")
    assert await chain.left("anna", "bea", "eva") == [0, 100, 100]


async def test_a_merge_back_that_is_heard_of_first_makes_no_circle(chain: Chain) -> None:
    await chain.buy("r1", "anna", 1000)
    await chain.merge("m2", "eva", "anna")
    await chain.merge("m1", "anna", "eva")
    await chain.revert("m1", "anna", "eva")
    await chain.buy("r2", "eva", 500)
    assert await chain.left("anna", "eva") == [150, 0]


async def test_a_receipt_that_was_moved_while_its_buyer_was_merged_is_found_after_the_revert() -> (
    None
):
    chain = Chain()
    await chain.define(ten_percent())
    await chain.buy("r1", "anna", 1000)
    await chain.merge("m1", "anna", "eva")
    await chain.buy("r1", "bea", 1000, moved=True)
    await chain.revert("m1", "anna", "eva")
    assert await chain.left("anna", "bea", "eva") == [0, 100, 0]
    await chain.take_back("b1", "r1", "bea", (1, 1000), why="voided")
    assert await chain.left("anna", "bea", "eva") == [0, 0, 0]
    # Home again, it is looked for where it was first, and found there.
    await chain.buy("r2", "anna", 500)
    await chain.buy("r2", "bea", 500, moved=True)
    await chain.buy("r2", "anna", 500, moved=True)
    await chain.take_back("b2", "r2", "anna", (1, 500), why="voided")
    assert await chain.left("anna", "bea", "eva") == [0, 0, 0]


async def test_a_receipt_that_came_back_whole_is_sought_in_no_circle(chain: Chain) -> None:
    await chain.buy("r1", "bea", 1000)
    await chain.buy("r1", "eva", 1000, moved=True)
    await chain.buy("r1", "bea", 1000, moved=True)
    await chain.take_back("b1", "r1", "bea", (1, 1000), why="voided")
    # Eva's ledger still leads to Bea's, which now leads to Eva's.
    await chain.merge("m1", "bea", "eva")
    await chain.buy("r1", "anna", 1000, moved=True)
    await chain.take_back("b2", "r1", "anna", (1, 1000))
    assert await chain.left("anna", "bea", "eva") == [0, 0, 0]


async def test_a_receipt_that_is_moved_by_hand_takes_its_points_along_and_back(
    chain: Chain,
) -> None:
    await chain.buy("r1", "anna", 1000)
    await chain.buy("r1", "eva", 1000, moved=True)
    await chain.buy("r1", "eva", 1000, moved=True)
    assert await chain.left("anna", "eva") == [0, 100]
    await chain.take_back("b1", "r1", "eva", (1, 500))
    assert await chain.left("anna", "eva") == [0, 50]
    await chain.buy("r1", "anna", 1000, moved=True)
    assert await chain.left("anna", "eva") == [50, 0]
    await chain.buy("r1", "eva", 1000, moved=True)
    assert await chain.left("anna", "eva") == [0, 50]


async def test_a_spending_that_came_back_with_a_revert_is_found_there(chain: Chain) -> None:
    await chain.buy("r1", "anna", 1000)
    await chain.spend("r2", "anna", 40)
    await chain.merge("m1", "anna", "eva")
    await chain.buy("r2", "eva", 500, points_spent=40)
    await chain.revert("m1", "anna", "eva")
    # The receipt was Eva's, the points were Anna's.
    assert await chain.left("anna", "eva") == [60, 46]
    await chain.take_back("b1", "r2", "eva", (1, 500))
    assert await chain.left("anna", "eva") == [100, 0]
    gone = GiveBack(
        at=DAY,
        spending="r2",
        cause="b2",
        why="voided",
        amount=0,
        time=DAY,
        branch=None,
        expires=None,
    )
    assert not (await chain.ask("again", "eva", gone)).changed


async def test_what_is_due_is_told_once_with_its_moment(chain: Chain) -> None:
    await chain.buy("r1", "anna", 1000)
    await chain.spend("r2", "anna", 40)
    chain.clock.advance(HOLD * 2)
    documents = await read_model(POINTS, logs_of(chain.store.commits), chain.keyring)
    entry = documents["anna"]
    assert entry.due_at == DAY + HOLD
    raw: dict[str, Any] = {"_id": "anna", "versions": entry.versions}
    for _ in range(2):
        await TellDue(chain.ledgers)([raw], chain.clock.now())
    events = [json.loads(text) for text in chain.store.commits[-1].events]
    assert [(each["type"], each["time"]) for each in events] == [
        ("points.given_back.v1", show_moment(DAY + HOLD))
    ]
    assert not (await chain.ask("late", "anna", Settle(at=chain.clock.now()))).changed
    after = await read_model(POINTS, logs_of(chain.store.commits), chain.keyring)
    assert (after["anna"].due_at, after["anna"].kept) == (None, {})


def record(kind: str, data: dict[str, Any], **more: object) -> LoggedRecord:
    """An event as Kafka has it."""
    envelope = {
        "specversion": "1.0",
        "id": "x@1",
        "source": "regulars/interaction",
        "type": kind,
        "time": "2017-12-01T09:00:00.000Z",
        "recordedtime": "2017-12-01T09:00:00.100Z",
        "stream": "x",
        "streamversion": 1,
        "correlationid": "c",
        **more,
        "data": data,
    }
    return LoggedRecord("topic", 0, 0, b"x", json.dumps(envelope, separators=(",", ":")).encode())


RECEIPT = {
    "fact": "r1",
    "source": "pos",
    "source_id": "1",
    "total": 1000,
    "coupon_lines": 0,
    "lines": [{"product": "a", "quantity": "1", "amount": 1000, "categories": ["food"]}],
    "points_spent": 30,
    "payments": [{"kind": "points", "amount": 60}, {"kind": "cash", "amount": 940}],
}
RETURN = {
    "fact": "b1",
    "source": "pos",
    "source_id": "2",
    "receipt": "r1",
    "bought": "2017-12-01T09:00:00.000Z",
    "bought_at": "12",
    "total": 500,
    "lines": [{"line": 1, "product": "a", "quantity": "1", "amount": 500}],
}


def test_what_touches_points_is_read_of_facts_moves_and_merges() -> None:
    moved = {
        "move": "m",
        "direction": "in",
        "facts": [
            {
                "fact": "r1",
                "type": "interaction.receipt_recorded.v1",
                "time": "2017-12-01T09:00:00.000Z",
                "recordedtime": "2017-12-01T09:00:00.000Z",
                "home": "anna",
                "hops": 1,
                "history": "i1",
                "data": RECEIPT,
            },
            {
                "fact": "v1",
                "type": "interaction.visit_recorded.v1",
                "time": "2017-12-01T09:00:00.000Z",
                "recordedtime": "2017-12-01T09:00:00.000Z",
                "home": "anna",
                "hops": 1,
                "data": {},
            },
        ],
    }
    seen = consumer.seen_in(
        [
            record("interaction.receipt_recorded.v1", RECEIPT, subject="anna", branch="12"),
            record("interaction.receipt_recorded.v1", {**RECEIPT, "points_spent": 0}),  # nobody's
            record("interaction.receipt_recorded.v1", RECEIPT),  # nobody's, paid by somebody
            record("interaction.receipt_returned.v1", RETURN, subject="anna"),
            record("interaction.receipt_voided.v1", RETURN, subject="anna"),
            record("interaction.facts_moved.v1", moved, subject="eva"),
            record("interaction.facts_moved.v1", {**moved, "direction": "out"}, subject="anna"),
            record("customer.merged.v1", {"merge": "m1", "survivor": "eva"}, subject="anna"),
            record(
                "customer.merge_reverted.v1",
                {"merge": "m1", "other": "eva", "role": "loser"},
                subject="anna",
            ),
            record(
                "customer.merge_reverted.v1",
                {"merge": "m1", "other": "anna", "role": "survivor"},
                subject="eva",
            ),
            record("customer.registered.v1", {}, subject="anna"),
            LoggedRecord("topic", 0, 0, b"x", b'{"type":"customer.merged.v1"'),
        ]
    )
    receipt, paid, returned, voided, adopted, merged, reverted = seen
    assert isinstance(receipt, SeenReceipt)
    assert (receipt.customer, receipt.points_spent, receipt.by_points) == ("anna", 30, 60)
    assert receipt.lines[0].categories == ("food",)
    assert isinstance(paid, SeenReceipt)
    assert (paid.customer, paid.points_spent) == (None, 30)
    assert isinstance(returned, SeenReturn)
    assert isinstance(voided, SeenReturn)
    assert (returned.why, voided.why, returned.lines) == ("returned", "voided", [(1, 500)])
    assert isinstance(adopted, SeenReceipt)
    assert (adopted.customer, adopted.moved, adopted.imported) == ("anna", True, True)
    assert isinstance(merged, SeenMerge)
    assert isinstance(reverted, SeenMerge)
    assert (merged.loser, merged.survivor, merged.reverted) == ("anna", "eva", False)
    assert (reverted.loser, reverted.reverted) == ("anna", True)


async def test_a_batch_of_records_is_carried_out(chain: Chain) -> None:
    chain.clock.moment = DAY
    earned = record(
        "interaction.receipt_recorded.v1",
        {**RECEIPT, "points_spent": None} | {"points_spent": 0, "payments": []},
        subject="anna",
        branch="12",
        time=show_moment(DAY),
    )
    merged = record("customer.merged.v1", {"merge": "m1", "survivor": "eva"}, subject="anna")
    await consumer.react(chain.following, [earned, merged])
    assert await chain.left("anna", "eva") == [0, 100]
    await consumer.react(chain.following, [])
