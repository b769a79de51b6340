"""Around every request: a limit on its body, a net for what nobody caught, and its time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http.problems import problem_response, too_large, unexpected
from shared.telemetry import HTTP_SECONDS

MAX_BODY_BYTES = 16 * 1024 * 1024
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """Refuses a body of more bytes than the limit, as soon as it is known to have them.

    `uploads` are paths whose endpoints read their bodies piece by piece, and their own limits.
    """

    app: ASGIApp
    limit: int = MAX_BODY_BYTES
    uploads: Mapping[str, int] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 413."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.uploads.get(scope["path"], self.limit)
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            await problem_response(too_large(limit))(scope, receive, send)
            return
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                # FastAPI lets this class pass while it reads a body, and no other.
                raise HTTPException(413)
            return message

        await self.app(scope, limited, send)


@dataclass(frozen=True, slots=True)
class Observed:
    """Measures each request, and answers 500 where nothing else could.

    The fault ends here and is logged here: the server behind would print the text of the exception,
    which may quote what a caller sent.
    """

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it ended."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = perf_counter()
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except Exception as error:
            _log.error("a request failed", route=_route(scope), exc_info=error)
            if status:
                # Half an answer is out: only a broken connection can still tell that it is none.
                raise
            await problem_response(unexpected())(scope, receive, noting)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            HTTP_SECONDS.labels(method, _route(scope), str(status)).observe(perf_counter() - begun)


def _route(scope: Scope) -> str:
    """The template of the route, which names nobody; `unmatched` when there is none."""
    return str(getattr(scope.get("route"), "path", "unmatched"))
