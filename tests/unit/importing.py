"""A chain in memory that imports files of customers, and a worker for its jobs."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.customer.domain.commands import (
    Command,
)
from services.customer.domain.importing.columns import ColumnUse
from services.customer.domain.state import Customer
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.customers import Request, carry_out
from services.customer.handlers.imports import CustomerFiles, DryRun, Reverting
from services.customer.handlers.imports.reading import Source
from services.customer.queries.records import Records
from shared.access import Principal, Role
from shared.clock import ManualClock
from shared.execute import Writer
from shared.files import Files
from shared.identifiers import IdentifierRules
from shared.importing import Imports
from shared.jobs import Job, JobRunner, Jobs, RowResult, kinds_by_name
from shared.keyring import Keyring
from shared.memory import (
    MemoryDocuments,
    MemoryEventStore,
    MemoryFiles,
    MemoryJobs,
    MemoryKeyStore,
    MemoryLeases,
)
from shared.testing import DAY

SECRET = b"s" * 32
MASTER = AESGCM(b"m" * 32)
OWNER = Principal("key:owner", frozenset({Role.OWNER}))
BRANCH = Principal("key:branch", frozenset({Role.SERVICE}), frozenset({"12"}))
OTHER = Principal("key:other", frozenset({Role.SERVICE}), frozenset({"12"}))
AGREES = ColumnUse("consent", "news", ("sms",))


@dataclass
class World:
    """A chain in memory, and a worker for its jobs."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(DAY))
    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    number: int = 0
    agrees: ColumnUse = AGREES

    def __post_init__(self) -> None:
        keyring = Keyring(MemoryKeyStore(), MASTER)
        self.writer = Writer(self.store, keyring, self.clock, "customer", timedelta(seconds=9))
        self.rules = IdentifierRules(SECRET, "RU")
        self.files = Files(MemoryFiles(), MASTER, SECRET, self.clock)
        self.jobs = Jobs(MemoryJobs(), self.clock)
        self.book = ConfigurationBook(self.writer)
        drafts = MemoryDocuments()
        self.imports = Imports(drafts, self.files, self.jobs, self.clock, CustomerFiles(self.book))
        source = Source(drafts, self.files, self.writer, self.book, self.rules, self.clock)
        kinds = kinds_by_name([Reverting(source), DryRun(source)])
        leases = MemoryLeases(self.clock)
        self.runner = JobRunner(self.jobs.store, leases, self.clock, kinds, "a")

    async def upload(
        self,
        text: str,
        *,
        uses: dict[str, ColumnUse] | None = None,
        by: Principal = OWNER,
        **how: object,
    ) -> str:
        """A file, read by its own header where nothing else is said."""
        self.number += 1
        name = f"i{self.number}"

        async def content() -> AsyncIterator[bytes]:
            yield text.encode()

        opened = await self.imports.upload(name, by, content(), "f.csv", "text/csv")
        columns = {
            column: ColumnUse(column) for column in opened.header or () if column in PLAIN
        } | (uses or {})
        await self.imports.read_as(name, by, columns, **how)
        return name

    async def work(self) -> None:
        await self.runner.look()
        await self.runner.settle()

    async def run(self, text: str, **how: object) -> Job:
        """Import a file."""
        name = await self.upload(text, **how)  # type: ignore[arg-type] # any of the above
        await self.imports.start(name, OWNER)
        await self.work()
        return await self.jobs.find(name, OWNER)

    async def revert(self, job: Job) -> Job:
        await self.imports.revert(job.id, OWNER)
        await self.work()
        return await self.jobs.find(job.id, OWNER)

    async def results(self, job: Job) -> Sequence[RowResult]:
        return await self.jobs.store.results(job.id, after=0, limit=99)

    async def outcomes(self, job: Job) -> list[str]:
        return [each.outcome for each in await self.results(job)]

    async def customer(self, kind: str, value: str) -> Customer | None:
        """Whom an identifier finds."""
        known = self.rules.known(kind, value, "value")  # type: ignore[arg-type] # one of the kinds
        claim = (await self.store.claims([known.claim_id])).get(known.claim_id)
        if claim is None or claim.owner is None:
            return None
        return (await Records(self.writer).get(claim.owner)).state

    async def do(self, make: type[Command], kind: str, value: str, **more: object) -> None:
        """Somebody does something with whom an identifier finds."""
        self.number += 1
        known = self.rules.known(kind, value, "value")  # type: ignore[arg-type] # one of the kinds
        owner = (await self.store.claims([known.claim_id]))[known.claim_id].owner
        request = Request(f"http|{self.number}", "h", self.clock.now())
        command = make(customer=owner, at=self.clock.now(), **more)  # type: ignore[arg-type] # what the command takes
        await carry_out(self.writer, request, command)

    def events(self) -> int:
        return sum(len(commit.events) for commit in self.store.commits)


PLAIN = {"phone", "email", "card", "external", "name", "surname", "city", "tags", "home_branch"}
