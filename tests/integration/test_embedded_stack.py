"""The embedded stack as a newcomer meets it, and what kill -9 may not do to it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from deploy.embedded.ports import LOOPBACK
from deploy.embedded.stack import EmbeddedStack

TOPIC = "kept"
PATIENCE = 60.0


async def declare(kafka_url: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_url)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def read_all(kafka_url: str) -> list[bytes]:
    partition = TopicPartition(TOPIC, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka_url)
    await consumer.start()
    try:
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        found: list[bytes] = []
        while await consumer.position(partition) < end:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found.extend(record.value for record in records)
        return found
    finally:
        await consumer.stop()


@asynccontextmanager
async def producer(kafka_url: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka_url, enable_idempotence=True, acks="all", request_timeout_ms=60_000
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def insert_until_refused(client: AsyncMongoClient[dict[str, Any]], known: list[int]) -> None:
    """Insert numbers one by one; note each that was acknowledged."""
    for number in range(len(known), 100_000):
        try:
            await client["kept"]["numbers"].insert_one({"_id": number})
        except PyMongoError:
            return
        known.append(number)


async def transact_and_watch(client: AsyncMongoClient[dict[str, Any]]) -> None:
    one, two = client["shop"]["one"], client["shop"]["two"]
    async with await one.watch() as changes, client.start_session() as session:
        async with await session.start_transaction():
            await one.insert_one({"_id": 1}, session=session)
            await two.insert_one({"_id": 2}, session=session)
        async with asyncio.timeout(10):
            assert (await changes.next())["documentKey"] == {"_id": 1}
    assert await two.count_documents({}) == 1


async def test_a_killed_server_comes_back_with_all_that_it_acknowledged(tmp_path: Path) -> None:
    async with EmbeddedStack(tmp_path / "a home, with spaces – ü") as stack:
        await declare(stack.kafka_url)
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            stack.mongo_url, retryWrites=False
        )
        async with client, producer(stack.kafka_url) as sender:
            await transact_and_watch(client)
            for number in range(20):
                await sender.send_and_wait(TOPIC, b"%d" % number)
            known: list[int] = []
            inserting = asyncio.create_task(insert_until_refused(client, known))
            await asyncio.sleep(0.5)
            for name in ("kafka", "mongo", "mail"):
                os.kill(stack.supervisor.pid(name), signal.SIGKILL)
            await inserting
            assert known
            async with asyncio.timeout(PATIENCE):
                # the same producer at the same address goes on by itself
                await sender.send_and_wait(TOPIC, b"20")
            assert await read_all(stack.kafka_url) == [b"%d" % number for number in range(21)]
            found = [d["_id"] async for d in client["kept"]["numbers"].find().sort("_id")]
            assert found[: len(known)] == known
        assert stack.mongo_server
        assert stack.caught_mail() == []


class Outside:
    """`python -m deploy.embedded` in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, addresses: Mapping[str, str]) -> None:
        self.process = process
        self.addresses = addresses
        self.children = psutil.Process(process.pid).children(recursive=True)


async def begin(home: Path, *options: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.embedded", "--home", str(home), *options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ready(process: asyncio.subprocess.Process) -> Outside:
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        line = await process.stdout.readline()
    return Outside(process, json.loads(line))


async def test_a_killed_owner_leaves_nothing_running_and_the_next_start_has_it_all(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    first = await ready(await begin(home))
    await declare(first.addresses["kafka_url"])
    async with producer(first.addresses["kafka_url"]) as sender:
        await sender.send_and_wait(TOPIC, b"before")

    second = await begin(home)
    _, said = await second.communicate()
    assert second.returncode == 1
    assert "in use by another `up`, `demo` or test run" in said.decode()

    first.process.kill()
    await first.process.wait()
    _, still_there = psutil.wait_procs(first.children, timeout=5)
    assert still_there == []

    # Somebody else takes Kafka's port meanwhile: it moves, the data does not mind.
    port = int(first.addresses["kafka_url"].rpartition(":")[2])
    stranger = await asyncio.start_server(lambda _r, w: w.close(), LOOPBACK, port)
    async with stranger:
        third = await ready(await begin(home, "--until-stdin-closes"))
        assert third.addresses["kafka_url"] != first.addresses["kafka_url"]
        assert third.addresses["mongo_url"] == first.addresses["mongo_url"]
        assert await read_all(third.addresses["kafka_url"]) == [b"before"]
        assert third.process.stdin is not None
        third.process.stdin.close()
        async with asyncio.timeout(PATIENCE):
            assert await third.process.wait() == 0
    assert not any(child.is_running() for child in third.children)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_start_can_be_cut_short(tmp_path: Path, number: signal.Signals) -> None:
    process = await begin(tmp_path / "home")
    pids = tmp_path / "home" / "pids"
    async with asyncio.timeout(PATIENCE):
        while not (pids / "mongo").exists():
            await asyncio.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    async with asyncio.timeout(PATIENCE):
        output, _ = await process.communicate()
    assert process.returncode == 0
    assert output == b""
    assert not any(child.is_running() for child in children)
