"""The chain's sending policy: quiet hours and caps that every campaign keeps to.

It is defined whole; who changes it has seen what stood there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import get_args

from services.notify.domain.caps import LONGEST_WINDOW, CapRule
from services.notify.domain.durations import exact_duration
from services.notify.domain.quiet import LEAST_OPEN_MINUTES, Stretch, open_minutes
from shared.decider import Decider, NewEvent, invalid
from shared.events.contract import EventData
from shared.events.customer import Channel
from shared.events.sending import Cap, QuietHours, SendingPolicyDefined

POLICY_STREAM = "sending-policy"
MOST_ENTRIES = 50


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy as its stream has it; before anybody defined one, nothing is quiet or capped."""

    version: int = 0
    definition: SendingPolicyDefined | None = None
    quiet: tuple[tuple[str | None, Stretch], ...] = ()
    caps: tuple[CapRule, ...] = ()
    service_waits: bool = field(default=False)

    def quiet_of(self, channel: str, *, service: bool) -> Sequence[Stretch]:
        """The stretches in which nothing goes out by the channel."""
        if service and not self.service_waits:
            return ()
        return [stretch for of, stretch in self.quiet if of in (None, channel)]


@dataclass(frozen=True, slots=True)
class DefinePolicy:
    """Give the chain its (new) policy; `may_replace` is asked with the version that stands."""

    definition: SendingPolicyDefined
    at: datetime
    may_replace: Callable[[int], None] = lambda _version: None


def stretch_of(hours: QuietHours) -> Stretch:
    """Quiet hours as they are reckoned with."""
    begin, end = time.fromisoformat(hours.begin), time.fromisoformat(hours.end)
    return Stretch(begin, end, frozenset(hours.days))


def rule_of(cap: Cap, path: str = "within") -> CapRule:
    """A cap as it is reckoned with. Raises `Refused` for a window that is none."""
    return CapRule(cap.most, exact_duration(cap.within, path), cap.channel, cap.topic)


def decide(command: DefinePolicy, state: Policy) -> Sequence[NewEvent]:
    """The event that follows, or the refusal that names what is wrong."""
    definition = command.definition
    _check(definition)
    if definition == (state.definition or SendingPolicyDefined()):
        return ()
    if state.definition is not None:
        command.may_replace(state.version)
    return (NewEvent(definition, command.at),)


def _check(definition: SendingPolicyDefined) -> None:
    for path, entries in (("quiet", definition.quiet), ("caps", definition.caps)):
        if len(entries) > MOST_ENTRIES:
            raise invalid(path, f"at most {MOST_ENTRIES} of them")
    for place, hours in enumerate(definition.quiet):
        if hours.begin == hours.end:
            raise invalid(f"quiet.{place}.end", "is another time than `begin`")
    for channel in get_args(Channel):
        of_it = [stretch_of(each) for each in definition.quiet if each.channel in (None, channel)]
        if of_it and open_minutes(of_it) < LEAST_OPEN_MINUTES:
            raise invalid("quiet", f"leaves less than an hour of the week to {channel}")
    for place, cap in enumerate(definition.caps):
        path = f"caps.{place}.within"
        if rule_of(cap, path).within > LONGEST_WINDOW:
            raise invalid(path, f"at most {LONGEST_WINDOW.days} days")


def evolve(state: Policy, data: EventData) -> Policy:
    """The policy after an event."""
    if isinstance(data, SendingPolicyDefined):
        return Policy(
            version=state.version + 1,
            definition=data,
            quiet=tuple((hours.channel, stretch_of(hours)) for hours in data.quiet),
            caps=tuple(rule_of(cap) for cap in data.caps),
            service_waits=data.service_waits,
        )
    message = f"a sending policy has no event {data.type}"
    raise TypeError(message)


POLICY: Decider[DefinePolicy, Policy] = Decider(Policy, decide, evolve)
