"""Every answer that is not a success is a problem (RFC 9457), whoever noticed it.

`type` is `urn:regulars:problem:<type>`: stable, the same on every host, never to be dereferenced.
`title` is the same sentence for each problem of a type, `detail` tells this one, `errors` name
wrong fields by their path in the input. What the caller sent as a value is never repeated.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from asgi_correlation_id import correlation_id
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException

from shared.decider import FieldError, Refused
from shared.eventstore import StoreUnavailable
from shared.relay.ports import BrokerUnavailable

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:regulars:problem:"
RETRY_AFTER_SECONDS = 1
MAX_PATH = 200

_log = structlog.get_logger(__name__)
# The place of an error within a request begins with the part of the request that it is in.
_PARTS = frozenset({"body", "query", "path", "header", "cookie"})
# What the framework refuses by itself.
_TITLES: Mapping[int, tuple[str, str]] = {
    HTTPStatus.BAD_REQUEST: ("unreadable", "The request cannot be read."),
    HTTPStatus.NOT_FOUND: ("not-found", "There is no such thing here."),
    HTTPStatus.METHOD_NOT_ALLOWED: ("method-not-allowed", "This address takes other methods."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("body-too-large", "The body is too large."),
}


class ProblemField(BaseModel):
    """A wrong field."""

    field: str = Field(description="its path in the input, e.g. `lines.0.amount`")
    message: str = Field(description="what would be right")


class Problem(BaseModel):
    """Why it was not done (RFC 9457). Some types carry further members."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=[f"{TYPE_PREFIX}invalid"])
    title: str = Field(description="the same sentence for each problem of the type")
    status: int
    detail: str | None = Field(default=None, description="what is wrong this time")
    errors: list[ProblemField] | None = None


def problem_of(refused: Refused) -> Problem:
    """The problem that tells a refusal."""
    fields = [ProblemField(field=error.field, message=error.message) for error in refused.errors]
    return Problem(
        type=TYPE_PREFIX + refused.type,
        title=refused.title,
        status=refused.status,
        detail=refused.detail,
        errors=fields or None,
        **{key: value for key, value in refused.extra.items() if key not in Problem.model_fields},
    )


def problem_response(refused: Refused, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that tells a refusal, with the headers that its status asks for."""
    sent = dict(headers or {})
    if refused.status == HTTPStatus.UNAUTHORIZED:
        sent.setdefault("WWW-Authenticate", "Bearer")
    if refused.status == HTTPStatus.SERVICE_UNAVAILABLE:
        sent.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    if "retry_after" in refused.extra:
        sent["Retry-After"] = refused.extra["retry_after"]
    return Response(
        problem_of(refused).model_dump_json(exclude_none=True),
        status_code=refused.status,
        headers=sent,
        media_type=MEDIA_TYPE,
    )


def refusal_of(error: ValidationError | RequestValidationError) -> Refused:
    """The refusal (400 or 422) for an input that does not fit its model."""
    if isinstance(error, ValidationError):
        found: list[Any] = list(error.errors(include_url=False))
    else:
        found = list(error.errors())
    if any(wrong["type"] == "json_invalid" for wrong in found):
        return unreadable("the body is no JSON")
    return Refused(
        "invalid",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The input is not valid.",
        errors=tuple(FieldError(_path(wrong["loc"]), _message(wrong)) for wrong in found),
    )


def unreadable(detail: str) -> Refused:
    """The refusal for a body that is not even wrong."""
    kind, title = _TITLES[HTTPStatus.BAD_REQUEST]
    return Refused(kind, HTTPStatus.BAD_REQUEST, title, detail)


def too_large(limit: int) -> Refused:
    """The refusal for a body of more bytes than the limit."""
    kind, title = _TITLES[HTTPStatus.REQUEST_ENTITY_TOO_LARGE]
    return Refused(kind, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, title, f"at most {limit} bytes")


def unavailable() -> Refused:
    """The refusal while the database or the broker does not answer."""
    return Refused(
        "unavailable",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The service cannot answer right now.",
        "nothing is known to be written: send the same again, with the same Idempotency-Key",
    )


def unexpected() -> Refused:
    """The refusal for a fault of the program: the log has it under the request's id."""
    return Refused(
        "internal",
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Something went wrong here.",
        f"it was logged for request {correlation_id.get() or 'unknown'}",
    )


def _path(steps: tuple[str | int, ...]) -> str:
    inner = steps[1:] if steps and steps[0] in _PARTS else steps
    return ".".join(str(step) for step in inner)[:MAX_PATH]


def _message(wrong: Mapping[str, Any]) -> str:
    """What would be right, in words that repeat nothing of the value.

    Some messages of the framework end in a reason that quotes a part of the value: it is cut off.
    The message of a validator is taken only where the value does not occur in it.
    """
    context: Mapping[str, Any] = wrong.get("ctx") or {}
    if wrong["type"] == "union_tag_invalid":
        return f"should be one of {context['expected_tags']}"
    message = str(wrong["msg"])
    reason = context.get("error", context.get("reason"))
    if isinstance(reason, Exception):
        quoted = str(wrong.get("input", ""))
        return "is not valid" if quoted and quoted in str(reason) else str(reason)
    if reason is None:
        return message
    return message.removesuffix(str(reason)).rstrip(" ,:")


async def _refused(_request: Request, refused: Exception) -> Response:
    assert isinstance(refused, Refused)  # noqa: S101 - registered for this class
    return problem_response(refused)


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    return problem_response(refusal_of(error))


async def _server_unavailable(_request: Request, error: Exception) -> Response:
    _log.warning("a server is unavailable", exc_info=error)
    return problem_response(unavailable())


async def _framework(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    kind, title = _TITLES.get(
        error.status_code, (f"http-{error.status_code}", "The request was refused.")
    )
    return problem_response(Refused(kind, error.status_code, title), error.headers)


def install(app: FastAPI) -> None:
    """Make the app answer with problems."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StoreUnavailable, _server_unavailable)
    app.add_exception_handler(BrokerUnavailable, _server_unavailable)
    app.add_exception_handler(HTTPException, _framework)
