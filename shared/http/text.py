"""What callers send is text: JSON can spell half a character, which nobody could write down.

Such a body is refused with its fields before anything of it is used, whatever the models of the
endpoint say. A body in which there can be none is passed on without another look.
"""

import json
import re
from collections import deque
from collections.abc import Iterator
from http import HTTPStatus
from itertools import islice
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute

from shared.decider import FieldError, Refused

MOST_NAMED = 20
MAX_PATH = 200
_SUSPECTS = tuple(map(re.compile, (rb"\\u[dD][89a-fA-F]", rb"\xed[\xa0-\xbf]", rb"\x00")))
"""A half that is escaped, or written as if it were a character; or JSON in no UTF-8.

One by one, since each begins with a byte that is found fast.
"""


async def require_text(request: Request) -> None:
    """Raise `Refused` (422) that names where the body, which the route reads as JSON, is no text.

    Bodies that endpoints read by themselves are theirs to judge.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or route.body_field is None or not _is_json(request):
        return
    if _is_suspect(await request.body()):
        _refuse_halves(await request.json())


def name_halves(body: bytes) -> None:
    """Raise `Refused` (422) where this is why a parser of ours could not read the JSON."""
    if not _is_suspect(body):
        return
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return
    _refuse_halves(value)


def _is_suspect(body: bytes) -> bool:
    return any(suspect.search(body) for suspect in _SUSPECTS)


def _refuse_halves(value: object) -> None:
    errors = tuple(
        FieldError(path[:MAX_PATH], "holds half a character")
        for path in islice(_halves(value), MOST_NAMED)
    )
    if errors:
        raise Refused(
            "invalid", HTTPStatus.UNPROCESSABLE_ENTITY, "The input is not valid.", errors=errors
        )


def _is_json(request: Request) -> bool:
    """Whether the framework reads the body as JSON."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    return kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )


def _halves(value: object) -> Iterator[str]:
    """The paths of texts that are none; of a name, the path of what has it."""
    left: deque[tuple[str, Any]] = deque([("", value)])
    while left:
        path, node = left.popleft()
        match node:
            case str():
                if not _is_text(node):
                    yield path
            case list():
                left.extend(
                    (f"{path}.{index}".lstrip("."), each) for index, each in enumerate(node)
                )
            case dict():
                if not all(map(_is_text, node)):
                    yield path
                left.extend(
                    (f"{path}.{name}".lstrip("."), each)
                    for name, each in node.items()
                    if _is_text(name)
                )


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
