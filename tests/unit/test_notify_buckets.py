"""Shares of dispatchers: every bucket has one, none has two, and the living share evenly."""

from datetime import UTC, datetime, timedelta

import pytest

from services.notify.domain import BUCKETS
from services.notify.handlers.sending import buckets
from services.notify.handlers.sending.buckets import Buckets
from shared.clock import ManualClock
from shared.memory import MemoryLeases

NOW = datetime(2018, 1, 2, tzinfo=UTC)


async def settle(*dispatchers: Buckets) -> None:
    """Three rounds: learn of each other, let go, take."""
    for _ in range(3):
        for each in dispatchers:
            await each.tend()
            await each.let_go()


def sizes(*dispatchers: Buckets) -> list[int]:
    """How many buckets each has; fails where one has two."""
    mine = [each.mine() for each in dispatchers]
    assert sum(map(len, mine)) == len(frozenset().union(*mine))
    return [len(each) for each in mine]


async def test_one_dispatcher_takes_everything() -> None:
    only = Buckets(MemoryLeases(ManualClock(NOW)), "a")
    assert only.mine() == frozenset()
    await only.tend()
    assert only.mine() == frozenset(range(BUCKETS))


async def test_newcomers_get_their_share_and_those_who_leave_give_it_back() -> None:
    leases = MemoryLeases(ManualClock(NOW))
    first, second, third = (Buckets(leases, name) for name in "abc")
    await first.tend()
    await settle(first, second)
    # Eight groups of eight buckets for two.
    assert sizes(first, second) == [32, 32]
    await settle(first, second, third)
    # Three groups at most for each of three.
    assert sorted(sizes(first, second, third)) == [16, 24, 24]
    await second.leave()
    await settle(first, third)
    assert sizes(first, third) == [32, 32]


async def test_what_is_beyond_the_share_is_not_worked_on_and_kept_until_it_is_let_go() -> None:
    leases = MemoryLeases(ManualClock(NOW))
    first, second = Buckets(leases, "a"), Buckets(leases, "b")
    await first.tend()
    await second.tend()
    assert sizes(first, second) == [64, 0]
    await first.tend()
    await second.tend()
    # The first one may still have a batch of them in hand.
    assert sizes(first, second) == [32, 0]
    await first.let_go()
    await second.tend()
    assert sizes(first, second) == [32, 32]


async def test_the_share_of_the_dead_goes_to_the_living() -> None:
    clock = ManualClock(NOW)
    leases = MemoryLeases(clock)
    dead, living = Buckets(leases, "a"), Buckets(leases, "b")
    await dead.tend()
    await settle(living)
    assert len(living.mine()) == 0
    clock.advance(timedelta(seconds=buckets.LEASE_SECONDS + 1))
    await settle(living)
    assert living.mine() == frozenset(range(BUCKETS))
    # The dead one wakes: its leases belong to another.
    await dead.tend()
    assert dead.mine() == frozenset()


async def test_a_lease_that_may_end_during_a_hand_over_is_not_worked_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(buckets, "LEASE_SECONDS", buckets.SURE_SECONDS - 0.1)
    late = Buckets(MemoryLeases(ManualClock(NOW)), "a")
    await late.tend()
    assert late.mine() == frozenset()
