"""A device changes hands with whoever uses it: its token belongs to the last one who showed it.

Nobody but the device gives its token out, so whoever shows it has the device. What was agreed to
for the token ends with its removal: the next person says it anew. Between the two steps it belongs
to nobody; a caller who asks again carries the second one out.
"""

from services.customer.domain.commands import AddIdentifier, Command, RemoveIdentifier
from services.customer.handlers.customers import Request, carry_out
from shared.decider import Refused
from shared.execute import Done, Writer

HELD_BY_WHO_SHOWS_IT = frozenset({"push"})
TAKEN = "identifier-taken"


async def add_identifier(writer: Writer, request: Request, command: Command) -> Done:
    """Add it; a device is taken from whoever had it before. Raises `Refused`."""
    try:
        return await carry_out(writer, request, command)
    except Refused as refusal:
        if refusal.type != TAKEN or not isinstance(command, AddIdentifier):
            raise
        if command.identifier.known.kind not in HELD_BY_WHO_SHOWS_IT:
            raise
        owner = refusal.extra["owner"]
    known = command.identifier.known
    removal = RemoveIdentifier(
        customer=owner, at=command.at, by=command.by, kind=known.kind, hash=known.hash
    )
    released = Request(
        f"{request.command_id}|released|{owner}", request.hash, request.at, request.why
    )
    await carry_out(writer, released, removal)
    return await carry_out(writer, request, command)
