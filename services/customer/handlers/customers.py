"""What can be done with customers: each handler loads, decides and appends, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.customer.domain.customer import (
    CLAIMS,
    CUSTOMER,
    AddIdentifier,
    Command,
    GiveConsent,
    Register,
    RemoveIdentifier,
    WithdrawConsent,
    stream_of,
)
from shared.envelope import Causation
from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerRegistered,
    IdentifierKind,
)
from shared.execute import Command as Execution
from shared.execute import Done, Outcome, Writer
from shared.identifiers import KnownIdentifier
from shared.ids import derived_id


@dataclass(frozen=True, slots=True)
class Request:
    """Under which id something is asked for, a keyed hash of what was asked, and when.

    The hash stays in the log for ever, and without the chain's secret it must not give back the
    few digits of a phone number.
    """

    command_id: str
    hash: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody to be registered."""

    person: CustomerRegistered
    identifiers: tuple[KnownIdentifier, ...]
    consents: tuple[ConsentGiven, ...]


def new_customer_id(command_id: str) -> str:
    """The id of the customer that a command registers: the same each time it is sent."""
    return derived_id("customer", command_id)


async def register(
    writer: Writer, newcomers: Sequence[tuple[Request, Newcomer]]
) -> Sequence[Outcome]:
    """Register customers, each with its own outcome; their claims share a transaction."""
    return await writer.many(
        CUSTOMER,
        [
            _execution(
                request,
                Register(
                    customer=new_customer_id(request.command_id),
                    at=request.at,
                    person=newcomer.person,
                    identifiers=newcomer.identifiers,
                    consents=newcomer.consents,
                ),
            )
            for request, newcomer in newcomers
        ],
        claims=CLAIMS,
    )


async def add_identifier(
    writer: Writer, request: Request, customer: str, identifier: KnownIdentifier
) -> Done:
    """Let a customer be found by one more value. Raises `Refused` when another one has it."""
    command = AddIdentifier(customer=customer, at=request.at, identifier=identifier)
    return await writer.one(CUSTOMER, _execution(request, command), CLAIMS)


async def remove_identifier(
    writer: Writer, request: Request, customer: str, kind: IdentifierKind, value_hash: str
) -> Done:
    """Let a customer be found by a value no longer."""
    command = RemoveIdentifier(customer=customer, at=request.at, kind=kind, hash=value_hash)
    return await writer.one(CUSTOMER, _execution(request, command), CLAIMS)


async def give_consent(
    writer: Writer, request: Request, customer: str, consent: ConsentGiven
) -> Done:
    """Record that a customer agreed."""
    command = GiveConsent(customer=customer, at=request.at, consent=consent)
    return await writer.one(CUSTOMER, _execution(request, command))


async def withdraw_consent(
    writer: Writer, request: Request, customer: str, withdrawn: ConsentWithdrawn
) -> Done:
    """Record that a customer agrees no longer."""
    command = WithdrawConsent(customer=customer, at=request.at, withdrawn=withdrawn)
    return await writer.one(CUSTOMER, _execution(request, command))


def _execution(request: Request, command: Command) -> Execution[Command]:
    return Execution(
        id=request.command_id,
        hash=request.hash,
        stream=stream_of(command.customer),
        key=command.customer,
        body=command,
        causation=Causation(correlation=request.command_id),
        subject=command.customer,
    )
