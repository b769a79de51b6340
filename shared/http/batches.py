"""Batch endpoints: many commands in one request, each with an answer of its own.

`{"items": […]}` of at most 1,000. A body that cannot be read is refused as a whole (400), as is one
with too many items (422); a wrong item is refused alone, and its neighbours go on.
"""

from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Protocol, TypeVar

import msgspec
from fastapi import Depends, Request, Response
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from shared.decider import Refused, invalid
from shared.execute import Done, Outcome
from shared.http.openapi import inline_schema
from shared.http.problems import Problem, problem_of, refusal_of, unreadable
from shared.http.text import name_halves

MAX_ITEMS = 1000
ItemT = TypeVar("ItemT")


class _Body(msgspec.Struct):
    items: list[msgspec.Raw]


_decode = msgspec.json.Decoder(_Body).decode


async def raw_items(request: Request) -> Sequence[bytes]:
    """The JSON of each item. Raises `Refused` (400, 422) for the whole body."""
    body = await request.body()
    try:
        items = _decode(body).items
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        name_halves(body)
        raise unreadable('the body should be JSON, {"items": […]}') from error
    if len(items) > MAX_ITEMS:
        raise invalid("items", f"should have at most {MAX_ITEMS} items")
    return [bytes(item) for item in items]


RawItems = Annotated[Sequence[bytes], Depends(raw_items)]


Quick = Callable[[bytes], ItemT | None]
"""Reads the plainest items faster than their model does, and gives None for the others."""


def parse_items(
    kind: TypeAdapter[ItemT], items: Iterable[bytes], quick: Quick[ItemT] | None = None
) -> Sequence[ItemT | Refused]:
    """Each item as its model, or as what `quick` makes of it, or why it is none."""
    parsed: list[ItemT | Refused] = []
    for item in items:
        if quick is not None and (found := quick(item)) is not None:
            parsed.append(found)
            continue
        try:
            parsed.append(kind.validate_json(item))
        except ValidationError as error:
            parsed.append(_refusal_of(item, error))
    return parsed


def _refusal_of(item: bytes, error: ValidationError) -> Refused:
    try:
        name_halves(item)
    except Refused as refused:
        return refused
    return refusal_of(error)


class BatchItem(BaseModel):
    """What became of one item; `id` and `version` when it is recorded, else `problem`."""

    index: int = Field(description="its place in the request, from 0")
    status: int = Field(description="the HTTP status that it would have had alone")
    id: str | None = None
    version: int | None = Field(default=None, description="version of its stream")
    repeated: bool | None = Field(default=None, description="it was recorded before")
    problem: Problem | None = None


class BatchAnswer(BaseModel):
    """What became of each item, in the order of the request."""

    items: list[BatchItem]


class _Item(msgspec.Struct, omit_defaults=True, gc=False):
    """A `BatchItem` as it is sent: there may be a thousand in an answer."""

    index: int
    status: int
    id: str | None = None
    version: int | None = None
    repeated: bool | None = None
    problem: dict[str, Any] | None = None


_encode = msgspec.json.Encoder().encode


class Named(Protocol):
    """An item that brings its id with it."""

    @property
    def id(self) -> str:
        """The id of what is recorded."""
        ...


def in_order(
    parsed: Iterable[Named | Refused], outcomes: Iterable[Outcome]
) -> Sequence[tuple[str | None, Outcome]]:
    """The outcome of each item: its own refusal, or the next one of those that were carried out."""
    following = iter(outcomes)
    return [
        (None, each) if isinstance(each, Refused) else (each.id, next(following)) for each in parsed
    ]


def batch_response(outcomes: Sequence[tuple[str | None, Outcome]]) -> Response:
    """The answer to a batch: for each item, in order, its id (if it has one) and its outcome."""
    items = [_item(index, name, outcome) for index, (name, outcome) in enumerate(outcomes)]
    return Response(_encode({"items": items}), media_type="application/json")


def _item(index: int, name: str | None, outcome: Outcome) -> _Item:
    if isinstance(outcome, Done):
        return _Item(index, HTTPStatus.OK.value, name, outcome.version, outcome.repeated)
    problem = problem_of(outcome).model_dump(mode="json", exclude_none=True)
    return _Item(index, outcome.status, name, problem=problem)


def batch_body(kind: TypeAdapter[Any]) -> dict[str, Any]:
    """`openapi_extra` of a batch endpoint, which reads its body itself."""
    schema = {
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": {"type": "array", "maxItems": MAX_ITEMS, "items": inline_schema(kind)}
        },
    }
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
