"""What every event of the public contract has in common.

A model here is a promise to every subscriber: within a version only optional fields may be added,
absent fields are left out and never null, moments are UTC with milliseconds, money is whole minor
units. Fields marked `Pii` or `PiiValue` travel sealed (see `shared.keyring`): a subscriber sees a
token until it is opened, and nothing at all once the person was erased, so each is optional.
"""

import builtins
from abc import abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from types import UnionType
from typing import Annotated, Any, ClassVar, Self, Union, get_args, get_origin

import msgspec
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    PlainSerializer,
    WithJsonSchema,
)

from shared.clock import to_milliseconds

_SECONDS = len('"2018-01-02T00:00:00')
_MILLISECONDS = len('"2018-01-02T00:00:00.000')
_encode = msgspec.json.Encoder().encode


def show_moment(moment: datetime) -> str:
    """The contract's text of a moment: `2018-01-02T00:00:00.000Z`."""
    text = _encode(moment if moment.tzinfo is UTC else moment.astimezone(UTC))
    if moment.microsecond:
        return text[1:_MILLISECONDS].decode() + "Z"
    return text[1:_SECONDS].decode() + ".000Z"


Moment = Annotated[
    AwareDatetime,
    AfterValidator(to_milliseconds),
    PlainSerializer(show_moment, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class Sealed:
    """The mark of a personal field; `shared.keyring` finds it by `pii_paths`."""


_SEALED_SCHEMA = {
    "type": "string",
    "format": "regulars-sealed",
    "description": "Personal: sealed with the customer's key; absent once the customer was erased.",
}

Pii = Annotated[str, Sealed(), WithJsonSchema(_SEALED_SCHEMA)]
"""A personal text."""

PiiValue = Annotated[str | int | bool | tuple[str, ...], Sealed(), WithJsonSchema(_SEALED_SCHEMA)]
"""A personal value of a custom field."""

MinorUnits = Annotated[int, WithJsonSchema({"type": "integer", "description": "minor units"})]


def open_list(description: str) -> WithJsonSchema:
    """The schema of a choice that will grow: subscribers must expect values that they do not know.

    For our own code it is closed all the same.
    """
    return WithJsonSchema({"type": "string", "description": f"{description}; more may come"})


def open_union(description: str, *kinds: str) -> WithJsonSchema:
    """The schema of one of several forms, told apart by `kind`, of which more will come.

    For our own code the union is closed all the same.
    """
    known = ", ".join(kinds)
    kind = {"type": "string", "description": f"{known}; more may come"}
    return WithJsonSchema(
        {
            "type": "object",
            "description": description,
            "properties": {"kind": kind},
            "required": ["kind"],
        }
    )


class Part(BaseModel):
    """A value inside an event."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def with_values(self, **values: object) -> Self:
        """The same with other values, which are not checked."""
        return self.model_copy(update=values)


class EventData(Part):
    """The `data` of one event type; `type` is the CloudEvents type, with its version."""

    type: ClassVar[str]
    room: ClassVar[int] = 0
    """Bytes that it may have beyond the limit, because it repeats what another event said."""

    @property
    def contract_model(self) -> builtins.type[Self]:
        """The model that is the contract of the data."""
        return type(self)

    def holds_personal(self) -> bool:
        """Whether something in it may have to be sealed."""
        return bool(pii_paths(type(self)))

    def json_bytes(self) -> bytes:
        """What is recorded, as long as nothing in it is sealed."""
        return self.model_dump_json(exclude_none=True).encode()

    def json_values(self) -> dict[str, Any]:
        """The same as builtin values, to be sealed in place."""
        return self.model_dump(mode="json", exclude_none=True)


class StreamGate(EventData):
    """An event that closes its stream, or opens it again.

    While a stream is closed, what would be appended to it without looking at its history goes to
    the place that `redirect` names.
    """

    @property
    @abstractmethod
    def redirect(self) -> str | None:
        """Where commands go from now on; None: they stay here."""


EACH = "*"
Path = tuple[str, ...]


@cache
def pii_paths(model: type[BaseModel]) -> tuple[Path, ...]:
    """The paths of the sealed fields in the model's JSON; `*` stands for each item or value."""
    return tuple(_paths(model))


def _paths(model: type[BaseModel]) -> Iterator[Path]:
    for name, info in model.model_fields.items():
        if any(isinstance(mark, Sealed) for mark in info.metadata):
            yield (name,)
        else:
            for path in _annotation_paths(info.annotation):
                yield (name, *path)


def _annotation_paths(annotation: Any) -> Iterator[Path]:  # noqa: ANN401 - an annotation is any object
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *marks = get_args(annotation)
        if any(isinstance(mark, Sealed) for mark in marks):
            yield ()
        else:
            yield from _annotation_paths(inner)
    elif origin in (Union, UnionType):
        for choice in get_args(annotation):
            yield from _annotation_paths(choice)
    elif origin in (tuple, list, dict):
        for inner in get_args(annotation):
            for path in _annotation_paths(inner):
                yield (EACH, *path)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _paths(annotation)
