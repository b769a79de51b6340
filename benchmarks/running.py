"""Servers up, one process per group of rows, everything ended again whatever happens."""

import asyncio
import contextlib
import importlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog
import uvloop

from benchmarks.figures import Figure
from benchmarks.place import Place
from deploy.embedded.supervisor import LEASH
from shared.testing.servers import embedded_stack

Rows = dict[str, dict[str, Any]]
REPOSITORY = Path(__file__).resolve().parent.parent
LEASHED = "exec" if sys.platform == "linux" else "watch"
KAFKA_SERVER = "Apache Kafka 4.3.1"
LIMIT_SECONDS = float(os.environ.get("REGULARS_BENCH_SECONDS", "290"))
"""For everything; a group that is not done by then is not measured."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that one module measures together."""

    module: str
    rows: tuple[str, ...]


GROUPS = (
    Group("consume", ("consume",)),
    Group("projection", ("projection",)),
    Group("append", ("append",)),
    Group("receipts", ("receipts_http", "receipts_growth")),
    Group("receipts_ways", ("receipts_inbox", "receipts_file")),
    Group("registrations", ("registrations",)),
    Group("imports", ("import_rate", "import_growth")),
    Group("relay", ("relay",)),
    Group("growth", ("growth",)),
    Group("rules", ("projection_500_rules", "untouched_rules")),
    Group("rules_growth", ("rules_growth",)),
    Group("rules_workers", ("rules_memory", "rules_workers")),
    Group("backfill", ("backfill",)),
    Group("timers", ("timers",)),
    Group("preview", ("preview",)),
    Group("listing", ("search", "page")),
    Group("timeline", ("timeline_page",)),
    Group("entered", ("entered",)),
    Group("latency", ("latency",)),
    Group("trigger", ("trigger",)),
    Group("broadcast", ("broadcast", "broadcast_growth")),
    Group("workers", ("memory", "workers")),
)
ROWS = tuple(row for group in GROUPS for row in group.rows)


async def measured(groups: Sequence[Group]) -> tuple[Rows, bool]:
    """The rows of the groups, and whether all could be measured."""
    begun = time.monotonic()
    rows: Rows = {}
    complete = True
    with embedded_stack() as stack, tempfile.TemporaryDirectory(prefix="regulars-bench-") as folder:
        for number, group in enumerate(groups):
            place = Place(
                kafka_url=stack.addresses["kafka_url"],
                kafka_server=KAFKA_SERVER,
                mongo_url=stack.addresses["mongo_url"],
                mongo_server=stack.addresses["mongo_server"],
                prefix=f"b{number}-",
                folder=Path(folder) / group.module,
            )
            place.folder.mkdir()
            left = LIMIT_SECONDS - (time.monotonic() - begun)
            found = await _measured_apart(group, place, left)
            complete = complete and found is not None
            rows |= found or {row: _unmeasured(place) for row in group.rows}
            for row in group.rows:
                _tell(row, rows[row], time.monotonic() - begun)
    return rows, complete


def measured_here(module: str, told: str) -> Rows:
    """The rows of a module, measured in this process."""
    place = msgspec.json.decode(told, type=Place, dec_hook=_path)
    # What is printed is the result alone.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    measure = importlib.import_module(f"benchmarks.rows.{module}").measure
    found: Figure | dict[str, Figure] = uvloop.run(measure(place))
    figures = {module: found} if isinstance(found, Figure) else found
    return {row: figure.shown() for row, figure in figures.items()}


async def _measured_apart(group: Group, place: Place, seconds: float) -> Rows | None:
    """The rows of a group, measured in a process of its own; None when it failed."""
    told = msgspec.json.encode(place, enc_hook=str).decode()
    process = await asyncio.create_subprocess_exec(
        # It ends with this process, however this one ends.
        *(sys.executable, "-I", "-S", str(LEASH), LEASHED, str(os.getpid())),
        *(sys.executable, "-m", "benchmarks", "--inside", group.module, told),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=REPOSITORY,
    )
    if process.stdout is None:
        raise AssertionError
    try:
        async with asyncio.timeout(seconds):
            output = await process.stdout.read()
            await process.wait()
    except TimeoutError:
        sys.stderr.write(f"{group.module}: not done in time, on this machine as busy as it is\n")
        return None
    finally:
        await _ended(process)
    if process.returncode != 0:
        return None
    rows: Rows = json.loads(output)
    return rows


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Make sure that it is gone; services that it has started end with it."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    await process.wait()


def _path(kind: type, value: object) -> object:
    return kind(value)


def _unmeasured(place: Place) -> dict[str, Any]:
    """A row without a figure."""
    return Figure(
        value=None, unit="", bare=None, goal="", met=False, server=place.mongo_server
    ).shown()


def _tell(row: str, figure: Mapping[str, Any], seconds: float) -> None:
    """A line for people."""
    met = "met" if figure["met"] else "MISSED"
    beside = ", ".join(f"{name} {value}" for name, value in figure["beside"].items())
    sys.stderr.write(
        f"{seconds:5.0f} s  {row:<11} {figure['value']} {figure['unit']} "
        f"(bare {figure['bare']}; goal {figure['goal']}: {met})\n{'':20} {beside}\n"
    )
