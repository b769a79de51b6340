"""How files of facts are read: what their columns can be, and what is suggested."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from services.interaction.handlers.importing.columns import (
    SHAPES,
    FactReading,
    require_readable,
    targets,
)
from shared.access import Kind, Permission, Principal, scope
from shared.decider import invalid
from shared.importing import Draft
from shared.tables import Survey
from shared.tables.suggesting import Suggestion, suggest

IMPORT, DRY_RUN = "fact-import", "fact-import-dry-run"


@dataclass(frozen=True, slots=True)
class FactFiles:
    """The `Reader` of files of facts."""

    kind: str = IMPORT
    dry_run: str = DRY_RUN

    def stored(self, raw: Mapping[str, Any]) -> Draft[FactReading]:
        """A draft as it was stored."""
        return msgspec.convert(raw, Draft[FactReading])

    async def suggested(
        self, found: Survey, about: str
    ) -> tuple[FactReading, Sequence[Suggestion]]:
        """What is suggested for facts of the kind `about`. Raises `Refused` (422)."""
        if about not in SHAPES:
            raise invalid("facts", f"one of {', '.join(SHAPES)}")
        sample = [row.cells for row in found.sample]
        suggestions = suggest(found.header, sample, targets(SHAPES[about]))
        uses = {each.column: each.target for each in suggestions}
        columns = tuple(uses.get(place) for place in range(len(found.header)))
        return FactReading(facts=about, columns=columns), suggestions

    def changed(
        self,
        reading: FactReading,
        columns: tuple[str | None, ...],
        how: Mapping[str, Any],
    ) -> FactReading:
        """The reading that a mapping says, of facts of the same kind."""
        return FactReading(facts=reading.facts, columns=columns, **how)

    async def require(self, reading: FactReading, header: Sequence[str]) -> None:
        """Raise `Refused` (422) that names each column that cannot be what it is said to be."""
        require_readable(reading, header)

    def branches(self, calling: Principal) -> list[str] | None:
        """The branches whose facts the caller may record. Raises `Refused` (403)."""
        calling.require(Permission.FACTS_WRITE)
        branches = scope(calling, Kind.FACT).branches
        return None if branches is None else sorted(branches)
