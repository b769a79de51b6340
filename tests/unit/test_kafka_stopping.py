"""A client of Kafka is stopped whole, and whoever was told to end meanwhile ends."""

import asyncio
import contextlib
from dataclasses import dataclass, field

import pytest
from aiokafka.errors import KafkaConnectionError

from shared.kafka import KafkaPublisher, KafkaUrl, publisher, stop
from shared.relay.ports import BrokerUnavailable
from shared.testing.virtual_time import at_once


@dataclass
class Deaf:
    """Stops as aiokafka does: a cancellation that comes while it waits is passed over."""

    leave: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: bool = False

    async def stop(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await self.leave.wait()
        self.stopped = True


async def test_a_cancellation_that_comes_meanwhile_goes_on_behind_the_stop() -> None:
    client = Deaf()

    async def works_for_ever() -> None:
        await stop(client)
        await asyncio.Event().wait()

    working = asyncio.create_task(works_for_ever())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    working.cancel()
    await asyncio.sleep(0)
    assert not client.stopped
    client.leave.set()
    await asyncio.wait([working], timeout=5)
    assert working.cancelled()
    assert client.stopped


class Away:
    """Cannot take its leave."""

    async def stop(self) -> None:
        raise OSError("gone")


async def test_what_the_client_raises_is_seen() -> None:
    with pytest.raises(OSError, match="gone"):
        await stop(Away())


class Torn:
    """Waits, as it stops, for a task of its own that was cancelled."""

    async def stop(self) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future


async def test_what_was_cancelled_within_the_client_cancels_nobody_else() -> None:
    await stop(Torn())


class Stuck:
    """A producer that has lost Kafka, and holds what it could not send."""

    def __init__(self, **_settings: object) -> None:
        """It begins as any other."""

    async def start(self) -> None:
        """Kafka was there."""

    async def send_and_wait(self, *_told: object, **_more: object) -> None:
        raise KafkaConnectionError

    async def stop(self) -> None:
        await asyncio.Event().wait()


def test_a_producer_that_lost_kafka_is_given_up_within_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publisher, "AIOKafkaProducer", Stuck)

    async def seconds() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(BrokerUnavailable):
            await KafkaPublisher(KafkaUrl("", ""), "segment", 3).progress(b"{}")
        return loop.time() - began

    assert at_once(seconds()) == pytest.approx(1)
