"""What every store of parked events must do."""

from dataclasses import replace

from shared.readmodel import ParkedEvent, Parking

Parkings = tuple[Parking, Parking]


def parked(offset: int, key: bytes = b"1", topic: str = "a", partition: int = 0) -> ParkedEvent:
    value = f"not JSON {offset}".encode() + b"\xff\x00"
    return ParkedEvent(topic, partition, offset, key, value, 1_512_120_600_123, "it is no JSON")


async def test_parked_events_come_back_in_the_order_of_their_partitions(
    parkings: Parkings,
) -> None:
    parking, _ = parkings
    events = [parked(10), parked(9), parked(2, topic="b"), parked(1, partition=1, topic="a")]
    await parking.park(events)
    assert await parking.parked([0, 1]) == [events[1], events[0], events[3], events[2]]
    assert await parking.parked([1]) == [events[3]]
    assert await parking.parked([]) == []
    assert await parking.count() == 4


async def test_an_event_that_is_parked_already_stays_as_it_is(parkings: Parkings) -> None:
    parking, _ = parkings
    await parking.park([parked(1)])
    await parking.request_replay(b"1")
    await parking.park([replace(parked(1), reason="another"), parked(2)])
    assert await parking.parked([0]) == [replace(parked(1), replay=True), parked(2)]
    assert await parking.count() == 2


async def test_a_replay_is_asked_for_by_key_or_for_all(parkings: Parkings) -> None:
    parking, _ = parkings
    await parking.park([parked(1), parked(2, key=b"2"), parked(3)])
    assert await parking.request_replay(b"1") == 2
    assert [event.offset for event in await parking.parked([0]) if event.replay] == [1, 3]
    assert await parking.request_replay(b"nobody") == 0
    assert await parking.request_replay(None) == 3
    assert all(event.replay for event in await parking.parked([0]))


async def test_what_is_kept_waits_until_it_is_asked_for_again(parkings: Parkings) -> None:
    parking, _ = parkings
    await parking.park([parked(1), parked(2), parked(3, key=b"2")])
    await parking.request_replay(None)
    await parking.keep([parked(1), parked(7)])
    assert [event.offset for event in await parking.parked([0]) if event.replay] == [2, 3]
    assert await parking.count() == 3
    assert await parking.request_replay(b"1") == 2
    assert all(event.replay for event in await parking.parked([0]))


async def test_released_events_are_forgotten_and_only_they(parkings: Parkings) -> None:
    parking, _ = parkings
    await parking.park([parked(1), parked(2), parked(1, topic="b")])
    await parking.release([parked(1), parked(7)])
    assert await parking.parked([0]) == [parked(2), parked(1, topic="b")]


async def test_projections_do_not_see_each_others_events(parkings: Parkings) -> None:
    mine, other = parkings
    await mine.park([parked(1)])
    await other.park([parked(1), parked(2)])
    await other.request_replay(None)
    await other.release([parked(2)])
    assert await mine.parked([0]) == [parked(1)]
    assert await other.parked([0]) == [replace(parked(1), replay=True)]
    assert (await mine.count(), await other.count()) == (1, 1)


async def test_parking_and_releasing_nothing_is_nothing(parkings: Parkings) -> None:
    parking, _ = parkings
    await parking.park([])
    await parking.keep([])
    await parking.release([])
    assert await parking.count() == 0
