"""All series as this service's own store has them, at every moment of theirs.

A stop has to act at once, and what was due in a pause must not be done, so neither is learnt by way
of Kafka.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from services.notify.domain.series import (
    SERIES,
    Course,
    Series,
    SeriesVersion,
    Turn,
    series_stream,
)
from services.notify.handlers.books.named import NamedBook
from shared.envelope import Causation, decode
from shared.events import EVENT_TYPES
from shared.events.series import SeriesDefined
from shared.eventstore import Commit


@dataclass(frozen=True, slots=True)
class SeriesEntry:
    """A series, by its name: as it is, and its course up to now.

    `causes` are, by the number of a definition, what follows from that definition alone goes on
    from.
    """

    name: str
    series: Series
    course: Course
    causes: Mapping[int, Causation] = field(default_factory=dict)

    @property
    def version(self) -> int:
        """How many events of its stream it has seen."""
        return self.series.version


class SeriesBook(NamedBook[SeriesEntry]):
    """Every series by name."""

    kind: ClassVar[str] = "series"
    prefix: ClassVar[str] = series_stream("")

    def _entry(self, name: str, commits: Sequence[Commit]) -> SeriesEntry:
        return _entry(name, commits)


def _entry(name: str, commits: Sequence[Commit]) -> SeriesEntry:
    series, versions, turns, causes = SERIES.initial(), [], [], {}
    for commit in commits:
        for text in commit.events:
            envelope = decode(text)
            data = EVENT_TYPES[envelope.type].model_validate_json(bytes(envelope.data))
            series = SERIES.evolve(series, data)
            # What is recorded is known to whoever reads after W has passed it, what happened not.
            at = datetime.fromisoformat(envelope.recordedtime)
            if isinstance(data, SeriesDefined):
                versions.append(SeriesVersion(series.version, at, data))
                depth = envelope.causedepth + 1
                causes[series.version] = Causation(envelope.correlationid, envelope.id, depth)
            else:
                turns.append(Turn(at, series.state))
    return SeriesEntry(name, series, Course(tuple(versions), tuple(turns)), causes)
