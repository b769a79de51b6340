"""The year that the demo sends, as a whole: what the data says of itself."""

from collections.abc import Iterator
from typing import Any

from deploy.demo.dataset import load


def test_the_whole_year_has_its_households_receipts_and_cents() -> None:
    data = load(None)
    # Counted once from the package's files: households with receipts, baskets, sales in cents.
    assert len(data.households) == 2_469
    assert totals(data.receipts()) == (155_848, 459_603_958)


def totals(receipts: Iterator[dict[str, Any]]) -> tuple[int, int]:
    """Receipts, and the sum of their lines."""
    count = cents = 0
    for receipt in receipts:
        count += 1
        cents += sum(line["amount"] for line in receipt["lines"])
    return count, cents


def test_of_the_smallest_households_those_divisible_by_5_have_not_agreed_to_mail() -> None:
    customers = list(load(5).customers())
    ids = [int(customer["identifiers"][0]["value"]) for customer in customers]
    assert ids == [1, 2, 3, 4, 5]
    assert [bool(customer["consents"]) for customer in customers] == [True] * 4 + [False]
