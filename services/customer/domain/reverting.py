"""The way back of a merge: each gets what is its own, decided over both streams at once.

A revert gives back exactly what was handed over and is still as it was, and nothing that came
later. Only the newest merge of a living customer can be reverted, the outermost first: then what
stands again is known without looking at third customers
(docs/decisions/0020-merges-are-reverted-newest-first.md).
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
from services.customer.domain.merging import Claims, Given, States, for_any, state_of, taken
from services.customer.domain.state import (
    BLACKLIST,
    CUSTOM,
    RESPONSIBLE,
    STATUS,
    Customer,
    stream_of,
)
from shared.decider import NewEvent, Refused, not_found
from shared.events import merging
from shared.events.customer import Identifier, RecordFields
from shared.eventstore import ClaimChange

MOVED_ON = "merge-changed"
"""Type of the refusal where the loser was merged elsewhere since its survivor was looked up."""
_KIND = "customer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revert:
    """The customer is somebody else than `survivor` after all (None: it is in no merge)."""

    customer: str
    survivor: str | None
    at: datetime
    by: str | None = None
    if_match: frozenset[int] | None = None


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
        given = own.get(key) or own.get(for_any(key))
        standing = now.get(key) or now.get(for_any(key))
        before = absorption.consents_after.get(key) or absorption.consents_after.get(for_any(key))
        if given is None or not given.given or standing is None:
            continue
        if not standing.given and standing != before:
            yield state_of(key, standing)


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
            state_of(key, absorption.consents_before.get(key))
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


def revert_changes(command: Revert, events: Given, _claims: Claims) -> Sequence[ClaimChange]:
    """What the loser owns again."""
    reverted = [
        event.data
        for event in events[stream_of(command.customer)]
        if isinstance(event.data, merging.MergeReverted)
    ]
    return [
        taken(each, command.customer)
        for data in reverted
        for each in data.identifiers
        if not each.shared
    ]
