"""What every event of the public contract has in common.

A model here is a promise to every subscriber: within a version only optional fields may be added,
absent fields are left out and never null, moments are UTC with milliseconds, money is whole minor
units. Fields marked `Pii` or `PiiValue` travel sealed (see `shared.keyring`): a subscriber sees a
token until it is opened, and nothing at all once the person was erased, so each is optional.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from types import UnionType
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    PlainSerializer,
    WithJsonSchema,
)

from shared.clock import to_milliseconds


def show_moment(moment: datetime) -> str:
    """The contract's text of a moment: `2018-01-02T00:00:00.000Z`."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


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


class Part(BaseModel):
    """A value inside an event."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class EventData(Part):
    """The `data` of one event type; `type` is the CloudEvents type, with its version."""

    type: ClassVar[str]

    def holds_personal(self) -> bool:
        """Whether something in it may have to be sealed."""
        return bool(pii_paths(type(self)))


class StreamGate(EventData):
    """An event that closes its stream, or opens it again.

    While a stream is closed, what would be appended to it without looking at its history goes to
    the place that `redirect` names.
    """

    @property
    def redirect(self) -> str | None:
        """Where commands go from now on; None: they stay here."""
        raise NotImplementedError


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
