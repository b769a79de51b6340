"""From a service's own pieces to a running process: the same for every service."""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, TypeVar

import typer
from fastapi import APIRouter

from shared import telemetry
from shared.http import build_app
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


async def assemble(
    kernel: Kernel,
    role: Role,
    *,
    title: str,
    routers: Sequence[APIRouter],
    projectors: Sequence[Projector] = (),
    worker_tasks: Sequence[Task] = (),
    reports: Reports = NO_REPORTS,
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
        events=lambda: asyncapi(kernel.service, kernel.kafka),
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
    """The command line of a service: read the settings, and run in the role that is asked for."""

    def command(
        role: Annotated[str, typer.Option(help=f"one of {', '.join(ROLES)}")] = "all",
    ) -> None:
        if role not in ROLES:
            sys.stderr.write(f"--role: {role!r} is none of {', '.join(ROLES)}\n")
            raise typer.Exit(2)
        settings = read_settings(settings_type)
        telemetry.configure(settings, service)
        chosen: Role = role
        run(lambda: build(settings, chosen))

    typer.run(command)
