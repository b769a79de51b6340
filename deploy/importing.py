"""`regulars import`: a file of customers, followed row by row, and taken back."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from deploy.client import CallError, Chain

Json = Any
SERVICE = "customer"
SHOWN_ERRORS = 10
SPEED = "[dim]{task.fields[speed]}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be done with a file; `mapping` is a JSON file, as `PUT …/mapping` takes it."""

    file: Path
    mapping: Path | None
    dry_run: bool


async def import_file(chain: Chain, wanted: Wanted, people: Console) -> Json:
    """Import the file, or try it out. Gives the job as it ended, with the first errors."""
    draft = await chain.upload(SERVICE, "/v1/imports", wanted.file, filename=wanted.file.name)
    path = f"/v1/imports/{draft['id']}"
    if wanted.mapping is not None:
        mapping = msgspec.json.decode(wanted.mapping.read_bytes())
        draft = await chain.put(SERVICE, f"{path}/mapping", mapping)
    _show_columns(draft["columns"], people)
    job = await chain.post(SERVICE, f"{path}/{'dry-run' if wanted.dry_run else 'start'}", None)
    title = "Trying out" if wanted.dry_run else "Importing"
    return await _followed(chain, job["id"], title, people)


async def revert(chain: Chain, import_id: str, people: Console) -> Json:
    """Take an import back. Gives the job as it ended, with what was kept."""
    await chain.post(SERVICE, f"/v1/imports/{import_id}/revert", None)
    return await _followed(chain, import_id, "Taking back", people)


async def _followed(chain: Chain, job_id: str, title: str, people: Console) -> Json:
    with Progress(
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(SPEED),
        console=people,
    ) as bars:
        bar = bars.add_task(title, total=None, speed="")
        async for _, seen in chain.follow(SERVICE, f"/v1/jobs/{job_id}/events"):
            bars.update(
                bar, completed=seen["position"], total=seen.get("total"), speed=_speed(seen)
            )
    job = await chain.get(SERVICE, f"/v1/jobs/{job_id}")
    errors = await chain.get(
        SERVICE, f"/v1/jobs/{job_id}/results", outcome="error", limit=SHOWN_ERRORS
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
