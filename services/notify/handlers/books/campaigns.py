"""All campaigns as this service's own store has them, never older than a second.

A stop has to act at once, so it is never learnt by way of Kafka.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import ClassVar

import structlog

from services.notify.domain import CAMPAIGN, Campaign, campaign_stream
from services.notify.domain.campaign import Closed
from services.notify.handlers.books.named import NamedBook
from shared.envelope import Causation, decode
from shared.events import EVENT_TYPES
from shared.events.campaign import (
    CampaignDefined,
    CampaignFinished,
    CampaignRunBegan,
    CampaignStarted,
    CampaignStopped,
)
from shared.eventstore import Commit
from shared.recurring import again_and_again

FOLLOW_SECONDS = 0.5

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Start:
    """The last start of a campaign, or of a run of its calendar, and what follows from it.

    `recorded_at` is when it was recorded (system time), `at` the same moment by the chain's clock;
    `why` is the causation of events that it causes.
    """

    recorded_at: datetime
    at: datetime
    why: Causation


@dataclass(frozen=True, slots=True)
class Version:
    """A definition that a campaign has or had: the version of its stream, and since when."""

    number: int
    at: datetime
    definition: CampaignDefined


@dataclass(frozen=True, slots=True)
class Entry:
    """A campaign, by its name, with all the definitions that it ever had.

    `halts` are when (the chain's clock) it was last stopped, and last came to its end.
    """

    name: str
    campaign: Campaign
    start: Start | None = None
    versions: tuple[Version, ...] = ()
    halts: Mapping[Closed, datetime] = field(default_factory=dict)

    @property
    def version(self) -> int:
        """How many events of its stream it has seen."""
        return self.campaign.version

    def closed(self, occurrence: str, scheduled_at: datetime, at: datetime) -> Closed | None:
        """Why a message never goes out any more, if so: also one that slept through a halt.

        Who starts a campaign again does not mean what waited before it was stopped. Runs know that
        by themselves.
        """
        closed = self.campaign.closed(occurrence, at)
        if closed is not None or self.campaign.by_runs or self.start is None:
            return closed
        # One after the start is of a clock that was put back, and says nothing.
        halts = {why: halt for why, halt in self.halts.items() if halt <= self.start.at}
        return next((why for why, halt in halts.items() if scheduled_at < halt), None)


class CampaignBook(NamedBook[Entry]):
    """Every campaign by name."""

    kind: ClassVar[str] = "campaign"
    prefix: ClassVar[str] = campaign_stream("")

    async def follow(self) -> None:
        """Read ahead until cancelled, so that nobody who is in a hurry has to wait for it."""
        await again_and_again(self.now, FOLLOW_SECONDS, partial(log.warning, "campaigns unread"))

    def _entry(self, name: str, commits: Sequence[Commit]) -> Entry:
        return _entry(name, commits)


def _entry(name: str, commits: Sequence[Commit]) -> Entry:
    campaign, start, versions = CAMPAIGN.initial(), None, []
    halts: dict[Closed, datetime] = {}
    for commit in commits:
        for text in commit.events:
            envelope = decode(text)
            data = EVENT_TYPES[envelope.type].model_validate_json(bytes(envelope.data))
            before, campaign = campaign.definition, CAMPAIGN.evolve(campaign, data)
            at = datetime.fromisoformat(envelope.time)
            if campaign.definition is not None and campaign.definition is not before:
                versions.append(Version(campaign.version, at, campaign.definition))
            match data:
                case CampaignStarted() | CampaignRunBegan():
                    depth = envelope.causedepth + 1
                    why = Causation(envelope.correlationid, envelope.id, depth)
                    start = Start(commit.recorded_at, at, why)
                case CampaignStopped():
                    halts["campaign_stopped"] = at
                case CampaignFinished(reason="ended"):
                    halts["campaign_ended"] = at
                case _:
                    pass
    return Entry(name, campaign, start, tuple(versions), halts)
