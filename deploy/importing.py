"""`regulars import`: a file of customers or of facts, followed row by row, and taken back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from deploy.client import CallError, Chain

Json = Any
CUSTOMERS = "customers"
FACTS = (
    "receipts",
    "orders",
    "visits",
    "calls",
    "meetings",
    "messages",
    "complaints",
    "surveys",
    "page-views",
    "referrals",
)
SHOWN_ERRORS = 10
SPEED = "[dim]{task.fields[speed]}"
RESTING = frozenset({"paused", "stopped", "failed"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where imports of a kind are asked for."""

    service: Literal["customer", "interaction"]
    path: str
    query: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be done with a file; `mapping` is a JSON file, as `PUT …/mapping` takes it.

    With `resume` or `revert`, the id of an import, there is no file.
    """

    file: Path | None
    mapping: Path | None = None
    dry_run: bool = False
    what: str = CUSTOMERS
    resume: str | None = None
    revert: str | None = None

    @property
    def place(self) -> Place:
        """The service that takes such files."""
        if self.what == CUSTOMERS:
            return Place("customer", "/v1/imports", {})
        return Place("interaction", "/v1/file-imports", {"facts": self.what})


def wanted(
    words: Sequence[str],
    mapping: Path | None,
    *,
    revert: str | None,
    resume: str | None,
    dry_run: bool,
) -> Wanted:
    """What the words of a command ask for. Raises ValueError for what makes no sense."""
    kinds = (CUSTOMERS, *FACTS)
    named = bool(words) and words[0] in kinds and not (len(words) == 1 and Path(words[0]).exists())
    what, files = (words[0], words[1:]) if named else (CUSTOMERS, words)
    if len(files) > 1:
        message = f"{files[0]!r} is none of {', '.join(kinds)}"
        raise ValueError(message)
    if (len(files) == 1) + (revert is not None) + (resume is not None) != 1:
        message = "name a file, or an import to --revert or to --resume"
        raise ValueError(message)
    file = Path(files[0]) if files else None
    if file is not None and not file.is_file():
        message = f"there is no file {file}"
        raise ValueError(message)
    return Wanted(file, mapping, dry_run, what, resume, revert)


async def carry_out(chain: Chain, wanted: Wanted, people: Console) -> Json:
    """Do what is wanted. Gives the job as it ended, with the first errors."""
    if wanted.revert is not None:
        return await revert(chain, wanted.revert, people, wanted.what)
    if wanted.resume is not None:
        return await resume(chain, wanted.resume, people, wanted.what)
    return await import_file(chain, wanted, people)


async def import_file(chain: Chain, wanted: Wanted, people: Console) -> Json:
    """Import the file, or try it out. Gives the job as it ended, with the first errors."""
    if wanted.file is None:
        raise CallError("there is no file")
    place = wanted.place
    draft = await chain.upload(
        place.service, place.path, wanted.file, filename=wanted.file.name, **place.query
    )
    path = f"{place.path}/{draft['id']}"
    if wanted.mapping is not None:
        mapping = msgspec.json.decode(wanted.mapping.read_bytes())
        draft = await chain.put(place.service, f"{path}/mapping", mapping)
    _show_columns(draft["columns"], people)
    step = "dry-run" if wanted.dry_run else "start"
    job = await chain.post(place.service, f"{path}/{step}", None)
    # Whoever loses sight of it finds it again by this.
    people.print(f"import {job['id']}", style="dim")
    title = "Trying out" if wanted.dry_run else "Importing"
    return await _followed(chain, place, job["id"], title, people)


async def resume(chain: Chain, import_id: str, people: Console, what: str = CUSTOMERS) -> Json:
    """Follow an import to its end; one that rests goes on where it stood."""
    place = Wanted(None, what=what).place
    job = await chain.get(place.service, f"/v1/jobs/{import_id}")
    if job["state"] in RESTING:
        await chain.post(place.service, f"/v1/jobs/{import_id}/resume", None)
    return await _followed(chain, place, import_id, "Going on", people)


async def revert(chain: Chain, import_id: str, people: Console, what: str = CUSTOMERS) -> Json:
    """Take an import back. Gives the job as it ended, with what was kept."""
    place = Wanted(None, what=what).place
    await chain.post(place.service, f"{place.path}/{import_id}/revert", None)
    return await _followed(chain, place, import_id, "Taking back", people)


async def _followed(chain: Chain, place: Place, job_id: str, title: str, people: Console) -> Json:
    with Progress(
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(SPEED),
        console=people,
    ) as bars:
        bar = bars.add_task(title, total=None, speed="")
        async for _, seen in chain.follow(place.service, f"/v1/jobs/{job_id}/events"):
            bars.update(
                bar, completed=seen["position"], total=seen.get("total"), speed=_speed(seen)
            )
    job = await chain.get(place.service, f"/v1/jobs/{job_id}")
    errors = await chain.get(
        place.service, f"/v1/jobs/{job_id}/results", outcome="error", limit=SHOWN_ERRORS
    )
    return {**job, "errors": errors["items"]}


def _speed(seen: Json) -> str:
    if not seen.get("rate"):
        return ""
    left = seen.get("seconds_left")
    return f"{seen['rate']:,.0f}/s" + ("" if left is None else f", {left:,.0f} s left")


def _show_columns(columns: Sequence[Json], people: Console) -> None:
    table = Table("Column", "Imported as", box=None)
    for each in columns:
        table.add_row(each["name"], each["to"] or "[dim]left out[/]")
    people.print(table)


def show(job: Json, people: Console) -> None:
    """What became of the rows, for a person. Raises `CallError` for a job that failed."""
    for outcome, count in sorted(job["counts"].items()):
        people.print(f"{outcome}: [bold]{count:,}[/]")
    for each in job["errors"]:
        reasons = "; ".join(
            f"{flaw.get('field') or 'row'}: {flaw['message']}" for flaw in each["flaws"]
        )
        people.print(f"row {each['row']}: {reasons}", style="yellow", markup=False)
    people.print(f"import {job['id']}: {job['state']}", style="dim")
    if job["state"] == "failed":
        raise CallError(job["problem"] or "the job failed")
