"""The customer service killed with SIGKILL while it erases: the next process does what is left."""

import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.customer.main import build
from shared import telemetry
from shared.access import Role
from shared.eventstore import Append
from shared.files import Files
from shared.keyring import Keyring
from shared.mongo import MongoEventStore, connect
from shared.process.running import run
from shared.settings import Settings
from shared.testing import LocalChain, Servers
from shared.testing.chain import eventually
from shared.testing.ports import free_port
from tests.faults.children import Nursery

pytestmark = pytest.mark.faults

Json = Any
SURNAME, NOTE, SCAN = "Zvezdochkina", "feeds-the-pigeons-indoors", "the-content-of-the-passport"
SECONDS = 150.0
"""A broker waits for the members of who was killed, and a server for its transactions."""
STEPS = ("before the keys", "before the files", "before the events", "after the events")


def run_customer(settings: Settings, step: str | None, armed: Path) -> None:
    """The whole service, which dies at a step of an erase once it is armed."""
    telemetry.configure(settings, "customer")
    appending, patch = MongoEventStore.append_together, pytest.MonkeyPatch()

    def die() -> None:
        if armed.exists():
            os.kill(os.getpid(), signal.SIGKILL)

    def dying(work: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def before(*arguments: object) -> None:
            die()
            await work(*arguments)

        return before

    async def append(store: MongoEventStore, appends: Sequence[Append]) -> bool:
        erasing = any(
            "customer.erased.v1" in text for each in appends for text in each.commit.events
        )
        if erasing and step == STEPS[2]:
            die()
        done = await appending(store, appends)
        if erasing and step == STEPS[3]:
            die()
        return done

    if step == STEPS[0]:
        patch.setattr(Keyring, "erase", dying(Keyring.erase))
    if step == STEPS[1]:
        patch.setattr(Files, "delete_of", dying(Files.delete_of))
    patch.setattr(MongoEventStore, "append_together", append)
    run(lambda: build(settings, "all"))


async def person(client: httpx2.AsyncClient, number: int) -> list[str]:
    """Somebody who was registered twice, with a card, a note and a document; both ids."""
    ids = []
    for letter in "AB":
        card = {"kind": "card", "value": f"ZX{letter}{number}"}
        body = {"surname": SURNAME, "note": NOTE, "identifiers": [card]}
        answer = await client.post("/v1/customers", json=body)
        assert answer.is_success, answer.text
        ids.append(answer.json()["id"])
    into, loser = ids
    scan = await client.post(
        f"/v1/customers/{loser}/documents",
        params={"title": "Passport"},
        content=SCAN.encode(),
        headers={"content-type": "text/plain"},
    )
    assert scan.is_success, scan.text
    merged = await client.post(f"/v1/customers/{loser}/merge", json={"into": into})
    assert merged.is_success, merged.text
    return ids


async def found_in_databases(chain: LocalChain) -> Mapping[str, str]:
    """Where the surname or the note stands, and the files that are there."""
    client = connect(chain.servers.mongo_url)
    try:
        found = {}
        for database in await client.list_database_names():
            if not database.startswith(chain.prefix):
                continue
            for name in await client[database].list_collection_names():
                text = repr(await client[database][name].find({}).to_list(None))
                if any(each.casefold() in text.casefold() for each in (SURNAME, NOTE)):
                    found[f"{database}.{name}"] = text
                if name in {"files", "file_chunks"} and text != "[]":
                    found[f"{database}.{name}"] = text
        return found
    finally:
        client.close()


@dataclass(frozen=True, slots=True)
class Town:
    """The service, as its owner asks it."""

    chain: LocalChain
    client: httpx2.AsyncClient

    async def ready(self) -> bool | None:
        try:
            return True if (await self.client.get("/readyz")).is_success else None
        except httpx2.HTTPError:
            return None

    async def gone(self, ids: Sequence[str]) -> bool | None:
        """Whether all of them are erased."""
        answers = [await self.client.get(f"/v1/customers/{each}") for each in ids]
        return True if all(each.status_code == 410 for each in answers) else None

    async def erase(self, customer: str) -> None:
        """Ask for it; nobody may be there any more who answers."""
        wish = {"confirm": "erase", "reason": "request"}
        with suppress(httpx2.HTTPError):
            await self.client.post(f"/v1/customers/{customer}/erase", json=wish)

    async def clean(self) -> bool | None:
        return None if await found_in_databases(self.chain) else True


async def test_a_person_is_forgotten_whole_wherever_the_process_is_killed(
    servers: Servers, tmp_path: Path, children: Nursery
) -> None:
    chain = LocalChain(servers, tmp_path)
    port, armed = free_port(), tmp_path / "armed"
    settings = chain.settings(Settings, port=port, log_level="debug")
    headers = {"Authorization": f"Bearer {await chain.key(Role.OWNER)}"}
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60
    ) as client:
        town, ids = Town(chain, client), list[str]()
        for number, step in enumerate(STEPS):
            child = children.start(run_customer, settings, step, armed)
            await eventually(town.ready, SECONDS)
            # What the one before left is done first.
            await eventually(partial(town.gone, ids), SECONDS)
            ids = await person(client, number)
            armed.touch()
            await town.erase(ids[1])
            await child.ended(30)
            assert child.killed, step
            armed.unlink()
        children.start(run_customer, settings, None, armed)
        await eventually(town.ready, SECONDS)
        await eventually(partial(town.gone, ids), SECONDS)
        try:
            await eventually(town.clean, SECONDS)
        except TimeoutError:
            assert await found_in_databases(chain) == {}
        for number in range(len(STEPS)):
            free = {"surname": "N", "identifiers": [{"kind": "card", "value": f"ZXA{number}"}]}
            answer = await client.post("/v1/customers", json=free)
            assert answer.status_code == 201, answer.text
    for child in children.children:
        said = child.output.read_text()
        assert [each for each in (SURNAME, NOTE, SCAN, "ZXA") if each in said] == []
