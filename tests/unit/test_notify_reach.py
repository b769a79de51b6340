"""How far a group has come, seen from another process: what it has passed, and no more."""

from datetime import UTC, datetime, timedelta

from shared.kafka import GroupReach, KafkaUrl, ProgressReader
from shared.progress import Progress

NOON = datetime(2018, 1, 2, 12, tzinfo=UTC)
CUSTOMERS, SEGMENTS = "customer.events.v1", "segment.events.v1"
URL = KafkaUrl("localhost:9092", "x-")
SECOND = timedelta(seconds=1)


def progress(service: str, second: int, topic: str, *offsets: int) -> Progress:
    at = NOON + second * SECOND
    return Progress(service, at, at, {URL.topic(topic): dict(enumerate(offsets))})


class Follower:
    """A group of two partitions that reads customers and segments."""

    def __init__(self) -> None:
        self.progress = ProgressReader(URL)
        topics = (CUSTOMERS, SEGMENTS)
        self.reach = GroupReach(URL, "notify.recipients_v2", topics, 2, self.progress)

    def see(self, *records: Progress, **positions: int) -> None:
        """See progress and then positions, `c0=7` for partition 0 of customers."""
        names = {"c": URL.topic(CUSTOMERS), "s": URL.topic(SEGMENTS)}
        for record in records:
            self.reach.keep(record)
        self.reach.advance(
            {(names[place[0]], int(place[1])): offset for place, offset in positions.items()}
        )

    def customers(self, partition: int = 0) -> datetime | None:
        found = self.reach.of(partition, [CUSTOMERS])
        return None if found is None else found.system


def test_nothing_is_reached_before_the_offsets_are_passed() -> None:
    group = Follower()
    assert group.customers() is None
    group.see(progress("customer", 1, CUSTOMERS, 5, 0), c0=4)
    assert group.customers() is None
    group.see(c0=5)
    assert group.customers() == NOON + SECOND


def test_a_partition_without_events_is_passed_from_the_beginning() -> None:
    group = Follower()
    group.see(progress("customer", 1, CUSTOMERS, 5, 0))
    assert group.customers(1) == NOON + SECOND


def test_a_reader_that_lags_has_what_an_older_record_says() -> None:
    group = Follower()
    group.see(*(progress("customer", second, CUSTOMERS, 10 * second, 0) for second in range(1, 6)))
    group.see(c0=35)
    # The record of second 3 says 30, that of second 4 says 40.
    assert group.customers() == NOON + 3 * SECOND


def test_it_never_goes_back() -> None:
    group = Follower()
    group.see(progress("customer", 2, CUSTOMERS, 5, 0), c0=5)
    group.see(progress("customer", 1, CUSTOMERS, 0, 0), c0=0)
    assert group.customers() == NOON + 2 * SECOND


def test_over_several_topics_the_slowest_counts() -> None:
    group = Follower()
    group.see(progress("customer", 5, CUSTOMERS, 1, 1), c0=1, c1=1)
    both = [CUSTOMERS, SEGMENTS]
    assert group.reach.of(0, both) is None
    group.see(progress("segment", 2, SEGMENTS, 1, 1), c0=1, c1=1, s0=1, s1=1)
    slowest = group.reach.of(0, both)
    assert slowest is not None
    assert slowest.system == NOON + 2 * SECOND
    # A moment has passed once every partition is later than it.
    assert group.reach.passed(NOON + SECOND, both)
    assert not group.reach.passed(NOON + 2 * SECOND, both)
