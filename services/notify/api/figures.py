"""HTTP of the figures of campaigns: sums, and what they can tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from fastapi import APIRouter

from services.notify.api.access import Reader, whole_chain
from services.notify.api.figures_views import (
    CampaignFiguresView,
    ChannelView,
    ComparisonView,
    DayView,
    LinkView,
    VariantView,
    bought_view,
    comparison_view,
    part_view,
)
from services.notify.api.messages import Accepted, Language
from services.notify.domain.findings import caution
from services.notify.domain.measuring import attribution_days
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.queries import Effect, Effects, Figures
from shared.decider import not_found
from shared.wording import Languages, Wording

SENT, HELD_OUT = "sent", "held_out"


@dataclass(frozen=True, slots=True)
class FiguresApi:
    """The endpoint, on what it needs."""

    book: CampaignBook
    figures: Figures
    effects: Effects
    languages: Languages

    def router(self) -> APIRouter:
        """The route below `/v1/campaigns`."""
        router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])
        router.add_api_route("/{name}/figures", self.of, methods=["GET"])
        return router

    async def of(
        self, name: str, calling: Reader, language: Language = None, accepted: Accepted = ""
    ) -> CampaignFiguresView:
        """What the campaign did and brought: in all, by variant, channel and day.

        Differences are of those who were sent it and those who were held out at the same question,
        the last before a message goes out.
        """
        whole_chain(calling)
        definition = (await self.book.require(name)).campaign.definition
        if definition is None:
            kind = "campaign"
            raise not_found(kind, name)
        wording = self.languages.wording(language or self.languages.accepted(accepted))
        whole = await self.figures.whole(name)
        effect = await self.effects.of([name])
        variants = await self.figures.parts(name, "variant")
        names = [each.name for each in definition.variants or ()]
        names += [each.key for each in variants if each.key and each.key not in names]
        outcomes = whole.outcomes
        return CampaignFiguresView(
            **part_view(whole).model_dump(),
            campaign=name,
            attribution_days=attribution_days(definition),
            bought=bought_view(effect.all(name, SENT)),
            bought_in_holdout=bought_view(effect.all(name, HELD_OUT)),
            uplift=_uplift(name, names, effect, wording),
            caution=caution(outcomes.sent, outcomes.failed + outcomes.uncertain, wording),
            by_variant=[
                VariantView(
                    **part_view(each).model_dump(),
                    variant=each.key or "",
                    bought=bought_view(effect.all(name, SENT, each.key)),
                )
                for each in variants
            ],
            by_channel=[
                ChannelView(channel=channel, cost_minor=counts.pop("cost"), **counts)
                for channel, counts in (await self.figures.channels(name)).items()
            ],
            by_day=[
                DayView(**part_view(each).model_dump(), day=each.key or "")
                for each in await self.figures.parts(name, "day")
            ],
            links=[
                LinkView(link=link, clicks=clicks)
                for link, clicks in (await self.figures.links(name)).items()
            ],
        )


def _uplift(
    campaign: str, variants: Sequence[str], effect: Effect, wording: Wording
) -> list[ComparisonView]:
    """All against the holdout, each variant against it, and each two variants."""
    holdout = ("holdout", effect.comparable(campaign, HELD_OUT))
    sent = (SENT, effect.comparable(campaign, SENT))
    groups = [(each, effect.comparable(campaign, SENT, each)) for each in variants]
    pairs = [(each, holdout) for each in (sent, *groups)] if holdout[1].customers else []
    pairs += list(combinations(groups, 2))
    return [comparison_view(first, second, wording) for first, second in pairs]
