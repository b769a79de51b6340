"""Everything of one kind as this service's own store has it, by name, never older than a second."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic, Protocol, TypeVar

from shared.decider import not_found
from shared.eventstore import Commit, EventStore
from shared.freshness import Freshness

OLDEST_SECONDS = 1.0


class Entered(Protocol):
    """What a book has of one: it counts the events of its stream."""

    @property
    def name(self) -> str:
        """By which it is asked for."""
        ...

    @property
    def version(self) -> int:
        """How many events it has seen."""
        ...


EntryT = TypeVar("EntryT", bound=Entered)


@dataclass(slots=True)
class NamedBook(Generic[EntryT]):
    """All whose streams begin with `prefix`; only streams that have grown are read again."""

    kind: ClassVar[str]
    prefix: ClassVar[str]

    store: EventStore
    _entries: Mapping[str, EntryT] = field(default_factory=dict)
    _freshness: Freshness = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._freshness = Freshness(self._read, OLDEST_SECONDS)

    async def fresh(self) -> Mapping[str, EntryT]:
        """All as they were within the last second. Raises `StoreUnavailable`."""
        await self._freshness.ensure()
        return self._entries

    async def now(self) -> Mapping[str, EntryT]:
        """All as they are. Raises `StoreUnavailable`."""
        await self._freshness.renew()
        return self._entries

    async def require(self, name: str) -> EntryT:
        """One as it is now. Raises `Refused` (404), `StoreUnavailable`."""
        entry = (await self.now()).get(name)
        if entry is None:
            raise not_found(self.kind, name)
        return entry

    def _entry(self, name: str, commits: Sequence[Commit]) -> EntryT:
        """What the stream of that name has become."""
        raise NotImplementedError

    async def _read(self) -> None:
        names = await self.store.names(self.prefix)
        heads = await self.store.heads(names) if names else {}
        grown = [
            stream
            for stream, head in heads.items()
            if (known := self._entries.get(stream.removeprefix(self.prefix))) is None
            or known.version != head.version
        ]
        if grown:
            commits = await self.store.read(grown)
            changed = [
                self._entry(stream.removeprefix(self.prefix), found)
                for stream, found in commits.items()
            ]
            self._entries = {**self._entries, **{entry.name: entry for entry in changed}}
