"""Four processes write to the same streams at once, and agree on what was written."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.clock import SystemClock
from shared.eventstore import Known
from shared.execute import Done, Writer
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.mongo import MongoEventStore, connect
from shared.testing import InterceptedStore, MongoSpace, Servers, diary, eventually, note
from tests.faults.children import nursery
from tests.faults.invariants import check_commits, commits_in
from tests.faults.support import (
    OWN,
    OWNERS,
    PROCESSES,
    SHARED,
    Desk,
    first_commands,
    own_commands,
    shared_commands,
    write_share,
)
from tests.faults.workers import MASTER, SERVICE, Place, writer_of

pytestmark = pytest.mark.faults

END_SECONDS = 120.0
"""A busy machine with a slow database."""
LINES = 1 + SHARED + PROCESSES * OWN + 1
"""Of each owner: a name, what all know, what each knows alone, and the twins' one fact."""

Answer = tuple[str, int]


@dataclass(slots=True)
class OvertakenStore(InterceptedStore):
    """A store to which another process writes right after it was first asked what it knows."""

    overtake: Callable[[], Awaitable[object]] | None = None

    async def known(self, command_ids: Sequence[str]) -> Mapping[str, Known]:
        """What was known before the other came."""
        found = await self.store.known(command_ids)
        overtake, self.overtake = self.overtake, None
        if overtake is not None:
            await overtake()
        return found


async def write_in_four_processes(place: Place, folder: Path) -> list[list[tuple[str, Answer]]]:
    """What each process was answered, in its own order: command id, stream and version."""
    go = folder / "go"
    desks = [
        Desk(folder / f"ready-{number}", go, folder / f"answers-{number}.json")
        for number in range(PROCESSES)
    ]
    with nursery(folder) as children:
        writers = [
            children.start(write_share, place, number, desk) for number, desk in enumerate(desks)
        ]

        async def all_ready() -> bool | None:
            return all(desk.ready.exists() for desk in desks) or None

        await eventually(all_ready)
        await asyncio.to_thread(go.touch)
        for writer in writers:
            assert await writer.ended(END_SECONDS) == 0
    return [_answers_of(desk) for desk in desks]


def _answers_of(desk: Desk) -> list[tuple[str, Answer]]:
    found = json.loads(desk.answers.read_text())
    return [(command, (stream, version)) for command, stream, version in found]


async def check_diary(writer: Writer, owner: int) -> None:
    """Each fact is there once, also the one that has four names."""
    lines, version = await writer.state(diary, f"customer-owner{owner}")
    assert version == len(lines) == LINES
    assert sorted(lines) == sorted(
        [
            f"name Name {owner}",
            *(f"shared {fact}" for fact in range(SHARED)),
            *(f"own {process} {fact}" for process in range(PROCESSES) for fact in range(OWN)),
            "twin",
        ]
    )


async def test_four_processes_with_resends_keep_versions_dense_and_each_fact_once(
    servers: Servers, mongo: MongoSpace, tmp_path: Path
) -> None:
    database = mongo.database(SERVICE)
    await MongoEventStore(database).create_indexes()
    place = Place(servers.kafka_url, servers.mongo_url, mongo.prefix, mongo.prefix)
    given = await write_in_four_processes(place, tmp_path)

    commits = await commits_in(database)
    check_commits(commits)
    assert len({commit.stream for commit in commits}) == OWNERS
    assert sum(len(commit.events) for commit in commits) == OWNERS * LINES

    recorded = {
        mark.id: (commit.stream, mark.version) for commit in commits for mark in commit.commands
    }
    common = {command.id for command in (*first_commands(), *shared_commands())}
    sent = common | {
        command.id for process in range(PROCESSES) for command in own_commands(process)
    }
    twins = recorded.keys() - sent
    assert sent <= recorded.keys()
    # Of each owner's four twins, the one that came first was recorded.
    assert sorted(int(twin.split("|")[2]) for twin in twins) == list(range(OWNERS))

    # Every answer, of whichever process and however often, is what the commit says.
    for answers in given:
        assert common <= {command for command, _ in answers}
        for command, answer in answers:
            if command in recorded:
                assert answer == recorded[command], command

    client = connect(servers.mongo_url)
    try:
        writer = writer_of(place, client)
        for owner in range(0, OWNERS, 7):
            await check_diary(writer, owner)
    finally:
        client.close()

    # It was a race: each process wrote before any of them had written its last.
    times = defaultdict(list)
    for commit in commits:
        for mark in commit.commands:
            if mark.id.startswith("own|"):
                times[mark.id.split("|")[1]].append(commit.recorded_at)
    assert len(times) == PROCESSES
    assert max(map(min, times.values())) < min(map(max, times.values()))


async def test_a_command_that_another_process_records_meanwhile_has_its_answer() -> None:
    store, keyring = MemoryEventStore(), Keyring(MemoryKeyStore(), MASTER)
    same, later = note("same", "anna", "a line"), note("later", "anna", "another")
    other = Writer(store, keyring, SystemClock(), SERVICE)

    async def overtake() -> object:
        await other.one(diary, same)
        return await other.one(diary, later)

    writer = Writer(OvertakenStore(store, overtake=overtake), keyring, SystemClock(), SERVICE)
    # By now its line is there, at version 1 of 2, so that it would change nothing.
    assert await writer.one(diary, same) == Done("customer-anna", 1, repeated=True)
