"""A chain in memory that imports files of facts, and a worker for its jobs."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.interaction.handlers.facts import Recorder
from services.interaction.handlers.importing import DryRun, FactFiles, Reverting, Source
from services.interaction.handlers.lines import no_snapshots
from shared.access import Principal, Role
from shared.clock import ManualClock
from shared.envelope import Envelope, decode
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


@dataclass
class FactWorld:
    """A chain in memory; `known` are customers by what finds them."""

    store: Any = field(default_factory=MemoryEventStore)
    known: dict[str, str] = field(default_factory=dict)
    clock: ManualClock = field(default_factory=lambda: ManualClock(DAY))
    number: int = 0

    def __post_init__(self) -> None:
        keyring = Keyring(MemoryKeyStore(), MASTER)
        self.writer = Writer(self.store, keyring, self.clock, "interaction")
        self.rules = IdentifierRules(SECRET, "RU")
        self.files = Files(MemoryFiles(), MASTER, SECRET, self.clock)
        self.jobs = Jobs(MemoryJobs(), self.clock)
        self.drafts = MemoryDocuments()
        self.imports = Imports(self.drafts, self.files, self.jobs, self.clock, FactFiles())
        recorder = Recorder(self.writer, self.owners, no_snapshots)
        source = Source(self.drafts, self.files, recorder, self.rules, self.clock, "Europe/Samara")
        kinds = kinds_by_name([Reverting(source), DryRun(source)])
        self.runner = JobRunner(self.jobs.store, MemoryLeases(self.clock), self.clock, kinds, "a")

    async def owners(self, ids: Collection[str]) -> Mapping[str, str]:
        return {name: self.known[name] for name in ids if name in self.known}

    def knows(self, customer: str, kind: str, value: str) -> None:
        """Somebody is known by an identifier."""
        known = self.rules.known(kind, value, "value")  # type: ignore[arg-type] # one of the kinds
        self.known[known.claim_id] = customer

    async def upload(
        self,
        text: str,
        facts: str = "receipts",
        *,
        uses: Mapping[str, str] | None = None,
        by: Principal = OWNER,
        **how: object,
    ) -> str:
        """A file, read by its own header where nothing else is said."""
        self.number += 1
        name = f"i{self.number}"

        async def content() -> AsyncIterator[bytes]:
            yield text.encode()

        opened = await self.imports.upload(name, by, content(), "f.csv", "text/csv", facts)
        columns = dict.fromkeys(opened.header or ()) | {
            column: column for column in opened.header or () if column not in (uses or {})
        }
        await self.imports.read_as(name, by, columns | dict(uses or {}), **how)
        return name

    async def work(self) -> None:
        await self.runner.look()
        await self.runner.settle()

    async def run(self, text: str, facts: str = "receipts", **how: Any) -> Job:  # noqa: ANN401 - parts of a mapping
        """Import a file."""
        name = await self.upload(text, facts, **how)
        await self.imports.start(name, how.get("by", OWNER))
        await self.work()
        return await self.jobs.find(name, OWNER)

    async def tried(self, text: str, facts: str = "receipts", **how: Any) -> Job:  # noqa: ANN401 - parts of a mapping
        """Try a file out."""
        name = await self.upload(text, facts, **how)
        job = await self.imports.try_out(name, how.get("by", OWNER))
        await self.work()
        return await self.jobs.find(job.id, OWNER)

    async def revert(self, job: Job) -> Job:
        await self.imports.revert(job.id, OWNER)
        await self.work()
        return await self.jobs.find(job.id, OWNER)

    async def results(self, job: Job) -> Sequence[RowResult]:
        return await self.jobs.store.results(job.id, after=0, limit=9_999)

    async def flaws(self, job: Job) -> list[tuple[int, str | None, str]]:
        """Row, column and what would be right, of everything that is wrong."""
        return [
            (each.row, flaw.field, flaw.message)
            for each in await self.results(job)
            for flaw in each.flaws
        ]

    def events(self, kind: str = "interaction.") -> list[Envelope]:
        """All events of types that begin so, in the order of their commits."""
        found = [decode(text) for commit in self.store.commits for text in commit.events]
        return [each for each in found if each.type.startswith(kind)]
