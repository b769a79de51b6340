"""The tree of product categories as the service's own store has it, never older than a second."""

from dataclasses import dataclass, field

from services.interaction.domain.product_categories import (
    CATEGORIES,
    CATEGORY_STREAM,
    CategoryTree,
)
from shared.eventstore import Head
from shared.execute import Writer
from shared.freshness import Freshness

OLDEST_SECONDS = 1.0


@dataclass(slots=True)
class CategoryBook:
    """The tree; the head is asked for at most each second, and the stream read when it has grown.

    Raises `StoreUnavailable`, as all of its questions do.
    """

    writer: Writer
    _known: CategoryTree = field(default_factory=CategoryTree)
    _freshness: Freshness = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._freshness = Freshness(self._read, OLDEST_SECONDS)

    async def fresh(self) -> CategoryTree:
        """The tree as it was within the last second."""
        await self._freshness.ensure()
        return self._known

    def forget(self) -> None:
        """Somebody has changed it here: who asks next, sees it."""
        self._freshness.forget()

    async def _read(self) -> None:
        heads = await self.writer.store.heads([CATEGORY_STREAM])
        if heads.get(CATEGORY_STREAM, Head()).version != self._known.version:
            self._known, _ = await self.writer.state(CATEGORIES, CATEGORY_STREAM)
