"""Another system's own table of what customers spend, from `interaction.events.v1`, exactly once.

    python examples/subscriber.py spent.db --kafka 127.0.0.1:9092
    sqlite3 spent.db 'SELECT * FROM spent'

Three things make it exact, and each is one statement:

- the place in every partition is kept in the same transaction as the table, so that a batch counts
  whole or not at all, wherever this is killed;
- the version of every stream is kept too, because the same event may come again;
- a fact that changes hands (somebody becomes known, two turn out to be one, or not) counts where it
  has made the most hops, in whatever order the partitions are read.

Topics are kept for ever: a subscriber that begins today reads from the first day.
"""

import argparse
import asyncio
import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer

TOPIC = "interaction.events.v1"
TABLES = """
CREATE TABLE IF NOT EXISTS place (partition INTEGER PRIMARY KEY, next INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS stream (name TEXT PRIMARY KEY, version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS fact (
  id TEXT PRIMARY KEY, customer TEXT, branch TEXT, time TEXT, amount INTEGER, hops INTEGER NOT NULL
);
CREATE VIEW IF NOT EXISTS spent AS
  SELECT customer, sum(amount) AS amount, count(*) AS facts FROM fact GROUP BY customer;
"""
COUNTS = {
    "interaction.receipt_recorded.v1": 1,
    "interaction.receipt_returned.v1": -1,
    "interaction.receipt_voided.v1": -1,
}
"""What is counted; more types may come, and are none of our business."""
MOVED = "interaction.facts_moved.v1"

Event = Mapping[str, Any]


def open_table(path: str) -> sqlite3.Connection:
    """The table, or an empty one."""
    table = sqlite3.connect(path)
    table.executescript(TABLES)
    return table


def take(table: sqlite3.Connection, event: Event) -> None:
    """Count an event, unless it was counted before; in the caller's transaction."""
    newer = table.execute(
        "INSERT INTO stream VALUES (:stream, :streamversion) ON CONFLICT (name)"
        " DO UPDATE SET version = excluded.version WHERE excluded.version > version",
        event,
    )
    if not newer.rowcount:
        return
    customer, data = event.get("subject"), event["data"]
    if event["type"] in COUNTS:
        _put(table, event, customer, 0)
    elif event["type"] == MOVED and data["direction"] == "in":
        for fact in data["facts"]:
            if fact["type"] in COUNTS:
                _put(table, fact, customer, fact["hops"])


def _put(table: sqlite3.Connection, told: Event, customer: str | None, hops: int) -> None:
    """A fact is at the customer whom it reached by the most hops."""
    data = told["data"]
    amount = COUNTS[told["type"]] * data["total"]
    table.execute(
        "INSERT INTO fact VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id)"
        " DO UPDATE SET customer = excluded.customer, hops = excluded.hops"
        " WHERE excluded.hops > hops",
        (data["fact"], customer, told.get("branch"), told["time"], amount, hops),
    )


def take_batch(table: sqlite3.Connection, partition: int, records: Iterable[Any]) -> None:
    """Count the records of a partition and remember the place behind them, or neither."""
    with table:
        for record in records:
            take(table, json.loads(record.value))
            table.execute(
                "INSERT INTO place VALUES (?, ?) ON CONFLICT DO UPDATE SET next = excluded.next",
                (partition, record.offset + 1),
            )


async def subscribe(table: sqlite3.Connection, kafka: str, topic: str) -> None:
    """Follow the topic for ever, from where the table ends."""
    # Without a group all partitions are ours: there is one table, so there is one reader.
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        places = dict(table.execute("SELECT partition, next FROM place"))
        for place in consumer.assignment():
            consumer.seek(place, places.get(place.partition, 0))
        while True:
            for place, records in (await consumer.getmany(timeout_ms=500)).items():
                take_batch(table, place.partition, records)
    finally:
        await consumer.stop()


def main() -> None:
    """Run the subscriber."""
    options = argparse.ArgumentParser(description="What customers spend, in a table of its own.")
    options.add_argument("table", help="the file of the table")
    options.add_argument("--kafka", required=True, help="host:port")
    options.add_argument("--prefix", default="", help="of the installation's topics")
    given = options.parse_args()
    asyncio.run(subscribe(open_table(given.table), given.kafka, given.prefix + TOPIC))


if __name__ == "__main__":
    main()
