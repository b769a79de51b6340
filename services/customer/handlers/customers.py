"""What can be done with customers: each handler decides and appends, and nothing else.

What concerns a customer who was merged is carried out on the survivor: callers need not know. Only
what rests on a version of the one does not rest on the same number of the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.customer.domain.commands import Command, Register
from services.customer.domain.customer import CUSTOMER, MERGED
from services.customer.domain.identifying import CLAIMS
from services.customer.domain.state import stream_of
from shared.decider import Refused
from shared.envelope import Causation
from shared.execute import Command as Execution
from shared.execute import Done, Outcome, Writer
from shared.ids import derived_id

MAX_REDIRECTS = 50
"""A chain of merges this long is a loop, which merges never form."""


@dataclass(frozen=True, slots=True)
class Request:
    """Under which id something is asked for, a keyed hash of what was asked, and when.

    The hash stays in the log for ever, and without the chain's secret it must not give back the
    few digits of a phone number. `why` is what caused it, where that is not the caller.
    """

    command_id: str
    hash: str
    at: datetime
    why: Causation | None = None


def new_customer_id(command_id: str) -> str:
    """The id of the customer that a command registers: the same each time it is sent."""
    return derived_id("customer", command_id)


async def carry_out(writer: Writer, request: Request, command: Command) -> Done:
    """Carry out one command. Raises its refusal."""
    (outcome,) = await carry_out_all(writer, [(request, command)])
    if isinstance(outcome, Refused):
        raise outcome
    return outcome


async def carry_out_all(
    writer: Writer, asked: Sequence[tuple[Request, Command]]
) -> Sequence[Outcome]:
    """Carry out commands, each with its own outcome; their claims share transactions."""
    outcomes: dict[int, Outcome] = {}
    commands = dict(enumerate(asked))
    for _ in range(MAX_REDIRECTS):
        if not commands:
            break
        results = await writer.many(
            CUSTOMER, [_execution(*each) for each in commands.values()], claims=CLAIMS
        )
        outcomes |= dict(zip(commands, results, strict=True))
        commands = {
            index: (asked[index][0], replace(commands[index][1], customer=survivor))
            for index in commands
            if (survivor := _survivor(outcomes[index])) is not None
            and commands[index][1].if_match is None
        }
    return [_version_gone(outcomes[index], asked[index][1]) for index in range(len(asked))]


def _version_gone(outcome: Outcome, command: Command) -> Outcome:
    if _survivor(outcome) is None or command.if_match is None:
        return outcome
    return Refused(
        "precondition-failed",
        412,
        "The customer was merged in the meantime.",
        "read it again, and decide again",
    )


def _survivor(outcome: Outcome) -> str | None:
    if isinstance(outcome, Refused) and outcome.type == MERGED:
        return outcome.extra["survivor"]
    return None


def registration(request: Request, command: Register) -> Register:
    """The command with the id that follows from the request."""
    return replace(command, customer=new_customer_id(request.command_id))


def _execution(request: Request, command: Command) -> Execution[Command]:
    return Execution(
        id=request.command_id,
        hash=request.hash,
        stream=stream_of(command.customer),
        key=command.customer,
        body=command,
        causation=request.why or Causation(correlation=request.command_id),
        subject=command.customer,
    )
