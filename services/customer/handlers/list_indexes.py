"""Indexes of custom fields, which come to be at run time, and so do their columns' orders."""

from dataclasses import dataclass, field
from functools import partial

import structlog

from services.customer.handlers.configuration import ConfigurationBook
from services.customer.projections.directory.keys import CUSTOM_KEY
from services.customer.queries.directory import Directory, sortable_fields
from shared.recurring import again_and_again

FOLLOW_SECONDS = 5.0

log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class ListIndexes:
    """Makes sure that the list can be sorted by the custom fields that it offers."""

    book: ConfigurationBook
    directory: Directory
    _made: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Follow the configuration until cancelled."""
        await again_and_again(
            self.settle, FOLLOW_SECONDS, partial(log.warning, "indexes of the list wait")
        )

    async def settle(self) -> None:
        """Make the indexes that are missing; one that is there already is left alone."""
        wanted = set(sortable_fields(await self.book.fresh())) - self._made
        for name in sorted(wanted):
            index = ((f"sort.{CUSTOM_KEY}{name}", 1),)
            await self.directory.collection.create_indexes([index])
            self._made.add(name)
