"""The ledger of a customer: the hand-overs that count against caps, one stream each.

A slot is written in the very transaction in which its hand-over begins, and its stream settles who
was first: two dispatchers cannot both take the last one. A hand-over that certainly reached nobody
gives its slot back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from services.notify.domain.caps import LONGEST_WINDOW, CapRule, Slot, free_at
from shared.decider import Decider, NewEvent
from shared.events.contract import EventData
from shared.events.customer import Channel
from shared.events.sending import SlotReturned, SlotTaken

LEDGER_PREFIX = "ledger-"


def ledger_stream(customer: str) -> str:
    """The stream of a customer's ledger."""
    return f"{LEDGER_PREFIX}{customer}"


@dataclass(frozen=True, slots=True)
class Ledger:
    """The slots that may count still, by message and channel."""

    slots: Mapping[tuple[str, str], Slot] = field(default_factory=lambda: MappingProxyType({}))

    def free_at(self, rules: Sequence[CapRule], slot: Slot) -> datetime:
        """When the slot may be taken, as of its own time; one that is taken already may be."""
        if (slot.message, slot.channel) in self.slots:
            return slot.at
        return free_at(rules, self.slots.values(), (slot.channel, slot.topic), slot.at)

    def with_slot(self, slot: Slot) -> "Ledger":
        """With one more, and without those that count nowhere any more."""
        first = slot.at - LONGEST_WINDOW
        kept = {key: each for key, each in self.slots.items() if each.at > first}
        return Ledger(MappingProxyType({**kept, (slot.message, slot.channel): slot}))

    def without(self, message: str, channel: str) -> "Ledger":
        """With one given back."""
        gone = (message, channel)
        return Ledger(
            MappingProxyType({key: each for key, each in self.slots.items() if key != gone})
        )


@dataclass(frozen=True, slots=True)
class TakeSlot:
    """Take a slot, if the caps leave one."""

    slot: Slot
    campaign: str
    rules: Sequence[CapRule]


@dataclass(frozen=True, slots=True)
class ReturnSlot:
    """Give a slot back."""

    message: str
    channel: Channel
    at: datetime


LedgerCommand = TakeSlot | ReturnSlot


def decide(command: LedgerCommand, state: Ledger) -> Sequence[NewEvent]:
    """The event that follows; nothing where there is no slot, or it stands so already."""
    match command:
        case TakeSlot(slot=slot, campaign=campaign, rules=rules):
            held = (slot.message, slot.channel) in state.slots
            if held or state.free_at(rules, slot) > slot.at:
                return ()
            taken = SlotTaken(
                message=slot.message,
                campaign=campaign,
                channel=slot.channel,
                topic=slot.topic,
                at=slot.at,
            )
            return (NewEvent(taken, slot.at),)
        case ReturnSlot(message=message, channel=channel, at=at):
            if (message, channel) not in state.slots:
                return ()
            return (NewEvent(SlotReturned(message=message, channel=channel), at),)


def evolve(state: Ledger, data: EventData) -> Ledger:
    """The ledger after an event."""
    match data:
        case SlotTaken():
            return state.with_slot(Slot(data.message, data.channel, data.topic, data.at))
        case SlotReturned(message=message, channel=channel):
            return state.without(message, channel)
        case _:
            text = f"a ledger has no event {data.type}"
            raise TypeError(text)


LEDGER: Decider[LedgerCommand, Ledger] = Decider(Ledger, decide, evolve)
