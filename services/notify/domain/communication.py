"""The communication map: on what occasion whom a chain speaks to, when, and by which channels.

It is computed from the definitions, so it shows what is meant to be said, also before anything was.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.notify.domain.campaign import Campaign
from services.notify.domain.series.course import Series
from shared.events.campaign import CampaignDefined, OnStep, Trigger
from shared.events.series import SendStep


@dataclass(frozen=True, slots=True)
class Communication:
    """One line of the map: a campaign, or one as a step of a `series`.

    `trigger` is the occasion, of a step that of its series; `segment` and `list` are whom it is
    for, where the occasion says so. It speaks from `start` on, before `end`; `live`: as it is now.
    """

    campaign: str
    definition: CampaignDefined
    state: str
    live: bool
    trigger: Trigger
    series: str | None = None
    start: datetime | None = None
    end: datetime | None = None

    @property
    def segment(self) -> str | None:
        """The segment that it addresses."""
        return getattr(self.trigger, "segment", None)

    @property
    def list(self) -> str | None:
        """The static list that it addresses."""
        return getattr(self.trigger, "list", None)

    def meets(self, other: "Communication") -> bool:
        """Whether both speak at some time."""
        return _before(self.start, other.end) and _before(other.start, self.end)


def _before(begin: datetime | None, end: datetime | None) -> bool:
    return begin is None or end is None or begin < end


def communications(
    campaigns: Mapping[str, Campaign], series: Mapping[str, Series]
) -> Sequence[Communication]:
    """The lines of all campaigns, by name; a step stands for each series that it belongs to."""
    lines = []
    for name, campaign in sorted(campaigns.items()):
        definition = campaign.definition
        if definition is None:
            continue
        plain = Communication(
            name,
            definition,
            campaign.state,
            campaign.live,
            definition.trigger,
            start=definition.start,
            end=definition.end,
        )
        steps = list(_steps(plain, series)) if isinstance(definition.trigger, OnStep) else []
        lines += steps or [plain]
    return lines


def _steps(plain: Communication, series: Mapping[str, Series]) -> Iterable[Communication]:
    for name, each in sorted(series.items()):
        said = each.definition
        if said is None:
            continue
        if any(
            isinstance(step, SendStep) and step.campaign == plain.campaign for step in said.steps
        ):
            yield Communication(
                plain.campaign,
                plain.definition,
                plain.state,
                plain.live and each.live,
                said.entry,
                series=name,
                start=_latest(plain.start, said.start),
                end=_earliest(plain.end, said.end),
            )


def _latest(*moments: datetime | None) -> datetime | None:
    return max((each for each in moments if each is not None), default=None)


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((each for each in moments if each is not None), default=None)


def unaddressed(lines: Iterable[Communication], segments: Collection[str]) -> Sequence[str]:
    """The segments to which nothing speaks now, by name."""
    return sorted(set(segments) - {each.segment for each in lines if each.live and each.segment})


def crowded(lines: Iterable[Communication]) -> Mapping[str, Sequence[str]]:
    """Segment → the campaigns that address it at the same time as another one does."""
    live = [each for each in lines if each.live and each.segment]
    found: dict[str, set[str]] = {}
    for one in live:
        for other in live:
            if one.campaign != other.campaign and one.segment == other.segment and one.meets(other):
                found.setdefault(one.segment or "", set()).update((one.campaign, other.campaign))
    return {segment: sorted(found[segment]) for segment in sorted(found)}
