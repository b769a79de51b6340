"""Exports over HTTP, on real servers: a link comes by mail, gives the file once, and is logged."""

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from python_calamine import CalamineWorkbook

from services.customer.main import build
from shared.access import Role
from shared.mongo import Database, connect
from shared.settings import Settings
from shared.testing import LocalChain, eventually
from shared.testing.mail_server import MailServer, mail_server

Json = Any
COLUMNS = ["name", "city", "contacts", "spent", "tags"]
LINK = re.compile(r"https://crm\.example(/v1/exports/download/\S+)")


@pytest.fixture
async def mails() -> AsyncIterator[MailServer]:
    """Where mail goes."""
    async with mail_server() as server:
        yield server


@pytest.fixture
async def owner(chain: LocalChain, mails: MailServer) -> AsyncIterator[httpx2.AsyncClient]:
    """The service of this test alone, as its owner calls it."""
    settings = chain.settings(Settings, smtp_url=mails.url, public_url="https://crm.example")
    async with chain.running(build, settings) as client:
        yield client


async def registered(owner: httpx2.AsyncClient, **body: object) -> None:
    answer = await owner.post("/v1/customers", json=body)
    assert answer.status_code == 201, answer.text


async def listed(owner: httpx2.AsyncClient, count: int) -> None:
    async def all_there() -> bool | None:
        found = (await owner.get("/v1/customers/count")).json()["count"]
        return True if found == count else None

    await eventually(all_there)


async def exported(owner: httpx2.AsyncClient, **body: object) -> Json:
    asked = {"columns": COLUMNS, "email": "Boss@example.com", **body}
    answer = await owner.post("/v1/exports", json=asked)
    assert answer.status_code == 202, answer.text
    events = await owner.get(f"/v1/jobs/{answer.json()['id']}/events", timeout=60)
    last = events.text.strip().split("\n\n")[-1].splitlines()[1]
    ended = json.loads(last.removeprefix("data: "))
    assert ended["state"] == "done", ended
    return answer.json()["id"]


def link_of(mails: MailServer, place: int = -1) -> str:
    found = LINK.search(mails.taken[place].get_content())
    assert found is not None
    return found[1]


async def test_a_link_that_works_once_comes_by_mail_and_the_log_tells_of_it(
    chain: LocalChain, owner: httpx2.AsyncClient, mails: MailServer
) -> None:
    email = {"kind": "email", "value": "anna@example.com"}
    phone = {"kind": "phone", "value": "+79161234567"}
    await registered(owner, name='=HYPERLINK("x")', city="Moscow", identifiers=[email, phone])
    await registered(owner, name="Boris", city="Berlin", tags=["vip"])
    await listed(owner, 2)
    where = {"kind": "city", "any_of": ["Moscow"]}
    export = await exported(owner, format="csv", filter={"where": [where]})
    assert mails.recipients == ["boss@example.com"]
    stranger = httpx2.AsyncClient(transport=owner._transport, base_url="http://test")  # noqa: SLF001 - the same app without a key
    path = link_of(mails)
    file = await stranger.get(path)
    assert (file.status_code, file.headers["cache-control"]) == (200, "no-store")
    header, *rows = csv.reader(io.StringIO(file.content.decode("utf-8-sig")))
    assert header == ["name", "city", "phone", "email", "card", "external", "spent", "tags"]
    assert rows == [
        ['\'=HYPERLINK("x")', "Moscow", "'+79161234567", "anna@example.com", "", "", "0.0", ""]
    ]
    assert (await stranger.get(path)).status_code == 404
    (entry,) = (await owner.get("/v1/exports")).json()["items"]
    assert (entry["id"], entry["rows"], entry["columns"]) == (export, 1, COLUMNS)
    assert entry["filter"]["where"][0]["any_of"] == ["Moscow"]
    assert [each["to"] for each in entry["downloads"]] == [entry["by"]]
    # Whoever has the right takes a fresh link from the log.
    fresh = await owner.post(f"/v1/exports/{export}/link", json={"email": "other@example.com"})
    assert (fresh.status_code, mails.recipients[-1]) == (204, "other@example.com")
    assert (await stranger.get(link_of(mails))).content == file.content
    (entry,) = (await owner.get("/v1/exports")).json()["items"]
    assert len(entry["downloads"]) == 2
    await stranger.aclose()
    client = connect(chain.servers.mongo_url)
    try:
        database = Database(client, f"{chain.prefix}customer")
        for name in ("files", "file_chunks", "file_links", "exports", "jobs"):
            stored = str(await database.collection(name).find({}))
            for word in ("anna@example.com", "HYPERLINK", "boss@example.com", path[-43:]):
                assert word not in stored
    finally:
        client.close()


async def test_a_workbook_holds_numbers_and_texts_and_no_formula(
    owner: httpx2.AsyncClient, mails: MailServer
) -> None:
    await registered(owner, name="=1+1", tags=["a", "b"])
    await listed(owner, 1)
    await exported(owner)
    file = await owner.get(link_of(mails))
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(file.content)).get_sheet_by_index(0)
    assert sheet.to_python()[1] == ["=1+1", "", "", "", "", "", 0.0, "a, b"]


async def test_who_may_not_export_sees_neither_list_nor_log(
    chain: LocalChain, owner: httpx2.AsyncClient
) -> None:
    key = await chain.key(Role.MANAGER)
    headers = {"Authorization": f"Bearer {key}"}
    body = {"columns": ["name"], "email": "a@example.com"}
    for answer in (
        await owner.post("/v1/exports", json=body, headers=headers),
        await owner.get("/v1/exports", headers=headers),
        await owner.post("/v1/exports/x/link", json={"email": "a@example.com"}, headers=headers),
    ):
        assert answer.status_code == 403
    for wrong, field in (({"email": "nobody"}, "email"), ({"columns": ["shoe"]}, "columns.0")):
        answer = await owner.post("/v1/exports", json={**body, **wrong})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    unknown = await owner.post("/v1/exports/x/link", json={"email": "a@example.com"})
    assert unknown.status_code == 404
    assert (await owner.get(f"/v1/exports/download/{'x' * 43}")).status_code == 404
