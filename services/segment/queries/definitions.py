"""Questions to the definitions of segments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.segment.domain import Segment, evolve, segment_stream
from shared.decider import Decider, not_found
from shared.envelope import decode
from shared.events import EVENT_TYPES
from shared.events.contract import EventData
from shared.events.segment import SegmentDefined
from shared.eventstore import Commit
from shared.execute import Writer

_SEGMENT: Decider[None, Segment] = Decider(Segment, lambda _command, _state: (), evolve)


@dataclass(frozen=True, slots=True)
class Defined:
    """A segment with the version of its stream."""

    name: str
    version: int
    segment: Segment


@dataclass(frozen=True, slots=True)
class Definitions:
    """Questions to the definitions, which are few and read from the log itself."""

    writer: Writer

    async def get(self, name: str) -> Defined | None:
        """One segment; None when there is none."""
        stream = segment_stream(name)
        state, version = await self.writer.state(_SEGMENT, stream)
        return Defined(name, version, state) if version else None

    async def require(self, name: str) -> Defined:
        """One segment. Raises `Refused` (404) when there is none."""
        defined = await self.get(name)
        if defined is None:
            raise not_found("segment", name)
        return defined

    async def moments(self, name: str) -> Mapping[int, datetime]:
        """When each version of a definition was defined."""
        stream = segment_stream(name)
        commits = (await self.writer.store.read([stream])).get(stream, ())
        events = [decode(text) for commit in commits for text in commit.events]
        moments = {}
        for event in events:
            if event.type == SegmentDefined.type:
                data = SegmentDefined.model_validate_json(bytes(event.data))
                moments[data.definition] = datetime.fromisoformat(event.time)
        return moments

    async def all(self) -> Sequence[Defined]:
        """All segments by name, archived ones too."""
        store = self.writer.store
        return defined_by(await store.read(await store.names(segment_stream(""))))


def defined_by(streams: Mapping[str, Sequence[Commit]]) -> Sequence[Defined]:
    """The segments whose streams are among these, by name, archived ones too."""
    begin = segment_stream("")
    return [
        Defined(name.removeprefix(begin), commits[-1].version, _SEGMENT.fold(_told(commits)))
        for name, commits in sorted(streams.items())
        if name.startswith(begin)
    ]


def _told(commits: Sequence[Commit]) -> Sequence[EventData]:
    envelopes = [decode(text) for commit in commits for text in commit.events]
    return [EVENT_TYPES[each.type].model_validate_json(bytes(each.data)) for each in envelopes]
