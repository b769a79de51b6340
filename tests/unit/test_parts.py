"""What a slow server cannot write at once gets in bit by bit, each bit in its time."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast

import pytest
from msgspec.structs import replace as changed

from shared.claims import ClaimPolicy
from shared.decider import NewEvent
from shared.eventstore import Append, Claim, ClaimChange, Commit, Head, Known, StoreUnavailable
from shared.execute import Command, Done, Writer
from shared.memory import MemoryEventStore
from shared.mongo import Database, MongoEventStore
from shared.mongo.events import FIRST_CLAIMING, MOST_CLAIMING, ClaimLost
from shared.parts import PartSize
from shared.testing import DAY, Note, Receive, diary, note
from shared.testing.virtual_time import BEGINNING, LoopClock, in_virtual_time
from tests.unit.folding import KEYS

DEADLINE = timedelta(seconds=2)
NOWHERE = cast("Database", None)


@dataclass(frozen=True, slots=True)
class SlowClaims(MongoEventStore):
    """Each append of a transaction takes its time; the server is a dict.

    A transaction that takes longer than its deadline is given up, as the driver does.
    """

    seconds_each: float = 0.0
    kept: MemoryEventStore = field(default_factory=MemoryEventStore)
    sizes: list[int] = field(default_factory=list)
    late: list[float] = field(default_factory=list)

    async def known(self, command_ids: Sequence[str]) -> Mapping[str, Known]:
        return await self.kept.known(command_ids)

    async def heads(self, streams: Sequence[str]) -> Mapping[str, Head]:
        return await self.kept.heads(streams)

    async def read(self, streams: Sequence[str]) -> Mapping[str, Sequence[Commit]]:
        return await self.kept.read(streams)

    async def claims(self, ids: Sequence[str]) -> Mapping[str, Claim]:
        return await self.kept.claims(ids)

    async def _transact(self, appends: Sequence[Append]) -> None:
        await asyncio.sleep(self.seconds_each * len(appends))
        now = asyncio.get_running_loop().time()
        self.late.extend(now for append in appends if now > (append.commit.expires or now))
        if not await self.kept.append_together(appends):
            raise ClaimLost
        self.sizes.append(len(appends))


def phone(body: Note | Receive) -> str:
    assert isinstance(body, Note)
    return f"phone|{body.text}"


def taken(body: Note | Receive, _events: Sequence[NewEvent]) -> Sequence[ClaimChange]:
    return [ClaimChange(phone(body), 0, "somebody")]


claiming: ClaimPolicy[Note | Receive] = ClaimPolicy(
    ids=lambda body: [phone(body)], given=lambda body, _claims: body, changes=taken
)


def registrations(count: int, prefix: str = "") -> list[Command[Note | Receive]]:
    return [note(f"c|{prefix}{n}", f"{prefix}{n}", f"{prefix}{n}") for n in range(count)]


def writer_on(store: MongoEventStore) -> Writer:
    return Writer(store, KEYS, LoopClock(), "customer", DEADLINE)


def elapsed() -> float:
    return asyncio.get_running_loop().time() - BEGINNING


@in_virtual_time
async def test_a_thousand_registrations_get_in_on_a_slow_server() -> None:
    # 20 in a second, 40 in a deadline: a thousand at once would never be written.
    store = SlowClaims(NOWHERE, DEADLINE, seconds_each=0.05)
    outcomes = await writer_on(store).many(diary, registrations(1_000), claims=claiming)
    assert outcomes == [Done(f"customer-{n}", 1) for n in range(1_000)]
    assert store.late == []
    # 64 at first take 3.2 s and are given up after 2; then 32 in 1.6 s each, and 8 are left:
    # 2 + 1,000 × 0.05 = 52, and what a rival's turn is waited for.
    assert store.sizes == [32] * 31 + [8]
    assert 52 <= elapsed() < 53


@in_virtual_time
async def test_a_very_slow_server_is_given_up_but_each_try_comes_further() -> None:
    # One in 1.5 s: 64, 32 and 16 are given up, at the next try 8, 4 and 2, then one is written.
    store = SlowClaims(NOWHERE, DEADLINE, seconds_each=1.5)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await writer_on(store).many(diary, registrations(100), claims=claiming)
    assert store.sizes == []
    outcomes = await writer_on(store).many(diary, registrations(5), claims=claiming)
    assert outcomes == [Done(f"customer-{n}", 1) for n in range(5)]
    assert store.sizes == [1] * 5
    assert store.late == []


@in_virtual_time
async def test_a_quick_server_gets_more_at_once() -> None:
    store = SlowClaims(NOWHERE, DEADLINE, seconds_each=0.0001)
    await writer_on(store).many(diary, registrations(3_000), claims=claiming)
    # Doubled up to 1,000: 64, 128, 256, 512 are 960; 2,040 are left.
    assert store.sizes == [64, 128, 256, 512, 1_000, 1_000, 40]
    assert (FIRST_CLAIMING, MOST_CLAIMING) == (64, 1_000)


@in_virtual_time
async def test_what_was_not_begun_is_said_to_be_unwritten() -> None:
    store = SlowClaims(NOWHERE, DEADLINE, seconds_each=0.02)
    expires = BEGINNING + 2
    appends = [
        Append(
            Commit(f"a-{n}", 1, 1, f"{n}", DAY, (), ("{}",), expires=expires),
            (ClaimChange(f"phone|{n}", 0, "1"),),
        )
        for n in range(150)
    ]
    # 64 take 1.28 s; for as many again there is no time.
    assert await store.append(appends) == [True] * 64 + [False] * 86
    assert len(await store.heads([append.commit.stream for append in appends])) == 64
    late = [changed(append, commit=changed(append.commit, seq=2)) for append in appends]
    await asyncio.sleep(1)
    with pytest.raises(StoreUnavailable):
        await store.append(late)


@in_virtual_time
async def test_a_single_quick_registration_says_nothing_of_a_thousand() -> None:
    store = SlowClaims(NOWHERE, DEADLINE, seconds_each=0.05)
    await writer_on(store).many(diary, registrations(100, "a"), claims=claiming)
    for number in range(10):
        await writer_on(store).many(diary, registrations(1, f"b{number}-"), claims=claiming)
    before = elapsed()
    await writer_on(store).many(diary, registrations(100, "c"), claims=claiming)
    # Nothing was given up: 100 × 0.05 s.
    assert elapsed() - before < 6


def test_a_part_is_halved_and_doubled_within_its_bounds() -> None:
    part = PartSize(10, most=16)
    part.took(10, 0.2)
    assert part.size == 16
    part.took(16, 0.3)
    part.took(4, 0.01)
    assert part.size == 16
    part.failed(5)
    assert part.size == 2
    part.failed(1)
    assert part.size == 1
    part.took(1, 0.1)
    assert part.size == 2
