"""What a campaign's effect is measured by: its variants, and how long a receipt counts for it.

Who gets which variant follows from a keyed hash of campaign and customer, so it never changes while
the variants stay, is the same on every machine, and has nothing to do with who is held out: that is
a hash of the customer alone, of another kind.
"""

import re

from shared.decider import invalid
from shared.events.campaign import (
    DEFAULT_ATTRIBUTION_DAYS,
    LONGEST_ATTRIBUTION_DAYS,
    CampaignDefined,
    Template,
    Variant,
)
from shared.keyring import keyed_hash

MOST_VARIANTS = 10
HIGHEST_WEIGHT = 1_000
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_NAME = 30


def check_measuring(definition: CampaignDefined) -> None:
    """Raise `Refused` that names what cannot be measured by."""
    days = definition.attribution_days
    if days is not None and days > LONGEST_ATTRIBUTION_DAYS:
        raise invalid("attribution_days", f"at most {LONGEST_ATTRIBUTION_DAYS}")
    variants = definition.variants
    if variants is None:
        return
    if not 1 < len(variants) <= MOST_VARIANTS:
        raise invalid("variants", f"has 2 to {MOST_VARIANTS} of them")
    names = [each.name for each in variants]
    for number, variant in enumerate(variants):
        name = f"variants.{number}.name"
        if len(variant.name) > _LONGEST_NAME or _NAME.fullmatch(variant.name) is None:
            form = "is made of small letters, digits and single hyphens"
            raise invalid(name, f"{form}, at most {_LONGEST_NAME} in all")
        if variant.name in names[:number]:
            raise invalid(name, "another one has this name")
        if variant.weight > HIGHEST_WEIGHT:
            raise invalid(f"variants.{number}.weight", f"is 1 to {HIGHEST_WEIGHT}")
    if definition.template != variants[0].template:
        raise invalid("template", "is absent, or that of the first variant")


def attribution_days(definition: CampaignDefined) -> int:
    """For how many days after a message a receipt is put down to it."""
    return definition.attribution_days or DEFAULT_ATTRIBUTION_DAYS


def variant_of(secret: bytes, definition: CampaignDefined, customer: str) -> Variant | None:
    """The variant that a customer gets of a campaign; None where it has none.

    A share of the numbers that the hash can be belongs to each, by their weights and in their
    order. 64 bits of a hash, taken modulo at most 10,000, favour nobody that could be noticed.
    """
    if not definition.variants:
        return None
    whole = sum(each.weight for each in definition.variants)
    drawn = keyed_hash(secret, "variant", f"{definition.campaign}|{customer}")
    place = int(drawn[:16], 16) % whole
    for variant in definition.variants:
        place -= variant.weight
        if place < 0:
            return variant
    raise AssertionError(whole)


def templates_of(definition: CampaignDefined) -> tuple[tuple[str, Template], ...]:
    """All that the campaign may say, with its path, in the order in which links are numbered."""
    if not definition.variants:
        return (("template", definition.template),)
    return tuple(
        (f"variants.{number}.template", each.template)
        for number, each in enumerate(definition.variants)
    )
