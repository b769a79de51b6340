"""Imports of facts, from their own streams."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.interaction.domain.imports import IMPORT_STREAM, IMPORTS, Import, import_stream_of
from shared.execute import Writer


@dataclass(frozen=True, slots=True)
class KnownImport:
    """An import with its id and the version of its stream."""

    id: str
    state: Import
    version: int


@dataclass(frozen=True, slots=True)
class Imports:
    """Imports, from their own streams.

    Ended ones never change again and are remembered, so that to look for open ones stays cheap.
    """

    writer: Writer
    _ended: set[str] = field(default_factory=set)

    async def get(self, import_id: str) -> KnownImport | None:
        """One import; None when it was never begun."""
        state, version = await self.writer.state(IMPORTS, import_stream_of(import_id))
        return KnownImport(import_id, state, version) if state.begun else None

    async def after(self, import_id: str | None, limit: int) -> Sequence[KnownImport]:
        """Imports by id, from the one after this on."""
        names = await self.writer.store.names(IMPORT_STREAM)
        after = "" if import_id is None else import_stream_of(import_id)
        return await self._folded([name for name in names if name > after][:limit])

    async def open(self) -> Sequence[str]:
        """The ids of those that were begun and have not ended."""
        names = await self.writer.store.names(IMPORT_STREAM)
        folded = await self._folded([name for name in names if name not in self._ended])
        self._ended.update(import_stream_of(each.id) for each in folded if not each.state.open)
        return [each.id for each in folded if each.state.open]

    async def _folded(self, streams: Sequence[str]) -> Sequence[KnownImport]:
        histories = await self.writer.histories(streams) if streams else {}
        return [
            KnownImport(stream.removeprefix(IMPORT_STREAM), IMPORTS.fold(events), head.version)
            for stream in streams
            if stream in histories
            for events, head in [histories[stream]]
        ]
