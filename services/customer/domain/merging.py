"""Two customers that are one person: decided over both streams at once.

A merge takes nothing from the loser's own history: it hands over what finds and concerns a person
now, and the rest (notes, documents, links) stays where it was written. `reverting` is the way back.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.customer.domain.absorbing import (
    ConsentKey,
    Standing,
)
from services.customer.domain.customer import require_living, require_version
from services.customer.domain.state import (
    Customer,
    stream_of,
)
from shared.decider import NewEvent, Refused, invalid
from shared.events import merging
from shared.events.care import Grant
from shared.events.customer import Identifier, RecordFields
from shared.eventstore import Claim, ClaimChange
from shared.identifiers import claim_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """The customer is the same person as `into`, which lives on."""

    customer: str
    into: str
    merge: str
    at: datetime
    reason: str | None = None
    by: str | None = None
    if_match: frozenset[int] | None = None


States = Mapping[str, Customer]
Claims = Mapping[str, Claim]
Given = Mapping[str, Sequence[NewEvent]]


def decide_merge(command: Merge, states: States, claims: Claims) -> Given:
    """The events of both customers, or the refusal."""
    if command.customer == command.into:
        raise invalid("into", "another customer than the one that is merged")
    loser, survivor = states[stream_of(command.customer)], states[stream_of(command.into)]
    if loser.merged is not None and not loser.erased:
        raise Refused(
            "already-merged",
            409,
            "The customer was merged already.",
            f"into {loser.merged.survivor}; merge that one, or revert the merge first",
            extra={"survivor": loser.merged.survivor},
        )
    require_living(command.customer, loser)
    require_living(command.into, survivor)
    require_version(command.if_match, loser)
    merged = merging.CustomerMerged(
        merge=command.merge, survivor=command.into, reason=command.reason, by=command.by
    )
    absorbed = _absorbed(command, loser, survivor, claims)
    return {
        stream_of(command.into): [NewEvent(absorbed, command.at, survivor.record.home_branch)],
        stream_of(command.customer): [NewEvent(merged, command.at, loser.record.home_branch)],
    }


def _absorbed(
    command: Merge, loser: Customer, survivor: Customer, claims: Claims
) -> merging.CustomerAbsorbed:
    blacklist = loser.blacklist if survivor.blacklist is None else None
    return merging.CustomerAbsorbed(
        merge=command.merge,
        other=command.customer,
        identifiers=tuple(_brought(command.customer, loser, survivor, claims)),
        consents=tuple(_stricter(loser.consents, survivor.consents)),
        fields=_lacking(loser.record, survivor.record),
        tags=tuple(sorted(loser.tags - survivor.tags)),
        categories=tuple(
            Grant(category=category, by=by)
            for category, by in sorted(loser.categories - survivor.categories)
        ),
        discounts=tuple(
            merging.DiscountGrant(by=by, discount=discount)
            for by, discount in sorted(loser.discounts.items())
            if by not in survivor.discounts
        ),
        status=loser.status if survivor.status is None else None,
        responsible=loser.responsible if survivor.responsible is None else None,
        blacklist=None
        if blacklist is None
        else merging.Blacklisting(reason=blacklist.reason, until=blacklist.until),
    )


def _brought(
    customer: str, loser: Customer, survivor: Customer, claims: Claims
) -> Iterator[Identifier]:
    """The loser's identifiers as they find the survivor: what the survivor prefers stays so."""
    preferring = {each.kind for each in survivor.identifiers.values() if each.preferred}
    for key, each in loser.identifiers.items():
        preferred = each.preferred if each.kind not in preferring else None
        if each.shared:
            if key not in survivor.identifiers:
                yield each.model_copy(update={"preferred": preferred})
        elif (claim := claims.get(key)) is not None and claim.owner == customer:
            yield each.model_copy(update={"preferred": preferred, "epoch": claim.epoch + 1})


def _stricter(
    theirs: Mapping[ConsentKey, Standing], mine: Mapping[ConsentKey, Standing]
) -> Iterator[merging.ConsentState]:
    """What changes at the survivor: a withdrawal on either side wins, silence gives way."""
    for key in sorted(theirs.keys() | mine.keys()):
        own, other = mine.get(key), theirs.get(key)
        wanted = other if own is None or (other is not None and not other.given) else own
        if own is None and _withdrawn_for_all(mine, key):
            continue
        if other is None and _withdrawn_for_all(theirs, key):
            wanted = theirs[for_any(key)]
        if wanted is not None and wanted != own and (own is None or own.given):
            yield state_of(key, wanted)


def _withdrawn_for_all(consents: Mapping[ConsentKey, Standing], key: ConsentKey) -> bool:
    standing = consents.get(for_any(key))
    return standing is not None and not standing.given


def for_any(key: ConsentKey) -> ConsentKey:
    """The same consent, for any contact point."""
    return (key[0], key[1], "")


def state_of(key: ConsentKey, standing: Standing | None) -> merging.ConsentState:
    """What counts for a consent, as an event says it."""
    return merging.ConsentState(
        topic=key[0],
        channel=key[1],
        contact=key[2] or None,
        given=None if standing is None else standing.given,
        evidence=None if standing is None else standing.evidence,
    )


def _lacking(theirs: RecordFields, mine: RecordFields) -> RecordFields:
    """The fields that only the loser has."""
    update = {
        name: value
        for name in RecordFields.model_fields
        if name != "custom"
        and (value := getattr(theirs, name)) is not None
        and getattr(mine, name) is None
    }
    custom = {
        name: value
        for name, value in (theirs.custom or {}).items()
        if name not in (mine.custom or {})
    }
    return RecordFields(**update, custom=custom or None)


class Losing(Protocol):
    """A command that names who loses, or lost."""

    @property
    def customer(self) -> str:
        """The loser."""
        ...


def claims_of_loser(command: Losing, states: States) -> Sequence[str]:
    """All that finds the loser, or did until the merge, and nobody else."""
    loser = states.get(stream_of(command.customer), Customer())
    return [key for key, each in loser.identifiers.items() if not each.shared]


def merge_changes(command: Merge, events: Given, _claims: Claims) -> Sequence[ClaimChange]:
    """What the survivor owns from now on."""
    absorbed = [
        event.data
        for event in events[stream_of(command.into)]
        if isinstance(event.data, merging.CustomerAbsorbed)
    ]
    return [
        taken(each, command.into)
        for data in absorbed
        for each in data.identifiers
        if not each.shared
    ]


def taken(identifier: Identifier, owner: str) -> ClaimChange:
    """Its epoch is in the event already."""
    return ClaimChange(claim_id(identifier.kind, identifier.hash), identifier.epoch - 1, owner)
