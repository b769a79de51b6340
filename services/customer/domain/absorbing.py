"""How a merge, its revert and an erase change a customer: part of the fold of `state`.

What a merge has covered up is kept beside it, so that its revert can say what stands again: the
events alone do not tell a consent of the survivor from one that came along.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.events import merging
from shared.events.customer import Channel, Evidence, Identifier
from shared.identifiers import claim_id

ConsentKey = tuple[str, Channel, str]
"""Topic, channel, and the hash of the contact point ("" for any)."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What counts for a topic, a channel and a contact point: given or withdrawn, and why."""

    given: bool
    evidence: Evidence | None


@dataclass(frozen=True, slots=True)
class Absorption:
    """One merge into this customer, newest last.

    `epochs` are those of the identifiers that it brought and that are still here, by claim;
    `replaced` what stood under these claims before; the consents are all of them, just before and
    just after.
    """

    data: merging.CustomerAbsorbed
    epochs: Mapping[str, int] = field(default_factory=dict)
    replaced: Mapping[str, Identifier] = field(default_factory=dict)
    consents_before: Mapping[ConsentKey, Standing] = field(default_factory=dict)
    consents_after: Mapping[ConsentKey, Standing] = field(default_factory=dict)


def by_claim(identifiers: tuple[Identifier, ...]) -> dict[str, Identifier]:
    """Identifiers by the claims that they are, or would be."""
    return {claim_id(each.kind, each.hash): each for each in identifiers}


def with_states(
    have: Mapping[ConsentKey, Standing], states: tuple[merging.ConsentState, ...]
) -> Mapping[ConsentKey, Standing]:
    """The consents after those that changed."""
    after = dict(have)
    for each in states:
        key = key_of(each)
        if each.given is None:
            after.pop(key, None)
        else:
            after[key] = Standing(each.given, each.evidence)
    return after


def key_of(state: merging.ConsentState) -> ConsentKey:
    """What a consent is about."""
    return (state.topic, state.channel, state.contact or "")
