"""What is read without the model becomes what the model makes of it, byte for byte."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from services.interaction.domain.facts import decide_fact
from services.interaction.handlers.facts import SentFact
from services.interaction.handlers.incoming import ANY, ReceiptInput
from services.interaction.handlers.incoming.hot import (
    HotReceiptInput,
    hot_named_receipt,
    hot_receipt,
)
from shared.decider import Refused
from shared.envelope import Causation, Placed
from shared.execute.sealing import encode_event
from shared.identifiers import IdentifierRules
from shared.testing import DAY
from tests.unit.test_interaction_api import WRONG

Json = Any
MODEL: TypeAdapter[ReceiptInput] = TypeAdapter(ReceiptInput)
RULES = IdentifierRules(bytes(32), "DE")
PLAIN: Json = {
    "source_id": "4711",
    "branch": "12",
    "time": "2017-12-01T09:00:00Z",
    "customer": "anna",
    "lines": [{"product": "bread", "quantity": 2, "amount": 398}],
}
FULL: Json = {
    **PLAIN,
    "kind": "receipt",
    "source": "till-7",
    "time": "2017-12-01T10:00:00.250+01:00",
    "lines": [
        {
            "product": "хлеб «чёрный»", "quantity": "0.500", "amount": 398, "discount": 0,
            "coupon": 1, "coupon_match": -2, "cost": 200, "categories": ["food", "bread"],
        },
        {"product": 'a/b\\"c', "quantity": 1.25, "amount": -1, "coupon": None},
    ],
    "total": 397, "till": "3", "cashier": "Σ", "number": 17, "fiscal": "f", "tips": 0,
    "payments": [{"kind": "cash", "amount": 397}], "coupons": ["A", "B"], "points_spent": 5,
    "order": "o-1", "channel": "web",
}  # fmt: skip


def recorded(sent: SentFact) -> tuple[object, ...]:
    """All that anybody learns of it."""
    (event,) = decide_fact(sent.command, None)
    placed = Placed(
        data=event.data,
        service="interaction",
        stream="interaction-1",
        version=1,
        time=event.time,
        recorded=DAY,
        causation=Causation("c1"),
        subject="1",
        branch=event.branch,
    )
    text = encode_event(placed, {})
    return sent.command.id, sent.command.branch, sent.hash, sent.who, sent.known, text


def outcome(read: HotReceiptInput | ReceiptInput) -> object:
    """What is recorded, or why it is not."""
    try:
        return recorded(read.sent(RULES, DAY))
    except Refused as refusal:
        return (refusal.type, refusal.errors)


def test_the_plainest_receipts_are_read_without_the_model() -> None:
    for item in (PLAIN, FULL, {**PLAIN, "customer": None}, {**PLAIN, "till": None}):
        assert hot_receipt(json.dumps(item).encode()) is not None


@pytest.mark.parametrize(
    "other",
    [
        {"branch": " 12 "},
        {"extra": {"weather": "rain"}},
        {"identifiers": [{"kind": "card", "value": "1"}], "customer": None},
        {"time": "2017-12-01T09:00:00.000999Z"},
        {"time": "2017-12-01 09:00:00Z"},
        {"time": "2017-02-29T09:00:00Z"},
        {"kind": "visit"},
        {"lines": [{"product": "b", "quantity": "1E+3", "amount": 1}]},
        {"lines": [{"product": "b", "quantity": 123456789012.123456, "amount": 1}]},
    ],
    ids=str,
)
def test_what_may_be_read_in_two_ways_is_for_the_model(other: Json) -> None:
    assert hot_receipt(json.dumps({**PLAIN, **other}).encode()) is None


def test_among_other_kinds_a_receipt_says_what_it_is() -> None:
    assert hot_named_receipt(json.dumps(PLAIN).encode()) is None
    named = json.dumps({**PLAIN, "kind": "receipt"}).encode()
    hot, model = hot_named_receipt(named), ANY.validate_json(named)
    assert hot is not None
    assert isinstance(model, ReceiptInput)
    assert outcome(hot) == outcome(model)


@pytest.mark.parametrize(("wrong", "place"), WRONG, ids=[str(place) for _, place in WRONG])
def test_a_wrong_receipt_is_refused_as_the_model_refuses_it(wrong: Json, place: str) -> None:
    del place
    item = json.dumps(wrong).encode()
    hot = hot_receipt(item)
    if hot is not None:
        assert outcome(hot) == outcome(MODEL.validate_json(item))


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8) | st.sampled_from(
    ["", " ", "a", " a", "a ", "\u00a0a", "a\u0085", "a\x7f", "a|b", "ж", "a\u2028b", "x" * 201]
)
numbers = st.integers(-(10**13), 10**13) | st.sampled_from([0, 10**12, -(10**12), 10**9, 1, -1])
wrong_kinds: st.SearchStrategy[Any] = st.sampled_from([True, None, 1.0, "1", 1.5, [], {}])
amounts = st.one_of(numbers, numbers, numbers, wrong_kinds)
quantities = st.one_of(
    st.integers(-(10**20), 10**20),
    st.integers(0, 9),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    st.sampled_from(
        [" 1", "1 ", "1_0", "１", "0x1", "-0", "-0.0", "+1", "1.", ".5", "1e2", "NaN", "", "1,5",
         True, None, 1.10, 0.1, 1e22, -0.0, "00012", "1.500000", "0.0000001"]
    ),
)  # fmt: skip
moments = st.datetimes().map(lambda each: each.isoformat() + "Z") | st.sampled_from(
    [
        "2017-12-01T09:00:00Z", "2017-12-01T09:00:00.1Z", "2017-12-01T09:00:00.123Z",
        "2017-12-01T09:00:00+03:00", "2017-12-01T09:00:00-00:00", "2017-12-01T09:00:00+23:59",
        "2017-12-01T09:00:00+24:00", "2017-12-01T09:00:00+03:60", "2017-12-01T24:00:00Z",
        "2017-12-01T09:00:60Z", "2017-12-01T09:00:00", "2017-12-01t09:00:00z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+14:00", "2999-12-31T23:59:59.999-12:00", "2016-02-29T00:00:00Z",
        "2017-13-01T00:00:00Z", "2017-12-01T09:00Z", 1512118800, None,
    ]
)  # fmt: skip
identifiers = st.fixed_dictionaries(
    {"kind": st.sampled_from(["phone", "email", "card", "external", "fax"]), "value": texts},
)


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy, wrong_kinds)


lines = st.fixed_dictionaries(
    {"product": texts, "quantity": quantities, "amount": amounts},
    optional={
        **dict.fromkeys(("discount", "coupon", "coupon_match", "cost"), optional(numbers)),
        "categories": optional(st.lists(texts, max_size=3)),
        "price": st.just(1),
    },
)
items = st.fixed_dictionaries(
    {
        "source_id": texts,
        "branch": texts,
        "time": moments,
        "lines": st.lists(lines, max_size=2),
    },
    optional={
        "kind": st.sampled_from(["receipt", "receipt", "void", None]),
        "source": st.sampled_from(["pos", "web-shop", "http", "inbox", "a|b", "Pos", "ж", None]),
        "customer": optional(texts),
        "identifier": optional(identifiers),
        "total": optional(numbers),
        **dict.fromkeys(("till", "cashier", "fiscal", "order", "channel"), optional(texts)),
        **dict.fromkeys(("number", "tips", "points_spent"), optional(numbers)),
        "payments": optional(
            st.lists(st.fixed_dictionaries({"kind": texts, "amount": amounts}), max_size=2)
        ),
        "coupons": optional(st.lists(texts, max_size=2)),
        "surname": st.just("x"),
    },
)
nearly_plain = st.tuples(
    st.sampled_from([PLAIN, FULL]), items, st.sets(st.sampled_from(sorted(FULL)), max_size=3)
).map(lambda drawn: {**drawn[0], **{name: drawn[1][name] for name in drawn[2] if name in drawn[1]}})


@given(items | nearly_plain | nearly_plain)
def test_whatever_is_read_without_the_model_is_what_the_model_reads(item: Json) -> None:
    raw = json.dumps(item, allow_nan=False).encode()
    hot = hot_receipt(raw)
    if hot is None:
        return
    try:
        model = MODEL.validate_json(raw)
    except ValidationError as error:
        raise AssertionError(raw) from error
    assert outcome(hot) == outcome(model)
