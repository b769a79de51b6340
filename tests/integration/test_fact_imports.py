"""Imports of facts over HTTP, on real servers: a file goes in, is tried out, recorded, reverted."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from services.interaction.main import InteractionSettings, build
from shared.access import Role
from shared.mongo import Database, connect
from shared.testing import LocalChain, client_of, eventually

Json = Any
TEXT = (
    "Чек;Магазин;Дата;Карта;Товар;Кол-во;Сумма\n"
    "7;12;01.12.2017 10:00;A-1;хлеб;1;1 199,50\n"
    "8;12;01.12.2017 11:00;;хлеб;1;10,00\n"
    "7;12;01.12.2017 10:00;A-1;молоко;2;0,50\n"
    "9;12;01.12.2017 12:00;;хлеб;много;10,00\n"
)


@pytest.fixture
async def owner(chain: LocalChain) -> AsyncIterator[httpx2.AsyncClient]:
    """The service of this test alone, as its owner calls it."""
    settings = chain.settings(InteractionSettings, zone="Europe/Samara")
    async with chain.running(build, settings) as client:
        yield client


async def uploaded(owner: httpx2.AsyncClient, content: bytes, facts: str = "receipts") -> Json:
    query = {"facts": facts, "filename": "f.csv"}
    answer = await owner.post("/v1/file-imports", params=query, content=content)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def ended(owner: httpx2.AsyncClient, job: str) -> Json:
    """The last event of whoever follows the job."""
    answer = await owner.get(f"/v1/jobs/{job}/events", timeout=60)
    last = answer.text.strip().split("\n\n")[-1].splitlines()
    assert last[0] == "event: end"
    return json.loads(last[1].removeprefix("data: "))


async def figures(owner: httpx2.AsyncClient, receipts: int) -> Json:
    """The totals of the chain, once there are so many receipts."""

    async def ask() -> Json | None:
        found = (await owner.get("/v1/totals")).json()
        return found if found["receipts"] == receipts else None

    return await eventually(ask)


async def test_a_file_is_tried_out_recorded_and_taken_back(
    chain: LocalChain, owner: httpx2.AsyncClient
) -> None:
    draft = await uploaded(owner, TEXT.encode("cp1251"))
    assert [each["to"] for each in draft["columns"]] == [
        "source_id", "branch", "time", "card", "product", "quantity", "amount",
    ]  # fmt: skip
    path = f"/v1/file-imports/{draft['id']}"
    tried = (await owner.post(f"{path}/dry-run")).json()
    assert (await ended(owner, tried["id"]))["counts"] == {"new": 2, "error": 1}
    found = (await owner.get(f"/v1/jobs/{tried['id']}/results")).json()["items"]
    assert [(each["row"], each["outcome"]) for each in found] == [
        (2, "new"), (3, "new"), (5, "error"),
    ]  # fmt: skip
    assert found[2]["flaws"] == [{"field": "quantity", "message": "a number"}]
    assert (await owner.get("/v1/totals")).json()["receipts"] == 0
    started = await owner.post(f"{path}/start")
    assert (started.status_code, started.json()["id"]) == (202, draft["id"])
    done = await ended(owner, draft["id"])
    assert (done["state"], done["counts"]) == ("done", {"new": 2, "error": 1})
    # 1,199.50 + 0.50 of the receipt whose rows stand apart, and 10.00.
    assert (await figures(owner, 2))["turnover_minor"] == 121_000
    begun = (await owner.get(f"/v1/imports/{draft['id']}")).json()
    assert (begun["open"], begun["facts"]) == (False, 2)
    again = await uploaded(owner, TEXT.encode())
    await owner.post(f"/v1/file-imports/{again['id']}/start")
    assert (await ended(owner, again["id"]))["counts"] == {"repeated": 2, "error": 1}
    await owner.post(f"{path}/revert")
    undone = await ended(owner, draft["id"])
    assert (undone["state"], undone["counts"]["voided"]) == ("reverted", 2)
    assert (await figures(owner, 0))["turnover_minor"] == 0
    client = connect(chain.servers.mongo_url)
    try:
        database = Database(client, f"{chain.prefix}interaction")
        for name in ("jobs", "job_results", "file_imports", "files", "file_chunks"):
            stored = str(await database.collection(name).find({}))
            assert [word for word in ("A-1", "молоко", "Карта") if word in stored] == []
    finally:
        client.close()


async def test_visits_are_withdrawn_and_the_figures_with_them(owner: httpx2.AsyncClient) -> None:
    text = "visit id,branch,time,card,visit,state\nv1,12,2017-12-01 10:00,A1,b7,kept\n"
    draft = await uploaded(owner, text.encode(), "visits")
    path = f"/v1/file-imports/{draft['id']}"
    await owner.post(f"{path}/start")
    assert (await ended(owner, draft["id"]))["counts"] == {"new": 1}

    async def visits(count: int) -> bool | None:
        found = (await owner.get("/v1/totals")).json()
        return True if found["visits"] == count else None

    await eventually(lambda: visits(1))
    await owner.post(f"{path}/revert")
    assert (await ended(owner, draft["id"]))["counts"] == {"new": 1, "withdrawn": 1}
    await eventually(lambda: visits(0))


async def test_what_is_wrong_with_a_file_or_its_mapping_is_told(
    chain: LocalChain, owner: httpx2.AsyncClient
) -> None:
    wrong = await owner.post("/v1/file-imports?facts=shoes", content=b"a\n1\n")
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "facts")
    draft = await uploaded(owner, b"a,b\n1,2\n")
    path = f"/v1/file-imports/{draft['id']}"
    refused = (await owner.post(f"{path}/start")).json()
    assert [each["message"] for each in refused["errors"]] == [
        f"one should be {name}" for name in ("amount", "branch", "product", "source_id", "time")
    ]
    for mapping, field in (
        ({"columns": {"c": {"to": "card"}}}, "columns.c"),
        ({"columns": {"b": {"to": "state"}}}, "columns.b"),
        ({"columns": {}, "zone": "Mars/Base"}, "zone"),
        ({"columns": {}, "defaults": {"source_id": "1"}}, "defaults.source_id"),
    ):
        answer = await owner.put(f"{path}/mapping", json=mapping)
        assert answer.status_code == 422
        assert field in {each["field"] for each in answer.json()["errors"]}
    reader = client_of(owner._transport.app, await chain.key(Role.READER))  # type: ignore[attr-defined]  # noqa: SLF001 - the same app, called by somebody else
    async with reader:
        assert (await reader.get("/v1/file-imports")).status_code == 403
