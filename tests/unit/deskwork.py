"""The customer service's app on memory; its lists have read as much as a test lets them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.customer.api import CareApi, ContactApi, CustomerApi, Desk, DocumentApi
from services.customer.api.companies import CompanyApi
from services.customer.api.merging import MergingApi
from services.customer.handlers.companies import Companies
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.erasing import Eraser
from services.customer.handlers.revealing import Revealing
from services.customer.projections.companies import COMPANIES
from services.customer.projections.directory import DIRECTORY
from services.customer.queries.companies import CompanyList
from services.customer.queries.directory import Directory
from services.customer.queries.records import Records
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.execute import Writer
from shared.files import Files
from shared.http import build_app
from shared.identifiers import IdentifierRules
from shared.keyring import Keyring
from shared.memory import (
    MemoryApiKeys,
    MemoryDocuments,
    MemoryEventStore,
    MemoryFiles,
    MemoryKeyStore,
    MemoryParking,
    MemoryReveals,
)
from shared.projector import Folder
from shared.testing import DAY, client_of, logs_of
from shared.testing.collections import MemoryQuestions

SECRET = bytes(32)
REVEALS_PER_HOUR = 1_000


@dataclass(slots=True)
class Chain:
    """Customers and companies over HTTP; the lists have read nothing until `read` is called."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    keys: MemoryApiKeys = field(default_factory=MemoryApiKeys)
    listed: MemoryDocuments = field(default_factory=MemoryDocuments)
    firms: MemoryDocuments = field(default_factory=MemoryDocuments)
    clock: ManualClock = field(default_factory=lambda: ManualClock(DAY))
    keyring: Keyring = field(default_factory=lambda: Keyring(MemoryKeyStore(), AESGCM(bytes(32))))
    writer: Writer = field(init=False)
    files: Files = field(init=False)
    _read: int = 0

    def __post_init__(self) -> None:
        """One writer serves all callers."""
        self.writer = Writer(self.store, self.keyring, self.clock, "customer")
        self.files = Files(MemoryFiles(), AESGCM(bytes(32)), SECRET, self.clock)

    async def caller(self, role: Role, *branches: str) -> httpx2.AsyncClient:
        """A client with a key of its own; no branches: of the whole chain."""
        text, stored = issue(SECRET, title="test", roles=[role], branches=branches or None)
        await self.keys.add(stored)
        authenticator = Authenticator(self.keys, SECRET)
        book = ConfigurationBook(self.writer)
        listed: Any = MemoryQuestions(self.listed)
        desk = Desk(
            writer=self.writer,
            directory=Directory(listed),
            records=Records(self.writer),
            book=book,
            rules=IdentifierRules(SECRET),
            clock=self.clock,
            authenticator=authenticator,
        )
        app = build_app(
            title="test",
            service="customer",
            routers=[
                CustomerApi(
                    desk, Revealing(MemoryReveals(), self.clock, REVEALS_PER_HOUR)
                ).router(),
                ContactApi(desk).router(),
                CareApi(desk).router(),
                DocumentApi(desk, self.files).router(),
                MergingApi(desk, Eraser(self.writer, self.files)).router(),
                CompanyApi(
                    Companies(self.writer, SECRET),
                    CompanyList(MemoryQuestions(self.firms), listed),
                    book,
                    self.clock,
                ).router(),
            ],
            authenticator=authenticator,
            readiness=self._readiness,
        )
        return client_of(app, text)

    async def read(self) -> None:
        """Let the lists read whatever was written since."""
        commits = self.store.commits[self._read :]
        self._read = len(self.store.commits)
        folders: list[Folder[Any]] = [
            Folder(DIRECTORY, self.listed, MemoryParking(), self.keyring),
            Folder(COMPANIES, self.firms, MemoryParking(), self.keyring),
        ]
        for folder in folders:
            for log in logs_of(commits):
                await folder.fold(log)

    async def bought(self, customer: str, branch: str) -> None:
        """Let the list read a receipt."""
        await self.read()
        (raw,) = (await self.listed.load([customer])).values()
        totals = {"branch": branch, "spent": 1, "visits": 1, "first": DAY, "last": DAY}
        raw = {**raw, "rev": raw["rev"] + 1, "at_branches": [totals]}
        assert not await self.listed.write([raw])

    async def _readiness(self) -> Mapping[str, bool | str]:
        return {}


def kind_of(answer: httpx2.Response) -> tuple[int, str]:
    """The status, and the type of the problem."""
    return answer.status_code, answer.json()["type"].removeprefix("urn:regulars:problem:")
