"""What an orchestrator asks: alive, ready, started; and what Prometheus collects.

Alive means that the process answers, whatever its database and broker do: to restart it would not
bring them back. Ready is what the service says of its parts. Started is that it was ready once.
None of them needs a key, so none of them says anything of the business.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import structlog
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Readiness = Callable[[], Awaitable[Mapping[str, bool | str]]]
"""Says of each part whether it is ready (bool), or what a person should know (str)."""

READINESS_SECONDS = 3.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Health:
    """The state of one process, as it is asked for."""

    service: str
    readiness: Readiness
    _started: bool = field(default=False, init=False)

    async def live(self) -> JSONResponse:
        """The process answers."""
        return JSONResponse({"service": self.service, "alive": True})

    async def ready(self) -> JSONResponse:
        """Every part is ready (200), or one is not (503)."""
        checks = await self._checks()
        ready = not any(check is False for check in checks.values())
        self._started |= ready
        return JSONResponse(
            {"service": self.service, "ready": ready, "checks": dict(checks)},
            status_code=HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE,
        )

    async def started(self) -> JSONResponse:
        """It was ready once (200), or not yet (503)."""
        if not self._started:
            await self.ready()
        return JSONResponse(
            {"service": self.service, "started": self._started},
            status_code=HTTPStatus.OK if self._started else HTTPStatus.SERVICE_UNAVAILABLE,
        )

    async def _checks(self) -> Mapping[str, bool | str]:
        try:
            async with asyncio.timeout(READINESS_SECONDS):
                return await self.readiness()
        except Exception as error:  # noqa: BLE001 - whatever is wrong, the answer is: not ready
            _log.warning("readiness cannot be told", exc_info=error)
            return {"readiness": False, "reason": type(error).__name__}


async def metrics() -> Response:
    """All metrics of the process in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def router(health: Health) -> APIRouter:
    """The four endpoints."""
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route("/livez", health.live)
    routes.add_api_route("/readyz", health.ready)
    routes.add_api_route("/startupz", health.started)
    routes.add_api_route("/metrics", metrics)
    return routes
