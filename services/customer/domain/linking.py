"""Customers who belong together: both streams say so, or neither does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.customer.domain.customer import require_living
from services.customer.domain.state import Customer, stream_of
from shared.decider import NewEvent, Refused, invalid
from shared.events.care import CustomersLinked, CustomersUnlinked, Relation
from shared.eventstore import Claim

MAX_LINKS = 100


@dataclass(frozen=True, slots=True)
class Link:
    """Let two customers belong together, or no longer (`linked` is False)."""

    customer: str
    other: str
    relation: Relation
    at: datetime
    linked: bool = True


def decide(
    command: Link, states: Mapping[str, Customer], _claims: Mapping[str, Claim]
) -> Mapping[str, Sequence[NewEvent]]:
    """An event for each of the two, or none where both say so already."""
    pair = (command.customer, command.other)
    if command.customer == command.other:
        raise invalid("other", "another customer")
    for each in pair:
        require_living(each, states[stream_of(each)])
    if all(_is_so(command, states, *each) for each in (pair, pair[::-1])):
        return {}
    for each in pair:
        if command.linked and len(states[stream_of(each)].links) >= MAX_LINKS:
            raise Refused(
                "too-many-links",
                422,
                "The customer has too many links.",
                f"at most {MAX_LINKS}; remove one first",
            )
    return {
        stream_of(one): [_event(command, states[stream_of(one)], other)]
        for one, other in (pair, pair[::-1])
    }


def _is_so(command: Link, states: Mapping[str, Customer], one: str, other: str) -> bool:
    return ((other, command.relation) in states[stream_of(one)].links) == command.linked


def _event(command: Link, state: Customer, other: str) -> NewEvent:
    kind = CustomersLinked if command.linked else CustomersUnlinked
    data = kind(other=other, relation=command.relation)
    return NewEvent(data, command.at, state.record.home_branch)
