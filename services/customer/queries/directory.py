"""Questions to the customer list: one customer, a page in any order, a count.

Every page and count is narrowed to the caller's branches; a full identifier finds anyone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.filters import Filter, Sorting
from services.customer.projections.directory import DirectoryEntry
from services.customer.projections.directory.keys import COLUMNS, CUSTOM_KEY
from services.customer.queries.clauses import Between, Clause, clauses_of, shelf_of
from services.customer.queries.estimating import Walk
from services.customer.queries.sampling import Sampler, everything
from services.customer.queries.walking import Walker
from shared.access import Scope
from shared.decider import invalid
from shared.identifiers import KnownIdentifier
from shared.mongo import Collection

CUSTOM = "custom."
NOTHING = Configuration()
BY_NAME = Sorting()


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the list, and where the next one begins (None: nowhere)."""

    entries: list[DirectoryEntry]
    after: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """What of the list is asked for, by whom."""

    where: Filter
    sorting: Sorting
    scope: Scope
    now: Configuration = NOTHING


@dataclass(slots=True)
class Directory:
    """Questions to the customer list."""

    collection: Collection
    sampler: Sampler = field(init=False)

    def __post_init__(self) -> None:
        """One sample serves all questions."""
        self.sampler = Sampler(self.collection)

    async def get(self, customer: str) -> DirectoryEntry | None:
        """One customer who was registered, also one who was merged or erased since."""
        raw = await self.collection.get(customer)
        if raw is None:
            return None
        entry = msgspec.convert(raw, DirectoryEntry)
        return entry if entry.registered_at is not None or entry.erased else None

    async def several(self, customers: Sequence[str]) -> Mapping[str, DirectoryEntry]:
        """Those of the customers that there are, by id."""
        found = await self.collection.find({"_id": {"$in": list(customers)}})
        return {raw["_id"]: msgspec.convert(raw, DirectoryEntry) for raw in found}

    async def find(self, identifier: KnownIdentifier) -> DirectoryEntry | None:
        """The customer that a full identifier finds, in whatever branch."""
        found = await self.collection.find({"found_by": identifier.claim_id}, limit=1)
        return msgspec.convert(found[0], DirectoryEntry) if found else None

    async def version(self, customer: str, stream: str) -> int:
        """The version of the customer's stream that the list has."""
        raw = await self.collection.get(customer)
        return 0 if raw is None else msgspec.convert(raw, DirectoryEntry).versions.get(stream, 0)

    async def page(
        self,
        scope: Scope,
        after: str | None,
        limit: int,
        listing: Listing | None = None,
    ) -> Page:
        """Customers from `after` (a key of the column) on; by name, where nothing else is asked."""
        listing = listing or Listing(Filter(), BY_NAME, scope)
        walk = walk_of(listing, after)
        sample = await self.sampler.sample()
        found = await Walker(self.collection).page(sample, walk, limit + 1)
        entries = [msgspec.convert(raw, DirectoryEntry) for raw in found[:limit]]
        column = walk.span.path.partition(".")[2]
        return Page(entries, entries[-1].sort[column] if len(found) > limit else None)

    async def count(self, scope: Scope, listing: Listing | None = None) -> int:
        """How many there are, counted up to one more than 10,000."""
        walk = walk_of(listing or Listing(Filter(), BY_NAME, scope), None)
        return await Walker(self.collection).count(await self.sampler.sample(), walk)


def walk_of(listing: Listing, after: str | None) -> Walk:
    """The clauses and the span of a question. Raises `Refused` that names the wrong part."""
    sorting = listing.sorting
    path = f"sort.{_column_key(sorting, listing.now)}"
    shelf = shelf_of(listing.where)
    span = everything(path, shelf)
    clauses: list[Clause] = []
    for clause in clauses_of(listing.where, listing.scope, listing.now):
        if isinstance(clause, Between) and clause.path == path:
            span = Between(path, max(span.low, clause.low), min(span.high, clause.high))
        else:
            clauses.append(clause)
    if after is not None:
        # No key begins with another one: the blank stands between it and the next.
        low = span.low if sorting.descending else max(span.low, after + " ")
        high = min(span.high, after) if sorting.descending else span.high
        span = Between(path, low, high)
    return Walk(clauses, span, sorting.descending)


def _column_key(sorting: Sorting, now: Configuration) -> str:
    column = sorting.column
    if column in COLUMNS:
        return column
    name = column.removeprefix(CUSTOM)
    if column.startswith(CUSTOM) and name in sortable_fields(now):
        return CUSTOM_KEY + name
    raise invalid("sort.column", "the list cannot be sorted by this")


MOST_CUSTOM_INDEXES = 16
"""Of custom fields that the list can be sorted by: the first ones that were defined."""


def sortable_fields(now: Configuration) -> Sequence[str]:
    """The custom fields that have an index: one value each, and not too many fields."""
    single = [name for name, each in now.fields.living() if each.kind != "multi_list"]
    return single[:MOST_CUSTOM_INDEXES]
