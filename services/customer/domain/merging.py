"""Two customers that are one person, and the way back: decided over both streams at once.

A merge takes nothing from the loser's own history: it hands over what finds and concerns a person
now, and the rest stays where it was written. So a revert gives back exactly what was handed over
and is still as it was, and nothing that came later. Only the newest merge of a living customer can
be reverted, the outermost first: then what stands again is known without looking at third
customers (docs/decisions/0024-merges-are-reverted-newest-first.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.customer.domain.absorbing import (
    Absorption,
    ConsentKey,
    Standing,
    by_claim,
    key_of,
)
from services.customer.domain.customer import require_living, require_version
from services.customer.domain.state import (
    BLACKLIST,
    CUSTOM,
    RESPONSIBLE,
    STATUS,
    Customer,
    stream_of,
)
from shared.decider import NewEvent, Refused, invalid, not_found
from shared.events import merging
from shared.events.care import Grant
from shared.events.customer import Identifier, RecordFields
from shared.eventstore import Claim, ClaimChange
from shared.identifiers import claim_id

MOVED_ON = "merge-changed"
"""Type of the refusal where the loser was merged elsewhere since its survivor was looked up."""
_KIND = "customer"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Revert:
    """The customer is somebody else than `survivor` after all (None: it is in no merge)."""

    customer: str
    survivor: str | None
    at: datetime
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
        blacklist=blacklist
        and merging.Blacklisting(reason=blacklist.reason, until=blacklist.until),
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
            wanted = theirs[_for_any(key)]
        if wanted is not None and wanted != own and (own is None or own.given):
            yield _state(key, wanted)


def _withdrawn_for_all(consents: Mapping[ConsentKey, Standing], key: ConsentKey) -> bool:
    standing = consents.get(_for_any(key))
    return standing is not None and not standing.given


def _for_any(key: ConsentKey) -> ConsentKey:
    """The same consent, for any contact point."""
    return (key[0], key[1], "")


def _state(key: ConsentKey, standing: Standing | None) -> merging.ConsentState:
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


def decide_revert(command: Revert, states: States, claims: Claims) -> Given:
    """The events of both customers, or the refusal."""
    loser = states[stream_of(command.customer)]
    if not loser.registered:
        raise not_found(_KIND, command.customer)
    if loser.erased:
        require_living(command.customer, loser)
    if loser.merged is None:
        raise Refused("not-merged", 409, "The customer is in no merge.", "there is nothing to undo")
    if command.survivor != loser.merged.survivor:
        raise Refused(
            MOVED_ON,
            409,
            "The customer was merged elsewhere meanwhile.",
            extra={"survivor": loser.merged.survivor},
        )
    require_version(command.if_match, loser)
    survivor = states[stream_of(command.survivor)]
    absorption = _newest(loser.merged, survivor)
    return {
        stream_of(command.survivor): [
            NewEvent(
                _given_up(command, loser, survivor, absorption),
                command.at,
                survivor.record.home_branch,
            )
        ],
        stream_of(command.customer): [
            NewEvent(
                _given_back(command, loser, survivor, absorption, claims),
                command.at,
                loser.record.home_branch,
            )
        ],
    }


def _newest(merged: merging.CustomerMerged, survivor: Customer) -> Absorption:
    """The absorption that belongs to the merge. Raises `Refused` where others come first."""
    if survivor.merged is not None:
        raise Refused(
            "outer-merge",
            409,
            "The survivor was merged itself.",
            "revert the outer merge first",
            extra={"first": merged.survivor},
        )
    newest = survivor.absorbed[-1]
    if newest.data.merge != merged.merge:
        raise Refused(
            "later-merge",
            409,
            "Another customer was merged later.",
            "revert the later merge first",
            extra={"first": newest.data.other},
        )
    return newest


def _back(loser: Customer, survivor: Customer, absorption: Absorption) -> dict[str, Identifier]:
    """What the merge brought and the survivor still has, as it is there, by claim."""
    return {
        key: present
        for key, epoch in absorption.epochs.items()
        if key in loser.identifiers
        and (present := survivor.identifiers.get(key)) is not None
        and present.epoch == epoch
    }


def _given_back(
    command: Revert, loser: Customer, survivor: Customer, absorption: Absorption, claims: Claims
) -> merging.MergeReverted:
    back = _back(loser, survivor, absorption)
    brought = by_claim(absorption.data.identifiers)
    identifiers = []
    for key, own in loser.identifiers.items():
        if key in back:
            # What is known of a contact point stays known: it may have turned out bad meanwhile.
            update: dict[str, object] = {"state": back[key].state}
            if not own.shared:
                update["epoch"] = claims[key].epoch + 1
            identifiers.append(own.model_copy(update=update))
        elif key not in brought:
            identifiers.append(own)
    return merging.MergeReverted(
        merge=absorption.data.merge,
        other=command.survivor or "",
        role="loser",
        identifiers=tuple(identifiers),
        consents=tuple(_withdrawn_since(loser.consents, survivor.consents, absorption)),
        by=command.by,
    )


def _withdrawn_since(
    own: Mapping[ConsentKey, Standing],
    now: Mapping[ConsentKey, Standing],
    absorption: Absorption,
) -> Iterator[merging.ConsentState]:
    """What the person withdrew at the survivor since the merge, and had given at the loser."""
    for key in sorted(own.keys() | now.keys()):
        given = own.get(key) or own.get(_for_any(key))
        standing = now.get(key) or now.get(_for_any(key))
        before = absorption.consents_after.get(key) or absorption.consents_after.get(_for_any(key))
        if given is None or not given.given or standing is None:
            continue
        if not standing.given and standing != before:
            yield _state(key, standing)


def _given_up(
    command: Revert, loser: Customer, survivor: Customer, absorption: Absorption
) -> merging.MergeReverted:
    data, back = absorption.data, _back(loser, survivor, absorption)
    return merging.MergeReverted(
        merge=data.merge,
        other=command.customer,
        role="survivor",
        released=tuple(
            merging.ReleasedIdentifier(
                kind=each.kind, hash=each.hash, epoch=each.epoch + (0 if each.shared else 1)
            )
            for each in back.values()
        ),
        identifiers=tuple(absorption.replaced[key] for key in back if key in absorption.replaced),
        consents=tuple(
            _state(key, absorption.consents_before.get(key))
            for each in data.consents
            if survivor.consents.get(key := key_of(each))
            == Standing(bool(each.given), each.evidence)
        ),
        cleared=tuple(_unchanged(data, survivor)),
        tags_removed=tuple(each for each in data.tags if each in survivor.tags),
        categories_withdrawn=tuple(
            each for each in data.categories if (each.category, each.by) in survivor.categories
        ),
        discounts_withdrawn=tuple(
            each.by for each in data.discounts if survivor.discounts.get(each.by) == each.discount
        ),
        by=command.by,
    )


def _unchanged(data: merging.CustomerAbsorbed, survivor: Customer) -> Iterator[str]:
    """The single values that the merge brought and that still stand."""
    for name in RecordFields.model_fields:
        value = getattr(data.fields, name)
        if name != "custom" and value is not None and getattr(survivor.record, name) == value:
            yield name
    for name, value in (data.fields.custom or {}).items():
        if (survivor.record.custom or {}).get(name) == value:
            yield f"{CUSTOM}{name}"
    if data.status is not None and survivor.status == data.status:
        yield STATUS
    if data.responsible is not None and survivor.responsible == data.responsible:
        yield RESPONSIBLE
    blacklist, present = data.blacklist, survivor.blacklist
    if (
        blacklist is not None
        and present is not None
        and (present.reason, present.until) == (blacklist.reason, blacklist.until)
    ):
        yield BLACKLIST


def claims_of_loser(command: Merge | Revert, states: States) -> Sequence[str]:
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
        _taken(each, command.into)
        for data in absorbed
        for each in data.identifiers
        if not each.shared
    ]


def revert_changes(command: Revert, events: Given, _claims: Claims) -> Sequence[ClaimChange]:
    """What the loser owns again."""
    reverted = [
        event.data
        for event in events[stream_of(command.customer)]
        if isinstance(event.data, merging.MergeReverted)
    ]
    return [
        _taken(each, command.customer)
        for data in reverted
        for each in data.identifiers
        if not each.shared
    ]


def _taken(identifier: Identifier, owner: str) -> ClaimChange:
    """Its epoch is in the event already."""
    return ClaimChange(claim_id(identifier.kind, identifier.hash), identifier.epoch - 1, owner)
