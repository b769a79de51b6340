"""Exports: the one bulk way out, by a job, a sealed file and a link that works once.

The log says who took what, and who fetched it; it outlives the file. A link goes by mail alone: an
answer of the API never holds one, so that a key in wrong hands is not enough.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from services.customer.channels.mail import Mail
from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.filters import Filter, Sorting
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.projections.directory import DirectoryEntry
from services.customer.queries.directory import Directory, Listing
from shared.access import Kind, Principal, Scope, scope
from shared.clock import Clock
from shared.decider import Refused, not_found
from shared.eventstore import StoreUnavailable
from shared.files import Files, OpenFile
from shared.ids import derived_id
from shared.jobs import Checkpoint, Job, Jobs
from shared.money import MINOR_PER_MAJOR
from shared.readmodel import Documents, Questions
from shared.tables import Cell, CsvWriter, XlsxWriter, remove_leftovers

EXPORT = "customer-export"
KEEP = timedelta(days=3)
LINK_KEEP = timedelta(days=1)
MAX_BYTES = 1024 * 1024 * 1024
CHUNK_ROWS = 500
TRIES = 20
MONEY = frozenset({"spent", "average"})
PERCENT = frozenset({"discount", "granted_discount"})
CONTACTS = "contacts"
CONTACT_KINDS = ("phone", "email", "card", "external")
CUSTOM = "custom."
INDEXES = ((("listed", 1),), (("by", 1), ("listed", 1)), (("file", 1),))
LAST = "\U0010ffff"
Format = Literal["xlsx", "csv"]
MEDIA_TYPES: Mapping[Format, str] = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
}
Shown = Callable[[DirectoryEntry, Sequence[str], Configuration], Mapping[str, Any]]
"""The columns of an entry as the list shows them, contacts in the clear."""


class Download(msgspec.Struct, frozen=True):
    """One use of a link: when, and for whom it was made."""

    at: datetime
    to: str


class Export(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An entry of the log; `mail_to` stands there until the mail is out."""

    id: str = msgspec.field(name="_id")
    rev: int = 1
    by: str
    at: datetime
    listed: str
    format: Format
    filter: dict[str, Any]
    sorting: dict[str, Any]
    columns: list[str]
    branches: list[str] | None = None
    mail_to: str | None = None
    file: str | None = None
    rows: int | None = None
    ended_at: datetime | None = None
    downloads: list[Download] = msgspec.field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to have."""

    format: Format
    where: Filter
    sorting: Sorting
    columns: tuple[str, ...]
    email: str


@dataclass(frozen=True, slots=True)
class Postman:
    """Mails links. `address` is where people reach this service, `mail` None where none is set."""

    mail: Mail | None
    address: str

    def require(self) -> Mail:
        """The mail. Raises `Refused` (503) where it is not set up."""
        if self.mail is None:
            raise Refused(
                "no-mail", 503, "Mail is not set up.", "exports are reached by mail: set SMTP up"
            )
        return self.mail

    async def send(self, export: Export, to: str, token: str, until: datetime) -> None:
        """The link, and nothing else. Raises `Refused` (503)."""
        link = f"{self.address}/v1/exports/download/{token}"
        text = f"{link}\n\nIt works once, until {until:%Y-%m-%d %H:%M} UTC.\n"
        mail_id = derived_id("export-mail", export.id, token)
        await self.require().send(mail_id, to, "Your export", text)


@dataclass(frozen=True, slots=True)
class Exports:
    """What callers do with exports."""

    log: Documents
    listing: Questions
    files: Files
    jobs: Jobs
    postman: Postman
    clock: Clock

    async def begin(self, export_id: str, calling: Principal, asked: Asked, hashed: str) -> Job:
        """Have the list written to a file; the job has the export's id.

        `hashed` is that of the wish: the same id with another one is refused (422).
        """
        self.postman.require()
        now = self.clock.system_now()
        branches = scope(calling, Kind.CUSTOMER).branches
        export = Export(
            id=export_id,
            by=calling.id,
            at=now,
            listed=f"{now.isoformat()}|{export_id}",
            format=asked.format,
            filter=asked.where.model_dump(mode="json"),
            sorting=asked.sorting.model_dump(mode="json"),
            columns=list(asked.columns),
            branches=None if branches is None else sorted(branches),
            mail_to=asked.email,
        )
        # Whoever asks twice under one key has it noted, and done, once.
        await self.log.write([_raw(export)])
        return await self.jobs.begin(EXPORT, calling.id, {}, job_id=export_id, asked=hashed)

    async def page(self, calling: Principal, before: str | None, limit: int) -> Sequence[Export]:
        """The log from its newest end: all of the chain's, or the caller's own."""
        where: dict[str, Any] = {"listed": {"$gte": "", "$lt": before or LAST}}
        if not scope(calling, Kind.EXPORT).everything:
            where["by"] = calling.id
        found = await self.listing.find(where, sort=[("listed", -1)], limit=limit)
        return [msgspec.convert(raw, Export) for raw in found]

    async def send_link(self, export_id: str, calling: Principal, email: str) -> None:
        """Mail a fresh link. Raises `Refused` (404) where there is no such file any more."""
        export = await load(self.log, export_id)
        allowed = export is not None and (
            export.by == calling.id or scope(calling, Kind.EXPORT).everything
        )
        if export is None or export.file is None or not allowed:
            kind = "export"
            raise not_found(kind, export_id)
        file = await self.files.open(export.file)
        await mail_link(self.files, self.postman, export, file, calling.id, email)

    async def download(self, token: str) -> OpenFile:
        """The file that a link leads to, once; it is noted. Raises `Refused` (404)."""
        file, link = await self.files.follow(token)
        found = await self.listing.find({"file": file.id}, limit=1)
        if found:
            use = Download(link.used_at[-1], link.issued_to)
            await change(
                self.log, found[0]["_id"], lambda each: {"downloads": [*each.downloads, use]}
            )
        return file


@dataclass(frozen=True, slots=True)
class CustomerExport:
    """The job that writes the list; one that was cut off begins its file anew."""

    log: Documents
    files: Files
    directory: Directory
    book: ConfigurationBook
    postman: Postman
    clock: Clock
    shown: Shown
    name: str = EXPORT

    async def run(self, job: Job, checkpoint: Checkpoint) -> None:
        """Write the file, note it in the log, mail the link."""
        export = await load(self.log, job.id)
        if export is None:
            kind = "export"
            raise not_found(kind, job.id)
        if export.file is None:
            export = await self._write(export, checkpoint)
        if export.mail_to is not None and export.file is not None:
            file = await self.files.open(export.file)
            await mail_link(self.files, self.postman, export, file, export.by, export.mail_to)
            await change(self.log, export.id, lambda _: {"mail_to": None})

    async def _write(self, export: Export, checkpoint: Checkpoint) -> Export:
        now = await self.book.fresh()
        narrow = Scope(
            Kind.CUSTOMER, None if export.branches is None else frozenset(export.branches)
        )
        listing = Listing(
            Filter.model_validate(export.filter),
            Sorting.model_validate(export.sorting),
            narrow,
            now,
        )
        kind = XlsxWriter if export.format == "xlsx" else CsvWriter
        written = 0

        async def content(writer: XlsxWriter | CsvWriter) -> AsyncIterator[bytes]:
            nonlocal written
            after = None
            while True:
                page = await self.directory.page(narrow, after, CHUNK_ROWS, listing)
                rows = [self._row(each, export.columns, now) for each in page.entries]
                yield await asyncio.to_thread(writer.add, rows)
                written += len(page.entries)
                await checkpoint(max(written, checkpoint.job.position))
                if page.after is None:
                    break
                after = page.after
            # Packing a workbook takes seconds: the process has leases to keep meanwhile.
            pieces = iter(writer.finish())
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                yield piece

        remove_leftovers(older_than=(self.clock.system_now() - KEEP).timestamp())
        with kind(_header(export.columns)) as writer:
            file = await self.files.write(
                content(writer),
                name=f"customers-{export.at:%Y-%m-%d}.{export.format}",
                media_type=MEDIA_TYPES[export.format],
                owner=export.by,
                keep=KEEP,
                limit=MAX_BYTES,
            )
        ended = self.clock.system_now()
        await checkpoint(written, {"exported": written}, total=written)
        return await change(
            self.log, export.id, lambda _: {"file": file.id, "rows": written, "ended_at": ended}
        )

    def _row(
        self, entry: DirectoryEntry, columns: Sequence[str], now: Configuration
    ) -> Sequence[Cell]:
        shown = self.shown(entry, columns, now)
        cells: list[Cell] = []
        for column in columns:
            if column == CONTACTS:
                cells += [_contacts(shown[column], kind) for kind in CONTACT_KINDS]
            else:
                cells.append(_cell(column, shown[column], now))
        return cells


def _header(columns: Sequence[str]) -> Sequence[str]:
    return [
        name for column in columns for name in (CONTACT_KINDS if column == CONTACTS else (column,))
    ]


def _contacts(contacts: Sequence[Mapping[str, Any]], kind: str) -> str:
    return ", ".join(each["value"] for each in contacts if each["kind"] == kind and each["value"])


def _cell(column: str, value: Any, now: Configuration) -> Cell:  # noqa: ANN401 - any value of the list
    """A value for people: whole units of money, percents, lists in one cell."""
    if isinstance(value, list | tuple):
        return ", ".join(str(each) for each in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _number(column, value, now)
    found: Cell = value
    return found


def _number(column: str, value: int, now: Configuration) -> int | float:
    if column in MONEY or column in PERCENT:
        return value / MINOR_PER_MAJOR
    definition = now.fields.get(column.removeprefix(CUSTOM)) if column.startswith(CUSTOM) else None
    if definition is not None and definition.kind == "money":
        return value / MINOR_PER_MAJOR
    if definition is not None and definition.decimals:
        return value / float(10**definition.decimals)
    return value


async def mail_link(  # noqa: PLR0917 - what a mail is made of
    files: Files, postman: Postman, export: Export, file: OpenFile, by: str, email: str
) -> None:
    """Make a link and mail it; of one that could not be mailed nobody knows the token."""
    token, link = await files.link(file, to=by, keep=LINK_KEEP)
    await postman.send(export, email, token, link.expires_at)


async def load(log: Documents, export_id: str) -> Export | None:
    """One entry of the log."""
    found = (await log.load([export_id])).get(export_id)
    return None if found is None else msgspec.convert(found, Export)


async def change(
    log: Documents, export_id: str, changes: Callable[[Export], Mapping[str, Any]]
) -> Export:
    """Change an entry of the log, whoever else does so too."""
    for _ in range(TRIES):
        export = await load(log, export_id)
        if export is None:
            kind = "export"
            raise not_found(kind, export_id)
        changed = msgspec.structs.replace(export, rev=export.rev + 1, **changes(export))
        if not await log.write([_raw(changed)]):
            return changed
    raise StoreUnavailable("the export changes too fast")


def _raw(export: Export) -> dict[str, Any]:
    raw: dict[str, Any] = msgspec.to_builtins(export, builtin_types=(datetime,))
    return raw | {"rev": export.rev}
