"""The grid of totals: the cells that two ranges touch hold whatever lies in both."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.customer.projections.directory.grid import (
    GRID,
    begins_within,
    cells_of,
    cells_within,
)
from services.customer.projections.directory.texts import key_of

NUMBERS = st.none() | st.integers(-(10**6), 10**11)
MOMENTS = st.none() | st.datetimes(
    datetime(1990, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2080, 1, 1),  # noqa: DTZ001 - as above
    timezones=st.just(UTC),
)
VALUES = {"spent": NUMBERS, "visits": NUMBERS, "average": NUMBERS, "last_visit": MOMENTS}


def keys(customer: str) -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries(VALUES).map(
        lambda values: {name: key_of("-", value, customer) for name, value in values.items()}
    )


@given(keys("anna"), keys("boris"), keys("clara"), st.permutations(GRID))
def test_whoever_lies_in_two_ranges_is_in_a_cell_that_they_touch(
    one: dict[str, str], low: dict[str, str], high: dict[str, str], columns: list[str]
) -> None:
    first, second = columns[:2]
    spans = {name: (min(low[name], high[name]), max(low[name], high[name])) for name in GRID}
    inside = all(spans[name][0] <= one[name] < spans[name][1] for name in (first, second))
    cells = cells_within(first, spans[first], second, spans[second])
    assert not inside or set(cells_of(one)) & set(cells)


@given(keys("anna"), keys("boris"), st.sampled_from(GRID))
def test_steps_begin_in_order_within_a_span(
    low: dict[str, str], high: dict[str, str], column: str
) -> None:
    first, last = sorted((low[column], high[column]))
    begins = begins_within(column, first, last)
    assert list(begins) == sorted(set(begins))
    assert all(first < each < last for each in begins)


def test_an_entry_has_a_cell_for_each_two_totals() -> None:
    # Two visits: step 1 is that of none. The second half of 2010 is the third step of its column.
    found = cells_of(
        {
            "spent": key_of("-", 30_000, "anna"),
            "visits": key_of("-", 2, "anna"),
            "average": key_of("-", None, "anna"),
            "last_visit": key_of("-", datetime(2010, 8, 1, tzinfo=UTC), "anna"),
        }
    )
    assert [each.rpartition(":")[2] for each in found] == [
        # Steps of money: 1 below 0, 2 at 0, 3 from 1 on, 4 from 4096, 5 from 16384.
        "5.3",
        "5.0",
        "5.3",
        "3.0",
        "3.3",
        "0.3",
    ]
