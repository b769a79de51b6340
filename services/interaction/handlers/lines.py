"""Lines keep what was true when they were sold: the categories of the product, and its cost."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Protocol, TypeVar

from shared.events.hot import HotLine, HotReceipt
from shared.events.interaction import Fact, OrderChanged, OrderLine, ReceiptLine, ReceiptRecorded

LARGEST_COST = 10**12
"""Of a line, in minor units. A larger one is a slip of a quantity, and too large to be added up."""


class Snapshot(Protocol):
    """What the catalogue knows of a product; `cost` of one piece, in minor units."""

    @property
    def path(self) -> tuple[str, ...]:
        """The ids of its categories, from the root of the tree."""
        ...

    @property
    def cost(self) -> int | None:
        """Of one, in minor units."""
        ...


Snapshots = Callable[[Collection[str]], Awaitable[Mapping[str, Snapshot]]]
"""Gives what the catalogue knows of those products that it has."""


async def no_snapshots(_products: Collection[str]) -> Mapping[str, Snapshot]:
    """A catalogue without products."""
    return {}


AnyFact = Fact | HotReceipt
LineT = TypeVar("LineT", ReceiptLine, HotLine)


async def with_lines(snapshots: Snapshots, facts: Sequence[AnyFact]) -> Sequence[AnyFact]:
    """The facts, their lines with what the catalogue says; one question for all of them."""
    products = {
        line.product
        for fact in facts
        if isinstance(fact, HotReceipt | ReceiptRecorded | OrderChanged)
        for line in fact.lines or ()
    }
    known = await snapshots(products) if products else {}
    return [_completed(fact, known) for fact in facts] if known else facts


def _completed(fact: AnyFact, known: Mapping[str, Snapshot]) -> AnyFact:
    if isinstance(fact, HotReceipt):
        hot = tuple(_sold(line, known.get(line.product)) for line in fact.lines)
        return fact.with_values(lines=hot)
    if isinstance(fact, ReceiptRecorded):
        receipt = tuple(_sold(line, known.get(line.product)) for line in fact.lines)
        return fact.with_values(lines=receipt)
    if isinstance(fact, OrderChanged) and fact.lines is not None:
        order = tuple(_ordered(line, known.get(line.product)) for line in fact.lines)
        return fact if order == fact.lines else fact.model_copy(update={"lines": order})
    return fact


def _sold(line: LineT, product: Snapshot | None) -> LineT:
    """The source's own word counts more than the catalogue's."""
    if product is None:
        return line
    update: dict[str, object] = {}
    if line.categories is None and product.path:
        update["categories"] = product.path
    if line.cost is None and product.cost is not None:
        cost = _rounded(Decimal(line.quantity) * product.cost)
        if abs(cost) <= LARGEST_COST:
            update["cost"] = cost
    return line.with_values(**update) if update else line


def _ordered(line: OrderLine, product: Snapshot | None) -> OrderLine:
    if product is None or line.categories is not None or not product.path:
        return line
    return line.model_copy(update={"categories": product.path})


def _rounded(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_HALF_EVEN))
