"""Ways out of the chain: one file per channel, all with the same contract.

What must hold of every channel: a hand-over is over by its deadline, and its receipt says no more
than is certain. *Accepted* and *rejected* are the provider's word; *not taken* means that it is
certain that the provider will not deliver it, so that it may be tried again; everything else is
*unknown*. A channel that deduplicates takes the same message id again within the time that it
declares, and delivers once. tests/contract/test_channels.py holds every channel to it.

Where a provider cannot be reached, does not let the chain in, or asks for patience, messages wait:
they fail by what they are, never by how the chain is set up.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol, TypeAlias

from shared.events import customer

Way: TypeAlias = customer.Channel
"""The way that people choose and consent to."""
Contact = Literal["email", "phone", "push", "messenger", "external"]
"""Kinds of contact points that channels reach."""


@dataclass(frozen=True, slots=True)
class Approved:
    """A form that the messenger has approved: its name and language there, and its blanks."""

    name: str
    language: str
    parameters: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message at the door.

    `id` is the idempotency key; `at` the chain's time; `deadline` the time of the event loop by
    which the hand-over must be over. `subject` is also the title of a push message. `html` is the
    richer form of the text for channels that have one, `unsubscribe` the address of the one-click
    way out (RFC 8058), `sender` in whose name it goes where the channel lets that be chosen, and
    `template` the approved form that a messenger asks for. What is personal never shows in a repr.
    """

    id: str
    address: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    at: datetime
    deadline: float
    html: str | None = field(default=None, repr=False)
    unsubscribe: str | None = field(default=None, repr=False)
    sender: str | None = None
    template: Approved | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has it; `reference` is its own id of it."""

    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The provider will never take it; `address`: because the address itself is bad."""

    code: str
    address: bool = False


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The provider does not have it, for certain.

    refused: it does not take this message for now; away: it cannot be reached, or takes nothing
    for now; late: the deadline came first. `retry_after` is for how many seconds it said so.
    """

    reason: Literal["refused", "away", "late"]
    code: str | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have it or not."""


Receipt = Accepted | Rejected | NotTaken | Unknown


class Channel(Protocol):
    """One way out, to one provider."""

    @property
    def name(self) -> str:
        """The provider's, as in logs and rests: what fails at one is no other's fault."""
        ...

    @property
    def serves(self) -> Way:
        """The way that people choose and consent to."""
        ...

    @property
    def reaches(self) -> Contact:
        """The kind of contact point whose values are its addresses."""
        ...

    @property
    def deduplicates(self) -> timedelta | None:
        """For how long the same id is delivered once; None: each hand-over is a delivery."""
        ...

    @property
    def longest(self) -> int | None:
        """Letters that a text may have, of those that take least room; None: as many as it has."""
        ...

    @property
    def at_once(self) -> int:
        """Hand-overs that may be under way."""
        ...

    @property
    def per_second(self) -> float | None:
        """Hand-overs that may begin within a second; None: as many as there are."""
        ...

    async def send(self, message: Outgoing) -> Receipt:
        """Hand one message over. Raises nothing but cancellation."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
