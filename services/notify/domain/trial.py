"""Tests of campaigns: what is sent to a few addresses that somebody names, to see it arrive.

They are no messages of the campaign and count nowhere. All tests of a day are one stream, which
says who sent what to whom and keeps the day to so many addresses: nobody reaches the base by it,
however many campaigns there are. A test is recorded before it is sent, and is sent once at most.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from shared.decider import Decider, NewEvent, Refused
from shared.events.contract import EventData
from shared.events.single import AddressOutcome, CampaignTested, CampaignTestEnded

MOST_ADDRESSES = 5
MOST_A_DAY = 100
_PREFIX = "tests-"


def trials_stream(day: str) -> str:
    """The stream of a day of the chain's calendar (ISO 8601)."""
    return f"{_PREFIX}{day}"


@dataclass(frozen=True, slots=True)
class Trials:
    """A day's tests: how many addresses they went to, and what came of those that are over."""

    addresses: int = 0
    outcomes: Mapping[str, Sequence[AddressOutcome]] = field(
        default_factory=lambda: MappingProxyType({})
    )


@dataclass(frozen=True, slots=True)
class BeginTest:
    """Note that a test is sent."""

    tested: CampaignTested
    at: datetime


@dataclass(frozen=True, slots=True)
class EndTest:
    """Note what came of it."""

    ended: CampaignTestEnded
    at: datetime


TrialCommand = BeginTest | EndTest


def _decide(command: TrialCommand, state: Trials) -> Sequence[NewEvent]:
    match command:
        case BeginTest(tested=tested):
            if state.addresses + len(tested.contacts) > MOST_A_DAY:
                left = MOST_A_DAY - state.addresses
                raise Refused(
                    "too-many-tests",
                    409,
                    "So many addresses have got tests today.",
                    f"{left} of {MOST_A_DAY} are left until the day of the chain ends",
                )
            return (NewEvent(tested, command.at),)
        case EndTest(ended=ended):
            return () if ended.test in state.outcomes else (NewEvent(ended, command.at),)


def _evolve(state: Trials, data: EventData) -> Trials:
    match data:
        case CampaignTested(contacts=contacts):
            return replace(state, addresses=state.addresses + len(contacts))
        case CampaignTestEnded(test=test, outcomes=outcomes):
            return replace(state, outcomes=MappingProxyType({**state.outcomes, test: outcomes}))
        case _:
            text = f"tests have no event {data.type}"
            raise TypeError(text)


TRIALS: Decider[TrialCommand, Trials] = Decider(Trials, _decide, _evolve)
