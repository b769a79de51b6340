"""Campaigns: how they stand, and what changes that.

    draft → running ⇄ paused → stopped | finished → running, as a next run

What tells the occasions of a campaign apart (its trigger, its start and its channel) is fixed by
its first start: messages are named after their occasion, and a changed one would name other
messages for what has been said already.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, assert_never

from services.notify.domain.definition import checked, occasion_of
from shared.decider import Decider, NewEvent, Refused, not_found
from shared.events.campaign import (
    AnyBroadcast,
    AudienceFrozen,
    CampaignDefined,
    CampaignDefinedV1,
    CampaignFinished,
    CampaignPaused,
    CampaignResumed,
    CampaignRunBegan,
    CampaignStarted,
    CampaignStopped,
    OnCalendar,
)
from shared.events.contract import EventData

FIRST_RUN = 1
_RUN = "run-"

CampaignState = Literal["draft", "running", "paused", "stopped", "finished"]
Ending = Literal["ended", "complete"]
Closed = Literal["campaign_stopped", "campaign_ended"]
"""Why nothing of a campaign goes out any more: a person stopped it, or its end has come."""


def campaign_stream(name: str) -> str:
    """The stream of a campaign."""
    return f"campaign-{name}"


def occurrence_of_run(run: int) -> str:
    """The occurrence of a broadcast for all its customers: its run."""
    return f"{_RUN}{run}"


def occurrence_of_entering(segment: str, version: int) -> str:
    """The occurrence of an entering: the version of the transition in the membership stream."""
    return f"{segment}@{version}"


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as its stream has it.

    `version` counts its events; `run` is the last run (0: never started), `frozen_run` the last one
    whose audience is complete (`size` of them), `stopped_run` the last one that was stopped or
    overtaken by the end. `ending` is how it finished, until it is started again; `due` the moment
    of the last run of a calendar.
    """

    version: int = 0
    definition: CampaignDefined | None = None
    state: CampaignState = "draft"
    run: int = 0
    frozen_run: int = 0
    size: int = 0
    stopped_run: int = 0
    ending: Ending | None = None
    due: datetime | None = None

    @property
    def live(self) -> bool:
        """Whether occasions are noted: while it runs, and while it is paused."""
        return self.state in ("running", "paused")

    @property
    def broadcasts(self) -> bool:
        """Whether it speaks once to all members of a segment or list."""
        return self.definition is not None and isinstance(self.definition.trigger, AnyBroadcast)

    @property
    def by_runs(self) -> bool:
        """Whether it speaks to all members of a segment or list, run by run."""
        trigger = None if self.definition is None else self.definition.trigger
        return isinstance(trigger, AnyBroadcast | OnCalendar)

    @property
    def follows(self) -> bool:
        """Whether whoever enters while a broadcast runs gets it too."""
        trigger = None if self.definition is None else self.definition.trigger
        return isinstance(trigger, AnyBroadcast) and trigger.follow

    @property
    def gathering(self) -> bool:
        """Whether members of a run may still lack their messages."""
        return self.live and self.by_runs and self.run > self.frozen_run

    @property
    def frozen(self) -> bool:
        """Whether the present run of a broadcast has found all its members at the start."""
        return self.live and self.broadcasts and self.run == self.frozen_run

    def over(self, at: datetime) -> bool:
        """Whether its end has come by then."""
        end = None if self.definition is None else self.definition.end
        return end is not None and at >= end

    def closed(self, occurrence: str, at: datetime) -> Closed | None:
        """Why a message of this occurrence never goes out any more, if so.

        A stopped run never goes on; what the end overtakes stays unsaid, whoever notes the end.
        """
        if self.ending == "ended" or self.over(at):
            return "campaign_ended"
        if self.by_runs and int(occurrence.removeprefix(_RUN)) <= self.stopped_run:
            return "campaign_stopped"
        return "campaign_stopped" if self.state in ("draft", "stopped") else None


@dataclass(frozen=True, slots=True)
class DefineCampaign:
    """Give a campaign its (new) definition.

    `may_replace` is asked with the present version when there is another one, and may refuse.
    """

    definition: CampaignDefined
    at: datetime
    may_replace: Callable[[int], None] = lambda _version: None


@dataclass(frozen=True, slots=True)
class StartCampaign:
    """Let messages go out; of a broadcast this is the next run."""

    campaign: str
    at: datetime


@dataclass(frozen=True, slots=True)
class BeginRun:
    """Speak to the members by now: a moment of the calendar, `due`, has come."""

    campaign: str
    at: datetime
    due: datetime


@dataclass(frozen=True, slots=True)
class FreezeAudience:
    """Every member of a run has its message: `size` of them."""

    campaign: str
    run: int
    size: int
    at: datetime


@dataclass(frozen=True, slots=True)
class PauseCampaign:
    """Hand over nothing of it until it is resumed."""

    campaign: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ResumeCampaign:
    """Let go out what has waited."""

    campaign: str
    at: datetime


@dataclass(frozen=True, slots=True)
class StopCampaign:
    """Hand over nothing of it any more."""

    campaign: str
    at: datetime


@dataclass(frozen=True, slots=True)
class FinishCampaign:
    """Note that its end has come (`run` is None), or that a run of a broadcast has all outcomes."""

    campaign: str
    at: datetime
    run: int | None = None


CampaignCommand = (
    DefineCampaign
    | StartCampaign
    | BeginRun
    | FreezeAudience
    | PauseCampaign
    | ResumeCampaign
    | StopCampaign
    | FinishCampaign
)


def decide(command: CampaignCommand, state: Campaign) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal."""
    if isinstance(command, DefineCampaign):
        return _define(command, state)
    if state.definition is None:
        kind = "campaign"
        raise not_found(kind, command.campaign)
    if isinstance(command, StartCampaign):
        return _start(command, state, state.definition)
    data = _turn(command, state)
    return () if data is None else (NewEvent(data, command.at),)


def _turn(
    command: BeginRun
    | FreezeAudience
    | PauseCampaign
    | ResumeCampaign
    | StopCampaign
    | FinishCampaign,
    state: Campaign,
) -> EventData | None:
    """What follows for a campaign that there is; None where it stands so already."""
    campaign = command.campaign
    match command:
        case BeginRun(due=due):
            return _begin_run(command, state, due)
        case FreezeAudience(run=run, size=size):
            fits = state.gathering and state.run == run
            return AudienceFrozen(campaign=campaign, run=run, size=size) if fits else None
        case PauseCampaign():
            _require_live(state)
            return CampaignPaused(campaign=campaign) if state.state == "running" else None
        case ResumeCampaign():
            _require_live(state)
            return CampaignResumed(campaign=campaign) if state.state == "paused" else None
        case StopCampaign():
            return CampaignStopped(campaign=campaign) if state.live else None
        case FinishCampaign(run=None, at=at):
            fits = state.live and state.over(at)
            return CampaignFinished(campaign=campaign, reason="ended") if fits else None
        case FinishCampaign(run=run):
            fits = state.frozen and state.run == run and not state.follows
            return CampaignFinished(campaign=campaign, reason="complete") if fits else None
        case _:
            assert_never(command)


def _begin_run(command: BeginRun, state: Campaign, due: datetime) -> EventData | None:
    """Each moment begins one run, and no two runs are gathered at once."""
    free = state.live and state.by_runs and not state.broadcasts and not state.gathering
    if not free or (state.due is not None and due <= state.due):
        return None
    return CampaignRunBegan(campaign=command.campaign, run=state.run + 1, due=due)


def _require_live(state: Campaign) -> None:
    if not state.live:
        raise Refused(
            "campaign-not-running", 409, "The campaign does not run.", f"it is {state.state}"
        )


def _define(command: DefineCampaign, state: Campaign) -> Sequence[NewEvent]:
    definition = checked(command.definition)
    before = state.definition
    if before is not None:
        if definition == before:
            return ()
        command.may_replace(state.version)
        if state.live:
            raise Refused(
                "campaign-running", 409, "The campaign is running.", "stop it, then change it"
            )
        if state.run and occasion_of(definition) != occasion_of(before):
            raise Refused(
                "campaign-fixed",
                409,
                "The campaign was started: its occasion stays.",
                "trigger, channel and start cannot change any more; define another campaign",
            )
    return (NewEvent(definition, command.at),)


def _start(
    command: StartCampaign, state: Campaign, definition: CampaignDefined
) -> Sequence[NewEvent]:
    if state.over(command.at):
        raise Refused("too-late", 409, "The campaign is over.", "its end has come")
    if state.state == "paused":
        raise Refused("campaign-paused", 409, "The campaign is paused.", "resume it, or stop it")
    if not state.broadcasts:
        if state.live:
            return ()
        run = state.run + 1 if state.by_runs else FIRST_RUN
        return (NewEvent(CampaignStarted(campaign=command.campaign, run=run), command.at),)
    if state.gathering:
        raise Refused(
            "audience-gathering",
            409,
            "The last run is still gathering its audience.",
            f"run {state.run} has not found all its members yet",
        )
    if state.live:
        # Asked twice by whoever was not sure, it would reach everybody twice.
        raise Refused(
            "campaign-running",
            409,
            "The campaign is running.",
            f"run {state.run} goes on until every message has its outcome, or it is stopped",
        )
    if command.at < definition.start:
        raise Refused("too-early", 409, "The campaign has not begun.", "its start is still to come")
    return (NewEvent(CampaignStarted(campaign=command.campaign, run=state.run + 1), command.at),)


def evolve(state: Campaign, data: EventData) -> Campaign:
    """The campaign after an event."""
    state = replace(state, version=state.version + 1)
    match data:
        case CampaignDefinedV1():
            return replace(state, definition=data.upcast())
        case CampaignDefined():
            return replace(state, definition=data)
        case CampaignStarted(run=run):
            # The start of a calendar is no run: there is nobody to gather before its first moment.
            frozen = state.frozen_run if state.broadcasts else run
            return replace(state, state="running", run=run, frozen_run=frozen, ending=None)
        case CampaignRunBegan(run=run, due=due):
            return replace(state, run=run, due=due)
        case AudienceFrozen(run=run, size=size):
            return replace(state, frozen_run=run, size=size)
        case CampaignPaused():
            return replace(state, state="paused")
        case CampaignResumed():
            return replace(state, state="running")
        case CampaignStopped():
            return replace(state, state="stopped", stopped_run=state.run)
        case CampaignFinished(reason=reason):
            stopped = state.run if reason == "ended" else state.stopped_run
            return replace(state, state="finished", ending=reason, stopped_run=stopped)
        case _:
            message = f"a campaign has no event {data.type}"
            raise TypeError(message)


CAMPAIGN: Decider[CampaignCommand, Campaign] = Decider(Campaign, decide, evolve)
