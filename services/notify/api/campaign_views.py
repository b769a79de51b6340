"""How campaigns are shown."""

from collections.abc import Mapping
from typing import Any

from fastapi import Response
from pydantic import BaseModel, Field

from services.notify.api.delivery import Delivery
from services.notify.domain import CampaignState
from services.notify.handlers.books.campaigns import Entry
from services.notify.queries import Outcomes
from shared.decider import not_found
from shared.events.campaign import CampaignDefined, KnownTrigger, Template, Variant
from shared.events.contract import show_moment
from shared.events.customer import Channel
from shared.execute import Done
from shared.http import etag


class Recorded(BaseModel):
    """The answer to a command."""

    name: str
    version: int = Field(description="of the campaign's stream")
    repeated: bool = Field(description="it was recorded before")


class FiguresView(BaseModel):
    """Messages by what became of them; each is counted once."""

    sent: int
    suppressed: dict[str, int] = Field(description="by reason")
    holdout: int
    failed: int
    uncertain: int
    open: int = Field(description="without an outcome yet")


class DefinitionView(Delivery):
    """What a campaign says, to whom, and on what occasion."""

    title: str
    trigger: KnownTrigger
    channel: Channel
    topic: str
    template: Template
    variants: tuple[Variant, ...] | None
    start: str
    end: str | None
    holdout_percent: int
    owner: str | None
    branch: str | None
    home_sender: bool | None
    coupon: str | None


class VersionView(DefinitionView):
    """A definition that the campaign has or had."""

    version: int = Field(description="of the campaign's stream, with which it came")
    defined_at: str


class VersionList(BaseModel):
    """All definitions of a campaign, the newest first."""

    campaign: str
    items: list[VersionView]


class CampaignView(DefinitionView):
    """A campaign: what it says, how it stands, and what it has done."""

    name: str
    version: int
    state: CampaignState
    run: int = Field(description="of a broadcast: its last run; 0 before the first")
    gathering: bool = Field(description="the last run is still finding its members")
    figures: FiguresView


def recorded(name: str, done: Done, response: Response) -> Recorded:
    """The answer to a command on a campaign, with its `ETag`."""
    response.headers["ETag"] = etag(done.version)
    return Recorded(name=name, version=done.version, repeated=done.repeated)


def campaign_view(entry: Entry, figures: Mapping[str, Outcomes]) -> CampaignView:
    """A campaign with its figures."""
    campaign = entry.campaign
    if campaign.definition is None:
        kind = "campaign"
        raise not_found(kind, entry.name)
    counted = figures.get(entry.name, Outcomes())
    return CampaignView(
        **_shown(campaign.definition),
        name=entry.name,
        version=campaign.version,
        state=campaign.state,
        run=campaign.run,
        gathering=campaign.gathering,
        figures=FiguresView(
            sent=counted.sent,
            suppressed=dict(counted.suppressed),
            holdout=counted.held_out,
            failed=counted.failed,
            uncertain=counted.uncertain,
            open=counted.open,
        ),
    )


def version_list(entry: Entry) -> VersionList:
    """The definitions of a campaign."""
    return VersionList(
        campaign=entry.name,
        items=[
            VersionView(
                **_shown(each.definition), version=each.number, defined_at=show_moment(each.at)
            )
            for each in reversed(entry.versions)
        ],
    )


def _shown(definition: CampaignDefined) -> dict[str, Any]:
    end = definition.end
    shown = {name: getattr(definition, name) for name in DefinitionView.model_fields}
    return shown | {
        "start": show_moment(definition.start),
        "end": None if end is None else show_moment(end),
    }
