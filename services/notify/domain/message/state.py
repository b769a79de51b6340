"""How a message stands: its stage, by which channels it went, and what was told of it."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

import msgspec

from shared.ids import derived_id

BUCKETS = 64


class Stage(StrEnum):
    """Where a message is in its life; all but the first two are outcomes."""

    SCHEDULED = "scheduled"
    SENDING = "sending"
    SUPPRESSED = "suppressed"
    HELD_OUT = "held_out"
    SENT = "sent"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    BOUNCED = "bounced"
    DELIVERED = "delivered"


OPEN: frozenset[Stage] = frozenset({Stage.SCHEDULED, Stage.SENDING})


def message_id(campaign: str, customer: str, occurrence: str) -> str:
    """The id of the one message that an occurrence gives a customer."""
    return derived_id("message", campaign, customer, occurrence)


def message_stream(message: str) -> str:
    """The stream of a message."""
    return f"message-{message}"


def bucket_of(customer: str) -> int:
    """The customer's bucket, the same in every process: dispatchers share them out."""
    digest = hashlib.blake2b(customer.encode(), digest_size=2).digest()
    return int.from_bytes(digest, "big") % BUCKETS


class Message(msgspec.Struct, frozen=True):
    """A message as its stream has it.

    `attempt` is the hand-over that is under way, `channel` the one by which the last one went, and
    `until` the moment to which it is postponed. `ways` are all channels by which a hand-over began,
    with the hash of the contact point; `tried` those of them that did not reach. `told` is what
    providers have said, each with its channel; `given_up`: there is no further channel.
    """

    stage: Stage | None = None
    campaign: str = ""
    attempt: str | None = None
    refusals: int = 0
    channel: str = ""
    until: datetime | None = None
    ways: Mapping[str, str] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    tried: frozenset[str] = frozenset()
    told: frozenset[tuple[str, str]] = frozenset()
    given_up: bool = False

    @property
    def arrived(self) -> bool:
        """Whether a provider has said that it reached the customer."""
        return any(what in ARRIVALS for what, _ in self.told)


ARRIVALS: frozenset[str] = frozenset({"delivered", "opened", "complained"})
"""What nobody can say of a message that has not arrived."""
