"""Ways out of the chain: one file per channel, all with the same contract.

What must hold of every channel: a hand-over is over by its deadline, and its receipt says no more
than is certain. *Accepted* and *rejected* are the provider's word; *not taken* means that it is
certain that the provider will not deliver it, so that it may be tried again; everything else is
*unknown*. A channel that deduplicates takes the same message id again within the time that it
declares, and delivers once. tests/contract/test_channels.py holds every channel to it.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message at the door.

    `id` is the idempotency key; `at` the chain's time; `deadline` the time of the event loop by
    which the hand-over must be over. What is personal never shows in a repr.
    """

    id: str
    address: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    at: datetime
    deadline: float


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has it; `reference` is its own id of it."""

    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The provider will never take it."""

    code: str


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The provider does not have it, for certain.

    refused: it said so, for now; away: it could not be reached; late: the deadline came first.
    """

    reason: Literal["refused", "away", "late"]
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have it or not."""


Receipt = Accepted | Rejected | NotTaken | Unknown


class Channel(Protocol):
    """One way out."""

    @property
    def deduplicates(self) -> timedelta | None:
        """For how long the same id is delivered once; None: each hand-over is a delivery."""
        ...

    async def send(self, message: Outgoing) -> Receipt:
        """Hand one message over. Raises nothing but cancellation."""
        ...
