"""Events that set campaigns off: which there are, what may be asked of them, and what fits."""

from typing import Any

import pytest

from services.notify.domain.happening import HAPPENINGS, askable, check_event, fits
from shared.decider import Refused
from shared.events.campaign import Condition, OnEvent
from shared.events.contract import pii_paths
from shared.events.interaction import ReceiptRecorded

RECEIPT = ReceiptRecorded.type
Json = Any
YES = True
LONG = "x" * 201
DATA = {
    "total": 1_500,
    "coupon_lines": 1,
    "lines": [{"product": "milk", "amount": 500}, {"product": "bread", "amount": 1_000}],
    "coupons": ["SPRING"],
}


def asked(field: str, test: Json, value: Json) -> Condition:
    return Condition(field=field, test=test, value=value)


@pytest.mark.parametrize(
    ("condition", "answer"),
    [
        (asked("total", "at_least", 1_500), True),
        (asked("total", "at_least", 1_501), False),
        (asked("total", "at_most", 1_500), True),
        (asked("total", "at_most", 1_499), False),
        (asked("total", "equals", 1_500), True),
        (asked("lines.product", "equals", "bread"), True),
        (asked("lines.product", "equals", "tea"), False),
        (asked("lines.product", "one_of", ("tea", "milk")), True),
        (asked("coupons", "equals", "SPRING"), True),
        (asked("till", "equals", "1"), False),
        (asked("coupon_lines", "equals", YES), False),
    ],
)
def test_what_fits(condition: Condition, answer: bool) -> None:  # noqa: FBT001 - the expectation
    assert fits(DATA, [condition]) is answer
    assert fits(DATA, []) is True
    assert fits(DATA, [condition, asked("total", "equals", 7)]) is False


@pytest.mark.parametrize("data", [None, [], "text", 7, {"lines": {"product": ["x"]}}])
def test_data_of_another_shape_fits_nothing(data: Json) -> None:
    assert fits(data, [asked("lines.amount", "at_least", 1)]) is False


@pytest.mark.parametrize(
    ("trigger", "path"),
    [
        (OnEvent(event="task.planned.v1"), "trigger.event"),
        (
            OnEvent(event=RECEIPT, where=(asked("colour", "equals", "red"),)),
            "trigger.where.0.field",
        ),
        (OnEvent(event=RECEIPT, where=(asked("till", "at_least", 3),)), "trigger.where.0.test"),
        (OnEvent(event=RECEIPT, where=(asked("total", "equals", "3"),)), "trigger.where.0.value"),
        (OnEvent(event=RECEIPT, where=(asked("total", "one_of", 3),)), "trigger.where.0.value"),
        (OnEvent(event=RECEIPT, where=(asked("total", "equals", (3,)),)), "trigger.where.0.value"),
        (OnEvent(event=RECEIPT, where=(asked("total", "one_of", ()),)), "trigger.where.0.value"),
        (
            OnEvent(event=RECEIPT, where=(asked("till", "equals", "x" * 201),)),
            "trigger.where.0.value",
        ),
        (OnEvent(event=RECEIPT, where=(asked("total", "equals", 3),) * 11), "trigger.where"),
    ],
)
def test_a_question_that_there_is_not_is_named(trigger: OnEvent, path: str) -> None:
    with pytest.raises(Refused) as refusal:
        check_event(trigger)
    assert [error.field for error in refusal.value.errors] == [path]


def test_what_can_be_asked_is_refused_nowhere() -> None:
    check_event(OnEvent(event=RECEIPT, where=(asked("total", "at_least", 1),)))
    assert askable(RECEIPT)["lines.product"] == "word"
    assert askable(RECEIPT)["total"] == "number"


@pytest.mark.parametrize("event", sorted(HAPPENINGS))
def test_nothing_that_travels_sealed_can_be_asked(event: str) -> None:
    sealed = {
        ".".join(part for part in path if part != "*") for path in pii_paths(HAPPENINGS[event])
    }
    assert not sealed & askable(event).keys()
