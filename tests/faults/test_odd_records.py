"""Records that no relay of ours would publish, and commits that Kafka refuses: each stays alone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import GroupCoordinatorNotAvailableError
from faststream.kafka import KafkaBroker
from prometheus_client import REGISTRY

from shared.envelope import Causation, Placed, decode_light, encode
from shared.events import TOPICS
from shared.events.customer import ConsentGiven, Evidence
from shared.kafka.reactions import subscribe
from shared.mongo import MongoParking
from shared.process import Kernel
from shared.progress import decode_progress, progress_topic
from shared.records import RawRecord
from shared.relay import relay as relay_module
from shared.settings import Settings
from shared.testing import DAY, LocalChain, Servers, diary, eventually, note
from shared.testing.diaries import diaries
from shared.testing.kafka_log import committed_offsets, producing, read_partition
from tests.faults.invariants import check_commits, check_topics, commits_in, documents_in, topic_log

pytestmark = pytest.mark.faults

SERVICE = "customer"
CUSTOMERS, DEALS = TOPICS[SERVICE]
PARTITION = 0
SMALL = 3_000
"""`max.message.bytes` of a topic that refuses large records."""
RETRY_SECONDS = 1.0
NESTED = b'{"unread":' + b"[" * 100_000
BEHIND = "behind a parked event"


@pytest.fixture
def chain(servers: Servers, tmp_path: Path) -> LocalChain:
    """Topics and databases of this test alone."""
    return LocalChain(servers, tmp_path)


@asynccontextmanager
async def kernel_of(chain: LocalChain) -> AsyncIterator[Kernel]:
    """The kernel of a service, on topics that are there."""
    kernel = await Kernel.build(chain.settings(Settings), SERVICE)
    try:
        yield kernel
    finally:
        await kernel.close()


@asynccontextmanager
async def running(work: Callable[[], Awaitable[None]]) -> AsyncIterator["asyncio.Future[None]"]:
    """A task for as long as the block lasts; raises what it died of."""
    task = asyncio.ensure_future(work())
    try:
        yield task
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def line(owner: str, version: int, text: str | None = None, kind: str = ConsentGiven.type) -> bytes:
    """An event that writes a line into the owner's diary."""
    data = ConsentGiven(
        topic=text or str(version), channel="email", evidence=Evidence(source="test")
    )
    placed = Placed(
        data=data,
        service=SERVICE,
        stream=f"customer-{owner}",
        version=version,
        time=DAY,
        recorded=DAY,
        causation=Causation(correlation="test"),
        subject=owner,
    )
    return encode(placed).replace(ConsentGiven.type, kind).encode()


@dataclass(frozen=True, slots=True)
class Case:
    """The records of one key, the lines that they leave, and per parked record the reason."""

    records: Sequence[bytes | None]
    lines: Sequence[str]
    reasons: Sequence[str] = ()


def cases() -> Mapping[str, Case]:
    """By key; each begins with a good record, and most end with one more."""
    wrong = line("wrong-data", 2).replace(b'"topic":"2"', b'"topic":2')
    unknown = line("other", 1, kind="customer.painted_blue.v9")
    unread = "not readable: "
    broken = [b"no JSON", b"\xff\xfe", NESTED, b"[]", None]
    names = ["no-json", "no-utf8", "nested", "no-object", "null-value"]
    kinds = ["DecodeError", "DecodeError", "RecursionError", "ValidationError", "DecodeError"]
    return {
        **{
            name: Case([line(name, 1), value, line(name, 2)], ["1"], [unread + kind, BEHIND])
            for name, value, kind in zip(names, broken, kinds, strict=True)
        },
        "wrong-data": Case(
            [line("wrong-data", 1), wrong, line("wrong-data", 3)],
            ["1"],
            [unread + "ValidationError", BEHIND],
        ),
        "raises": Case(
            [line("raises", 1), line("raises", 2, "!"), line("raises", 3)],
            ["1"],
            ["ValueError in _refuse_broken:", BEHIND],
        ),
        "gap": Case(
            [line("gap", 1), line("gap", 3), line("gap", 4)],
            ["1"],
            ["version 2 is missing before 3", BEHIND],
        ),
        "unknown-type": Case(
            [line("unknown-type", 1), unknown, line("unknown-type", 2)], ["1", "2"]
        ),
        "good": Case([line("good", version) for version in (1, 2, 3)], ["1", "2", "3"]),
    }


ODD_HEADERS: Sequence[tuple[str, bytes | None]] = [
    ("correlation_id", b"\xff\xfe"),
    ("reply_to", None),
]


async def send_odd_records(chain: LocalChain, given: Mapping[str, Case]) -> int:
    """Send all into one partition, keys taking turns, and three without key; gives their number."""
    topic = chain.prefix + CUSTOMERS
    rounds = max(len(case.records) for case in given.values())
    sends = [
        (key.encode(), case.records[turn])
        for turn in range(rounds)
        for key, case in given.items()
        if turn < len(case.records)
    ]
    keyless: list[tuple[bytes | None, bytes | None]] = [
        (None, line("keyless", 1)),
        (None, b"no JSON"),
        (None, line("keyless", 2)),
    ]
    async with producing(chain.servers.kafka_url) as producer:
        for key, value in [*keyless, *sends]:
            await producer.send(
                topic, value, key=key, partition=PARTITION, headers=list(ODD_HEADERS)
            )
        await producer.flush()
    return len(keyless) + len(sends)


async def until_committed(kernel: Kernel, group: str, offset: int) -> None:
    """Wait until the group (full name) has got to an offset of the partition."""
    place = TopicPartition(kernel.kafka.topic(CUSTOMERS), PARTITION)

    async def committed() -> bool | None:
        # A broker that has just started needs a while to coordinate groups.
        with suppress(GroupCoordinatorNotAvailableError):
            offsets = await committed_offsets(kernel.kafka.bootstrap, group)
            return offsets.get(place) == offset or None
        return None

    await eventually(committed)


def unknown_types(reader: str) -> float:
    """How many the reader has counted."""
    return REGISTRY.get_sample_value("regulars_unknown_types_total", {"reader": reader}) or 0.0


async def test_each_odd_record_is_parked_or_passed_over_and_its_neighbours_go_on(
    chain: LocalChain,
) -> None:
    projection, given = diaries("odd_v1"), cases()
    before = unknown_types(projection.name)
    async with kernel_of(chain) as kernel:
        projector = await kernel.projector(projection)
        count = await send_odd_records(chain, given)
        place = TopicPartition(chain.prefix + CUSTOMERS, PARTITION)
        group = chain.prefix + projector.group

        async with running(projector.run):
            await until_committed(kernel, group, count)
            parking = MongoParking(kernel.database, projection.name)
            parked = await parking.parked([PARTITION])
            documents = await documents_in(kernel.database, projection.name)
            async with producing(kernel.kafka.bootstrap) as producer:
                for owner in ("good", "raises"):
                    await producer.send_and_wait(
                        place.topic, line(owner, 4), key=owner.encode(), partition=PARTITION
                    )
            await until_committed(kernel, group, count + 2)
            later = await documents_in(kernel.database, projection.name)
    for key, case in given.items():
        assert documents[key]["lines"] == case.lines, key
        found = [event for event in parked if event.key == key.encode()]
        assert len(found) == len(case.reasons), (key, found)
        for event, reason in zip(found, case.reasons, strict=True):
            assert event.reason.startswith(reason), (key, event.reason)
    # What has no key stands for itself alone.
    assert documents["keyless"]["lines"] == ["1", "2"]
    (alone,) = [event for event in parked if event.key == f"{place.topic}/0/1".encode()]
    assert alone.reason == "not readable: DecodeError"
    assert len(parked) == 1 + sum(len(case.reasons) for case in given.values())
    assert unknown_types(projection.name) - before == 1
    assert later["good"]["lines"] == ["1", "2", "3", "4"]
    assert later["raises"]["lines"] == ["1"]


async def make_small_topics(chain: LocalChain) -> None:
    """The service's topics, with a limit of their own."""
    limit = {"max.message.bytes": str(SMALL)}
    async with administering(chain.servers.kafka_url) as admin:
        partitions = chain.settings(Settings).partitions
        await admin.create_topics(
            [
                NewTopic(chain.prefix + name, partitions, 1, topic_configs=limit)
                for name in TOPICS[SERVICE]
            ]
        )


@asynccontextmanager
async def administering(bootstrap: str) -> AsyncIterator[Any]:
    """A client that may change topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def refused_keys(kernel: Kernel) -> Sequence[str] | None:
    """The keys that the newest progress record names; None for none yet."""
    place = TopicPartition(kernel.kafka.topic(progress_topic(SERVICE)), 0)
    records = await read_partition(kernel.kafka.bootstrap, place)
    return decode_progress(records[-1].value).refused if records else None


async def versions_in_kafka(kernel: Kernel, owner: str) -> Sequence[int]:
    """Of the owner's stream, each once, in the order of first appearance."""
    log = await topic_log(kernel.kafka)
    lights = [
        decode_light(record.value)
        for records in log.values()
        for record in records
        if record.key == owner.encode()
    ]
    return list(dict.fromkeys(light.streamversion for light in lights))


async def test_a_commit_too_large_for_its_topic_stops_its_stream_until_the_limit_is_raised(
    chain: LocalChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "REFUSED_RETRY_SECONDS", RETRY_SECONDS)
    await make_small_topics(chain)
    async with kernel_of(chain) as kernel:
        relay = kernel.relay()

        async def write(number: int) -> None:
            large = "x" * 2 * SMALL if number == 2 else ""
            for owner in ("large", "small"):
                text = f"line {number} {large if owner == 'large' else ''}"
                await kernel.writer.one(diary, note(f"{owner}|{number}", owner, text))

        async def published(owner: str, versions: Sequence[int]) -> bool | None:
            return await versions_in_kafka(kernel, owner) == versions or None

        async with running(relay.run):
            for number in (1, 2, 3):
                await write(number)
            await eventually(lambda: published("small", [1, 2, 3]))

            async def named() -> bool | None:
                return await refused_keys(kernel) == ["large"] or None

            await eventually(named)
            # Retries change nothing, and what comes later waits behind.
            await write(4)
            await eventually(lambda: published("small", [1, 2, 3, 4]))
            await asyncio.sleep(2 * RETRY_SECONDS)
            assert await versions_in_kafka(kernel, "large") == [1]
            assert await refused_keys(kernel) == ["large"]

            async with administering(kernel.kafka.bootstrap) as admin:
                raised = {"max.message.bytes": "1048588"}
                topic = kernel.kafka.topic(CUSTOMERS)
                await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, raised)])
            await write(5)
            await eventually(lambda: published("large", [1, 2, 3, 4, 5]))
            await eventually(lambda: published("small", [1, 2, 3, 4, 5]))

            async def none_named() -> bool | None:
                return await refused_keys(kernel) == [] or None

            await eventually(none_named)
            assert relay.leading
        commits = await commits_in(kernel.database)
        check_commits(commits)
        check_topics(commits, await topic_log(kernel.kafka))


async def test_a_reaction_gets_every_record_of_a_batch_with_headers_that_cannot_be_read(
    chain: LocalChain,
) -> None:
    seen: dict[int, bytes | None] = {}

    async def react(records: Sequence[RawRecord]) -> None:
        seen.update({record.offset: record.value for record in records})

    async with kernel_of(chain) as kernel:
        topic, group = kernel.kafka.topic(CUSTOMERS), chain.prefix + "odd-reaction"
        count = await send_odd_records(chain, cases())
        broker = KafkaBroker(kernel.kafka.bootstrap)
        subscribe(broker, topic, group=group, react=react, title="odd", description="odd")
        await broker.start()
        try:
            await until_committed(kernel, group, count)
        finally:
            await broker.stop()
        records = await read_partition(kernel.kafka.bootstrap, TopicPartition(topic, PARTITION))
    assert seen == {record.offset: record.value for record in records}
    assert len(seen) == count


async def test_the_reader_of_progress_passes_over_what_is_no_progress_record(
    chain: LocalChain,
) -> None:
    async with kernel_of(chain) as kernel:
        topic = kernel.kafka.topic(progress_topic(SERVICE))
        async with running(kernel.progress.run), producing(kernel.kafka.bootstrap) as producer:

            async def connected() -> bool | None:
                return kernel.progress.connected or None

            await eventually(connected)
            for value in (b"no JSON", b"\xff\xfe", None, b"{}", NESTED):
                # Each in a fetch of its own: of several the reader looks at the last alone.
                await producer.send_and_wait(topic, value, key=SERVICE.encode())
                await asyncio.sleep(0.3)
            relay = kernel.relay()
            async with running(relay.run):

                async def told() -> bool | None:
                    return SERVICE in kernel.progress.latest or None

                await eventually(told)
