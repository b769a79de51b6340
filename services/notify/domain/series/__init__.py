"""Series: steps with waits, branches and exits, and each customer's way through them. Pure."""

from services.notify.domain.series.became import NOT_YET, SHOWS, Became
from services.notify.domain.series.course import (
    SERIES,
    Awaited,
    Course,
    DefineSeries,
    Series,
    SeriesCommand,
    SeriesState,
    SeriesVersion,
    Steering,
    SteerSeries,
    Turn,
    mark_of,
    series_stream,
)
from services.notify.domain.series.definition import campaigns_of
from services.notify.domain.series.going import (
    NOTHING_KNOWN,
    Said,
    Surroundings,
    occurrence_of_step,
    series_of,
)
from services.notify.domain.series.journey import (
    JOURNEY,
    GoOn,
    JourneyCommand,
    NoteSign,
    journey_stream,
)
from services.notify.domain.series.standing import Journey, Note, Standing

__all__ = [
    "JOURNEY",
    "NOTHING_KNOWN",
    "NOT_YET",
    "SERIES",
    "SHOWS",
    "Awaited",
    "Became",
    "Course",
    "DefineSeries",
    "GoOn",
    "Journey",
    "JourneyCommand",
    "Note",
    "NoteSign",
    "Said",
    "Series",
    "SeriesCommand",
    "SeriesState",
    "SeriesVersion",
    "Standing",
    "SteerSeries",
    "Steering",
    "Surroundings",
    "Turn",
    "campaigns_of",
    "journey_stream",
    "mark_of",
    "occurrence_of_step",
    "series_of",
    "series_stream",
]
