"""Which generation of profiles is being folded: one note, that all workers go by.

The note is written behind its revision, so of two workers that find at once that another generation
is due, one is right; and it is kept, so that a worker which was killed goes on with the same.
"""

from dataclasses import dataclass
from datetime import datetime

from services.segment.domain.rebuild import Rebuild, due
from services.segment.queries.brake import Base
from services.segment.rules.ruleset import RuleSet
from shared.readmodel import Documents, RawDocument

NOTE = "profiles"


@dataclass(frozen=True, slots=True)
class Rebuilds:
    """The note, and what it is to be."""

    notes: Documents
    base: Base

    async def present(self) -> Rebuild:
        """The generation that there is."""
        return _rebuild((await self.notes.load([NOTE])).get(NOTE))

    async def settle(self, rules: RuleSet, now: datetime) -> Rebuild:
        """Begin or end a generation where that is due; gives what there is then.

        One ends only when everybody has taken up the rules, since who has not may lack something.
        """
        raw = (await self.notes.load([NOTE])).get(NOTE)
        here = _rebuild(raw)
        lacking = await self.base.lacking(rules.needs.keys(), limit=1)
        wanted = due(here, rules, lacking, now)
        late = not wanted.active and await self.base.oldest() < rules.number
        if wanted == here or late:
            return here
        await self.notes.write([_note(wanted, 1 if raw is None else raw["rev"] + 1)])
        return await self.present()


def _rebuild(raw: RawDocument | None) -> Rebuild:
    if raw is None:
        return Rebuild()
    fields = ("generation", "span", "begun", "active", "since", "number")
    return Rebuild(**{name: raw[name] for name in fields})


def _note(rebuild: Rebuild, rev: int) -> RawDocument:
    return {
        "_id": NOTE,
        "rev": rev,
        "generation": rebuild.generation,
        "span": rebuild.span,
        "begun": rebuild.begun,
        "active": rebuild.active,
        "since": rebuild.since,
        "number": rebuild.number,
    }
