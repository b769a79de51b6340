"""In whose name messages go out: the branch's, else the chain's, else what the provider has."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.decider import Decider, NewEvent, invalid
from shared.events.contract import EventData
from shared.events.sending import SendersDefined

SENDERS_STREAM = "sending-senders"
MOST_SENDERS = 2_000
SMS = re.compile(r"\+?[0-9]{3,15}|(?=.*[A-Za-z])[A-Za-z0-9 ._&-]{1,11}")
"""A number, or up to eleven letters and digits (3GPP TS 23.040, 9.1.2.5)."""


@dataclass(frozen=True, slots=True)
class Senders:
    """The senders as their stream has them, by branch (None: the chain's) and channel."""

    version: int = 0
    definition: SendersDefined = field(default_factory=SendersDefined)
    by: Mapping[tuple[str | None, str], str] = field(default_factory=dict)

    def of(self, channel: str, *branches: str | None) -> str | None:
        """The sender by a channel: that of the first branch that has one, else the chain's."""
        for branch in (*(each for each in branches if each is not None), None):
            found = self.by.get((branch, channel))
            if found is not None:
                return found
        return None


@dataclass(frozen=True, slots=True)
class DefineSenders:
    """Give the chain its (new) senders; `may_replace` is asked with the version that stands.

    `is_address` says whether a text can be the From of mail.
    """

    definition: SendersDefined
    at: datetime
    is_address: Callable[[str], bool]
    may_replace: Callable[[int], None] = lambda _version: None


def decide(command: DefineSenders, state: Senders) -> Sequence[NewEvent]:
    """The event that follows, or the refusal that names what is wrong."""
    definition = command.definition
    if len(definition.senders) > MOST_SENDERS:
        raise invalid("senders", f"at most {MOST_SENDERS} of them")
    seen: set[tuple[str | None, str]] = set()
    for place, each in enumerate(definition.senders):
        path = f"senders.{place}"
        if each.channel == "email":
            if not command.is_address(each.sender):
                raise invalid(f"{path}.sender", "an address, or a name with one")
        elif each.channel != "sms":
            raise invalid(f"{path}.channel", "email or sms: of others the provider knows it")
        elif SMS.fullmatch(each.sender) is None:
            raise invalid(f"{path}.sender", "a number, or up to 11 letters and digits")
        if (each.branch, each.channel) in seen:
            raise invalid(path, "the branch has a sender for this channel already")
        seen.add((each.branch, each.channel))
    if definition == state.definition:
        return ()
    if state.version:
        command.may_replace(state.version)
    return (NewEvent(definition, command.at),)


def evolve(state: Senders, data: EventData) -> Senders:
    """The senders after an event."""
    if isinstance(data, SendersDefined):
        by: dict[tuple[str | None, str], str] = {
            (each.branch, each.channel): each.sender for each in data.senders
        }
        return Senders(state.version + 1, data, by)
    message = f"senders have no event {data.type}"
    raise TypeError(message)


SENDERS: Decider[DefineSenders, Senders] = Decider(Senders, decide, evolve)
