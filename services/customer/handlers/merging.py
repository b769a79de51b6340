"""Merging two customers, and undoing it."""

from dataclasses import dataclass, replace
from typing import TypeVar

from services.customer.domain.customer import CUSTOMER, MERGED
from services.customer.domain.merging import (
    Merge,
    claims_of_loser,
    decide_merge,
    merge_changes,
)
from services.customer.domain.reverting import MOVED_ON, Revert, decide_revert, revert_changes
from services.customer.domain.state import Customer, stream_of
from services.customer.handlers.customers import MAX_REDIRECTS, Request
from shared.decider import Refused
from shared.envelope import Causation
from shared.execute import Done, Joint, JointDecider, Writer
from shared.ids import derived_id

BodyT = TypeVar("BodyT")
MERGING: JointDecider[Merge, Customer] = JointDecider(
    of=CUSTOMER, decide=decide_merge, claim_ids=claims_of_loser, changes=merge_changes
)
REVERTING: JointDecider[Revert, Customer] = JointDecider(
    of=CUSTOMER, decide=decide_revert, claim_ids=claims_of_loser, changes=revert_changes
)


@dataclass(frozen=True, slots=True)
class Merged:
    """The customer who lives on, with the answer of that one's stream."""

    survivor: str
    done: Done


def merge_id(command_id: str) -> str:
    """The id of the merge that a command makes: the same each time it is sent."""
    return derived_id("merge", command_id)


async def merge(writer: Writer, request: Request, command: Merge) -> Merged:
    """Merge into the customer, or into the one that this one was merged into. Raises `Refused`."""
    for _ in range(MAX_REDIRECTS):
        try:
            done = await writer.together(
                MERGING, _joint(request, command, command.into, command.customer), sealed=True
            )
        except Refused as refusal:
            if refusal.type != MERGED:
                raise
            command = replace(command, into=refusal.extra["survivor"])
        else:
            return Merged(done.stream.removeprefix(stream_of("")), done)
    raise _unsettled()


async def revert(writer: Writer, request: Request, command: Revert) -> Merged:
    """Undo the merge that the customer lost. Raises `Refused`."""
    for _ in range(MAX_REDIRECTS):
        command = replace(command, survivor=await _survivor(writer, command.customer))
        customers = [each for each in (command.survivor, command.customer) if each is not None]
        try:
            done = await writer.together(
                REVERTING, _joint(request, command, *customers), sealed=True
            )
        except Refused as refusal:
            if refusal.type != MOVED_ON:
                raise
        else:
            return Merged(done.stream.removeprefix(stream_of("")), done)
    raise _unsettled()


async def _survivor(writer: Writer, customer: str) -> str | None:
    stream = stream_of(customer)
    histories = await writer.histories([stream], sealed=True)
    events, _head = histories.get(stream, ((), None))
    merged = CUSTOMER.fold(events).merged
    return None if merged is None else merged.survivor


def _joint(request: Request, body: BodyT, *customers: str) -> Joint[BodyT]:
    return Joint(
        id=request.command_id,
        hash=request.hash,
        streams={stream_of(customer): customer for customer in customers},
        body=body,
        causation=request.why or Causation(correlation=request.command_id),
    )


def _unsettled() -> Refused:
    return Refused(
        "merging-meanwhile",
        409,
        "The customers are being merged and reverted all the time.",
        "try again",
    )
