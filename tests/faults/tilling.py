"""Tills that write to the inbox, and children that take it, with traps between their steps."""

import asyncio
import json
import signal
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import uvloop
from aiokafka import TopicPartition
from faststream.kafka import KafkaBroker

from services.interaction.consumers.inbox import GROUP, WAITING, WaitingRoom, subscription
from services.interaction.consumers.reacting import Reactions
from services.interaction.handlers.facts import Recorder
from services.interaction.handlers.inbox import Inbox
from services.interaction.handlers.inbox_sealing import Sealer
from services.interaction.handlers.intake import Intake
from services.interaction.handlers.lines import no_snapshots
from services.interaction.handlers.returns import Returns
from shared.execute import Writer
from shared.identifiers import IdentifierRules
from shared.kafka import DEAD_LETTERS, INBOX, KafkaDeadLetters, reactions
from shared.mongo import Database, MongoLeases, MongoWaitingPlace, connect
from shared.process import Kernel
from shared.settings import Settings
from shared.testing.kafka_log import committed_offsets, producing, read_partition, read_partitions
from tests.faults.invariants import check_commits, commits_in
from tests.faults.workers import Plan, Trap, trapped

SERVICE = "interaction"
PARTITIONS = 3
TAKEN_AT_ONCE = 40
GRACE_SECONDS = 5.0

Json = Any


async def nobody(_ids: Collection[str]) -> Mapping[str, str]:
    """Whom identifiers find: all facts are of people who are not known."""
    return {}


def run_inbox(settings: Settings, owner: str, plan: Plan | None) -> None:
    """Take what is written to the inbox, until killed, and look at what waits."""
    reactions.MAX_RECORDS = TAKEN_AT_ONCE
    uvloop.run(_take(settings, owner, Trap(plan)))


async def _take(settings: Settings, owner: str, trap: Trap) -> None:
    kernel = Kernel.unconnected(settings, SERVICE)
    store = trapped(kernel.store, trap, append="append")
    writer = Writer(
        store, kernel.keyring, kernel.clock, SERVICE, append_deadline=settings.append_deadline
    )
    rules = IdentifierRules(kernel.hmac_secret, "US")
    place = MongoWaitingPlace(kernel.database, WAITING)
    dead = KafkaDeadLetters(kernel.kafka, INBOX, DEAD_LETTERS)
    inbox = Inbox(
        Intake(Recorder(writer, nobody, no_snapshots), Returns(writer), rules, kernel.clock),
        kernel.store.known,
        nobody,
        trapped(place, trap, admit="wait", release="release"),
        trapped(dead, trap, bury="bury"),
        Sealer(settings.master_key()),
    )
    # Traps stand around the whole of a batch too: after it nothing is left but to acknowledge.
    taking = trapped(inbox, trap, take="take")
    broker = KafkaBroker(kernel.kafka.bootstrap, graceful_timeout=GRACE_SECONDS, logger=None)
    reacting = Reactions(broker, kernel.kafka, [subscription(taking)])
    room = WaitingRoom(inbox, MongoLeases(kernel.database), owner, poll_seconds=0.2)
    working = asyncio.gather(reacting.run(), room.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, working.cancel)
    with suppress(asyncio.CancelledError):
        await working


def receipt(number: int, **more: Json) -> Json:
    """A receipt, of somebody with a card or of nobody."""
    known = {"identifier": {"kind": "card", "value": f"{number % 7}"}} if number % 3 else {}
    return {
        "kind": "receipt",
        "source_id": f"r{number}",
        "branch": f"b{number % 3}",
        "time": "2017-11-30T09:30:00Z",
        "lines": [{"product": "bread", "quantity": 1, "amount": number}],
        **known,
        **more,
    }


def given_back(number: int) -> Json:
    """What is given back of the receipt of this number: all of it."""
    return {
        "kind": "return",
        "source_id": f"b{number}",
        "branch": f"b{number % 3}",
        "time": "2017-11-30T10:30:00Z",
        "receipt": {"source_id": f"r{number}"},
    }


@dataclass(slots=True)
class Sent:
    """What was written to an inbox: good facts by their commands, and places of bad records."""

    good: set[str] = field(default_factory=set)
    bad: set[tuple[int, int]] = field(default_factory=set)


@dataclass(slots=True)
class Tills:
    """Who writes to the inbox of a chain, and what must have become of it."""

    settings: Settings
    sent: Sent = field(default_factory=Sent)

    async def write(self, first: int, count: int) -> None:
        """Write receipts, each twice; returns before their receipts; and what is wrong."""
        facts = [receipt(number) for number in range(first, first + count)]
        backs = [given_back(each) for each in range(first, first + count, 4)]
        wrong = [
            b"\xff{",
            receipt(first + count, total=-1),
            receipt(first, till="another one, under the same id"),
        ]
        async with producing(self.settings.kafka_url) as producer:
            topic = self.settings.topic_prefix + INBOX
            for each in chain(backs, facts, facts):
                await producer.send(topic, _value(each), key=each["source_id"].encode())
                self.sent.good.add(f"pos|{each['branch']}|{each['source_id']}")
            await producer.flush()
            for each in wrong:
                # In the partition of what it contradicts, so that the right one is first.
                key = f"r{first}".encode()
                placed = await producer.send_and_wait(topic, _value(each), key=key)
                self.sent.bad.add((placed.partition, placed.offset))

    async def check(self) -> None:
        """All is taken: each fact once, each bad record among the dead, nothing waits."""
        bootstrap, prefix = self.settings.kafka_url, self.settings.topic_prefix
        places = [TopicPartition(prefix + INBOX, number) for number in range(PARTITIONS)]
        written = await read_partitions(bootstrap, places)
        committed = await committed_offsets(bootstrap, prefix + GROUP)
        left = {place: len(written[place]) - committed.get(place, 0) for place in places}
        assert not any(left.values()), f"not acknowledged: {left}"
        client = connect(self.settings.mongo_url)
        try:
            database = Database(client, self.settings.database_prefix + SERVICE)
            assert await MongoWaitingPlace(database, WAITING).count() == 0
            commits = await commits_in(database)
        finally:
            client.close()
        check_commits(commits)
        # Other commands are of what follows from facts.
        facts = [each for each in commits if all(m.id.startswith("pos|") for m in each.commands)]
        recorded = {mark.id for commit in facts for mark in commit.commands}
        assert sorted(self.sent.good - recorded) == []
        assert sorted(recorded - self.sent.good) == []
        # One event each.
        assert sum(len(commit.events) for commit in facts if commit.commands) == len(recorded)
        assert set(await self.dead()) == self.sent.bad

    async def dead(self) -> Sequence[tuple[int, int]]:
        """Partition and offset of all that was put aside, in that order."""
        topic = self.settings.topic_prefix + DEAD_LETTERS
        found = await read_partition(self.settings.kafka_url, TopicPartition(topic, 0))
        origins = [json.loads(dict(record.headers)["origin"]) for record in found]
        return [(each["partition"], each["offset"]) for each in origins]


def _value(fact: Json) -> bytes:
    return fact if isinstance(fact, bytes) else json.dumps(fact).encode()
