"""What decides, at the moment of sending, whether a message goes out.

Two kinds of fact count differently. What is there (the campaign was stopped or is over, the
customer is one of the staff, was merged, erased or blacklisted) holds at once. What is missing (a
customer, a consent, an address, a name that the template needs) may only not have been read yet: it
is final once the reader has applied everything recorded up to the message, and until then the
message waits. Nothing is let out on old knowledge, since a withdrawal may lie unread, and nothing
at all is decided of a customer whose events stand still.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shared.events.customer import Channel
from shared.events.notification import PostponementReason, SuppressionReason
from shared.keyring import keyed_hash

OLDEST_KNOWLEDGE = timedelta(seconds=20)
_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Knowledge:
    """How much a reader of customers knows, all in system time.

    `reach` is W of `customer.events` for this customer (None: not known), `message` the moment at
    or after which the message was recorded, `now` the present.
    """

    reach: datetime | None
    message: datetime
    now: datetime

    @property
    def complete(self) -> bool:
        """Whether all that was recorded up to the message has been read."""
        return self.reach is not None and self.reach > self.message

    @property
    def fresh(self) -> bool:
        """Whether it is new enough to let something out."""
        return self.reach is not None and self.now - self.reach <= OLDEST_KNOWLEDGE


@dataclass(frozen=True, slots=True)
class Way:
    """A channel of the campaign that was not tried yet, as it stands for this customer.

    `problem` is why it cannot be used; else `contact` is the hash of the address, `duplicate` says
    that another customer got this broadcast there, and `quiet_until` and `capped_until` when
    quiet hours end and when the caps leave a slot, where that is not now. `said_no`: the customer
    has withdrawn it by a link, which is there, and not something that is missing.
    """

    channel: Channel
    problem: SuppressionReason | None = None
    contact: str = ""
    duplicate: bool = False
    quiet_until: datetime | None = None
    capped_until: datetime | None = None
    said_no: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What is asked again at the moment of sending.

    `closed` is why nothing of the campaign goes out any more; while it is `paused` its messages
    wait. `withheld` says that events of the customer are parked, or refused by Kafka. `ended` is
    why nobody writes to the customer any more. `outdated` says that its time is over, `last` is
    the last moment at which it may go out (absent: any). `ways` are in the order in which they are
    tried. `told`: a record that was merged into this one has got the message (None: not known yet).
    `drops`: what a cap keeps back is not sent later either. `condition`: what the campaign
    asks of the customer still holds (None: not known yet); `spent`: the budget leaves nothing for
    good (None: that is not certain yet), `paced_until`: nothing before that moment.
    `renders` says whether the template has all that it needs by a way, and is asked only when
    everything else holds; then `affords`, whether the branch's budget has room for what it costs
    (None: that is not certain yet).
    """

    closed: SuppressionReason | None = None
    paused: bool = False
    withheld: bool = False
    known: bool = False
    ended: SuppressionReason | None = None
    internal: bool = False
    outdated: Literal["stale", "expired"] | None = None
    last: datetime | None = None
    ways: Sequence[Way] = ()
    told: bool | None = False
    drops: bool = False
    condition: bool | None = True
    spent: bool | None = False
    paced_until: datetime | None = None
    renders: Callable[[Way], bool] = lambda _way: True
    affords: Callable[[Way], bool | None] = lambda _way: True
    held_out: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again later."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Never send it: a reason of suppression, or None for the holdout group."""

    reason: SuppressionReason | None


@dataclass(frozen=True, slots=True)
class Hold:
    """Look again at a moment that is known (the chain's clock), for a reason."""

    until: datetime
    reason: PostponementReason


@dataclass(frozen=True, slots=True)
class Release:
    """Send it by this way."""

    way: Way


Verdict = Wait | Reject | Hold | Release


def verdict(facts: Facts, knowledge: Knowledge) -> Verdict:
    """What happens with a message now; the order of the questions is part of the contract."""
    if facts.closed is not None:
        return Reject(facts.closed)
    if facts.paused or facts.withheld:
        return Wait()
    there = facts.ended or facts.outdated
    if there is not None:
        return Reject(there)
    way = next((each for each in facts.ways if each.problem is None), None)
    missing = _missing(facts)
    if missing is not None:
        final = missing == "internal" or knowledge.complete or _said_no(facts)
        return Reject(missing) if final else Wait()
    if not knowledge.fresh or way is None:
        return Wait()
    kept_back = _kept_back(facts, way) or _barred(facts)
    if kept_back is not None:
        return kept_back
    if not facts.renders(way):
        return Reject("template_error") if knowledge.complete else Wait()
    affordable = facts.affords(way)
    if affordable is not True:
        return Wait() if affordable is None else Reject("budget")
    return Reject(None) if facts.held_out else Release(way)


def _missing(facts: Facts) -> SuppressionReason | None:
    """What there is not: the customer, or any way; of several ways the reason of the first."""
    if not facts.known:
        return "no_customer"
    if facts.internal:
        return "internal"
    problems = [way.problem for way in facts.ways]
    return None if None in problems else next(iter(problems), "no_address")


def _said_no(facts: Facts) -> bool:
    """Whether the customer has withdrawn every way by a link: no reader can know better."""
    return facts.known and bool(facts.ways) and all(way.said_no for way in facts.ways)


def _kept_back(facts: Facts, way: Way) -> Reject | Hold | Wait | None:
    """What keeps the message from going out by a way that there is."""
    if facts.told is not False:
        return Wait() if facts.told is None else Reject("already_told")
    if way.duplicate:
        return Reject("duplicate_address")
    if way.quiet_until is not None:
        return _held(facts, way.quiet_until, "quiet_hours")
    if way.capped_until is not None:
        if facts.drops:
            return Reject("cap")
        return _held(facts, way.capped_until, "cap")
    return None


def _barred(facts: Facts) -> Reject | Hold | Wait | None:
    """What the campaign itself asks for: its condition, and its budget."""
    if not facts.condition:
        return Wait() if facts.condition is None else Reject("condition")
    if facts.spent is not False:
        return Wait() if facts.spent is None else Reject("budget")
    if facts.paced_until is not None:
        return _held(facts, facts.paced_until, "pace")
    return None


def _held(facts: Facts, until: datetime, reason: PostponementReason) -> Reject | Hold:
    """It waits, unless its time is over by then."""
    if facts.last is not None and until > facts.last:
        return Reject("expired")
    return Hold(until, reason)


def is_held_out(secret: bytes, customer: str, percent: int) -> bool:
    """Whether the customer belongs to the holdout group of so many percent.

    A keyed hash of the customer alone: the same people in every campaign, and whoever is held out
    at 10 % is so at 20 %. The secret keeps outsiders from computing it.
    """
    if percent <= 0:
        return False
    return int(keyed_hash(secret, "holdout", customer)[:16], 16) % _PERCENT < percent
