"""What every endpoint of customers does on the way in and out."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Response

from services.customer.api.views import Recorded, recorded
from services.customer.domain.commands import Command
from services.customer.domain.state import stream_of
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.customers import Request, carry_out
from services.customer.queries.directory import Directory
from services.customer.queries.records import Record, Records
from shared.access import Authenticator, Kind, Permission, Principal, Scope, scope
from shared.clock import Clock
from shared.decider import Refused
from shared.execute import Done, Writer
from shared.http import CommandId, asked_hash, etag, principal
from shared.identifiers import IdentifierRules

Reader = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_READ))]
Writing = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_WRITE))]
Make = Callable[[dict[str, Any]], Command]
"""From what every command has (customer, at, by) to the command."""
CarryOut = Callable[[Writer, Request, Command], Awaitable[Done]]


@dataclass(frozen=True, slots=True)
class Asking:
    """What every change of a customer comes with."""

    customer: str
    calling: Writing
    command_id: CommandId
    response: Response


Asked = Annotated[Asking, Depends()]


@dataclass(frozen=True, slots=True)
class Desk:
    """What the endpoints of customers are built on."""

    writer: Writer
    directory: Directory
    records: Records
    book: ConfigurationBook
    rules: IdentifierRules
    clock: Clock
    authenticator: Authenticator

    def request(self, command_id: str, body: object) -> Request:
        """The request with the keyed hash of what was asked."""
        return Request(command_id, asked_hash(self.rules.secret, body), self.clock.now())

    async def do(
        self, asking: Asking, asked: object, make: Make, carry: CarryOut = carry_out
    ) -> Recorded:
        """Carry out the command that `make` gives on a customer of the caller's branches.

        `asked` is what the caller said, beside the customer. Raises the refusal.
        """
        customer, calling = asking.customer, asking.calling
        await self.require_scope(customer, calling)
        request = self.request(asking.command_id, [customer, asked])
        about = {"customer": customer, "at": request.at, "by": calling.id}
        try:
            done = await carry(self.writer, request, make(about))
        except Refused as refusal:
            raise discreet(refusal, calling) from refusal
        return self.answer(asking, done)

    def answer(self, asking: Asking, done: Done) -> Recorded:
        """The answer to a command; its ETag says whose version it is, where that is another's."""
        answering = done.stream.removeprefix(stream_of(""))
        answer = recorded(answering, done, asking.response)
        if answering != asking.customer:
            asking.response.headers["ETag"] = etag(done.version, answering)
        return answer

    async def seen(self, customer: str, calling: Principal) -> Record:
        """The customer as of the last command, whom the caller may see. Raises `Refused`."""
        found = await self.records.get(customer)
        await self._require_sight(found, calling)
        return found

    async def require_scope(self, customer: str, calling: Principal) -> None:
        """A caller of some branches touches only their customers; who has all need not be asked."""
        if not customers_of(calling).everything:
            await self.seen(customer, calling)

    async def _require_sight(self, found: Record, calling: Principal) -> None:
        """Raise `Refused` (403) for a customer without home or receipt in the caller's branches.

        The home is that of the last command: the list may lag behind a move, or a registration.
        """
        narrow, home = customers_of(calling), found.state.record.home_branch
        if found.state.erased and not narrow.everything:
            raise Refused("erased", 410, "The customer was erased.")
        if not narrow.allows(home):
            entry = await self.directory.get(found.id)
            bought_at = [] if entry is None else entry.at_branches
            if not any(each.visits and narrow.allows(each.branch) for each in bought_at):
                narrow.require(home)


def customers_of(calling: Principal) -> Scope:
    """The customers that a caller may see and touch."""
    return scope(calling, Kind.CUSTOMER)


def discreet(refusal: Refused, calling: Principal) -> Refused:
    """Who owns a taken identifier is told only to callers who may see every customer."""
    if "owner" not in refusal.extra or customers_of(calling).everything:
        return refusal
    return Refused(refusal.type, refusal.status, refusal.title, refusal.detail)
