"""What batches cost, counted: round trips, writes and bytes. Gates, because seconds cannot be."""

from collections.abc import Iterator
from dataclasses import dataclass

import bson
import pytest

from benchmarks.counting import CommandCount, counted_database
from benchmarks.rows import append, projection
from benchmarks.sample import ReceiptLog
from services.interaction.projections.totals import TOTALS
from shared.envelope import decode
from shared.mongo import Database, MongoDocuments, MongoEventStore
from shared.testing import MongoSpace


@dataclass(frozen=True)
class Counted:
    """A database of the test, and the count of what is sent to it."""

    database: Database
    keys: Database
    count: CommandCount


@pytest.fixture
def counted(mongo: MongoSpace) -> Iterator[Counted]:
    count = CommandCount()
    database = counted_database(mongo.url, mongo.prefix + "interaction", count)
    yield Counted(database, Database(database.client, mongo.prefix + "keyring"), count)
    database.client.close()


async def test_a_batch_into_known_documents_is_two_round_trips_and_a_write_for_each(
    counted: Counted,
) -> None:
    # 1,000 events, 4 to a customer: 250 documents, more than the 101 of a default first batch.
    log = ReceiptLog(250, per_turn=4)
    folder = projection.folder_of(MongoDocuments(counted.database, TOTALS.name))
    await folder.fold(projection.records_of(log.take(1_000)))
    counted.count.clear()
    await folder.fold(projection.records_of(log.take(1_000)))
    assert counted.count.names == ["find", "update"]
    assert len(counted.count.written) == 250
    assert set(counted.count.written.values()) == {1}


async def test_a_batch_of_new_documents_is_two_round_trips_and_a_write_for_each(
    counted: Counted,
) -> None:
    folder = projection.folder_of(MongoDocuments(counted.database, TOTALS.name))
    await folder.fold(projection.records_of(ReceiptLog(250, per_turn=4).take(1_000)))
    assert counted.count.names == ["find", "insert"]
    assert set(counted.count.written.values()) == {1}


async def test_a_batch_of_known_and_new_documents_is_three_round_trips(counted: Counted) -> None:
    # The driver sends inserts and updates apart. An upsert would be one command for both, and on
    # SecantusDB scan the collection for each document that is new.
    log = ReceiptLog(20, per_turn=4)
    folder = projection.folder_of(MongoDocuments(counted.database, TOTALS.name))
    await folder.fold(projection.records_of(log.take(40)))
    counted.count.clear()
    # The turns of the other 10 customers, then of the first 10 again.
    await folder.fold(projection.records_of(log.take(80)))
    assert sorted(counted.count.names) == ["find", "insert", "update"]
    assert len(counted.count.written) == 20
    assert set(counted.count.written.values()) == {1}


async def test_a_batch_of_events_that_were_folded_is_one_round_trip(counted: Counted) -> None:
    folder = projection.folder_of(MongoDocuments(counted.database, TOTALS.name))
    records = projection.records_of(ReceiptLog(20, per_turn=4).take(80))
    await folder.fold(records)
    counted.count.clear()
    await folder.fold(records)
    assert counted.count.names == ["find"]


@pytest.mark.parametrize("per_customer", [1, 4])
async def test_a_batch_of_commands_is_three_round_trips_and_a_document_for_each_stream(
    counted: Counted, per_customer: int
) -> None:
    await MongoEventStore(counted.database).create_indexes()
    first, second = await append.batches_of(per_customer, 2)
    await append.carry_out(append.mongo_writer(counted.database, counted.keys), first.commands)
    counted.count.clear()
    # A writer that has just been started has no keys in its cache, and needs none.
    await append.carry_out(append.mongo_writer(counted.database, counted.keys), second.commands)
    assert counted.count.names == ["find", "aggregate", "insert"]
    # 200 receipts: 200 streams with one each, or 50 with 4.
    assert len(counted.count.written) == 200 // per_customer
    assert set(counted.count.written.values()) == {1}


async def test_a_batch_on_streams_that_the_writer_has_written_to_is_two_round_trips(
    counted: Counted,
) -> None:
    await MongoEventStore(counted.database).create_indexes()
    log = ReceiptLog(50, per_turn=4)
    writer = append.mongo_writer(counted.database, counted.keys)
    await append.carry_out(writer, log.commands(200))
    counted.count.clear()
    await append.carry_out(writer, log.commands(200))
    assert counted.count.names == ["find", "insert"]


async def test_a_batch_of_known_commands_is_one_round_trip(counted: Counted) -> None:
    await MongoEventStore(counted.database).create_indexes()
    (batch,) = await append.batches_of(4, 1)
    writer = append.mongo_writer(counted.database, counted.keys)
    await append.carry_out(writer, batch.commands)
    counted.count.clear()
    await append.carry_out(writer, batch.commands)
    assert counted.count.names == ["find"]


async def test_an_event_costs_few_bytes_beside_its_data() -> None:
    # The customer's id (36) thrice and the stream's name twice, two moments of 24, the type of 31,
    # twelve names of fields: 414 to 420.
    events = [event.value for event in ReceiptLog(100).take(1_000)]
    around = [len(event) - len(decode(event).data) for event in events]
    assert max(around) <= 440


async def test_a_commit_costs_few_bytes_beside_its_events() -> None:
    # One receipt to a commit: the stream's name twice, its key, its command with a hash of 64, the
    # names of fields: 378 to 382.
    (batch,) = await append.batches_of(1, 1)
    around = [
        len(bson.encode(document)) - sum(len(text.encode()) for text in document["events"])
        for document in batch.documents
    ]
    assert max(around) <= 400
