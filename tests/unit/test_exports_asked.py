"""Exports are asked for over HTTP, on memory: under one key once, and never as something else."""

from datetime import UTC, datetime
from typing import Any, cast

import httpx2
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.customer.api.exports import ExportApi
from services.customer.channels.mail import Mail
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.exports import Exports, Postman
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.execute import Writer
from shared.http import build_app
from shared.identifiers import IdentifierRules
from shared.jobs import Jobs
from shared.keyring import Keyring
from shared.memory import (
    MemoryApiKeys,
    MemoryDocuments,
    MemoryEventStore,
    MemoryJobs,
    MemoryKeyStore,
)
from shared.testing import client_of
from shared.testing.collections import MemoryQuestions

SECRET = bytes(32)
NOW = datetime(2026, 6, 15, tzinfo=UTC)
WANTED = {"columns": ["name"], "email": "boss@example.com"}
Json = Any


@pytest.fixture
async def owner() -> httpx2.AsyncClient:
    """Somebody who may take customers out."""
    keys, clock, log = MemoryApiKeys(), ManualClock(NOW), MemoryDocuments()
    text, stored = issue(SECRET, title="test", roles=[Role.OWNER])
    await keys.add(stored)
    writer = Writer(
        MemoryEventStore(), Keyring(MemoryKeyStore(), AESGCM(bytes(32))), clock, "customer"
    )
    mail = Mail("mail.example", 25, tls=False, sender="crm@example.com", clock=clock)
    exports = Exports(
        log,
        MemoryQuestions(log),
        cast("Any", None),  # no file is written before a worker comes
        Jobs(MemoryJobs(), clock),
        Postman(mail, "https://crm.example"),
        clock,
    )
    api = ExportApi(exports, ConfigurationBook(writer), IdentifierRules(SECRET))

    async def ready() -> Json:
        return {}

    app = build_app(
        title="test",
        service="customer",
        routers=[api.router()],
        authenticator=Authenticator(keys, SECRET),
        readiness=ready,
    )
    return client_of(app, text)


async def ask(owner: httpx2.AsyncClient, **other: Json) -> httpx2.Response:
    headers = {"Idempotency-Key": "k"}
    return await owner.post("/v1/exports", json={**WANTED, **other}, headers=headers)


async def test_the_same_key_with_the_same_wish_is_one_export(owner: httpx2.AsyncClient) -> None:
    first, again = await ask(owner), await ask(owner)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert len((await owner.get("/v1/exports")).json()["items"]) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"email": "other@example.com"},
        {"columns": ["city"]},
        {"format": "csv"},
        {"filter": {"where": [{"kind": "city", "any_of": ["Moscow"]}]}},
    ],
)
async def test_the_same_key_with_another_wish_is_refused(
    owner: httpx2.AsyncClient, other: Json
) -> None:
    first = await ask(owner)
    refused = await ask(owner, **other)
    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:regulars:problem:command-differs"
    # What was asked for first stands in the log as it was.
    (entry,) = (await owner.get("/v1/exports")).json()["items"]
    assert (entry["id"], entry["columns"]) == (first.json()["id"], ["name"])
