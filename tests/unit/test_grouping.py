"""Rows that belong together come together, in whatever order and however many they are."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.clock import ManualClock
from shared.files import Files
from shared.importing import grouping
from shared.importing.grouping import Groups, merged, places_of, sorted_files
from shared.memory import MemoryFiles
from shared.tables import Block, Table, TableError
from shared.tables.stored import StoredTable
from shared.testing import DAY

MOST = 50


def keys(block: Block) -> Sequence[str | None]:
    return [cell or None for cell in block.columns[0]]


def table(names: Sequence[str], together: int = 9) -> StoredTable:
    """A table whose rows come so many at a time."""
    numbers = range(2, 2 + len(names))
    block = Block(numbers, [list(names), [f"c{number}" for number in numbers]])
    blocks = (block.cut(begin, begin + together) for begin in range(0, len(names), together))
    return StoredTable(Table(("id", "cell"), blocks), ThreadPoolExecutor(1))


async def passed() -> None:
    """Nobody wants to stop."""


async def grouped(names: Sequence[str], skip: int = 0, together: int = 9) -> list[list[int]]:
    """The rows of each group, as an import would take them."""
    files = Files(MemoryFiles(), AESGCM(b"m" * 32), b"s" * 32, ManualClock(DAY))
    places = await places_of(table(names, together), keys, MOST, passed)
    if places is None:
        return await taken(Groups(table(names, together), keys), skip)
    sorted_ = await sorted_files(files, table(names, together), places, "owner", passed)
    opened = [await files.open(each) for each in sorted_]
    async with merged(files, opened, ("id", "cell")) as whole:
        return await taken(Groups(whole, keys), skip)


async def taken(groups: Groups, skip: int) -> list[list[int]]:
    await groups.skip(skip)
    found: list[list[int]] = []
    while chunk := await groups.take(3, 2):
        assert len(chunk.begins) <= 2
        found += [list(chunk.rows.numbers[begin:end]) for begin, end in chunk.bounds]
    return found


async def test_groups_that_stand_together_are_taken_as_they_stand() -> None:
    assert await places_of(table("aabccc"), keys, MOST, passed) is None
    assert await grouped("aabccc") == [[2, 3], [4], [5, 6, 7]]


async def test_groups_that_stand_apart_come_in_the_order_of_their_first_rows() -> None:
    assert await places_of(table("abab"), keys, MOST, passed) is not None
    assert await grouped("abcab") == [[2, 5], [3, 6], [4]]


async def test_rows_without_a_key_stand_alone() -> None:
    assert await grouped(["", "", "a", "", "a"]) == [[2], [3], [4, 6], [5]]


async def test_a_group_that_is_too_large_is_refused() -> None:
    with pytest.raises(TableError, match="51 rows are of one and the same thing"):
        await places_of(table(["a"] * 51 + ["b"]), keys, MOST, passed)
    assert await places_of(table(["a"] * 50 + ["b"]), keys, MOST, passed) is None


async def test_an_import_that_goes_on_finds_the_same_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grouping, "RUN_ROWS", 2)
    assert await grouped("abcabca", skip=3) == [[3, 6], [4, 7]]


@settings(max_examples=50, deadline=None)
@given(
    names=st.lists(st.sampled_from(["", "a", "b", "c", "d"]), max_size=40),
    run=st.integers(1, 12),
    together=st.integers(1, 12),
    piece=st.integers(1, 6),
)
def test_every_row_comes_once_with_its_group_in_any_order(
    names: list[str], run: int, together: int, piece: int
) -> None:
    expected: dict[str, list[int]] = {}
    for number, name in enumerate(names, 2):
        expected.setdefault(name or f"row {number}", []).append(number)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "RUN_ROWS", run)
        patch.setattr(grouping, "PIECE_ROWS", piece)
        assert asyncio.run(grouped(names, together=together)) == list(expected.values())
