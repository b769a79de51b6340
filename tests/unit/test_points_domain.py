"""Ledgers of points: what each command comes to, and every refusal."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.interaction.domain.points.balance import Dated, balance_at
from services.interaction.domain.points.commands import (
    CancelSpending,
    Earn,
    GiveBack,
    Grant,
    Pay,
    Reverse,
    Settle,
    Spend,
    Withdraw,
)
from services.interaction.domain.points.deciding import LEDGER
from services.interaction.domain.points.ledger import Ledger
from services.interaction.domain.points.moving import (
    LINES_PER_EVENT,
    Merge,
    MoveReceipt,
    Revert,
    decide_move,
)
from shared.decider import NewEvent, Refused
from shared.events.contract import EventData
from shared.events.customer import CustomerRegistered
from shared.events.points import (
    Debt,
    DebtPaid,
    Earning,
    EarningLine,
    LineReturned,
    PointsEarned,
    PointsExpired,
    PointsGivenBack,
    PointsGranted,
    PointsMovedIn,
    PointsMovedOut,
    PointsOrigin,
    PointsReversed,
    PointsSpent,
    PointsWithdrawn,
    Portion,
    SpendingPaid,
)
from shared.execute import MAX_COMMIT_BYTES, MAX_EVENT_BYTES
from shared.testing import DAY
from shared.testing.specification import given

WEEK = timedelta(days=7)
LATER = DAY + WEEK


def earning(points: int, *, lines: Sequence[tuple[int, int]] = ((1, 1000),)) -> Earning:
    """Lines (number, amount) at 10 %, where a point is worth one minor unit."""
    return Earning(
        rules=1,
        point_value=1,
        points=points,
        lines=tuple(
            EarningLine(line=number, amount=amount, base=amount, percent=1000)
            for number, amount in lines
        ),
    )


def earned(fact: str = "a", points: int = 100, **more: Any) -> PointsEarned:  # noqa: ANN401 - any fields of the event
    found: dict[str, Any] = {"usable_from": DAY, "earning": earning(points), **more}
    return PointsEarned(fact=fact, points=points, **found)


def granted(grant: str = "g", points: int = 100, **more: Any) -> PointsGranted:  # noqa: ANN401 - any fields of the event
    found: dict[str, Any] = {"usable_from": DAY, **more}
    return PointsGranted(grant=grant, points=points, **found)


def portion(lot: str, points: int, **more: Any) -> Portion:  # noqa: ANN401 - any fields of the part
    found: dict[str, Any] = {"usable_from": DAY, **more}
    return Portion(lot=lot, points=points, **found)


def kept(points: int = 40, **more: Any) -> PointsSpent:  # noqa: ANN401 - any fields of the event
    found: dict[str, Any] = {"taken": (portion("a", points),), "lapses": LATER, **more}
    return PointsSpent(spending="r", points=points, total=1000, **found)


def earn(**more: Any) -> Earn:  # noqa: ANN401 - any fields of the command
    found: dict[str, Any] = {
        "at": DAY,
        "fact": "a",
        "earning": earning(100),
        "time": DAY,
        "branch": "12",
        "usable_from": DAY,
        "expires": None,
        **more,
    }
    return Earn(**found)


def spend(points: int, **more: Any) -> Spend:  # noqa: ANN401 - any fields of the command
    found: dict[str, Any] = {
        "at": DAY,
        "spending": "r",
        "most": 500,
        "total": 1000,
        "lapses": LATER,
        "branch": "12",
        **more,
    }
    return Spend(points=points, **found)


def pay(points: int) -> Pay:
    return Pay(at=DAY, spending="r", points=points, total=1000, time=DAY, branch="12")


def reverse(*lines: tuple[int, int], voided: bool = False) -> Reverse:
    return Reverse(
        at=DAY,
        fact="a",
        cause="b",
        why="voided" if voided else "returned",
        lines=lines,
        time=DAY,
        branch="12",
    )


def give_back(amount: int, *, voided: bool = False) -> GiveBack:
    return GiveBack(
        at=DAY,
        spending="r",
        cause="b",
        why="voided" if voided else "returned",
        amount=amount,
        time=DAY,
        branch="12",
        expires=LATER,
    )


# Earning


def test_a_receipt_earns_a_lot_of_its_own() -> None:
    given(LEDGER).when(earn(expires=LATER)).then(
        [NewEvent(earned(expires=LATER), DAY, "12")],
    )


def test_a_receipt_that_earned_here_earns_no_more() -> None:
    given(LEDGER, [earned()]).when(earn()).then_nothing()


def test_what_is_earned_so_late_that_its_life_is_over_expires_at_that_moment() -> None:
    given(LEDGER).when(earn(at=LATER, expires=DAY)).then(
        [
            NewEvent(earned(expires=DAY), DAY, "12"),
            NewEvent(PointsExpired(lot="a", points=100), DAY),
        ]
    )


def test_what_is_earned_pays_for_what_is_owed_first() -> None:
    spent = PointsSpent(spending="r", points=30, taken=(), debt=30, total=1000)
    given(LEDGER, [spent]).when(earn()).then([earned(debt_paid=30)])
    state = LEDGER.fold([spent, earned(debt_paid=30)])
    # 100 less the 30 that were owed.
    assert (balance_at(state, DAY).usable, state.owed) == (70, 0)


def test_points_that_are_pending_become_usable_without_any_event() -> None:
    state = LEDGER.fold([earned(usable_from=LATER), earned("b", 5)])
    before, after = (balance_at(state, at) for at in (LATER - timedelta(milliseconds=1), LATER))
    assert (before.usable, before.pending) == (5, [Dated(LATER, 100)])
    assert (after.usable, after.pending) == (105, [])


# By hand


def grant(points: int = 100, expires: datetime | None = None) -> Grant:
    return Grant(at=DAY, grant="g", points=points, expires=expires, reason="sorry", by="key:1")


def test_points_are_granted_by_hand_and_say_why_and_by_whom() -> None:
    given(LEDGER).when(grant(expires=LATER)).then(
        [granted(expires=LATER, reason="sorry", by="key:1")]
    )


def test_no_points_cannot_be_granted() -> None:
    given(LEDGER).when(grant(0)).then_refused("invalid", "points")


def test_points_cannot_be_granted_with_a_life_that_is_over() -> None:
    given(LEDGER).when(grant(expires=DAY)).then_refused("invalid", "expires")


def test_a_grant_that_only_pays_for_what_is_owed_leaves_no_lot() -> None:
    state = LEDGER.fold(
        [
            PointsSpent(spending="r", points=100, taken=(), debt=100, total=1000),
            granted(debt_paid=100),
        ]
    )
    assert (state.lots, state.owed) == ({}, 0)


def withdraw(points: int) -> Withdraw:
    return Withdraw(at=DAY, points=points, reason="a mistake", by="key:1")


def test_points_are_withdrawn_by_hand_from_what_expires_first() -> None:
    history = [granted("late", 50), granted("soon", 30, expires=LATER)]
    given(LEDGER, history).when(withdraw(40)).then(
        [
            PointsWithdrawn(
                points=40,
                taken=(portion("soon", 30, expires=LATER), portion("late", 10)),
                reason="a mistake",
                by="key:1",
            )
        ]
    )


def test_more_than_can_be_spent_is_not_withdrawn() -> None:
    history = [granted("g", 30), earned(usable_from=LATER)]
    refusal = given(LEDGER, history).when(withdraw(31)).then_refused("too-few-points")
    assert refusal.extra == {"usable": "30"}


def test_no_points_cannot_be_withdrawn() -> None:
    given(LEDGER, [earned()]).when(withdraw(0)).then_refused("invalid", "points")


# Spending


def test_points_are_kept_for_a_receipt_that_will_come() -> None:
    given(LEDGER, [earned()]).when(spend(40)).then([NewEvent(kept(), DAY, "12")])


def test_points_that_are_kept_cannot_be_spent_again() -> None:
    history = [earned(), kept(80, taken=(portion("a", 80),))]
    refusal = given(LEDGER, history).when(spend(21, spending="s")).then_refused("too-few-points")
    assert refusal.extra == {"usable": "20"}  # 100 - 80


def test_no_points_cannot_be_spent() -> None:
    given(LEDGER, [earned()]).when(spend(0)).then_refused("invalid", "points")


def test_points_pay_for_no_more_of_a_receipt_than_the_rules_say() -> None:
    refusal = given(LEDGER, [earned()]).when(spend(60, most=50)).then_refused("over-the-share")
    assert refusal.extra == {"most": "50"}


def test_points_are_kept_for_a_receipt_once() -> None:
    refusal = given(LEDGER, [earned(), kept()]).when(spend(10)).then_refused("points-kept")
    assert refusal.extra == {"points": "40"}


def test_points_whose_life_is_over_are_not_spent_though_nobody_has_told_so_yet() -> None:
    given(LEDGER, [earned(expires=LATER)]).when(spend(1, at=LATER)).then_refused("too-few-points")


def test_what_is_kept_for_a_receipt_that_never_comes_lapses_at_its_moment() -> None:
    given(LEDGER, [earned(), kept()]).when(Settle(at=LATER + WEEK)).then(
        [
            NewEvent(
                PointsGivenBack(spending="r", points=40, given=(portion("a", 40),), why="lapsed"),
                LATER,
            )
        ]
    )


def test_nothing_is_settled_before_its_moment() -> None:
    early = Settle(at=LATER - timedelta(milliseconds=1))
    given(LEDGER, [earned(expires=LATER), kept()]).when(early).then_nothing()


def test_what_lapses_after_the_life_of_its_lot_expires_at_once() -> None:
    expires = DAY + timedelta(days=1)
    taken = (portion("a", 40, expires=expires),)
    history = [earned(expires=expires), kept(taken=taken)]
    given(LEDGER, history).when(Settle(at=LATER)).then(
        [
            NewEvent(PointsExpired(lot="a", points=60), expires),
            NewEvent(PointsGivenBack(spending="r", points=40, given=taken, why="lapsed"), LATER),
            NewEvent(PointsExpired(lot="a", points=40), LATER),
        ]
    )


def test_a_spending_is_cancelled_before_its_receipt_comes() -> None:
    cancelled = PointsGivenBack(spending="r", points=40, given=(portion("a", 40),), why="cancelled")
    given(LEDGER, [earned(), kept()]).when(CancelSpending(at=DAY, spending="r")).then([cancelled])
    state = LEDGER.fold([earned(), kept(), cancelled])
    assert (balance_at(state, DAY).usable, state.spendings) == (100, {})


def test_a_spending_that_is_not_there_any_more_is_cancelled_already() -> None:
    given(LEDGER, [earned()]).when(CancelSpending(at=DAY, spending="r")).then_nothing()


def test_a_spending_whose_receipt_has_come_is_not_cancelled() -> None:
    history = [earned(), kept(), SpendingPaid(spending="r", total=1000)]
    given(LEDGER, history).when(CancelSpending(at=DAY, spending="r")).then_refused("already-paid")


def test_the_receipt_makes_what_is_kept_for_it_spent() -> None:
    paid = SpendingPaid(spending="r", total=1000)
    given(LEDGER, [earned(), kept()]).when(pay(40)).then([NewEvent(paid, DAY, "12")])
    given(LEDGER, [earned(), kept(), paid]).when(pay(40)).then_nothing()
    # Nothing lapses any more.
    given(LEDGER, [earned(), kept(), paid]).when(Settle(at=LATER)).then_nothing()


def test_what_a_receipt_does_not_use_of_what_is_kept_comes_back() -> None:
    given(LEDGER, [earned(), kept()]).when(pay(30)).then(
        [
            PointsGivenBack(spending="r", points=10, given=(portion("a", 10),), why="unused"),
            SpendingPaid(spending="r", total=1000),
        ]
    )


def test_a_receipt_that_was_paid_by_more_than_was_kept_takes_more() -> None:
    given(LEDGER, [earned(), kept()]).when(pay(50)).then(
        [
            PointsSpent(spending="r", points=10, taken=(portion("a", 10),), total=1000),
            SpendingPaid(spending="r", total=1000),
        ]
    )


def test_a_receipt_for_which_nothing_was_kept_counts_and_what_there_is_not_is_owed() -> None:
    history = [earned(points=30, earning=earning(30)), granted("g", 5, usable_from=LATER)]
    spent = PointsSpent(
        spending="r",
        points=40,
        taken=(portion("a", 30), portion("g", 5, usable_from=LATER)),
        debt=5,  # 40 - 30 - 5
        total=1000,
    )
    given(LEDGER, history).when(pay(40)).then([spent])
    assert balance_at(LEDGER.fold([*history, spent]), DAY).usable == 0


# Receipts that come back


def test_a_return_takes_back_what_its_lines_earned() -> None:
    lines = earning(100, lines=[(1, 800), (3, 200)])
    reversed_ = PointsReversed(
        fact="a",
        points=30,  # 10 % of 300
        taken=(portion("a", 30),),
        why="returned",
        cause="b",
        lines=(LineReturned(line=1, amount=300),),
    )
    history = [earned(earning=lines)]
    given(LEDGER, history).when(reverse((1, 300), (2, 500))).then([reversed_])
    # All the rest, and never more than was earned.
    given(LEDGER, [*history, reversed_]).when(reverse((1, 900), (3, 900))).then(
        [
            PointsReversed(
                fact="a",
                points=70,
                taken=(portion("a", 70),),
                why="returned",
                cause="b",
                lines=(LineReturned(line=1, amount=500), LineReturned(line=3, amount=200)),
            )
        ]
    )


def test_a_void_takes_back_all_that_was_not_taken_back_yet() -> None:
    history: list[EventData] = [earned()]
    first = LEDGER.decide(reverse((1, 250)), LEDGER.fold(history))
    history += [event.data for event in first]
    voided = given(LEDGER, history).when(reverse(voided=True))
    voided.then(
        [
            PointsReversed(
                fact="a",
                points=75,  # 10 % of 1000 - 250
                taken=(portion("a", 75),),
                why="voided",
                cause="b",
                lines=(LineReturned(line=1, amount=750),),
            )
        ]
    )
    history += [event.data for event in voided.events]
    given(LEDGER, history).when(reverse(voided=True)).then_nothing()


def test_what_comes_back_in_pieces_takes_back_as_much_as_in_one() -> None:
    # 3 × 333 of 999 earn 99: after the first piece 66.6 → 66 are left, after the second 33.
    history: list[EventData] = [earned(points=99, earning=earning(99, lines=[(1, 999)]))]
    taken = []
    for _ in range(3):
        (event,) = LEDGER.decide(reverse((1, 333)), LEDGER.fold(history))
        assert isinstance(event.data, PointsReversed)
        taken.append(event.data.points)
        history.append(event.data)
    assert (taken, LEDGER.fold(history).left) == ([33, 33, 33], 0)


def test_points_that_are_spent_already_are_taken_of_other_lots_then_owed() -> None:
    spent = kept(90, taken=(portion("a", 90),), lapses=None)
    history = [earned(), granted("g", 20), spent]
    given(LEDGER, history).when(reverse(voided=True)).then(
        [
            PointsReversed(
                fact="a",
                points=100,
                taken=(portion("a", 10), portion("g", 20)),
                debt=70,  # 100 - 10 - 20
                why="voided",
                cause="b",
                lines=(LineReturned(line=1, amount=1000),),
            )
        ]
    )


def test_nothing_is_taken_back_for_a_receipt_or_lines_that_earned_nothing() -> None:
    given(LEDGER).when(reverse((1, 100))).then_nothing()
    given(LEDGER, [earned()]).when(reverse((2, 100))).then_nothing()


def test_a_return_is_meant_for_whose_receipt_it_is_by_now() -> None:
    moved = PointsReversed(fact="a", points=100, taken=(portion("a", 100),), why="moved", to="eva")
    refusal = given(LEDGER, [earned(), moved]).when(reverse((1, 1))).then_refused("receipt-moved")
    assert refusal.extra == {"to": "eva"}


def test_points_that_paid_come_back_in_proportion_and_in_the_end_whole() -> None:
    history: list[EventData] = [earned(), kept(50, lapses=None, taken=(portion("a", 50),))]
    amounts, back = (333, 333, 334), []
    for amount in amounts:
        (event,) = LEDGER.decide(give_back(amount), LEDGER.fold(history))
        assert isinstance(event.data, PointsGivenBack)
        back.append(event.data.points)
        history.append(event.data)
    # floor(50 × 333 / 1000) = 16, floor(50 × 666 / 1000) = 33, then all 50.
    assert back == [16, 17, 17]
    assert LEDGER.fold(history).left == 100
    given(LEDGER, history).when(give_back(1)).then_nothing()


def test_a_return_too_small_for_a_point_is_remembered() -> None:
    history = [earned(), kept(5, lapses=None, taken=(portion("a", 5),))]
    told = PointsGivenBack(
        spending="r", points=0, given=(), why="returned", cause="b", returned=199
    )
    given(LEDGER, history).when(give_back(199)).then([told])
    given(LEDGER, [*history, told]).when(give_back(0)).then_nothing()
    given(LEDGER, [*history, told]).when(give_back(1)).then(
        [
            PointsGivenBack(
                spending="r",
                points=1,  # 5 × 200 / 1000
                given=(portion("a", 1),),
                why="returned",
                cause="b",
                returned=200,
            )
        ]
    )


def test_a_void_gives_back_what_was_paid_by_points_that_were_owed() -> None:
    spent = kept(50, lapses=None, taken=(portion("a", 20),), debt=30)
    history = [earned(points=20, earning=earning(20)), spent]
    # 20 + 30 come back: 30 pay for what is owed, and nothing is a lot of its own.
    given(LEDGER, history).when(give_back(0, voided=True)).then(
        [
            PointsGivenBack(
                spending="r",
                points=50,
                given=(portion("r", 20, expires=LATER),),
                debt_paid=30,
                why="voided",
                cause="b",
                returned=0,
            )
        ]
    )
    # Once it is settled, what was owed comes back as a lot.
    settled = [*history, granted("g", 30, debt_paid=30)]
    state = LEDGER.fold(settled)
    after = LEDGER.fold(
        [event.data for event in LEDGER.decide(give_back(0, voided=True), state)],
        state,
    )
    assert {name: lot.points for name, lot in after.lots.items()} == {"a": 20, "r": 30}


def test_nothing_comes_back_for_a_receipt_that_points_did_not_pay() -> None:
    given(LEDGER, [earned()]).when(give_back(500)).then_nothing()


# Merges


def joint(move: Merge | Revert | MoveReceipt, **histories: Sequence[EventData]) -> Any:  # noqa: ANN401 - plain data by stream
    """The data of the events that a move gives each customer."""
    states = {f"points-{name}": LEDGER.fold(events) for name, events in histories.items()}
    found = decide_move(move, states, {})
    return {
        name.removeprefix("points-"): [event.data for event in events]
        for name, events in found.items()
    }


def merged(*path: str, merge: str = "m1") -> Merge:
    return Merge(merge=merge, path=path, at=DAY)


def reverted(*path: str, merge: str = "m1") -> Revert:
    return Revert(merge=merge, path=path, at=DAY)


ANNA = PointsOrigin(merge="m1", customer="anna")
CLOSED = PointsMovedOut(merge="m2", to="eva", why="merged", points=0)


def test_a_merge_moves_everything_to_the_survivor_and_closes_the_other() -> None:
    histories: dict[str, list[EventData]] = {
        "anna": [earned(), kept(40)],
        "eva": [granted("g", 7)],
    }
    given_ = joint(merged("anna", "eva"), **histories)
    (out,), (come,) = given_["anna"], given_["eva"]
    assert out == PointsMovedOut(
        merge="m1", to="eva", why="merged", points=60, lots=("a",), spendings=("r",)
    )
    assert (come.points, [lot.origins for lot in come.lots]) == (60, [(ANNA,)])
    eva = LEDGER.fold([*histories["eva"], come])
    assert (balance_at(eva, DAY).usable, balance_at(eva, DAY).kept) == (67, 40)
    closed = [*histories["anna"], out]
    refusal = given(LEDGER, closed).when(Settle(at=LATER)).then_refused("points-moved")
    assert refusal.extra == {"to": "eva", "merge": "m1"}
    assert joint(merged("anna", "eva"), anna=closed, eva=histories["eva"]) == {}


def test_the_revert_gives_back_what_is_left_of_what_was_brought() -> None:
    start: dict[str, list[EventData]] = {"anna": [earned()], "eva": [granted("g", 7)]}
    there = joint(merged("anna", "eva"), **start)
    taken = LEDGER.decide(spend(30), LEDGER.fold([*start["eva"], *there["eva"]]))
    eva = [*start["eva"], *there["eva"], *(event.data for event in taken)]
    anna = [*start["anna"], *there["anna"]]
    back = joint(reverted("anna", "eva"), anna=anna, eva=eva)
    anna_now, eva_now = LEDGER.fold([*anna, *back["anna"]]), LEDGER.fold([*eva, *back["eva"]])
    # Both lots never expire, so the oldest goes first, and of equals the first by name: 30 of "a".
    assert (anna_now.left, eva_now.left, anna_now.moved) == (70, 7, None)
    assert anna_now.lots["a"].origins == ()
    assert list(eva_now.spendings) == ["r"]
    assert joint(reverted("anna", "eva"), anna=[*anna, *back["anna"]], eva=eva) == {}


def test_a_merge_passes_through_those_who_were_merged_before_it_was_heard_of() -> None:
    given_ = joint(merged("anna", "bea", "eva"), anna=[earned()], bea=[CLOSED], eva=[])
    assert [type(each) for each in given_["bea"]] == [PointsMovedIn, PointsMovedOut]
    bea, eva = LEDGER.fold([CLOSED, *given_["bea"]]), LEDGER.fold(given_["eva"])
    assert (bea.left, eva.left) == (0, 100)
    assert eva.lots["a"].origins == (ANNA, PointsOrigin(merge="m2", customer="bea"))
    # And back the same way, while the second merge stands.
    anna = [earned(), *given_["anna"]]
    back = joint(
        reverted("anna", "bea", "eva"), anna=anna, bea=[CLOSED, *given_["bea"]], eva=given_["eva"]
    )
    assert LEDGER.fold([*anna, *back["anna"]]).left == 100
    assert LEDGER.fold([*given_["eva"], *back["eva"]]).left == 0
    assert LEDGER.fold([CLOSED, *given_["bea"], *back["bea"]]).moved is not None


def test_what_one_owes_is_paid_by_what_the_other_has() -> None:
    owing = PointsSpent(spending="r", points=30, taken=(), debt=30, total=1000)
    given_ = joint(merged("anna", "eva"), anna=[owing], eva=[granted("g", 7)])
    assert given_["eva"][-1] == DebtPaid(points=7, taken=(portion("g", 7),))
    eva = LEDGER.fold([granted("g", 7), *given_["eva"]])
    assert (eva.debts, eva.left) == ((Debt(points=23, origins=(ANNA,)),), 0)


@pytest.mark.parametrize(
    ("path", "states"),
    [
        (("anna", "eva"), {"anna": [], "eva": [CLOSED]}),
        (("anna", "bea", "eva"), {"anna": [], "bea": [], "eva": []}),
        (("anna", "bea", "fay"), {"anna": [], "bea": [CLOSED], "fay": []}),
    ],
)
def test_a_way_that_has_changed_meanwhile_is_looked_for_again(
    path: tuple[str, ...], states: dict[str, list[EventData]]
) -> None:
    with pytest.raises(Refused, match="points-on-the-way"):
        joint(merged(*path), **states)


def test_many_lots_change_hands_in_several_events() -> None:
    # A lot that no receipt earned counts as 5 lines.
    most = LINES_PER_EVENT // 5
    lots = [granted(f"g{number}", 1) for number in range(most + 1)]
    given_ = joint(merged("anna", "eva"), anna=lots, eva=[])
    assert [each.points for each in given_["eva"]] == [most, 1]
    assert LEDGER.fold(given_["eva"]).left == most + 1


def test_what_is_too_much_to_move_at_once_goes_without_how_the_oldest_was_earned() -> None:
    def of(number: int) -> PointsEarned:
        long = earning(100, lines=[(line, 10) for line in range(1, 501)])
        return earned(f"r{number:03}", earning=long, usable_from=DAY + timedelta(minutes=number))

    # Each is 505 lines: 92 of them are 1,460 more than can be moved, so one that is spent goes
    # not at all, and the two oldest of the others without their lines.
    anna: list[EventData] = [of(number) for number in range(92)]
    spent = PointsWithdrawn(
        points=100, taken=(portion("r050", 100, usable_from=DAY + timedelta(minutes=50)),)
    )
    given_ = joint(merged("anna", "eva"), anna=[*anna, spent], eva=[])
    eva = LEDGER.fold(given_["eva"])
    bare = [name for name, lot in eva.lots.items() if lot.earning is None]
    assert (eva.left, bare, "r050" in eva.lots) == (9_100, ["r000", "r001"], False)
    whole = [len(each.model_dump_json()) for each in given_["eva"]]
    assert max(whole) < MAX_EVENT_BYTES
    assert sum(whole) < MAX_COMMIT_BYTES


def test_a_receipt_that_is_somebody_elses_takes_its_points_along() -> None:
    spent = kept(90, taken=(portion("a", 90),), lapses=None)
    anna: list[EventData] = [earned(), spent]
    move = MoveReceipt(fact="a", source="anna", target="eva", at=DAY)
    given_ = joint(move, anna=anna, eva=[])
    left, come = LEDGER.fold([*anna, *given_["anna"]]), LEDGER.fold(given_["eva"])
    # Anna has spent 90 that were never hers; Eva gets all 100.
    assert (left.left, left.owed, left.gone) == (0, 90, {"a": "eva"})
    assert (come.left, come.lots["a"].earning) == (100, earning(100))
    assert joint(move, anna=[*anna, *given_["anna"]], eva=given_["eva"]) == {}
    # And back: it is Anna's again, and so is a return of it.
    back = joint(
        MoveReceipt(fact="a", source="eva", target="anna", at=DAY),
        anna=[*anna, *given_["anna"]],
        eva=given_["eva"],
    )
    again = LEDGER.fold([*anna, *given_["anna"], *back["anna"]])
    assert (again.left, again.owed, again.gone) == (10, 0, {})


def test_a_receipt_is_not_moved_from_or_to_somebody_who_was_merged_meanwhile() -> None:
    move = MoveReceipt(fact="a", source="anna", target="eva", at=DAY)
    with pytest.raises(Refused, match="points-on-the-way"):
        joint(move, anna=[earned()], eva=[CLOSED])
    with pytest.raises(Refused, match="points-on-the-way"):
        joint(move, anna=[earned(), CLOSED], eva=[])


def test_a_ledger_has_no_other_events() -> None:
    with pytest.raises(TypeError, match="has no event"):
        LEDGER.evolve(Ledger(), CustomerRegistered())
