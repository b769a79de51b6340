"""Pools of codes: what a code of theirs is worth, where codes come from, how long they are good."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta, tzinfo

from services.notify.domain.coupons.codes import normal
from services.notify.domain.definition import LONGEST_TITLE, check_name
from services.notify.domain.durations import exact_duration
from shared.claims import ClaimPolicy
from shared.decider import Decider, NewEvent, Refused, invalid
from shared.events.contract import EventData
from shared.events.coupons import CouponCodesAdded, CouponPoolDefined
from shared.eventstore import Claim, ClaimChange

POOLS = "coupon-pool-"
BLOCKS = "coupon-codes-"
MOST_CODES = 1_000
"""In one block, which is one commit and one transaction."""
MOST_USES = 1_000_000
_PREFIX = re.compile(r"[A-Z0-9]{1,12}")


def pool_stream(name: str) -> str:
    """The stream of a pool."""
    return f"{POOLS}{name}"


def blocks_of(pool: str) -> str:
    """How the streams of the codes of a pool begin; a name has no dot."""
    return f"{BLOCKS}{pool}."


def added_claim(code: str) -> str:
    """The id of a code, in its normal form, among all that were brought in."""
    return f"coupon-code|{code}"


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool as its stream has it; without a definition there is none."""

    version: int = 0
    definition: CouponPoolDefined | None = None


@dataclass(frozen=True, slots=True)
class DefinePool:
    """Give a pool its (new) definition; `may_replace` is asked with the version that stands.

    `unused`: nobody has a code of it, so they may come to look otherwise.
    """

    definition: CouponPoolDefined
    at: datetime
    may_replace: Callable[[int], None] = lambda _version: None
    unused: bool = False


def decide(command: DefinePool, state: Pool) -> Sequence[NewEvent]:
    """The event that follows, or the refusal that names what is wrong."""
    definition, before = _checked(command.definition), state.definition
    if before is not None:
        if definition == before:
            return ()
        command.may_replace(state.version)
        if _nature(definition) != _nature(before):
            raise Refused(
                "pool-fixed",
                409,
                "Where the codes of a pool come from, and what they are for, stays.",
                "define another pool",
            )
        if not command.unused and _look(definition) != _look(before):
            raise Refused(
                "pool-fixed",
                409,
                "Codes of the pool are given, and look as they do.",
                "`letters` and `prefix` stay: an occasion would get a second code by others",
            )
    return (NewEvent(definition, command.at),)


def _nature(definition: CouponPoolDefined) -> object:
    return definition.codes, definition.referring is None


def _look(definition: CouponPoolDefined) -> object:
    """What a generated code follows from, beside its occasion."""
    return definition.letters, definition.prefix


def _checked(definition: CouponPoolDefined) -> CouponPoolDefined:
    check_name("name", definition.pool)
    title = definition.title.strip()
    if not 0 < len(title) <= LONGEST_TITLE:
        raise invalid("title", f"has 1 to {LONGEST_TITLE} characters")
    if definition.valid_for is not None:
        exact_duration(definition.valid_for, "valid_for")
    if definition.prefix is not None and _PREFIX.fullmatch(definition.prefix) is None:
        raise invalid("prefix", "1 to 12 capital letters and digits")
    if definition.uses > MOST_USES:
        raise invalid("uses", f"at most {MOST_USES}")
    if definition.codes != "generated" and definition.prefix is not None:
        raise invalid("prefix", "codes that are brought in have theirs")
    referring = definition.referring
    if referring is not None and definition.codes != "generated":
        raise invalid("codes", "those that customers pass on are generated")
    return definition.model_copy(update={"title": title})


def evolve(state: Pool, data: EventData) -> Pool:
    """The pool after an event."""
    if isinstance(data, CouponPoolDefined):
        return replace(state, version=state.version + 1, definition=data)
    message = f"a pool of coupons has no event {data.type}"
    raise TypeError(message)


POOL: Decider[DefinePool, Pool] = Decider(Pool, decide, evolve)


@dataclass(frozen=True, slots=True)
class AddCodes:
    """Bring codes in; those that are there already, in whatever pool, are left out."""

    pool: str
    codes: tuple[str, ...]
    at: datetime
    claims: Mapping[str, Claim] = field(default_factory=dict)

    @property
    def claim_ids(self) -> Sequence[str]:
        """Of all codes that are some."""
        return sorted({added_claim(found) for each in self.codes if (found := normal(each))})


def add(command: AddCodes, state: tuple[str, ...]) -> Sequence[NewEvent]:
    """One block of those that are new. Raises `Refused` that names what is no code."""
    if state:
        return ()
    if not 0 < len(command.codes) <= MOST_CODES:
        raise invalid("codes", f"1 to {MOST_CODES} at once")
    new: dict[str, str] = {}
    for place, code in enumerate(command.codes):
        found = normal(code)
        if found is None:
            raise invalid(f"codes.{place}", "4 to 40 letters and digits")
        if added_claim(found) not in command.claims:
            new.setdefault(found, code.strip())
    if not new:
        return ()
    return (NewEvent(CouponCodesAdded(pool=command.pool, codes=tuple(new.values())), command.at),)


def _added(state: tuple[str, ...], data: EventData) -> tuple[str, ...]:
    if isinstance(data, CouponCodesAdded):
        return (*state, *data.codes)
    message = f"a block of codes has no event {data.type}"
    raise TypeError(message)


def _claimed(command: AddCodes, events: Sequence[NewEvent]) -> Sequence[ClaimChange]:
    return [
        ClaimChange(added_claim(normal(code) or ""), 0, command.pool)
        for event in events
        if isinstance(event.data, CouponCodesAdded)
        for code in event.data.codes
    ]


BLOCK: Decider[AddCodes, tuple[str, ...]] = Decider(tuple, add, _added)
ADDED: ClaimPolicy[AddCodes] = ClaimPolicy(
    ids=lambda command: command.claim_ids,
    given=lambda command, claims: replace(command, claims=claims),
    changes=_claimed,
)


def valid_until(definition: CouponPoolDefined, at: datetime, zone: tzinfo) -> datetime | None:
    """Until when a code given at a moment is good, not included: days count whole by the zone."""
    ends = [] if definition.valid_until is None else [definition.valid_until]
    if definition.valid_for is not None:
        last = (at.astimezone(zone) + exact_duration(definition.valid_for, "valid_for")).date()
        ends.append(datetime.combine(last + timedelta(days=1), time(), zone))
    return min(ends, default=None)
