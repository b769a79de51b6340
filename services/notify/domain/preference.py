"""What customers decide by links in their messages: a stream each, and what follows from it here.

A withdrawal counts from the moment at which it is recorded, whatever has been read of the customer
by then: it takes away each consent that is not younger than itself. An agreement counts once the
customer's log of consents has it, like every other one; all it does here is that a consent of the
very moment of the withdrawal before it counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from shared.decider import Decider, NewEvent
from shared.events.contract import EventData
from shared.events.preferences import (
    PreferenceGiven,
    PreferenceWithdrawn,
    PreferredChannelChosen,
)

PREFIX = "preferences-"
Word = PreferenceWithdrawn | PreferenceGiven
Said = Word | PreferredChannelChosen


def preferences_stream(customer: str) -> str:
    """The stream of what a customer decided by links."""
    return f"{PREFIX}{customer}"


@dataclass(frozen=True, slots=True)
class Say:
    """Record what a customer says; each word is kept, also where it stands already."""

    words: tuple[Said, ...]
    at: datetime


def _decide(command: Say, _state: None) -> Sequence[NewEvent]:
    return [NewEvent(word, command.at) for word in command.words]


def _evolve(_state: None, _data: EventData) -> None:
    return None


PREFERENCE: Decider[Say, None] = Decider(lambda: None, _decide, _evolve)
"""What is said rests on nothing that was said before."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The last withdrawal of a topic by a channel.

    `lifted`: the customer has agreed again since, so a consent of the same moment is younger.
    """

    at: datetime
    lifted: bool = False

    def outlives(self, agreed: datetime | None) -> bool:
        """Whether a consent of a moment (None: not known, so older) is still withdrawn by it."""
        if agreed is None:
            return True
        return agreed < self.at or (agreed == self.at and not self.lifted)


Subject = tuple[str, str]
"""Topic and channel."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """What stands of a customer's words.

    `versions` are those of the streams that were read, those of merged records among them.
    """

    refusals: Mapping[Subject, Refusal] = field(default_factory=lambda: MappingProxyType({}))
    versions: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def refused(self, topic: str, channel: str, agreed: datetime | None) -> bool:
        """Whether a consent of that moment is withdrawn."""
        refusal = self.refusals.get((topic, channel))
        return refusal is not None and refusal.outlives(agreed)

    def heard(self, word: Word, at: datetime) -> "Preferences":
        """After one more word, said at that moment."""
        about, before = (word.topic, word.channel), self.refusals.get((word.topic, word.channel))
        if isinstance(word, PreferenceWithdrawn):
            after = Refusal(at if before is None else max(at, before.at))
        elif before is None:
            return self
        else:
            after = Refusal(before.at, lifted=True)
        return Preferences(MappingProxyType({**self.refusals, about: after}), self.versions)

    def joined(self, other: "Preferences") -> "Preferences":
        """With those of a record that was merged into this one: the later refusal counts."""
        refusals = dict(self.refusals)
        for about, theirs in other.refusals.items():
            ours = refusals.get(about)
            refusals[about] = theirs if ours is None or theirs.at > ours.at else ours
        versions = {**self.versions, **other.versions}
        return Preferences(MappingProxyType(refusals), MappingProxyType(versions))
