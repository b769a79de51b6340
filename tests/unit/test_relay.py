"""The relay, alone with its ports: what reaches Kafka, in which order, and what is remembered."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.decider import Decider, NewEvent
from shared.envelope import Causation
from shared.events.contract import EventData
from shared.events.imports import ImportEnded
from shared.eventstore import StoreUnavailable
from shared.execute import Command, Writer
from shared.kafka import partition_of
from shared.keyring import Keyring
from shared.memory import MemoryKeyStore, MemoryLeases
from shared.readmodel import Lease, RawDocument
from shared.relay import Relay
from shared.relay.ports import BrokerUnavailable
from shared.testing import DAY
from shared.testing.virtual_time import in_virtual_time
from tests.unit.relaying import PARTITIONS, TOPIC, World, feed_of, publisher_of, running


class Died(BaseException):
    """The process is gone: nothing of ours runs any more, not even a clean-up that releases."""


@dataclass(slots=True)
class DyingLeases(MemoryLeases):
    """Leases of a process that cannot say good-bye."""

    async def release(self, lease: Lease) -> None:
        del lease


async def until_dead(relay: Relay) -> None:
    with pytest.raises(Died):
        await relay.run()


@in_virtual_time
async def test_commits_reach_the_partition_of_their_key_in_the_order_of_the_store() -> None:
    world = World()
    relay = world.relay()
    async with running(relay):
        await asyncio.sleep(1)
        await world.write(("anna", "1"), ("ben", "1"), ("anna", "2"), ("anna", "3"), ("ben", "2"))
        await asyncio.sleep(1)
    assert world.streams() == {"customer-anna": [1, 2, 3], "customer-ben": [1, 2]}
    place = partition_of(PARTITIONS)
    texts = [text.encode() for commit in world.store.commits for text in commit.events]
    for owner in (b"anna", b"ben"):
        log = world.kafka.log(TOPIC, place(owner))
        values = [record.value for record in log if record.key == owner]
        assert values == [text for text in texts if b'"subject":"%s"' % owner in text]


@in_virtual_time
async def test_the_token_is_saved_after_the_ack_and_not_before() -> None:
    world = World()
    relay = world.relay()
    tokens: list[tuple[str, object]] = []

    async def note_token(step: str) -> None:
        if step != "progress":
            tokens.append((step, await world.token()))

    publisher_of(relay).at = note_token
    async with running(relay):
        await asyncio.sleep(1.5)
        await world.write(("anna", "1"))
        await asyncio.sleep(1)
    assert tokens == [("publish", {"read": 0}), ("ack", {"read": 0})]
    assert await world.token() == {"read": 1}


@in_virtual_time
async def test_a_relay_that_dies_before_it_saves_is_followed_by_one_that_repeats() -> None:
    world = World()
    world.leases = DyingLeases(world.clock)
    first = world.relay("a", batch_size=2)

    async def die(step: str) -> None:
        if step == "ack":
            raise Died

    task = asyncio.create_task(until_dead(first))
    await asyncio.sleep(2)
    publisher_of(first).at = die
    await world.write(("anna", "1"), ("anna", "2"), ("anna", "3"))
    await asyncio.sleep(1)
    assert task.done()
    async with running(world.relay("b", batch_size=2)):
        # The lease of the dead one lasts five seconds from its last renewal.
        await asyncio.sleep(6)
    versions = world.streams()["customer-anna"]
    assert list(dict.fromkeys(versions)) == [1, 2, 3]
    # The batch that was not saved came again, whatever its size was.
    assert versions in ([1, 1, 2, 3], [1, 2, 1, 2, 3])


@in_virtual_time
async def test_a_refused_stream_stops_alone_and_is_tried_again_in_order() -> None:
    world = World()
    relay = world.relay(largest=1_000)
    async with running(relay):
        await asyncio.sleep(2)
        await world.write(("anna", "1"), ("anna", "x" * 2_000), ("ben", "1"), ("anna", "3"))
        await asyncio.sleep(2)
        await world.write(("anna", "4"), ("ben", "2"))
        await asyncio.sleep(2)
        assert world.streams() == {"customer-anna": [1], "customer-ben": [1, 2]}
        assert world.kafka.progress[-1].refused == ["anna"]
        publisher_of(relay).largest = 10_000
        await asyncio.sleep(62)
        assert world.streams() == {"customer-anna": [1, 2, 3, 4], "customer-ben": [1, 2]}
        assert world.kafka.progress[-1].refused == []


@in_virtual_time
async def test_what_was_refused_is_still_stopped_after_a_restart() -> None:
    world = World()
    async with running(world.relay(largest=1_000)):
        await asyncio.sleep(2)
        await world.write(("anna", "x" * 2_000), ("anna", "2"))
        await asyncio.sleep(1)
    async with running(world.relay("b", largest=1_000)):
        await world.write(("anna", "3"), ("ben", "1"))
        await asyncio.sleep(2)
        assert world.streams() == {"customer-ben": [1]}
        assert world.kafka.progress[-1].refused == ["anna"]


@in_virtual_time
async def test_one_leads_and_the_other_stands_by_until_the_lease_is_free() -> None:
    world = World()
    first, second = world.relay("a"), world.relay("b")
    async with running(second):
        async with running(first):
            await asyncio.sleep(2)
            # Which of them was first does not matter.
            assert sorted([first.leading, second.leading]) == [False, True]
        await asyncio.sleep(2)
        assert second.leading
        await world.write(("anna", "1"))
        await asyncio.sleep(1)
    assert world.streams() == {"customer-anna": [1]}


@in_virtual_time
async def test_a_relay_that_was_frozen_repeats_what_its_successor_sent_and_saves_nothing() -> None:
    world = World()
    frozen, successor = world.relay("a"), world.relay("b")
    wake = asyncio.Event()

    async def freeze(step: str) -> None:
        if step == "publish":
            await wake.wait()

    publisher_of(frozen).at = freeze
    async with running(frozen):
        await asyncio.sleep(2)
        await world.write(("anna", "1"), ("anna", "2"))
        await asyncio.sleep(1)
        async with running(successor):
            await asyncio.sleep(6)
            await world.write(("anna", "3"))
            await asyncio.sleep(1)
            assert await world.token() == {"read": 3}
            told = len(world.kafka.progress)
            wake.set()
            await asyncio.sleep(0.1)
            assert await world.token() == {"read": 3}
            assert not frozen.leading
            assert successor.leading
            assert len(world.kafka.progress) == told
    # What the frozen one had in hand was published once more, after its first appearance.
    assert world.streams()["customer-anna"] in ([1, 2, 3, 1], [1, 2, 3, 1, 2])


@in_virtual_time
async def test_the_first_start_publishes_what_was_written_before_it() -> None:
    world = World()
    await world.write(("anna", "1"), ("ben", "1"), ("anna", "2"))
    async with running(world.relay(batch_size=2)):
        await asyncio.sleep(2)
        await world.write(("anna", "3"))
        await asyncio.sleep(1)
    assert world.streams() == {"customer-anna": [1, 2, 3], "customer-ben": [1]}


@in_virtual_time
@pytest.mark.parametrize("when", ["at the start", "on the way"])
async def test_a_token_that_leads_nowhere_is_answered_by_an_audit(when: str) -> None:
    world = World()
    async with running(world.relay()):
        await asyncio.sleep(2)
        await world.write(("anna", "1"))
        await asyncio.sleep(1)
    relay = world.relay("b")
    feed_of(relay).lost = when == "at the start"
    await world.write(("anna", "2"))
    async with running(relay):
        await asyncio.sleep(2)
        if when == "on the way":
            # What is written now is lost to the feed: it has begun again after it.
            feed_of(relay).lost = True
            await world.write(("anna", "3"))
        await asyncio.sleep(2)
        await world.write(("anna", "4"))
        await asyncio.sleep(2)
    expected = [1, 2, 3, 4] if when == "on the way" else [1, 2, 3]
    assert world.streams() == {"customer-anna": expected}


@in_virtual_time
async def test_an_audit_publishes_what_is_missing_and_nothing_else() -> None:
    world = World()
    relay = world.relay()
    await world.write(("anna", "1"), ("ben", "1"))
    assert await relay.audit() == 2
    await world.write(("anna", "2"), ("carl", "1"))
    assert await relay.audit() == 2
    assert await relay.audit() == 0
    assert world.streams() == {
        "customer-anna": [1, 2],
        "customer-ben": [1],
        "customer-carl": [1],
    }


@in_virtual_time
async def test_an_audit_keeps_the_order_of_a_stream_whose_writers_had_different_clocks() -> None:
    world = World()
    for minutes, line in ((0, "1"), (-10, "2"), (-20, "3")):
        world.clock = replace(world.clock, skew=timedelta(minutes=minutes))
        await world.write(("anna", line))
    # A batch of two: the first commit of the stream is read last.
    assert await world.relay(batch_size=2).audit() == 3
    assert world.streams() == {"customer-anna": [1, 2, 3]}


@in_virtual_time
async def test_an_audit_never_passes_over_a_record_that_kafka_refuses() -> None:
    world = World()
    await world.write(("anna", "1"), ("anna", "x" * 2_000), ("ben", "1"), ("anna", "3"))
    await world.write(("ben", "2"))
    relay = world.relay(largest=1_000, batch_size=2)
    async with running(relay):
        await asyncio.sleep(2)
        assert world.streams() == {"customer-anna": [1], "customer-ben": [1, 2]}
        assert world.kafka.progress[-1].refused == ["anna"]
        await world.write(("anna", "4"))
        await asyncio.sleep(2)
        publisher_of(relay).largest = 10_000
        await asyncio.sleep(62)
    assert world.streams() == {"customer-anna": [1, 2, 3, 4], "customer-ben": [1, 2]}


@in_virtual_time
async def test_an_audit_beside_a_relay_leaves_refused_streams_alone() -> None:
    world = World()
    async with running(world.relay(largest=1_000)):
        await asyncio.sleep(2)
        await world.write(("anna", "x" * 2_000), ("anna", "2"), ("ben", "1"))
        await asyncio.sleep(1)
        # An operator's, by a relay that does not lead.
        assert await world.relay("b", largest=1_000, batch_size=1).audit() == 0
    assert world.streams() == {"customer-ben": [1]}


@dataclass(frozen=True, slots=True)
class _End:
    """End the import."""


def _decide(_command: _End, _state: None) -> Sequence[NewEvent]:
    return [NewEvent(ImportEnded(import_id="2017", facts=3), DAY)]


def _evolve(_state: None, _data: EventData) -> None:
    return None


@in_virtual_time
async def test_a_broadcast_goes_to_every_partition() -> None:
    world = World()
    decider: Decider[_End, None] = Decider(lambda: None, _decide, _evolve)
    command = Command(
        id="e", hash="h", stream="import-2017", key="2017", body=_End(), causation=Causation("e")
    )
    keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
    async with running(world.relay()):
        await asyncio.sleep(1)
        await Writer(world.store, keyring, world.clock, "customer").one(decider, command)
        await asyncio.sleep(1)
    (commit,) = world.store.commits
    for partition in range(PARTITIONS):
        (record,) = world.kafka.log(TOPIC, partition)
        assert (record.key, record.value) == (b"2017", commit.events[0].encode())
    # An audit looks for it in each of them.
    world.kafka.log(TOPIC, 1).clear()
    assert await world.relay().audit() == 1
    assert len(world.kafka.log(TOPIC, 1)) == 1


@in_virtual_time
@pytest.mark.parametrize("step", ["publish", "ack", "progress"])
async def test_while_the_broker_is_away_nothing_is_lost_and_nothing_overtaken(step: str) -> None:
    world = World()
    relay = world.relay(batch_size=2)
    away = False

    async def fail(at: str) -> None:
        if away and at == step:
            raise BrokerUnavailable

    publisher_of(relay).at = fail
    async with running(relay):
        await asyncio.sleep(2)
        away = True
        for number in range(8):
            await world.write(("anna", f"{number}"))
            await asyncio.sleep(1)
        away = False
        await asyncio.sleep(3)
    # 8 lines; their first appearances are in order, whatever was repeated.
    assert list(dict.fromkeys(world.streams()["customer-anna"])) == list(range(1, 9))


@dataclass(slots=True)
class AbsentLeases(MemoryLeases):
    """Leases in a database that can be away."""

    away: bool = False

    def check(self) -> None:
        if self.away:
            raise StoreUnavailable

    async def acquire(self, name: str, owner: str, seconds: float) -> Lease | None:
        self.check()
        return await MemoryLeases.acquire(self, name, owner, seconds)

    async def renew(self, lease: Lease, seconds: float) -> Lease | None:
        self.check()
        return await MemoryLeases.renew(self, lease, seconds)

    async def release(self, lease: Lease) -> None:
        self.check()
        await MemoryLeases.release(self, lease)

    async def save(self, lease: Lease, state: RawDocument) -> bool:
        self.check()
        return await MemoryLeases.save(self, lease, state)


@in_virtual_time
async def test_when_the_database_comes_back_so_does_the_relay() -> None:
    world = World()
    world.leases = leases = AbsentLeases(world.clock)
    relay = world.relay()
    async with running(relay):
        await asyncio.sleep(2)
        leases.away = True
        await asyncio.sleep(3)
        assert not relay.leading
        await world.write(("anna", "1"))
        leases.away = False
        await asyncio.sleep(8)
        assert relay.leading
    assert world.streams() == {"customer-anna": [1]}
