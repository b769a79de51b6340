"""What can be asked of campaigns: each handler decides and appends, and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from services.notify.domain import (
    CAMPAIGN,
    BeginRun,
    CampaignCommand,
    DefineCampaign,
    FinishCampaign,
    FreezeAudience,
    PauseCampaign,
    ResumeCampaign,
    StartCampaign,
    StopCampaign,
    campaign_stream,
)
from services.notify.handlers.letters.writing import check
from shared.envelope import Causation
from shared.events.campaign import CampaignDefined
from shared.eventstore import body_hash
from shared.execute import Command as Execution
from shared.execute import Done, Writer


@dataclass(frozen=True, slots=True)
class Request:
    """Under which id something is asked for, the JSON that was asked, and when."""

    command_id: str
    body: object
    at: datetime


async def define(
    writer: Writer,
    request: Request,
    definition: CampaignDefined,
    may_replace: Callable[[int], None],
) -> Done:
    """Give a campaign its (new) definition. Raises `Refused` that names what is wrong in it."""
    check(definition)
    command = DefineCampaign(definition, request.at, may_replace)
    return await writer.one(CAMPAIGN, _execution(request, definition.campaign, command))


async def start(writer: Writer, request: Request, name: str) -> Done:
    """Let messages of a campaign go out; of a broadcast this is the next run."""
    command = StartCampaign(name, request.at)
    return await writer.one(CAMPAIGN, _execution(request, name, command))


async def pause(writer: Writer, request: Request, name: str) -> Done:
    """Hand over nothing of a campaign until it is resumed."""
    command = PauseCampaign(name, request.at)
    return await writer.one(CAMPAIGN, _execution(request, name, command))


async def resume(writer: Writer, request: Request, name: str) -> Done:
    """Let go out what a campaign has kept back since its pause."""
    command = ResumeCampaign(name, request.at)
    return await writer.one(CAMPAIGN, _execution(request, name, command))


async def stop(writer: Writer, request: Request, name: str) -> Done:
    """Hand over nothing of a campaign any more."""
    command = StopCampaign(name, request.at)
    return await writer.one(CAMPAIGN, _execution(request, name, command))


async def begin_run(writer: Writer, name: str, due: datetime) -> Done:
    """Begin the run of a moment of a campaign's calendar; it begins once."""
    request = Request(f"run|{name}|{due.isoformat()}", None, writer.clock.now())
    command = BeginRun(name, request.at, due)
    return await writer.one(CAMPAIGN, _execution(request, name, command))


async def freeze(writer: Writer, name: str, run: int, size: int, why: Causation) -> Done:
    """Say that every member of a run has its message; the first one to say so counts."""
    request = Request(f"audience|{name}|{run}", None, writer.clock.now())
    command = FreezeAudience(name, run, size, request.at)
    return await writer.one(CAMPAIGN, _execution(request, name, command, why))


async def finish(writer: Writer, name: str, version: int, run: int | None) -> Done:
    """Note that a campaign has come to its end: at its `end` (no run), or with a run's last word.

    `version` is that of the campaign in which this was seen.
    """
    request = Request(f"finish|{name}|{version}", run, writer.clock.now())
    command = FinishCampaign(name, request.at, run)
    return await writer.one(CAMPAIGN, _execution(request, name, command))


def _execution(
    request: Request, name: str, command: CampaignCommand, why: Causation | None = None
) -> Execution[CampaignCommand]:
    stream = campaign_stream(name)
    return Execution(
        id=request.command_id,
        hash=body_hash([name, request.body]),
        stream=stream,
        key=stream,
        body=command,
        causation=why or Causation(correlation=request.command_id),
    )
