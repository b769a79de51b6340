"""How files of customers are read: what their columns can be, and what is suggested."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from services.customer.domain.importing.columns import (
    CONSENTS,
    ColumnUse,
    FileReading,
    require_readable,
    targets,
)
from services.customer.handlers.configuration import ConfigurationBook
from shared.access import Kind, Principal, scope
from shared.importing import Draft
from shared.tables import Survey
from shared.tables.suggesting import Suggestion, suggest

IMPORT, DRY_RUN = "customer-import", "customer-import-dry-run"


@dataclass(frozen=True, slots=True)
class CustomerFiles:
    """The `Reader` of files of customers; custom fields are those that live now."""

    book: ConfigurationBook
    kind: str = IMPORT
    dry_run: str = DRY_RUN

    def stored(self, raw: Mapping[str, Any]) -> Draft[FileReading]:
        """A draft as it was stored."""
        return msgspec.convert(raw, Draft[FileReading])

    async def suggested(
        self,
        found: Survey,
        about: str,  # noqa: ARG002 - all files here are of customers
    ) -> tuple[FileReading, Sequence[Suggestion]]:
        """What is suggested, but consents: that somebody agreed is for a person to say."""
        sample = [row.cells for row in found.sample]
        suggestions = suggest(found.header, sample, targets(await self.book.fresh()))
        uses = {each.column: each.target for each in suggestions if each.target not in CONSENTS}
        columns = tuple(
            ColumnUse(uses[place]) if place in uses else None for place in range(len(found.header))
        )
        return FileReading(columns=columns), suggestions

    def changed(
        self,
        reading: FileReading,  # noqa: ARG002 - a mapping says everything anew
        columns: tuple[ColumnUse | None, ...],
        how: Mapping[str, Any],
    ) -> FileReading:
        """The reading that a mapping says."""
        return FileReading(columns=columns, **how)

    async def require(self, reading: FileReading, header: Sequence[str]) -> None:
        """Raise `Refused` (422) that names each column that cannot be what it is said to be."""
        require_readable(reading, header, await self.book.fresh())

    def branches(self, calling: Principal) -> list[str] | None:
        """The branches whose customers rows may touch."""
        branches = scope(calling, Kind.CUSTOMER).branches
        return None if branches is None else sorted(branches)
