"""Why something is recommended, in a sentence: English and Russian."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from services.interaction.queries.recommendations import Reason

Language = Literal["en", "ru"]

_COUNTS: Mapping[Language, str] = MappingProxyType(
    {
        "en": "Bought {bought}; of {baskets} baskets with it {together} also had {other}, "
        "{lift} times as often as expected.",
        "ru": "Куплено: {bought}; из {baskets} чеков, где это есть, в {together} есть и {other}: "
        "в {lift} раза чаще ожидаемого.",
    }
)
_SHARES: Mapping[Language, str] = MappingProxyType(
    {
        "en": "Bought {bought}; {share} % of the baskets with it also had {other}, "
        "{lift} times as often as expected.",
        "ru": "Куплено: {bought}; в {share} % чеков, где это есть, есть и {other}: "
        "в {lift} раза чаще ожидаемого.",
    }
)


def because(language: Language, *, bought: str, other: str, why: Reason, clear: bool) -> str:
    """The sentence: with counts, or with their share only where they are not for the caller."""
    lift = f"{why.partner.lift:.1f}"
    return (_COUNTS if clear else _SHARES)[language].format(
        bought=bought,
        other=other,
        baskets=why.baskets,
        together=why.partner.together,
        share=round(100 * why.partner.together / why.baskets),
        lift=lift if language == "en" else lift.replace(".", ","),
    )
