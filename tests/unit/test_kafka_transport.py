"""A connection to Kafka that has closed, on the loop that the services run on."""

import asyncio
import struct

import pytest
import uvloop
from aiokafka import conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from shared.kafka.transport import ClosedIsAway

METADATA, API_VERSIONS = 3, 18


async def _broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer what is asked first: which requests there are, and in which versions."""
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    correlation = (await reader.readexactly(size))[4:8]
    answer = correlation + struct.pack(">hi", 0, 2)
    answer += struct.pack(">hhh", METADATA, 0, 1) + struct.pack(">hhh", API_VERSIONS, 0, 0)
    writer.write(struct.pack(">i", len(answer)) + answer)
    await reader.read()
    writer.close()


async def _sent_into_a_closed_transport() -> None:
    async with await asyncio.start_server(_broker, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connection = await conn.create_conn("127.0.0.1", port)
        connection._writer.transport.abort()  # noqa: SLF001 - what a killed broker does to it
        await asyncio.sleep(0)  # now it is closed, and its reader has not heard of that yet
        try:
            await connection.send(MetadataRequest([]))
        finally:
            assert not connection.connected()


def test_a_transport_that_has_closed_is_a_fault_of_kafka() -> None:
    assert conn.AIOKafkaConnection is ClosedIsAway
    with pytest.raises(KafkaConnectionError):
        uvloop.run(_sent_into_a_closed_transport())
