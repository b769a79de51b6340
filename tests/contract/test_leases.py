"""What leases must do, on the database's clock, whatever the holders' clocks show."""

import asyncio
from collections.abc import Awaitable, Callable

from shared.readmodel import Leases

Pass = Callable[[float], Awaitable[None]]
LeasesAndTime = tuple[Leases, Pass]
SHORT = 0.15
LONG = 60.0


async def test_a_held_lease_is_not_given_again(leases_and_time: LeasesAndTime) -> None:
    leases, _ = leases_and_time
    lease = await leases.acquire("relay", "a", LONG)
    assert lease is not None
    assert (lease.name, lease.owner, lease.fence) == ("relay", "a", 1)
    assert await leases.acquire("relay", "b", LONG) is None
    assert await leases.acquire("relay", "a", LONG) is None
    assert await leases.acquire("dispatcher", "b", LONG) is not None


async def test_an_expired_lease_goes_to_the_next_with_a_higher_fence(
    leases_and_time: LeasesAndTime,
) -> None:
    leases, wait = leases_and_time
    await leases.acquire("relay", "a", SHORT)
    await wait(SHORT * 2)
    lease = await leases.acquire("relay", "b", LONG)
    assert lease is not None
    assert (lease.owner, lease.fence) == ("b", 2)


async def test_a_renewed_lease_lasts_from_the_renewal(leases_and_time: LeasesAndTime) -> None:
    leases, wait = leases_and_time
    lease = await leases.acquire("relay", "a", SHORT)
    assert lease is not None
    renewed = await leases.renew(lease, LONG)
    assert renewed is not None
    assert renewed.fence == lease.fence
    await wait(SHORT * 2)
    assert await leases.acquire("relay", "b", LONG) is None


async def test_the_time_of_a_renewal_is_the_databases_own_and_moves_on(
    leases_and_time: LeasesAndTime,
) -> None:
    leases, wait = leases_and_time
    lease = await leases.acquire("relay", "a", LONG)
    assert lease is not None
    await wait(0.05)
    renewed = await leases.renew(lease, LONG)
    assert renewed is not None
    assert 0.045 <= (renewed.at - lease.at).total_seconds() < 10
    assert renewed.at.tzinfo is not None


async def test_whoever_lost_a_lease_can_neither_renew_nor_save(
    leases_and_time: LeasesAndTime,
) -> None:
    leases, wait = leases_and_time
    frozen = await leases.acquire("relay", "a", SHORT)
    assert frozen is not None
    assert await leases.save(frozen, {"token": "a"})
    await wait(SHORT * 2)
    present = await leases.acquire("relay", "b", LONG)
    assert present is not None
    assert await leases.state("relay") == {"token": "a"}
    assert await leases.save(present, {"token": "b"})
    assert await leases.renew(frozen, LONG) is None
    assert not await leases.save(frozen, {"token": "late"})
    await leases.release(frozen)
    assert await leases.state("relay") == {"token": "b"}
    assert await leases.acquire("relay", "c", LONG) is None


async def test_a_lease_that_expired_but_was_not_taken_can_be_renewed(
    leases_and_time: LeasesAndTime,
) -> None:
    leases, wait = leases_and_time
    lease = await leases.acquire("relay", "a", SHORT)
    assert lease is not None
    await wait(SHORT * 2)
    assert await leases.renew(lease, LONG) is not None
    assert await leases.acquire("relay", "b", LONG) is None


async def test_a_released_lease_is_free_at_once_and_keeps_its_state(
    leases_and_time: LeasesAndTime,
) -> None:
    leases, _ = leases_and_time
    lease = await leases.acquire("relay", "a", LONG)
    assert lease is not None
    await leases.save(lease, {"token": {"_data": "82"}, "refused": [{"stream": "s", "seq": 3}]})
    await leases.release(lease)
    following = await leases.acquire("relay", "b", LONG)
    assert following is not None
    assert following.fence == 2
    state = await leases.state("relay")
    assert state == {"token": {"_data": "82"}, "refused": [{"stream": "s", "seq": 3}]}


async def test_a_lease_that_nobody_took_has_no_state(leases_and_time: LeasesAndTime) -> None:
    leases, _ = leases_and_time
    assert await leases.state("relay") == {}
    await leases.acquire("relay", "a", LONG)
    assert await leases.state("relay") == {}


async def test_of_many_who_want_a_free_lease_one_gets_it(leases_and_time: LeasesAndTime) -> None:
    leases, wait = leases_and_time
    await leases.acquire("expired", "before", SHORT)
    await wait(SHORT * 2)
    for name, fence in (("new", 1), ("expired", 2)):
        taken = await asyncio.gather(*(leases.acquire(name, str(n), LONG) for n in range(5)))
        assert [lease.fence for lease in taken if lease is not None] == [fence]


async def test_those_who_hold_leases_of_one_kind_are_known(
    leases_and_time: LeasesAndTime,
) -> None:
    leases, wait = leases_and_time
    await leases.acquire("dispatcher-0", "a", LONG)
    await leases.acquire("dispatcher-1", "b", SHORT)
    await leases.acquire("dispatch-0", "c", LONG)
    await wait(SHORT * 2)
    assert await leases.holders("dispatcher-") == {"dispatcher-0": "a"}
    assert await leases.holders("dispatch") == {"dispatcher-0": "a", "dispatch-0": "c"}
