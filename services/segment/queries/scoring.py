"""Questions to tables of cut points: what they mean, who stands where in them.

Tables are few and read from the log itself. Who stands where is read from the profiles, with the
very window that rules look through, so that an answer here is what a rule would say.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from services.segment.domain.tables import TableState, evolve, table_stream
from services.segment.engine.profile import Profile, take_view
from services.segment.queries.profiles import Profiles
from services.segment.rules.evaluating.rfm import window
from services.segment.rules.tables import Cuts, Figures, Table
from shared.decider import Decider, not_found
from shared.execute import Writer

RANGE = 500
_TABLE: Decider[None, TableState] = Decider(TableState, lambda _command, _state: (), evolve)


@dataclass(frozen=True, slots=True)
class Tables:
    """Questions to the definitions of tables."""

    writer: Writer

    async def require(self, name: str) -> TableState:
        """One table. Raises `Refused` (404) when there is none."""
        state, version = await self.writer.state(_TABLE, table_stream(name))
        if not version:
            raise not_found("table", name)
        return state

    async def all(self) -> Mapping[str, TableState]:
        """All tables by name."""
        names = await self.writer.store.names(table_stream(""))
        histories = await self.writer.histories(names)
        return {
            name.removeprefix(table_stream("")): _TABLE.fold(events)
            for name, (events, _) in sorted(histories.items())
        }


@dataclass(slots=True)
class InCell:
    """How many customers have these scores, and what they spent within the look-back."""

    customers: int = 0
    turnover: int = 0


@dataclass(frozen=True, slots=True)
class Scoring:
    """Questions to who stands where."""

    profiles: Profiles

    async def base(self, table: Table, at: int) -> AsyncIterator[Sequence[Figures]]:
        """The figures of all customers with a receipt, in ranges of their ids."""
        async for found in self.profiles.ranges(None, RANGE):
            seen = (figures_of(profile, table, at) for profile in found)
            yield [figures for figures in seen if figures is not None]

    async def all(self, table: Table, at: int) -> Sequence[Figures]:
        """The same at once: three numbers for each."""
        return [figures async for part in self.base(table, at) for figures in part]


def figures_of(profile: Profile, table: Table, at: int) -> Figures | None:
    """The figures of a customer; None of one without a receipt, or who is nobody by now."""
    if profile.removed or profile.away or profile.crowded:
        return None
    seen = window(table, take_view(profile), at)
    return None if seen is None else seen.figures


def cells_of(base: Sequence[Figures], cuts: Cuts) -> Mapping[str, InCell]:
    """The cells that anybody is in."""
    cells: defaultdict[str, InCell] = defaultdict(InCell)
    for figures in base:
        cell = cells[cuts.scores(figures).cell]
        cell.customers += 1
        cell.turnover += figures.spent
    return dict(sorted(cells.items(), reverse=True))
