"""What can be done with the catalogue: load, decide, append, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.interaction.domain.product_categories import (
    CATEGORIES,
    CATEGORY_STREAM,
    CategoryCommand,
)
from services.interaction.domain.products import PRODUCTS, ProductCommand, product_stream
from services.interaction.queries.product_categories import CategoryBook
from shared.decider import Refused
from shared.envelope import Causation
from shared.execute import Command, Done, Outcome, Writer


@dataclass(frozen=True, slots=True)
class Asked:
    """Under which id a change of a product is asked for, and a hash of what was asked."""

    command_id: str
    hash: str
    command: ProductCommand


@dataclass(frozen=True, slots=True)
class AskedOfTree:
    """The same of a category."""

    command_id: str
    hash: str
    command: CategoryCommand


async def change_products(writer: Writer, asked: Sequence[Asked]) -> Sequence[Outcome]:
    """Change products, each with its own outcome. Raises `StoreUnavailable`."""
    return await writer.many(PRODUCTS, [_of_product(each) for each in asked]) if asked else []


async def change_product(writer: Writer, asked: Asked) -> Done:
    """Change one product. Raises its refusal, `StoreUnavailable`."""
    return await writer.one(PRODUCTS, _of_product(asked))


async def change_categories(book: CategoryBook, asked: Sequence[AskedOfTree]) -> Sequence[Outcome]:
    """Change the tree in order, each change with its own outcome; who asks next, sees it."""
    try:
        commands = [_of_tree(each) for each in asked]
        return await book.writer.many(CATEGORIES, commands) if commands else []
    finally:
        book.forget()


async def change_category(book: CategoryBook, asked: AskedOfTree) -> Done:
    """Change one category. Raises its refusal, `StoreUnavailable`."""
    (outcome,) = await change_categories(book, [asked])
    if isinstance(outcome, Refused):
        raise outcome
    return outcome


def _of_product(asked: Asked) -> Command[ProductCommand]:
    stream = product_stream(asked.command.product)
    return Command(
        id=asked.command_id,
        hash=asked.hash,
        stream=stream,
        key=stream,
        body=asked.command,
        causation=Causation(correlation=asked.command_id),
    )


def _of_tree(asked: AskedOfTree) -> Command[CategoryCommand]:
    return Command(
        id=asked.command_id,
        hash=asked.hash,
        stream=CATEGORY_STREAM,
        key=CATEGORY_STREAM,
        body=asked.command,
        causation=Causation(correlation=asked.command_id),
    )
