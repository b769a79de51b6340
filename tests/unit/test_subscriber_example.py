"""The subscriber of the examples: its table is right however facts change hands and come again."""

import itertools
import json
import random
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from examples.subscriber import open_table, take, take_batch
from shared.events.interaction import ReceiptRecorded, ReceiptReturned, ReceiptVoided
from shared.events.moving import FactsMoved, MovedFact
from shared.testing import DAY

Json = Any
ANNA, BORIS = "c-anna", "c-boris"


@dataclass(frozen=True, slots=True)
class Record:
    """As Kafka gives it."""

    offset: int
    value: bytes


def event(stream: str, version: int, kind: str, data: Json, subject: str | None) -> Json:
    named = {} if subject is None else {"subject": subject}
    return {
        "type": kind,
        "stream": stream,
        "streamversion": version,
        "time": "2017-12-01T09:30:00.000Z",
        "branch": "12",
        "data": data,
        **named,
    }


def bought(version: int, fact: str, total: int, customer: str | None) -> Json:
    stream = "unknown-h" if customer is None else f"interaction-{customer}"
    data = {"fact": fact, "total": total}
    return event(stream, version, ReceiptRecorded.type, data, customer)


def moved(
    version: int, customer: str, direction: str, hops: int, *facts: tuple[str, str, int]
) -> Json:
    data = FactsMoved(
        move="m",
        direction=direction,  # type: ignore[arg-type]  # one of the two
        facts=tuple(
            MovedFact(
                fact=fact,
                type=kind,
                time=DAY,
                recordedtime=DAY,
                home=ANNA,
                hops=hops,
                data={"fact": fact, "total": total},
            )
            for fact, kind, total in facts
        ),
    )
    stream = f"interaction-{customer}"
    return event(
        stream, version, data.type, data.model_dump(mode="json", exclude_none=True), customer
    )


def told() -> Sequence[Sequence[Json]]:
    """What happens, per stream: a purchase of somebody unknown, a merge, and its revert."""
    first = ("r1", ReceiptRecorded.type, 100)
    returned = ("b1", ReceiptReturned.type, 30)
    unknown = [bought(1, "r1", 100, None)]
    anna = [
        moved(1, ANNA, "in", 1, first),
        event(f"interaction-{ANNA}", 2, ReceiptReturned.type, {"fact": "b1", "total": 30}, ANNA),
        # Merged into Boris, and parted from him again.
        moved(3, ANNA, "out", 2, first, returned),
        moved(4, ANNA, "in", 3, first, returned),
        bought(5, "r2", 7, ANNA),
    ]
    boris = [
        bought(1, "r3", 1_000, BORIS),
        moved(2, BORIS, "in", 2, first, returned),
        moved(3, BORIS, "out", 3, first, returned),
        bought(4, "r4", 500, BORIS),
        event(f"interaction-{BORIS}", 5, ReceiptVoided.type, {"fact": "v4", "total": 500}, BORIS),
        event(f"interaction-{BORIS}", 6, "interaction.something_newer.v3", {}, BORIS),
    ]
    return [unknown, anna, boris]


def spent(table: sqlite3.Connection) -> dict[str | None, int]:
    return dict(table.execute("SELECT customer, amount FROM spent"))


@pytest.mark.parametrize("seed", range(30))
def test_totals_are_right_in_whatever_order_the_partitions_are_read(seed: int) -> None:
    chance, table = random.Random(seed), open_table(":memory:")
    streams = [list(stream) for stream in told()]
    while any(streams):
        stream = chance.choice([each for each in streams if each])
        head = stream.pop(0)
        # At least once: now and then the same comes again.
        for _ in range(chance.choice([1, 1, 2])):
            take(table, head)
    # Anna: 100 - 30 + 7. Boris: 1,000 + 500 - 500.
    assert spent(table) == {ANNA: 77, BORIS: 1_000}


def test_while_a_move_is_under_way_each_fact_counts_at_one_customer() -> None:
    table = open_table(":memory:")
    seen = []
    for each in itertools.chain(*told()):
        take(table, each)
        seen.append(sum(spent(table).values()))
    # r1, adopted, b1, merged, parted, r2; then of Boris r3, two moves that are over, r4, v4, …
    assert seen == [100, 100, 70, 70, 70, 77, 1_077, 1_077, 1_077, 1_577, 1_077, 1_077]


def test_a_batch_counts_whole_with_its_place_or_not_at_all() -> None:
    table = open_table(":memory:")
    good = Record(4, json.dumps(bought(1, "r1", 100, ANNA)).encode())
    with pytest.raises(json.JSONDecodeError):
        take_batch(table, 2, [good, Record(5, b"torn")])
    assert spent(table) == {}
    assert table.execute("SELECT * FROM place").fetchall() == []
    take_batch(table, 2, [good])
    take_batch(table, 2, [good])
    assert spent(table) == {ANNA: 100}
    assert table.execute("SELECT * FROM place").fetchall() == [(2, 5)]
