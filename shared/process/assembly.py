"""From a service's own pieces to a running process: the same for every service."""

import argparse
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
from fastapi import APIRouter

from shared import telemetry
from shared.events.schema import Schema
from shared.http import build_app
from shared.http.overload import Bounds
from shared.kafka.contract import asyncapi
from shared.mongo import MongoParking
from shared.process.kernel import Kernel
from shared.process.operations import Operations
from shared.process.reporting import NO_REPORTS, Reporting, Reports
from shared.process.running import ROLES, Parts, Role, run
from shared.projector import Projector
from shared.relay import Relay
from shared.settings import Settings, read_settings

SettingsT = TypeVar("SettingsT", bound=Settings)
Task = Callable[[], Awaitable[None]]

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WaysIn:
    """How others send much to a service: routers that take on no more than they can do, and topics.

    The topics are those that others write to, each with the schema of its values.
    """

    bounded: Sequence[APIRouter] = ()
    topics: Mapping[str, Schema] = field(default_factory=dict)


NO_WAYS = WaysIn()


async def assemble(
    kernel: Kernel,
    role: Role,
    *,
    title: str,
    routers: Sequence[APIRouter],
    projectors: Sequence[Projector] = (),
    worker_tasks: Sequence[Task] = (),
    reports: Reports = NO_REPORTS,
    ways_in: WaysIn = NO_WAYS,
) -> Parts:
    """The parts of a process in a role.

    `worker_tasks` run until cancelled, in a worker; `reports` is what the service adds to what
    `/v1/progress` and `/readyz` say.
    """
    works, serves = role in {"worker", "all"}, role in {"api", "all"}
    relay = kernel.relay() if role in {"relay", "all"} else None
    readers = {projector.group: projector.folder.projection.topics for projector in projectors}
    app = build_app(
        title=title,
        service=kernel.service,
        routers=[
            *(routers if serves else ()),
            Reporting(kernel, readers, reports).router(),
            Operations(kernel, _parkings(kernel, projectors)).router(),
        ],
        authenticator=kernel.authenticator,
        events=lambda: asyncapi(kernel.service, kernel.kafka, ways_in.topics),
        bounds=Bounds(ways_in.bounded, kernel.settings.requests_in_flight),
        readiness=lambda: _readiness(kernel, projectors if works else (), relay, reports),
    )
    tasks: list[Task] = [kernel.progress.run]
    if works:
        tasks += worker_tasks
    return Parts(
        app=app,
        host=kernel.settings.host,
        port=kernel.settings.port,
        projectors=projectors if works else (),
        relay=relay,
        tasks=tasks,
        closing=(kernel.close,),
    )


def _parkings(kernel: Kernel, projectors: Sequence[Projector]) -> Mapping[str, MongoParking]:
    names = [projector.folder.projection.name for projector in projectors]
    return {name: MongoParking(kernel.database, name) for name in names}


async def _readiness(
    kernel: Kernel, projectors: Sequence[Projector], relay: Relay | None, reports: Reports
) -> Mapping[str, bool | str]:
    await kernel.database.ping()
    checks: dict[str, bool | str] = {"database": True, "broker": kernel.progress.connected}
    checks |= {projector.group: projector.ready for projector in projectors}
    if relay is not None:
        checks["relay"] = "leads" if relay.leading else "stands by"
    return checks | dict(await reports.notes())


def start(
    service: str,
    settings_type: type[SettingsT],
    build: Callable[[SettingsT, Role], Awaitable[Parts]],
) -> None:
    """The command line of a service: read the settings, and run in the role that is asked for.

    Exit codes: 0 stopped as asked, 1 it could not run (the log says why), 2 wrong arguments or
    settings.
    """
    parser = argparse.ArgumentParser(prog=f"python -m services.{service}")
    parser.add_argument("--role", choices=ROLES, default="all", help="what this process does")
    role: Role = parser.parse_args().role
    settings = read_settings(settings_type)
    telemetry.configure(settings, service)
    try:
        run(lambda: build(settings, role))
    except Exception:
        # A bare traceback would show texts of others' exceptions, and those may quote people.
        log.exception("the process ends")
        raise SystemExit(1) from None
