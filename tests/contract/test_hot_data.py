"""Hot data writes what its model writes, byte for byte, and has the model's fields."""

import typing
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from types import UnionType
from typing import Any, get_args, get_origin

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from shared.envelope import Causation, Placed, decode
from shared.events import EVENT_TYPES
from shared.events.contract import EventData, pii_paths
from shared.events.hot import HOT, HotData, HotPart, HotReceipt
from shared.events.interaction import ReceiptRecorded
from shared.execute.sealing import encode_event
from shared.keyring import PREFIX

MORNING = datetime(2017, 12, 1, 9, 30, tzinfo=UTC)
HOT_DATA = [pytest.param(kind, hot, id=kind) for kind, hot in HOT.items()]


def inner(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - an annotation is any object
    """The classes that an annotation is made of, in order, without None."""
    origin = get_origin(annotation)
    if origin is None:
        if annotation not in (None, type(None), Ellipsis):
            yield annotation
        return
    arguments = get_args(annotation)
    if origin is typing.Annotated:
        arguments = arguments[:1]
    elif origin is typing.Literal:
        yield str
        return
    elif origin not in (typing.Union, UnionType):
        # Both see a mapping in what the model calls a dict.
        yield "mapping" if origin not in (tuple, list) else origin
    for each in arguments:
        yield from inner(each)


def differences(hot: type[HotPart], model: type[BaseModel]) -> Iterator[str]:
    """Where the struct is declared otherwise than its model: a line each."""
    hints = typing.get_type_hints(hot)
    fields = {field.name: field for field in msgspec.structs.fields(hot)}
    if list(fields) != list(model.model_fields):
        yield f"{hot.__name__}: {list(fields)}, not {list(model.model_fields)}"
        return
    for name, info in model.model_fields.items():
        field = fields[name]
        place = f"{hot.__name__}.{name}"
        if field.required is not info.is_required() or field.encode_name != name:
            yield f"{place}: named or required otherwise"
        if not field.required and (field.default, info.default) != (None, None):
            yield f"{place}: has a default that is none, so one of them would write it"
        ours, theirs = list(inner(hints[name])), list(inner(info.annotation))
        if len(ours) != len(theirs):
            yield f"{place}: {ours}, not {theirs}"
        for one, other in zip(ours, theirs, strict=False):
            if isinstance(one, type) and issubclass(one, HotPart):
                yield from differences(one, other)
            elif one != other and (one, other) != (str, Decimal):  # its text, as it is written
                yield f"{place}: {one}, not {other}"


@pytest.mark.parametrize(("kind", "hot"), HOT_DATA)
def test_hot_data_has_the_fields_of_its_model_in_its_order(kind: str, hot: type[HotData]) -> None:
    assert (hot.type, hot.contract_model) == (kind, EVENT_TYPES[kind])
    assert list(differences(hot, hot.contract_model)) == []


# A surrogate is no text; everything else may come from a till.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.integers(-(10**12), 10**12)
amounts = st.none() | numbers
decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9)
identifiers = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["phone", "email", "card", "external"]),
        "hash": texts,
        "value": st.none() | texts,
    }
)
lines = st.fixed_dictionaries(
    {"product": texts, "quantity": decimals, "amount": numbers},
    optional={
        "discount": amounts,
        "coupon": amounts,
        "coupon_match": amounts,
        "cost": amounts,
        "categories": st.none() | st.lists(texts, max_size=3).map(tuple),
    },
)
receipts = st.fixed_dictionaries(
    {
        "fact": texts,
        "source": texts,
        "source_id": texts,
        "total": numbers,
        "coupon_lines": st.integers(0, 9),
        "lines": st.lists(lines, max_size=3).map(tuple),
    },
    optional={
        "identified_by": st.none() | identifiers,
        "also": st.none() | st.lists(identifiers, max_size=2).map(tuple),
        "extra": st.none()
        | st.dictionaries(
            texts,
            texts | st.booleans() | numbers | st.lists(texts, max_size=2).map(tuple),
            max_size=3,
        ),
        **dict.fromkeys(("till", "cashier", "fiscal", "order", "channel"), st.none() | texts),
        **dict.fromkeys(("number", "tips"), amounts),
        "payments": st.none()
        | st.lists(st.fixed_dictionaries({"kind": texts, "amount": numbers}), max_size=2).map(
            tuple
        ),
        "coupons": st.none() | st.lists(texts, max_size=2).map(tuple),
        "points_spent": st.none() | st.integers(1, 10**6),
    },
)
VALUES = {ReceiptRecorded.type: receipts}


def test_there_are_random_values_for_every_kind() -> None:
    assert VALUES.keys() == HOT.keys()


def written(data: EventData, keys: dict[str, AESGCM]) -> str:
    return encode_event(
        Placed(
            data=data,
            service="interaction",
            stream="interaction-1",
            version=7,
            time=MORNING,
            recorded=MORNING,
            causation=Causation("c1"),
            subject="1",
        ),
        dict(keys),
    )


@given(st.data())
def test_hot_data_writes_what_its_model_writes(draw: st.DataObject) -> None:
    kind = draw.draw(st.sampled_from(sorted(VALUES)))
    values = draw.draw(VALUES[kind])
    model = HOT[kind].contract_model.model_validate(values)
    hot = msgspec.convert(msgspec.to_builtins(values), HOT[kind])
    assert hot.json_bytes() == model.json_bytes()
    assert hot.json_values() == model.json_values()
    assert hot.holds_personal() is model.holds_personal()
    keys = {"1": AESGCM(bytes(32))}
    ours, theirs = written(hot.as_data(), keys), written(model, keys)
    if not model.holds_personal():
        assert ours == theirs
    else:
        # A nonce is random: what is sealed differs, where it stands and all the rest do not.
        assert unsealed(ours) == unsealed(theirs)


def unsealed(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """The event's data with nothing but its place of each token."""

    def opened(value: Any) -> Any:  # noqa: ANN401 - any JSON value
        if isinstance(value, dict):
            return {name: opened(each) for name, each in value.items()}
        if isinstance(value, list):
            return [opened(each) for each in value]
        if isinstance(value, str) and value.startswith(PREFIX):
            return value.rpartition(":")[0]
        return value

    return opened(msgspec.json.decode(decode(text).data))


def test_what_is_changed_is_written_as_the_model_writes_it() -> None:
    values: dict[str, Any] = {
        "fact": "f", "source": "pos", "source_id": "1", "total": 3, "coupon_lines": 0,
        "lines": ({"product": "bread", "quantity": Decimal("1.50"), "amount": 3},),
    }  # fmt: skip
    model = ReceiptRecorded.model_validate(values)
    hot = msgspec.convert(msgspec.to_builtins(values), HotReceipt)
    assert hot.with_values(till="7").json_bytes() == model.with_values(till="7").json_bytes()


def test_personal_fields_of_the_model_are_all_that_can_be_sealed() -> None:
    # `holds_personal` of the struct asks for these.
    assert pii_paths(ReceiptRecorded) == (
        ("identified_by", "value"),
        ("also", "*", "value"),
        ("extra", "*"),
    )
