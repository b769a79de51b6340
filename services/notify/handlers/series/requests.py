"""What can be asked of series: each handler decides and appends, and nothing else."""

from collections.abc import Callable, Mapping

from services.notify.domain.series import (
    SERIES,
    DefineSeries,
    SeriesCommand,
    Steering,
    SteerSeries,
    campaigns_of,
    series_stream,
)
from services.notify.handlers.books.campaigns import Entry
from services.notify.handlers.campaigns.requests import Request
from shared.decider import Refused, invalid
from shared.envelope import Causation
from shared.events.campaign import OnStep
from shared.events.series import SeriesDefined
from shared.eventstore import body_hash
from shared.execute import Command as Execution
from shared.execute import Done, Writer


async def define_series(
    writer: Writer,
    request: Request,
    definition: SeriesDefined,
    campaigns: Mapping[str, Entry],
    may_replace: Callable[[int], None],
) -> Done:
    """Give a series its (new) definition. Raises `Refused` that names what is wrong in it."""
    command = DefineSeries(definition, request.at, may_replace)
    _require_for_steps(definition, campaigns)
    return await writer.one(SERIES, _execution(request, definition.series, command))


async def steer_series(writer: Writer, request: Request, name: str, steering: Steering) -> Done:
    """Start, pause, resume or stop a series. Raises `Refused`."""
    command = SteerSeries(name, steering, request.at)
    return await writer.one(SERIES, _execution(request, name, command))


def require_running(definition: SeriesDefined, campaigns: Mapping[str, Entry]) -> None:
    """Raise `Refused` (409) where a campaign of the steps would send nothing."""
    for name in campaigns_of(definition).values():
        entry = campaigns.get(name)
        if entry is None or not entry.campaign.live:
            raise Refused(
                "campaign-not-running",
                409,
                "The campaign does not run.",
                f"start {name} before the series",
            )


def _require_for_steps(definition: SeriesDefined, campaigns: Mapping[str, Entry]) -> None:
    for path, name in campaigns_of(definition).items():
        entry = campaigns.get(name)
        known = None if entry is None else entry.campaign.definition
        if known is None or not isinstance(known.trigger, OnStep):
            raise invalid(path, "names a campaign whose trigger is `on_step`")


def _execution(request: Request, name: str, command: SeriesCommand) -> Execution[SeriesCommand]:
    stream = series_stream(name)
    return Execution(
        id=request.command_id,
        hash=body_hash([name, request.body]),
        stream=stream,
        key=stream,
        body=command,
        causation=Causation(correlation=request.command_id),
    )
