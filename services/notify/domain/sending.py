"""What decides, at the moment of sending, whether a message goes out.

Two kinds of fact count differently. What is there (the campaign has stopped, the customer is one of
the staff, was merged, erased or blacklisted) holds at once. What is missing (a customer, a consent,
an address, a name that the template needs) may only not have been read yet: it is final once the
reader has applied everything recorded up to the message, and until then the message waits. Nothing
is let out on old knowledge, since a withdrawal may lie unread, and nothing at all is decided of a
customer whose events stand still.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.events.notification import SuppressionReason
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
class Facts:
    """What is asked again at the moment of sending.

    `closed` is why nothing of the campaign goes out any more; while it is `paused` its messages
    wait. `ended` is why nobody writes to the customer any more, while that is so.
    `withheld` says that events of the customer are parked, or refused by Kafka. `contact` is the
    hash of the address; `renders` says whether the template has all it needs, and is asked only
    when everything else holds.
    """

    closed: SuppressionReason | None = None
    paused: bool = False
    withheld: bool = False
    known: bool = False
    ended: SuppressionReason | None = None
    internal: bool = False
    consents: bool = False
    contact: str | None = None
    renders: Callable[[], bool] = lambda: True
    held_out: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again later."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Never send it: a reason of suppression, or None for the holdout group."""

    reason: SuppressionReason | None


@dataclass(frozen=True, slots=True)
class Release:
    """Send it to the contact with this hash."""

    contact: str


Verdict = Wait | Reject | Release


def verdict(facts: Facts, knowledge: Knowledge) -> Verdict:
    """What happens with a message now; the order of the questions is part of the contract."""
    if facts.closed is not None:
        return Reject(facts.closed)
    if facts.paused or facts.withheld:
        return Wait()
    if facts.ended is not None:
        return Reject(facts.ended)
    missing = _missing(facts)
    if missing is not None:
        final = missing == "internal" or knowledge.complete
        return Reject(missing) if final else Wait()
    if not knowledge.fresh or facts.contact is None:
        return Wait()
    if not facts.renders():
        return Reject("template_error") if knowledge.complete else Wait()
    return Reject(None) if facts.held_out else Release(facts.contact)


def _missing(facts: Facts) -> SuppressionReason | None:
    if not facts.known:
        return "no_customer"
    if facts.internal:
        return "internal"
    if not facts.consents:
        return "no_consent"
    return None if facts.contact is not None else "no_address"


def is_held_out(secret: bytes, customer: str, percent: int) -> bool:
    """Whether the customer belongs to the holdout group of so many percent.

    A keyed hash of the customer alone: the same people in every campaign, and whoever is held out
    at 10 % is so at 20 %. The secret keeps outsiders from computing it.
    """
    return int(keyed_hash(secret, "holdout", customer)[:16], 16) % _PERCENT < percent
