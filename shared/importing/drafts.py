"""An import before and after its job: the file, how it is read, and what was begun with it.

The draft holds no cell of the file and no name of a column: a file without a header would have put
a person there. Columns are known by their places, and their names are read from the file.
"""

from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from shared.access import Kind, Permission, Principal, scope
from shared.clock import Clock
from shared.decider import Refused, invalid, not_found
from shared.eventstore import StoreUnavailable, body_hash
from shared.files import Files
from shared.ids import derived_id
from shared.jobs import Job, Jobs
from shared.readmodel import Documents
from shared.tables import Form, Survey, TableError
from shared.tables.stored import stored_survey, stored_table
from shared.tables.suggesting import Suggestion

MAX_BYTES = 100 * 1024 * 1024
KEEP = timedelta(days=3)
TRIES = 20
ReadingT = TypeVar("ReadingT")


class Sorted(msgspec.Struct, frozen=True, omit_defaults=True):
    """How rows that belong together come together: in files, or as they stand (none).

    `by` is a hash of what the rows of a group share.
    """

    by: str
    files: tuple[str, ...] = ()


class Draft(msgspec.Struct, Generic[ReadingT], kw_only=True, omit_defaults=True):
    """One import. Once somebody started it, how its file is read stays: the job reads it by rows.

    `branches` are those that the starter may touch; None is the whole chain.
    """

    id: str = msgspec.field(name="_id")
    rev: int = 1
    by: str
    created_at: datetime
    file: str
    form: Form
    rows: int
    reading: ReadingT
    dry_run: str | None = None
    listed: str = ""
    started_by: str | None = None
    branches: list[str] | None = None
    sorted: Sorted | None = None


@dataclass(frozen=True, slots=True)
class Opened(Generic[ReadingT]):
    """A draft with the names of its columns, and what they were taken for."""

    draft: Draft[ReadingT]
    header: tuple[str, ...] | None
    suggestions: Sequence[Suggestion] = ()


class Reader(Protocol[ReadingT]):
    """How the files of one service are read; a reading tells what each column is, by its place."""

    @property
    def kind(self) -> str:
        """The kind of job that records rows."""
        ...

    @property
    def dry_run(self) -> str:
        """The kind of job that only looks through them."""
        ...

    def stored(self, raw: Mapping[str, Any]) -> Draft[ReadingT]:
        """A draft as it was stored."""
        ...

    async def suggested(self, found: Survey, about: str) -> tuple[ReadingT, Sequence[Suggestion]]:
        """How a file of `about` may be read."""
        ...

    def changed(
        self, reading: ReadingT, columns: tuple[Any, ...], how: Mapping[str, Any]
    ) -> ReadingT:
        """The reading with other columns, and whatever else the mapping says."""
        ...

    async def require(self, reading: ReadingT, header: Sequence[str]) -> None:
        """Raise `Refused` (422) that names each column that cannot be what it is said to be."""
        ...

    def branches(self, calling: Principal) -> list[str] | None:
        """The branches that rows of the caller's may touch; None for the whole chain."""
        ...


@dataclass(frozen=True, slots=True)
class Imports(Generic[ReadingT]):
    """What callers do with imports."""

    drafts: Documents
    files: Files
    jobs: Jobs
    clock: Clock
    reader: Reader[ReadingT]

    async def upload(  # noqa: PLR0917 - a file, and what is said of it
        self,
        import_id: str,
        calling: Principal,
        content: AsyncIterable[bytes],
        name: str,
        media: str,
        about: str = "",
    ) -> Opened[ReadingT]:
        """Take a file in. The same id again gives the draft that there is.

        Raises `Refused` (413, 422) for a file that is too large, or no table.
        """
        if (known := await self._load(import_id)) is not None:
            return Opened(known, await self.header(known))
        file = await self.files.write(
            content, name=name, media_type=media, owner=calling.id, keep=KEEP, limit=MAX_BYTES
        )
        try:
            found = await stored_survey(self.files, file)
        except TableError as error:
            await self.files.delete(file.id)
            raise unreadable(error) from error
        reading, suggestions = await self.reader.suggested(found, about)
        now = self.clock.system_now()
        draft = Draft(
            id=import_id,
            by=calling.id,
            created_at=now,
            listed=f"{now.isoformat()}|{import_id}",
            file=file.id,
            form=found.form,
            rows=found.rows,
            reading=reading,
        )
        if await self.drafts.write([raw_of(draft)]):
            await self.files.delete(file.id)
            draft = await self.find(import_id, calling)
        return Opened(draft, found.header, suggestions)

    async def find(self, import_id: str, calling: Principal) -> Draft[ReadingT]:
        """An import that the caller may see. Raises `Refused` (404)."""
        draft = await self._load(import_id)
        if draft is None or not (draft.by == calling.id or scope(calling, Kind.IMPORT).everything):
            kind = "import"
            raise not_found(kind, import_id)
        return draft

    async def _load(self, import_id: str) -> Draft[ReadingT] | None:
        found = (await self.drafts.load([import_id])).get(import_id)
        return None if found is None else self.reader.stored(found)

    async def header(self, draft: Draft[ReadingT]) -> tuple[str, ...] | None:
        """The names of the columns; None once the file is gone."""
        try:
            file = await self.files.open(draft.file)
            async with stored_table(self.files, file, draft.form) as table:
                return table.header
        except Refused:
            return None
        except TableError as error:
            raise unreadable(error) from error

    async def read_as(
        self,
        import_id: str,
        calling: Principal,
        columns: Mapping[str, Any],
        **how: Any,  # noqa: ANN401 - the other fields of a reading
    ) -> Opened[ReadingT]:
        """Say what the columns are, by name. Raises `Refused` (409) once it has begun."""
        draft = await self.find(import_id, calling)
        header = await self.header(draft)
        if header is None:
            raise gone()
        unknown = [name for name in columns if name not in header]
        if unknown:
            raise invalid(f"columns.{unknown[0]}", "the file has no such column")
        places = tuple(columns.get(name) for name in header)
        reading = self.reader.changed(draft.reading, places, how)
        await self.reader.require(reading, header)
        return Opened(await self._change(draft, calling, reading=reading), header)

    async def try_out(self, import_id: str, calling: Principal) -> Job:
        """Have the rows looked through, and nothing recorded."""
        draft = await self._ready(import_id, calling)
        # The same reading tried again is the same job.
        job_id = derived_id(
            "dry-run", draft.id, calling.id, body_hash(msgspec.to_builtins(draft.reading))
        )
        params = {"import": draft.id, "branches": self.reader.branches(calling)}
        job = await self.jobs.begin(
            self.reader.dry_run, calling.id, params, job_id=job_id, total=draft.rows
        )
        if draft.dry_run != job_id:
            await self._change(draft, calling, dry_run=job_id)
        return job

    async def start(self, import_id: str, calling: Principal) -> Job:
        """Have the rows recorded; starting twice is starting once. The job has the import's id."""
        draft = await self.find(import_id, calling)
        if draft.started_by is None:
            draft = await self._ready(import_id, calling)
            branches = self.reader.branches(calling)
            draft = await self._change(draft, calling, started_by=calling.id, branches=branches)
        # Whoever is killed between the two goes on here.
        return await self.jobs.begin(
            self.reader.kind,
            draft.started_by or calling.id,
            {"import": draft.id, "branches": draft.branches},
            job_id=draft.id,
            total=draft.rows,
        )

    async def revert(self, import_id: str, calling: Principal) -> Job:
        """Have everything taken back that nobody has changed since."""
        draft = await self.find(import_id, calling)
        calling.require(Permission.IMPORTS_RUN)
        return await self.jobs.revert(draft.id, calling)

    async def _ready(self, import_id: str, calling: Principal) -> Draft[ReadingT]:
        draft = await self.find(import_id, calling)
        header = await self.header(draft)
        if header is None:
            raise gone()
        await self.reader.require(draft.reading, header)
        return draft

    async def _change(
        self,
        draft: Draft[ReadingT],
        calling: Principal,
        **changes: Any,  # noqa: ANN401 - fields of many types
    ) -> Draft[ReadingT]:
        for _ in range(TRIES):
            if draft.started_by is not None:
                raise Refused("import-started", 409, "The import has begun.")
            changed = msgspec.structs.replace(draft, rev=draft.rev + 1, **changes)
            if not await self.drafts.write([raw_of(changed)]):
                return changed
            draft = await self.find(draft.id, calling)
        raise StoreUnavailable("the import changes too fast")


def unreadable(error: TableError) -> Refused:
    """The refusal for a file that is no table, or not to its end."""
    return Refused("unreadable-file", 422, "The file cannot be read.", str(error))


def gone() -> Refused:
    """The refusal where the file has expired."""
    days = KEEP.days
    return Refused(
        "file-gone", 410, "The file is gone.", f"files are kept for {days} days: upload it again"
    )


def raw_of(draft: Draft[ReadingT]) -> dict[str, Any]:
    """The draft as it is stored."""
    raw: dict[str, Any] = msgspec.to_builtins(draft, builtin_types=(datetime,))
    return raw | {"rev": draft.rev}
