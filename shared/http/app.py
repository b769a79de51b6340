"""One way to build the HTTP side of a service, so that all of them answer alike."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import APIRouter, Depends, FastAPI

from shared.access import Authenticator
from shared.http import events_page, health, openapi, problems
from shared.http.middleware import BodyLimit, Observed
from shared.http.overload import NO_BOUNDS, Bounded, Bounds, Shares
from shared.http.text import require_text
from shared.ids import new_id

API_PREFIX = "/v1"
MAX_BYTES = "x-max-bytes"
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def build_app(
    *,
    title: str,
    service: str,
    routers: Sequence[APIRouter],
    authenticator: Authenticator,
    readiness: health.Readiness,
    lifespan: Lifespan | None = None,
    events: events_page.Describe | None = None,
    bounds: Bounds = NO_BOUNDS,
) -> FastAPI:
    """The app of a service.

    Routers carry the whole path (`APIRouter(prefix="/v1/customers")`): the metrics name it. A path
    outside of `/v1` raises ValueError, unless it is a page for people, which is no part of the API
    (`include_in_schema=False`). A process without routers answers health and metrics.
    `events` makes the AsyncAPI document, shown at `/asyncapi`. A route whose
    `openapi_extra` has `x-max-bytes` takes bodies of so many, and reads them piece by piece.
    `bounds` says what takes on only so much at once.
    """
    app = FastAPI(
        title=title,
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=openapi.ANY_PROBLEM,
        dependencies=[Depends(require_text)],
    )
    app.state.authenticator = authenticator
    problems.install(app)
    openapi.install(app)
    app.include_router(health.router(health.Health(service, readiness)))
    if events is not None:
        app.include_router(events_page.router(events))
    for router in routers:
        _check_paths(router)
        app.include_router(router)
    # The last one added is the outermost.
    app.add_middleware(
        Bounded, paths=bounds.paths, authenticator=authenticator, shares=Shares(bounds.limit)
    )
    app.add_middleware(BodyLimit, uploads=_uploads(routers))
    app.add_middleware(Observed)
    app.add_middleware(CorrelationIdMiddleware, header_name="X-Request-ID", generator=new_id)
    return app


def _check_paths(router: APIRouter) -> None:
    for route in router.routes:
        path = getattr(route, "path", API_PREFIX)
        if not path.startswith(API_PREFIX) and getattr(route, "include_in_schema", True):
            message = f"{path} is outside of {API_PREFIX}"
            raise ValueError(message)


def _uploads(routers: Sequence[APIRouter]) -> Mapping[str, int]:
    """The paths that take larger bodies than others, and how large."""
    return {
        str(getattr(route, "path", "")): extra[MAX_BYTES]
        for router in routers
        for route in router.routes
        # Other methods of the path have none.
        if MAX_BYTES in (extra := getattr(route, "openapi_extra", None) or {})
    }
