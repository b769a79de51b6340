"""Receipts and imports: what may be recorded, and what is worked out."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace as changed

from services.interaction.domain.facts import FACTS, RecordFact
from services.interaction.domain.imports import IMPORTS, BeginImport, EndImport
from services.interaction.domain.receipts import record_receipt
from services.interaction.domain.streams import customer_of, stream_of
from shared.decider import NewEvent, Refused
from shared.events.customer import CustomerRegistered
from shared.events.imports import ImportBegun, ImportEnded
from shared.events.interaction import FactIdentifier, ReceiptLine, ReceiptRecorded
from shared.ids import derived_id
from shared.testing import DAY, given

BREAD = ReceiptLine(product="bread", quantity=Decimal(2), amount=398)
MILK = ReceiptLine(product="milk", quantity=Decimal("0.5"), amount=101, coupon=50)
BAG = ReceiptLine(product="bag", quantity=Decimal(0), amount=0, coupon=0)


def receipt(
    *,
    source: str = "pos",
    source_id: str = "4711",
    branch: str = "12",
    lines: tuple[ReceiptLine, ...] = (BREAD, MILK),
    total: int | None = None,
    till: str = "3",
) -> RecordFact:
    return record_receipt(
        source=source,
        source_id=source_id,
        branch=branch,
        time=DAY,
        now=DAY,
        lines=lines,
        total=total,
        identified_by=FactIdentifier(kind="card", hash="c1"),
        till=till,
        cashier="7",
    )


RECEIPT = receipt()
RECORDED = ReceiptRecorded(
    fact=derived_id("fact", "pos", "12", "4711"),
    source="pos",
    source_id="4711",
    total=499,  # 398 + 101
    coupon_lines=1,  # the milk
    lines=(BREAD, MILK),
    identified_by=FactIdentifier(kind="card", hash="c1"),
    till="3",
    cashier="7",
)


def test_a_receipt_is_recorded_with_its_sum_at_its_time_and_branch() -> None:
    given(FACTS).when(RECEIPT).then([NewEvent(RECORDED, DAY, "12")])


def test_the_next_receipt_asks_nothing_of_those_before() -> None:
    given(FACTS, [RECORDED]).when(RECEIPT).then([NewEvent(RECORDED, DAY, "12")])


def test_a_total_is_checked_when_it_is_given() -> None:
    given(FACTS).when(receipt(total=499)).then([RECORDED])
    for wrong in (498, 0):
        with pytest.raises(Refused, match="invalid") as refused:
            receipt(total=wrong)
        assert [error.field for error in refused.value.errors] == ["total"]


def test_a_basket_worth_nothing_is_a_receipt() -> None:
    free = receipt(lines=(BAG,), total=0)
    # A coupon of 0 is none.
    expected = RECORDED.model_copy(update={"total": 0, "coupon_lines": 0, "lines": (BAG,)})
    given(FACTS).when(free).then([expected])


def test_lines_may_take_off_more_than_they_add() -> None:
    deposit = ReceiptLine(product="deposit", quantity=Decimal(-1), amount=-500, coupon=-5)
    # 398 − 500; a coupon is a coupon whatever the sign of its amount.
    expected = RECORDED.model_copy(
        update={"total": -102, "coupon_lines": 1, "lines": (BREAD, deposit)}
    )
    given(FACTS).when(receipt(lines=(BREAD, deposit))).then([expected])


def test_a_till_may_be_a_day_ahead_and_not_more() -> None:
    day = timedelta(days=1)
    at_most = changed(RECEIPT, time=DAY + day)
    given(FACTS).when(at_most).then([NewEvent(RECORDED, DAY + day, "12")])
    beyond = changed(RECEIPT, time=DAY + day + timedelta(milliseconds=1))
    given(FACTS).when(beyond).then_refused("invalid", "time")


def test_late_receipts_are_normal() -> None:
    long_ago = changed(RECEIPT, time=DAY - timedelta(days=3650))
    given(FACTS).when(long_ago).then([RECORDED])


def test_a_receipt_has_the_same_ids_whoever_sends_it() -> None:
    again = changed(receipt(till="9"), now=DAY + timedelta(days=1))
    assert (RECEIPT.id, RECEIPT.data.fact) == (again.id, again.data.fact)
    assert RECEIPT.id == "pos|12|4711"
    others = [
        receipt(source="x"),
        receipt(branch="x"),
        receipt(source_id="x"),
    ]
    assert len({each.id for each in (RECEIPT, *others)}) == 4
    assert len({each.data.fact for each in (RECEIPT, *others)}) == 4


def test_a_stream_tells_whose_it_is() -> None:
    assert customer_of(stream_of("interaction-1")) == "interaction-1"


BEGIN = BeginImport(import_id="2017", title="The year 2017", at=DAY)
END = EndImport(import_id="2017", facts=155_848, at=DAY)
BEGUN = ImportBegun(import_id="2017", title="The year 2017")
ENDED = ImportEnded(import_id="2017", facts=155_848)


def test_an_import_is_begun_and_ended() -> None:
    given(IMPORTS).when(BEGIN).then([NewEvent(BEGUN, DAY)])
    given(IMPORTS, [BEGUN]).when(END).then([NewEvent(ENDED, DAY)])


def test_beginning_again_goes_on_with_the_import() -> None:
    given(IMPORTS, [BEGUN]).when(BEGIN).then_nothing()
    given(IMPORTS, [BEGUN, ENDED]).when(BEGIN).then_nothing()


def test_two_imports_cannot_have_one_id() -> None:
    other = replace(BEGIN, title="The year 2018")
    given(IMPORTS, [BEGUN]).when(other).then_refused("import-differs")


def test_an_import_ends_once_with_its_first_count() -> None:
    given(IMPORTS, [BEGUN, ENDED]).when(END).then_nothing()
    given(IMPORTS, [BEGUN, ENDED]).when(replace(END, facts=0)).then_nothing()


def test_what_was_never_begun_cannot_end() -> None:
    given(IMPORTS).when(END).then_refused("not-found")


def test_an_import_without_any_fact_ends_too() -> None:
    empty = ImportEnded(import_id="2017", facts=0)
    given(IMPORTS, [BEGUN]).when(replace(END, facts=0)).then([empty])
    assert not IMPORTS.fold([BEGUN, empty]).open


def test_an_import_is_open_between_its_beginning_and_its_end() -> None:
    assert not IMPORTS.initial().open
    assert IMPORTS.fold([BEGUN]).open
    assert not IMPORTS.fold([BEGUN, ENDED]).open


def test_an_event_of_another_kind_is_a_mistake() -> None:
    with pytest.raises(TypeError, match=r"customer\.registered"):
        IMPORTS.fold([CustomerRegistered()])
