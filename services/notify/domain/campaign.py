"""Campaigns: what is said to whom on what occasion, and when that begins and ends.

What tells the occasions of a campaign apart (its trigger, its start and its channel) is fixed by
its first start: messages are named after their occasion, and a changed one would name other
messages for what has been said already.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, assert_never

from shared.decider import Decider, NewEvent, Refused, invalid, not_found
from shared.events.campaign import (
    AudienceFrozen,
    Broadcast,
    CampaignDefined,
    CampaignDefinedV1,
    CampaignStarted,
    CampaignStopped,
)
from shared.events.contract import EventData

LONGEST_NAME = 60
LONGEST_TITLE = 200
FIRST_RUN = 1
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_RUN = "run-"

CampaignState = Literal["draft", "running", "stopped"]


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
    whose audience is complete, `stopped_run` the last one that was stopped.
    """

    version: int = 0
    definition: CampaignDefined | None = None
    running: bool = False
    run: int = 0
    frozen_run: int = 0
    stopped_run: int = 0

    @property
    def state(self) -> CampaignState:
        """What a person calls it."""
        if self.running:
            return "running"
        return "stopped" if self.run else "draft"

    @property
    def broadcasts(self) -> bool:
        """Whether it speaks once to all members of a segment."""
        return self.definition is not None and isinstance(self.definition.trigger, Broadcast)

    @property
    def gathering(self) -> bool:
        """Whether members of a run may still lack their messages."""
        return self.running and self.broadcasts and self.run > self.frozen_run

    def sends(self, occurrence: str) -> bool:
        """Whether a message of this occurrence may go out: a stopped run never goes on."""
        if not self.running:
            return False
        if not self.broadcasts:
            return True
        return int(occurrence.removeprefix(_RUN)) > self.stopped_run


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
class FreezeAudience:
    """Every member of a run has its message: `size` of them."""

    campaign: str
    run: int
    size: int
    at: datetime


@dataclass(frozen=True, slots=True)
class StopCampaign:
    """Hand over nothing of it any more."""

    campaign: str
    at: datetime


CampaignCommand = DefineCampaign | StartCampaign | FreezeAudience | StopCampaign


def decide(command: CampaignCommand, state: Campaign) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal."""
    if isinstance(command, DefineCampaign):
        return _define(command, state)
    if state.definition is None:
        kind = "campaign"
        raise not_found(kind, command.campaign)
    match command:
        case StartCampaign():
            return _start(command, state, state.definition)
        case FreezeAudience(campaign=campaign, run=run, size=size, at=at):
            if not (state.gathering and state.run == run):
                return ()
            return (NewEvent(AudienceFrozen(campaign=campaign, run=run, size=size), at),)
        case StopCampaign(campaign=campaign, at=at):
            return (NewEvent(CampaignStopped(campaign=campaign), at),) if state.running else ()
        case _:
            assert_never(command)


def _define(command: DefineCampaign, state: Campaign) -> Sequence[NewEvent]:
    definition = _checked(command.definition)
    before = state.definition
    if before is not None:
        if definition == before:
            return ()
        command.may_replace(state.version)
        if state.running:
            raise Refused(
                "campaign-running", 409, "The campaign is running.", "stop it, then change it"
            )
        if state.run and _occasion(definition) != _occasion(before):
            raise Refused(
                "campaign-fixed",
                409,
                "The campaign was started: its occasion stays.",
                "trigger, channel and start cannot change any more; define another campaign",
            )
    return (NewEvent(definition, command.at),)


def _checked(definition: CampaignDefined) -> CampaignDefined:
    """The definition with its title trimmed. Raises `Refused` that names what is wrong."""
    form = f"is made of small letters, digits and single hyphens, at most {LONGEST_NAME} in all"
    for path, name in (
        ("name", definition.campaign),
        ("trigger.segment", definition.trigger.segment),
    ):
        if len(name) > LONGEST_NAME or _NAME.fullmatch(name) is None:
            raise invalid(path, form)
    title = definition.title.strip()
    if not 0 < len(title) <= LONGEST_TITLE:
        raise invalid("title", f"has 1 to {LONGEST_TITLE} characters")
    return definition.model_copy(update={"title": title})


def _occasion(definition: CampaignDefined) -> tuple[object, ...]:
    return definition.trigger, definition.channel, definition.start


def _start(
    command: StartCampaign, state: Campaign, definition: CampaignDefined
) -> Sequence[NewEvent]:
    if not state.broadcasts:
        if state.running:
            return ()
        return (NewEvent(CampaignStarted(campaign=command.campaign, run=FIRST_RUN), command.at),)
    if state.gathering:
        raise Refused(
            "audience-gathering",
            409,
            "The last run is still gathering its audience.",
            f"run {state.run} has not found all its members yet",
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
            return replace(state, running=True, run=run)
        case AudienceFrozen(run=run):
            return replace(state, frozen_run=run)
        case CampaignStopped():
            return replace(state, running=False, stopped_run=state.run)
        case _:
            message = f"a campaign has no event {data.type}"
            raise TypeError(message)


CAMPAIGN: Decider[CampaignCommand, Campaign] = Decider(Campaign, decide, evolve)
