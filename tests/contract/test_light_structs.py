"""The hot path's structs read the same bytes as the models, and see the same values in them."""

import importlib
import json
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

import services
from shared.events import EVENT_TYPES
from shared.events.campaign import CampaignDefinedV1
from shared.events.contract import pii_paths
from shared.events.customer import CustomerRegistered
from shared.events.interaction import ReceiptRecorded
from shared.events.schema import EXAMPLES
from shared.keyring import ERASED, key_ids, unseal
from shared.projection import Projection, Stepped

DATA = "data"
"""The place of a whole event's data; see `misnamed` for its fields."""


def projections() -> Iterator[tuple[str, Projection[Any]]]:
    """Every projection of every service, found where it has to be defined."""
    for package in pkgutil.iter_modules(services.__path__, "services."):
        name = f"{package.name}.projections"
        if importlib.util.find_spec(name) is None:
            continue
        for value in vars(importlib.import_module(name)).values():
            projection = value.projection if isinstance(value, Stepped) else value
            if isinstance(projection, Projection):
                yield package.name, projection


def readings() -> Iterator[Any]:
    """(struct, types that are read with it, whether personal fields are opened) of all."""
    seen: dict[tuple[str, type[msgspec.Struct]], list[str]] = {}
    for service, projection in projections():
        for kind, struct in projection.reads.items():
            name = f"{service.rpartition('.')[2]}.{projection.name}"
            kinds = seen.setdefault((name, struct), [])
            kinds.append(kind)
            if len(kinds) == 1:
                label = f"{name}-{struct.__name__}"
                yield pytest.param(struct, kinds, projection.opens, id=label)


def differences(light: Any, full: Any, place: str = DATA) -> Iterator[str]:  # noqa: ANN401 - any value
    """Where the struct sees something else than the model: a line each."""
    if isinstance(light, msgspec.Struct) and isinstance(full, BaseModel):
        yield from _field_differences(light, full, place)
    elif isinstance(light, msgspec.Raw):
        yield from differences(msgspec.json.decode(light), full, place)
    elif isinstance(full, BaseModel):
        yield from differences(light, full.model_dump(mode="json", exclude_none=True), place)
    elif isinstance(light, list | tuple) and isinstance(full, list | tuple):
        yield from _entry_differences(
            dict(enumerate(light)), dict(enumerate(full)), f"{place}[{{}}]"
        )
    elif isinstance(light, Mapping) and isinstance(full, Mapping):
        yield from _entry_differences(light, full, f"{place}.{{}}")
    elif not _same(light, full):
        yield f"{place}: {light!r}, not {full!r}"


def _entry_differences(
    light: Mapping[Any, Any], full: Mapping[Any, Any], place: str
) -> Iterator[str]:
    for name in sorted(light.keys() ^ full.keys()):
        yield f"{place.format(name)}: only one of them has it"
    for name in light.keys() & full.keys():
        yield from differences(light[name], full[name], place.format(name))


def _field_differences(light: msgspec.Struct, full: BaseModel, place: str) -> Iterator[str]:
    there = full.model_dump(exclude_none=True).keys()
    for info in msgspec.structs.fields(light):
        name, value = info.encode_name, getattr(light, info.name)
        if place != DATA and name not in type(full).model_fields:
            yield f"{place}.{name}: the model has no such field"
        elif name in there:
            yield from differences(value, getattr(full, name), f"{place}.{name}")
        elif value != _default(info):
            yield f"{place}.{name}: {value!r}, though it is absent"


def _default(info: msgspec.structs.FieldInfo) -> Any:  # noqa: ANN401 - any value
    if info.default is msgspec.NODEFAULT and info.default_factory is not msgspec.NODEFAULT:
        return info.default_factory()
    return info.default


def misnamed(struct: type[msgspec.Struct], kinds: Iterable[str]) -> list[str]:
    """Fields that none of the events has which are read with the struct."""
    named = {name for kind in kinds for name in EVENT_TYPES[kind].model_fields}
    return [info.encode_name for info in msgspec.structs.fields(struct)
            if info.encode_name not in named]  # fmt: skip


def _same(light: Any, full: Any) -> bool:  # noqa: ANN401 - any value
    """Equal, of one kind; a text may stand for a decimal or a moment."""
    if isinstance(full, Decimal) and not isinstance(light, Decimal):
        return isinstance(light, str) and Decimal(light) == full
    if isinstance(full, datetime) and isinstance(light, str):
        return datetime.fromisoformat(light) == full
    return isinstance(light, bool) == isinstance(full, bool) and bool(light == full)


def check(kind: str, struct: type[msgspec.Struct], *, opens: bool) -> list[str]:
    """The differences between struct and model over all examples of the type."""
    paths = pii_paths(EVENT_TYPES[kind])
    found: list[str] = []
    for event in json.loads((EXAMPLES / f"{kind}.json").read_text()):
        datas = [event["data"]]
        if opens:
            # What the projection sees of an erased customer must be readable too.
            erased = dict.fromkeys(key_ids(event["data"], paths), ERASED)
            redacted = json.loads(json.dumps(event["data"]))
            unseal(redacted, paths, erased)
            datas.append(redacted)
        for data in datas:
            text = json.dumps(data).encode()
            light = msgspec.json.decode(text, type=struct)
            found += differences(light, EVENT_TYPES[kind].model_validate_json(text))
    return found


@pytest.mark.parametrize(("struct", "kinds", "opens"), list(readings()))
def test_each_struct_sees_what_the_models_see(
    struct: type[msgspec.Struct],
    kinds: list[str],
    opens: bool,  # noqa: FBT001 - a parameter of the case
) -> None:
    assert misnamed(struct, kinds) == []
    assert {kind: check(kind, struct, opens=opens) for kind in kinds} == {
        kind: [] for kind in kinds
    }


def test_every_service_with_projections_is_held_against_the_models() -> None:
    names = {package.name for package in pkgutil.iter_modules(services.__path__)}
    assert {name.rpartition(".")[2] for name, _ in projections()} == names


class Line(msgspec.Struct):
    product: str
    quantity: Decimal
    amount: int
    coupon: int = 0


class Receipt(msgspec.Struct):
    total: int
    lines: list[Line]
    till: str | None = None


class Campaign(msgspec.Struct):
    start: datetime
    trigger: dict[str, str]


def test_structs_of_any_depth_are_compared() -> None:
    assert check(ReceiptRecorded.type, Receipt, opens=False) == []
    assert check(CampaignDefinedV1.type, Campaign, opens=False) == []


class Misspelt(msgspec.Struct):
    coupon_line: int = 0


class MisspeltWithin(msgspec.Struct):
    lines: list[Misspelt]


class WrongType(msgspec.Struct):
    coupon_lines: bool | float | str = 0.0


class Identifiers(msgspec.Struct):
    identifiers: list[dict[str, str | int]]


class WrongDefault(msgspec.Struct):
    gender: str = "female"
    surname: str | None = None


def test_a_struct_that_reads_something_else_is_found() -> None:
    assert misnamed(Misspelt, [ReceiptRecorded.type]) == ["coupon_line"]
    within = check(ReceiptRecorded.type, MisspeltWithin, opens=False)
    assert within[0] == "data.lines[0].coupon_line: the model has no such field"
    assert misnamed(Receipt, [CustomerRegistered.type, ReceiptRecorded.type]) == []
    assert check(CustomerRegistered.type, Identifiers, opens=True) == []
    assert check(CustomerRegistered.type, WrongDefault, opens=True) == []
    with pytest.raises(msgspec.ValidationError):
        check(ReceiptRecorded.type, msgspec.defstruct("Missing", ["tax"]), opens=False)
    pair = ReceiptRecorded.model_validate(
        {"fact": "f", "source": "s", "source_id": "i", "total": 5, "coupon_lines": 1, "lines": []}
    )
    assert list(differences(Receipt(total=6, lines=[]), pair)) == ["data.total: 6, not 5"]
    assert list(differences(Receipt(total=5, lines=[], till="7"), pair)) == [
        "data.till: '7', though it is absent"
    ]
    assert list(differences(WrongType(coupon_lines=True), pair)) == [
        "data.coupon_lines: True, not 1"
    ]
