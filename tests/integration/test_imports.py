"""Imports over HTTP, on real servers: a file goes in, is tried out, recorded and reverted."""

import io
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from rich.console import Console

from deploy import importing
from deploy.client import CallError, Chain
from deploy.importing import Wanted
from services.customer.main import build
from shared.access import Role
from shared.mongo import Database, connect
from shared.settings import Settings
from shared.testing import LocalChain, eventually

Json = Any
TEXT = "Телефон;ФИО;Карта\n8 916 123-45-67;Иванова Анна;A-1\n89161234568;Борисов Борис;\nx;;\n"


@pytest.fixture
async def owner(chain: LocalChain) -> AsyncIterator[httpx2.AsyncClient]:
    """The service of this test alone, as its owner calls it."""
    async with chain.running(build, chain.settings(Settings, phone_region="RU")) as client:
        yield client


async def uploaded(owner: httpx2.AsyncClient, content: bytes, name: str = "clients.csv") -> Json:
    answer = await owner.post("/v1/imports", params={"filename": name}, content=content)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def ended(owner: httpx2.AsyncClient, job: str) -> Json:
    """The last event of whoever follows the job."""
    answer = await owner.get(f"/v1/jobs/{job}/events", timeout=60)
    last = answer.text.strip().split("\n\n")[-1].splitlines()
    assert last[0] == "event: end"
    return json.loads(last[1].removeprefix("data: "))


async def results(owner: httpx2.AsyncClient, job: str) -> list[Json]:
    answer = await owner.get(f"/v1/jobs/{job}/results")
    found: list[Json] = answer.json()["items"]
    return found


async def test_a_file_is_tried_out_recorded_and_taken_back(
    chain: LocalChain, owner: httpx2.AsyncClient
) -> None:
    draft = await uploaded(owner, TEXT.encode("cp1251"))
    assert [each["to"] for each in draft["columns"]] == ["phone", "full_name", "card"]
    assert (draft["format"], draft["encoding"], draft["rows"]) == ("csv", "cp1251", 3)
    path = f"/v1/imports/{draft['id']}"
    tried = (await owner.post(f"{path}/dry-run")).json()
    report = await ended(owner, tried["id"])
    assert (report["state"], report["counts"]) == ("done", {"new": 2, "error": 1})
    assert [each["outcome"] for each in await results(owner, tried["id"])] == [
        "new", "new", "error",
    ]  # fmt: skip
    count = (await owner.get("/v1/customers/count")).json()["count"]
    assert count == 0
    started = await owner.post(f"{path}/start")
    assert (started.status_code, started.json()["id"]) == (202, draft["id"])
    done = await ended(owner, draft["id"])
    assert (done["state"], done["counts"]) == ("done", {"new": 2, "error": 1})
    first, second, wrong = await results(owner, draft["id"])
    assert wrong["flaws"][0]["field"] == "phone"
    found = await eventually(lambda: _found(owner, {"kind": "card", "value": "A1"}))
    assert found["id"] == first["id"]
    whole = (await owner.get(f"/v1/customers/{second['id']}")).json()["record"]
    assert (whole["surname"], whole["name"]) == ("Борисов", "Борис")
    again = await uploaded(owner, TEXT.encode("cp1251"))
    await owner.post(f"/v1/imports/{again['id']}/start")
    assert (await ended(owner, again["id"]))["counts"] == {"duplicate": 2, "error": 1}
    await owner.post(f"{path}/revert")
    undone = await ended(owner, draft["id"])
    assert (undone["state"], undone["counts"]["removed"]) == ("reverted", 2)
    await eventually(lambda: _lost(owner, {"kind": "card", "value": "A1"}))
    client = connect(chain.servers.mongo_url)
    try:
        database = Database(client, f"{chain.prefix}customer")
        for name in ("jobs", "job_results", "imports", "files", "file_chunks"):
            stored = str(await database.collection(name).find({}))
            assert [word for word in ("9161234567", "Борисов", "Карта") if word in stored] == []
    finally:
        client.close()


async def _found(owner: httpx2.AsyncClient, identifier: Json) -> Json | None:
    answer = await owner.post("/v1/customers/find", json=identifier)
    return answer.json() if answer.status_code == 200 else None


async def _lost(owner: httpx2.AsyncClient, identifier: Json) -> bool | None:
    answer = await owner.post("/v1/customers/find", json=identifier)
    return True if answer.status_code == 404 else None


def workbook() -> bytes:
    data = io.BytesIO()
    book = xlsxwriter.Workbook(data, {"in_memory": True})
    sheet = book.add_worksheet()
    for row, cells in enumerate([("Phone", "Name"), (79161234567, "Anna")]):
        sheet.write_row(row, 0, cells)
    book.close()
    return data.getvalue()


def parquet() -> bytes:
    data = io.BytesIO()
    pq.write_table(pa.table({"Phone": [79161234567], "Name": ["Anna"]}), data)
    return data.getvalue()


@pytest.mark.parametrize("make", [workbook, parquet])
async def test_workbooks_and_parquet_files_are_imported(
    owner: httpx2.AsyncClient, make: Callable[[], bytes]
) -> None:
    draft = await uploaded(owner, make())
    await owner.post(f"/v1/imports/{draft['id']}/start")
    assert (await ended(owner, draft["id"]))["counts"] == {"new": 1}
    found = await eventually(lambda: _found(owner, {"kind": "phone", "value": "+7 916 123-45-67"}))
    whole = (await owner.get(f"/v1/customers/{found['id']}")).json()
    assert whole["record"]["name"] == "Anna"


async def test_what_is_wrong_with_a_file_or_its_mapping_is_told(
    owner: httpx2.AsyncClient,
) -> None:
    refused = await owner.post("/v1/imports", content=b"\x89PNG\0\0")
    assert (refused.status_code, refused.json()["detail"]) == (
        422, "this is no text: send CSV, XLSX or Parquet",
    )  # fmt: skip
    draft = await uploaded(owner, b"a,b\n1,2\n")
    path = f"/v1/imports/{draft['id']}"
    started = await owner.post(f"{path}/start")
    assert (started.status_code, started.json()["errors"][0]["field"]) == (422, "columns")
    for columns, field in (
        ({"c": {"to": "phone"}}, "columns.c"),
        ({"a": {"to": "phone"}, "b": {"to": "shoe"}}, "columns.b"),
    ):
        wrong = await owner.put(f"{path}/mapping", json={"columns": columns})
        assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, field)
    right = await owner.put(f"{path}/mapping", json={"columns": {"a": {"to": "card"}}})
    assert [each["to"] for each in right.json()["columns"]] == ["card", None]
    assert (await owner.post("/v1/imports/nothing/start")).status_code == 404
    assert (await owner.post(f"{path}/revert")).status_code == 404
    listed = (await owner.get("/v1/imports")).json()["items"]
    assert [(each["id"], each["started"]) for each in listed] == [(draft["id"], False)]


async def test_an_upload_may_be_larger_than_other_bodies(owner: httpx2.AsyncClient) -> None:
    # 17 MiB: more than the 16 that other bodies have at most.
    rows = b"".join(b"+7916%07d,%s\n" % (number, b"x" * 8500) for number in range(2100))
    draft = await uploaded(owner, b"phone,words\n" + rows)
    assert draft["rows"] == 2100
    other = await owner.post("/v1/customers", content=rows)
    assert other.status_code == 413


async def test_the_same_upload_under_one_key_is_one_import(owner: httpx2.AsyncClient) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await owner.post("/v1/imports", content=b"phone\n+79161234567\n", headers=headers)
    again = await owner.post("/v1/imports", content=b"phone\n+79161234567\n", headers=headers)
    assert first.json()["id"] == again.json()["id"]


async def test_the_command_line_imports_a_file_and_takes_it_back(
    chain: LocalChain, owner: httpx2.AsyncClient, tmp_path: Path
) -> None:
    caller = Chain(owner, {"customer": ""}, await chain.key(Role.OWNER))
    people = Console(file=io.StringIO())
    file, mapping = tmp_path / "clients.csv", tmp_path / "mapping.json"
    file.write_text("who,what\nA1,Anna\n,Boris\n", encoding="utf-8")
    mapping.write_text('{"columns": {"who": {"to": "card"}, "what": {"to": "name"}}}')
    tried = await importing.import_file(caller, Wanted(file, mapping, dry_run=True), people)
    assert (tried["state"], tried["counts"]) == ("done", {"new": 1, "error": 1})
    job = await importing.import_file(caller, Wanted(file, mapping, dry_run=False), people)
    assert (job["state"], job["counts"]) == ("done", {"new": 1, "error": 1})
    importing.show(job, people)
    told = people.file.getvalue()  # type: ignore[attr-defined] # the StringIO from above
    assert "row 3: identifiers: there should be one of" in told
    undone = await importing.revert(caller, job["id"], people)
    assert (undone["state"], undone["counts"]["removed"]) == ("reverted", 1)
    file.write_bytes(b"\0")
    with pytest.raises(CallError, match="no text"):
        await importing.import_file(caller, Wanted(file, None, dry_run=True), people)
