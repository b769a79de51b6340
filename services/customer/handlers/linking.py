"""Linking two customers, and taking the link away."""

from dataclasses import replace

from services.customer.domain.customer import CUSTOMER, MERGED
from services.customer.domain.linking import Link, decide
from services.customer.domain.state import Customer, stream_of
from services.customer.handlers.customers import MAX_REDIRECTS, Request
from shared.decider import Refused
from shared.envelope import Causation
from shared.execute import Done, Joint, JointDecider, Writer

LINKING: JointDecider[Link, Customer] = JointDecider(of=CUSTOMER, decide=decide)


async def link(writer: Writer, request: Request, command: Link) -> Done:
    """Carry it out on both, or on those they were merged into. Raises its refusal."""
    for _ in range(MAX_REDIRECTS):
        joint = Joint(
            id=request.command_id,
            hash=request.hash,
            streams={stream_of(each): each for each in (command.customer, command.other)},
            body=command,
            causation=Causation(correlation=request.command_id),
        )
        try:
            return await writer.together(LINKING, joint)
        except Refused as refusal:
            if refusal.type != MERGED:
                raise
            command = _redirected(command, refusal.extra)
    raise Refused("merged", 409, "The customers are being merged all the time.", "try again")


def _redirected(command: Link, extra: dict[str, str]) -> Link:
    merged, survivor = extra["merged"], extra["survivor"]
    if command.customer == merged:
        return replace(command, customer=survivor)
    return replace(command, other=survivor)
