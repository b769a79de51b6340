"""Which facts of somebody unknown make them a customer at once; none do until it is decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.customer.domain.configuration.catalogue import RestsOn, whatever
from shared.decider import Decider, NewEvent
from shared.events.automation import RegistrationDefined
from shared.events.contract import EventData


@dataclass(frozen=True, slots=True)
class Registration:
    """What the chain has decided; `version` counts how often."""

    definition: RegistrationDefined | None = None
    version: int = 0

    def takes(self, kind: str, recorded: datetime) -> bool:
        """Whether somebody of whom this was recorded then is to be registered."""
        known = self.definition
        return known is not None and kind in known.facts and recorded >= known.since


@dataclass(frozen=True, slots=True)
class DefineRegistration:
    """Decide it anew."""

    definition: RegistrationDefined
    at: datetime
    rests_on: RestsOn = whatever


def decide(command: DefineRegistration, state: Registration) -> Sequence[NewEvent]:
    """The event, where it changes anything."""
    known = state.definition
    if known is not None and command.definition == known.model_copy(
        update={"since": command.definition.since}
    ):
        return []
    command.rests_on(state.version or None)
    return [NewEvent(command.definition, command.at)]


def evolve(state: Registration, data: EventData) -> Registration:
    """The decision after an event."""
    match data:
        case RegistrationDefined():
            return Registration(data, state.version + 1)
        case _:
            message = f"registration has no event {data.type}"
            raise TypeError(message)


REGISTRATION: Decider[DefineRegistration, Registration] = Decider(Registration, decide, evolve)
