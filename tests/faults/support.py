"""What one of several processes does that write to the same streams at once.

Each sends the facts that all know, in an order of its own, and facts that only it knows, some of
them twice; and each finds a fact that the others find too, and names it by an id of its own. What
was answered goes to a file, so that the test can compare.
"""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from shared.decider import Refused
from shared.eventstore import StoreUnavailable
from shared.execute import Command, Outcome, Writer
from shared.mongo import connect
from shared.testing import Note, Receive, diary, note, receive
from tests.faults.workers import Place, writer_of

OWNERS = 50
PROCESSES = 4
SHARED = 3
"""Facts of each owner that all processes send under the same ids."""
OWN = 1
"""Facts of each owner and process that only this process sends, all of them twice."""
BATCH = 100
PAUSE_SECONDS = 0.01
RETRY_SECONDS = 0.1


def first_commands() -> Sequence[Command[Note | Receive]]:
    """What every process sends first: a diary begins with a name, which needs a key."""
    return [receive(f"name|{owner}", f"owner{owner}", f"Name {owner}") for owner in range(OWNERS)]


def shared_commands() -> Sequence[Command[Note | Receive]]:
    """What every process sends then."""
    return [
        note(f"shared|{owner}|{fact}", f"owner{owner}", f"shared {fact}")
        for owner in range(OWNERS)
        for fact in range(SHARED)
    ]


def own_commands(process: int) -> Sequence[Command[Note | Receive]]:
    """What one process alone sends."""
    return [
        note(f"own|{process}|{owner}|{fact}", f"owner{owner}", f"own {process} {fact}")
        for owner in range(OWNERS)
        for fact in range(OWN)
    ]


def twin_commands(process: int) -> Sequence[Command[Note | Receive]]:
    """The same facts in every process, under different ids: the first changes something."""
    return [note(f"twin|{process}|{owner}", f"owner{owner}", "twin") for owner in range(OWNERS)]


@dataclass(frozen=True, slots=True)
class Desk:
    """The files of one process: it makes `ready`, waits for `go`, and writes `answers`.

    The answers are a list of [command, stream, version], in the order in which they were given.
    """

    ready: Path
    go: Path
    answers: Path


def write_share(place: Place, process: int, desk: Desk) -> None:
    """Send everything once `go` is there, and write down what was answered."""
    desk.answers.write_text(json.dumps(uvloop.run(_answers(place, process, desk))))


async def _answers(place: Place, process: int, desk: Desk) -> Sequence[tuple[str, str, int]]:
    own = own_commands(process)
    first = list(first_commands())
    then = [*shared_commands(), *own, *own, *twin_commands(process)]
    for commands in (first, then):
        random.Random(process).shuffle(commands)
    commands = first + then
    client = connect(place.mongo_url)
    try:
        writer = writer_of(place, client)
        await writer.store.heads(["nobody"])
        await asyncio.to_thread(_wait_for_the_others, desk)
        answers: list[tuple[str, str, int]] = []
        for start in range(0, len(commands), BATCH):
            batch = commands[start : start + BATCH]
            for command, outcome in zip(batch, await _answered(writer, batch), strict=True):
                if isinstance(outcome, Refused):
                    raise outcome
                answers.append((command.id, outcome.stream, outcome.version))
        return answers
    finally:
        client.close()


def _wait_for_the_others(desk: Desk) -> None:
    desk.ready.touch()
    while not desk.go.exists():
        time.sleep(PAUSE_SECONDS)


async def _answered(writer: Writer, batch: Sequence[Command[Note | Receive]]) -> Sequence[Outcome]:
    """The outcomes, asked for again while the database is too busy: as any caller would."""
    while True:
        try:
            return await writer.many(diary, batch)
        except StoreUnavailable:
            await asyncio.sleep(RETRY_SECONDS)
