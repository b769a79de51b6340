"""Whole columns give the facts that rows give, one by one: neither more nor other ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.interaction.handlers.importing.columns import FactReading
from services.interaction.handlers.importing.columnwise import ColumnReader
from services.interaction.handlers.importing.rows import Item, RowReader
from services.interaction.handlers.importing.source import RememberedRules
from shared.importing.grouping import Chunk
from shared.tables import Block

SAYS: Mapping[str, Sequence[str]] = {
    "source_id": ("r1", "'=r1"),
    "branch": ("12", "13"),
    "time": ("2017-12-01 10:00", "01.12.2017"),
    "clock": ("10:30", ""),
    "card": ("A-1", ""),
    "phone": ("+7 916 123 45 67", "8 (916) 123-45-67, 89161234568", ""),
    "payment": ("card", ""),
    "points_spent": ("5", ""),
    "coupons": ("A|B", ""),
    "extra.shift": ("2", ""),
    "state": ("Placed",),
    "order": ("o1",),
    "due": ("2017-12-05", ""),
    "line": ("1", "2", "10"),
    "product": ("bread", "хлеб", '"a\\b"', "'-5"),
    "quantity": ("1", "0.5", "-2", "1,5", ""),
    "amount": ("1.99", "0", "(2.50)", "1 000,00 ₽"),
    "discount": ("0", "0.00", "-0,10", ""),
    "coupon": ("1", ""),
    "categories": ("dairy", "dairy; milk", ""),
}
WRONG: Mapping[str, str] = {
    "source_id": "",
    "branch": "",
    "time": "when",
    "clock": "25:00",
    "card": "?",
    "phone": "5",
    "points_spent": "half",
    "line": "last",
    "product": "",
    "quantity": "many",
    "amount": "1,234",
}
NEEDED = ("source_id", "branch", "time", "product", "amount", "state", "order")
DEFAULTS = {
    "source": "files",
    "quantity": "3",
    "discount": "0.05",
    "payment": "cash",
    "amount": "7",
    "branch": "9",
    "state": "placed",
    "categories": "other",
}
RULES = RememberedRules(b"s" * 32, "RU")


@st.composite
def files(draw: st.DrawFn) -> tuple[FactReading, Chunk]:
    """A reading, and rows of it in groups; most of them say the same, and what makes sense."""
    facts = draw(st.sampled_from(["receipts", "receipts", "orders"]))
    shape = FactReading(facts, ()).shape
    names = [name for name in SAYS if name in shape.columns or name.startswith("extra.")]
    left_out = draw(st.sets(st.sampled_from([name for name in names if name not in NEEDED])))
    left_out |= draw(st.sampled_from([set(), set(), set(), {"product"}, {"amount"}, {"branch"}]))
    columns = tuple(draw(st.permutations([name for name in names if name not in left_out])))
    defaulted = draw(st.sets(st.sampled_from([name for name in DEFAULTS if name in shape.columns])))
    defaults = {name: DEFAULTS[name] for name in sorted(defaulted)}
    reading = FactReading(facts, columns, defaults, zones={"13": "Asia/Omsk"})
    spoilt = draw(st.sampled_from([None, None, *columns]))
    cells: dict[str, Sequence[str]] = {}
    for name in columns:
        # Every cell of a line is its own; what is said of a fact is said alike, or not at all.
        says = SAYS[name] if name in shape.lines else (draw(st.sampled_from(SAYS[name])), "")
        needed = name in {"source_id", "branch", "time", "state", "order"}
        cells[name] = (*says[: 1 if needed else None], *([WRONG.get(name, "x")] * (name == spoilt)))
    rows = draw(
        st.lists(st.tuples(*(st.sampled_from(cells[name]) for name in columns)), min_size=1)
    )
    begins = sorted({0, *draw(st.sets(st.integers(0, len(rows) - 1)))})
    flaws = draw(st.dictionaries(st.integers(2, len(rows) + 40), st.just("wrong"), max_size=1))
    numbers = range(2, 2 + len(rows))
    return reading, Chunk(Block(numbers, list(zip(*rows, strict=True)), flaws), begins)


def read(content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(content)
    return found


@settings(max_examples=200, deadline=None)
@given(files())
def test_what_columns_give_is_what_rows_give(file: tuple[FactReading, Chunk]) -> None:
    reading, chunk = file
    reader = ColumnReader(RowReader(reading, RULES, "Europe/Samara"))
    contents = reader.contents(chunk)
    assert len(contents) == len(chunk.begins)
    for content, bounds in zip(contents, chunk.bounds, strict=True):
        if content is not None:
            item = reader.rows.item(chunk.group(*bounds))
            assert isinstance(item, Item)
            assert read(content) == read(item.content)


def test_nothing_of_a_file_without_faults_is_left_to_the_reader_of_rows() -> None:
    columns = ("source_id", "branch", "time", "card", "product", "quantity", "amount", "discount")
    rows = [
        ("r1", "12", "2017-12-01 10:00", "A1", "milk", "2", "3.00", ""),
        ("r1", "12", "", "", "bread", "", "1.99", "0.00"),
        ("r2", "12", "2017-12-01 11:00", "", "bread", "0.5", "1.00", "-0.50"),
    ]
    block = Block([2, 3, 4], list(zip(*rows, strict=True)))
    reader = ColumnReader(RowReader(FactReading("receipts", columns), RULES, "UTC"))
    first, second = reader.contents(Chunk(block, [0, 2]))
    assert first is not None
    assert second is not None
    # Of the first receipt the second row says less; lines stand in an order of their own.
    assert read(first) == {
        "source_id": "r1",
        "branch": "12",
        "time": "2017-12-01T10:00:00.000Z",
        "identifier": {"kind": "card", "value": "A1"},
        "lines": [
            {"product": "bread", "quantity": 1, "amount": 199},
            {"product": "milk", "quantity": 2, "amount": 300},
        ],
    }
    # 50 cents taken off are a discount of -50.
    assert read(second)["lines"] == [
        {"product": "bread", "quantity": "0.5", "amount": 100, "discount": -50}
    ]


def test_rows_of_one_fact_have_one_key_and_wrong_ones_none() -> None:
    reading = FactReading("receipts", ("source_id", "branch"), {"source": "pos"})
    reader = ColumnReader(RowReader(reading, RULES, "UTC"))
    columns = [("r1", "r1", "", "r1", "r1"), ("12", "12", "12", "13", "12")]
    block = Block(range(2, 7), columns, {6: "wrong"})
    first, *others = reader.keys(block)
    assert first is not None
    assert others == [first, None, first.replace("12", "13"), None]


def test_an_identifier_that_comes_again_is_read_once() -> None:
    rules = RememberedRules(b"s" * 32, "RU")
    first = rules.known("phone", "8 916 123-45-67", "phone")
    assert rules.known("phone", "8 916 123-45-67", "other") is first
