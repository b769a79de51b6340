"""Which events campaigns can be set off by, and what may be asked of them.

A closed list of types, and of each the fields of its contract that are numbers, words, or yes and
no; never one that travels sealed. `lines.product` is asked of every line: one that fits is enough.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from shared.decider import invalid
from shared.events import topic_of
from shared.events.campaign import Condition, OnEvent
from shared.events.contract import EventData, Sealed
from shared.events.coupons import CouponRedeemed, ReferralBrought, ReferralCame
from shared.events.customer import CustomerRegistered
from shared.events.interaction import (
    CallRecorded,
    ComplaintRecorded,
    MeetingRecorded,
    OrderChanged,
    PageViewed,
    ReceiptRecorded,
    ReceiptReturned,
    Referred,
    SurveyAnswered,
    VisitRecorded,
)

MOST_CONDITIONS = 10
MOST_VALUES = 200
LONGEST_VALUE = 200

Kind = Literal["number", "word", "yes or no"]
_KINDS: Mapping[type, Kind] = MappingProxyType({bool: "yes or no", int: "number", str: "word"})

HAPPENINGS: Mapping[str, type[EventData]] = MappingProxyType(
    {
        model.type: model
        for model in (
            CustomerRegistered,
            ReceiptRecorded,
            ReceiptReturned,
            VisitRecorded,
            OrderChanged,
            CallRecorded,
            MeetingRecorded,
            ComplaintRecorded,
            SurveyAnswered,
            PageViewed,
            Referred,
            CouponRedeemed,
            ReferralBrought,
            ReferralCame,
        )
    }
)
"""The types that set campaigns off, and that series listen to."""


def topic_of_happening(event: str) -> str:
    """The Kafka topic on which events of the type are told."""
    return topic_of(event, "interaction")


@cache
def askable(event: str) -> Mapping[str, Kind]:
    """The fields of an event that can be asked, by their paths."""
    return MappingProxyType(dict(_fields(HAPPENINGS[event])))


def check_event(trigger: OnEvent, path: str = "trigger") -> None:
    """Raise `Refused`, naming the place below `path`, for a type or question that there is not."""
    if trigger.event not in HAPPENINGS:
        raise invalid(f"{path}.event", f"one of {', '.join(sorted(HAPPENINGS))}")
    if len(trigger.where) > MOST_CONDITIONS:
        raise invalid(f"{path}.where", f"at most {MOST_CONDITIONS} conditions")
    for place, condition in enumerate(trigger.where):
        _check(condition, askable(trigger.event), f"{path}.where.{place}")


def _check(condition: Condition, fields: Mapping[str, Kind], path: str) -> None:
    kind = fields.get(condition.field)
    if kind is None:
        raise invalid(f"{path}.field", f"one of {', '.join(sorted(fields))}")
    if condition.test in ("at_least", "at_most") and kind != "number":
        raise invalid(f"{path}.test", f"{condition.field} is a {kind}: it equals, or is one of")
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    if (condition.test == "one_of") != isinstance(condition.value, tuple):
        raise invalid(f"{path}.value", "a list with `one_of`, a single value with other tests")
    if not 0 < len(values) <= MOST_VALUES:
        raise invalid(f"{path}.value", f"1 to {MOST_VALUES} values")
    if any(_KINDS.get(type(value)) != kind for value in values):
        raise invalid(f"{path}.value", f"{condition.field} is a {kind}")
    if any(isinstance(value, str) and len(value) > LONGEST_VALUE for value in values):
        raise invalid(f"{path}.value", f"at most {LONGEST_VALUE} characters")


def fits(data: Any, conditions: Sequence[Condition]) -> bool:  # noqa: ANN401 - any JSON value
    """Whether the data of an event fits all conditions; what is absent fits none."""
    return all(
        any(_passes(value, condition) for value in _values(data, condition.field.split(".")))
        for condition in conditions
    )


def _passes(value: object, condition: Condition) -> bool:
    wanted = condition.value
    if isinstance(wanted, tuple):
        return any(_same(value, each) for each in wanted)
    if condition.test == "equals":
        return _same(value, wanted)
    if not isinstance(value, int) or isinstance(value, bool) or not isinstance(wanted, int):
        return False
    return value >= wanted if condition.test == "at_least" else value <= wanted


def _same(value: object, wanted: object) -> bool:
    """Equal, and of one type: 1 is not yes."""
    return type(value) is type(wanted) and value == wanted


def _values(data: Any, path: Sequence[str]) -> Iterator[object]:  # noqa: ANN401 - any JSON value
    if isinstance(data, list):
        for item in data:
            yield from _values(item, path)
    elif not path:
        yield data
    elif isinstance(data, dict) and path[0] in data:
        yield from _values(data[path[0]], path[1:])


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, Kind]]:
    for name, info in model.model_fields.items():
        if any(isinstance(mark, Sealed) for mark in info.metadata):
            continue
        for below, kind in _kinds(info.annotation):
            yield ".".join((name, *below)), kind


def _kinds(annotation: Any) -> Iterator[tuple[tuple[str, ...], Kind]]:  # noqa: ANN401 - an annotation is any object
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *marks = get_args(annotation)
        if not any(isinstance(mark, Sealed) for mark in marks):
            yield from _kinds(inner)
    elif origin is Literal:
        yield (), _KINDS[type(get_args(annotation)[0])]
    elif origin in (Union, UnionType, tuple):
        for inner in get_args(annotation):
            if inner not in (NoneType, Ellipsis):
                yield from _kinds(inner)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, kind in _fields(annotation):
            yield tuple(name.split(".")), kind
    elif annotation in _KINDS and annotation is not datetime:
        yield (), _KINDS[annotation]
