"""Addresses that get nothing: one stream each, named by the hash of the address.

An address is put on the list once, for the first reason that there is, and stays on it until a
person releases it. What came back from it once says little; so many messages that came back within
so long say that it is bad.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from shared.decider import Decider, NewEvent, not_found
from shared.events.contract import EventData
from shared.events.customer import Channel
from shared.events.suppression import (
    AddressFailed,
    AddressReleased,
    AddressSuppressed,
    SuppressedFor,
)

ADDRESS_PREFIX = "address-"
MOST_KEPT = 100
"""Failures that are looked back to: no chain waits for more."""


def address_stream(contact: str) -> str:
    """The stream of an address; `contact` is its hash."""
    return f"{ADDRESS_PREFIX}{contact}"


@dataclass(frozen=True, slots=True)
class Patience:
    """How many messages may come back from an address within a span before it counts as bad."""

    most: int = 3
    within: timedelta = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Address:
    """An address: why it gets nothing (if so), and when messages came back, each with its id."""

    reason: SuppressedFor | None = None
    failures: tuple[tuple[str, datetime], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppressAddress:
    """Put it on the list."""

    contact: str
    at: datetime
    reason: SuppressedFor
    channel: Channel | None = None
    message: str | None = None
    customer: str | None = None
    by: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteFailure:
    """A message came back from it."""

    contact: str
    at: datetime
    channel: Channel
    message: str
    customer: str | None = None
    code: str | None = None
    patience: Patience = Patience()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseAddress:
    """Take it off the list; a person says so."""

    contact: str
    at: datetime
    by: str | None = None
    note: str | None = None


AddressCommand = SuppressAddress | NoteFailure | ReleaseAddress


def decide(command: AddressCommand, state: Address) -> Sequence[NewEvent]:
    """The events that follow; none where it is on the list already."""
    match command:
        case SuppressAddress():
            return () if state.reason is not None else (_suppressed(command),)
        case NoteFailure():
            return _failed(command, state)
        case ReleaseAddress(contact=contact, by=by, note=note):
            if state.reason is None:
                kind = "suppression"
                raise not_found(kind, contact)
            return (NewEvent(AddressReleased(contact=contact, by=by, note=note), command.at),)
        case _:
            assert_never(command)


def _suppressed(command: SuppressAddress) -> NewEvent:
    data = AddressSuppressed(
        contact=command.contact,
        reason=command.reason,
        channel=command.channel,
        message=command.message,
        customer=command.customer,
        by=command.by,
        note=command.note,
    )
    return NewEvent(data, command.at)


def _failed(command: NoteFailure, state: Address) -> Sequence[NewEvent]:
    if state.reason is not None or command.message in {message for message, _ in state.failures}:
        return ()
    noted = AddressFailed(
        contact=command.contact,
        channel=command.channel,
        message=command.message,
        at=command.at,
        code=command.code,
    )
    first = command.at - command.patience.within
    lately = 1 + sum(moment > first for _, moment in state.failures)
    events = [NewEvent(noted, command.at)]
    if lately >= command.patience.most:
        bad = SuppressAddress(
            contact=command.contact,
            at=command.at,
            reason="bounced",
            channel=command.channel,
            message=command.message,
            customer=command.customer,
        )
        events.append(_suppressed(bad))
    return events


def evolve(state: Address, data: EventData) -> Address:
    """The address after an event."""
    match data:
        case AddressSuppressed(reason=reason):
            return replace(state, reason=reason)
        case AddressReleased():
            return Address()
        case AddressFailed(message=message, at=at):
            return replace(state, failures=(*state.failures, (message, at))[-MOST_KEPT:])
        case _:
            text = f"an address has no event {data.type}"
            raise TypeError(text)


ADDRESS: Decider[AddressCommand, Address] = Decider(Address, decide, evolve)
