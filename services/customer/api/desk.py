"""What every endpoint of customers does on the way in and out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Response
from pydantic import BaseModel

from services.customer.api.views import Recorded, recorded
from services.customer.domain.commands import Command
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.customers import Request, carry_out
from services.customer.queries.directory import Directory
from services.customer.queries.records import Records
from shared.access import Authenticator, Kind, Permission, Principal, Scope, scope
from shared.clock import Clock
from shared.decider import Refused, not_found
from shared.execute import Writer
from shared.http import CommandId, principal
from shared.identifiers import IdentifierRules
from shared.keyring import keyed_hash

Reader = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_READ))]
Writing = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_WRITE))]
Make = Callable[[dict[str, Any]], Command]
"""From what every command has (customer, at, by) to the command."""


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
        plain = body.model_dump(mode="json") if isinstance(body, BaseModel) else body
        content = msgspec.json.encode(plain, order="sorted").decode()
        return Request(
            command_id, keyed_hash(self.rules.secret, "command", content), self.clock.now()
        )

    async def do(self, asking: Asking, asked: object, make: Make) -> Recorded:
        """Carry out the command that `make` gives on a customer of the caller's branches.

        `asked` is what the caller said, beside the customer. Raises the refusal.
        """
        customer, calling = asking.customer, asking.calling
        await self.require_scope(customer, calling)
        request = self.request(asking.command_id, [customer, asked])
        about = {"customer": customer, "at": request.at, "by": calling.id}
        try:
            done = await carry_out(self.writer, request, make(about))
        except Refused as refusal:
            raise discreet(refusal, calling) from refusal
        return recorded(done.stream.removeprefix("customer-"), done, asking.response)

    async def require_scope(self, customer: str, calling: Principal) -> None:
        """A caller of some branches touches only their customers; who has all need not be asked."""
        narrow = customers_of(calling)
        if not narrow.everything:
            entry = await self.directory.get(customer)
            if entry is None:
                kind = "customer"
                raise not_found(kind, customer)
            narrow.require(entry.home_branch)


def customers_of(calling: Principal) -> Scope:
    """The customers that a caller may see and touch."""
    return scope(calling, Kind.CUSTOMER)


def discreet(refusal: Refused, calling: Principal) -> Refused:
    """Who owns a taken identifier is told only to callers who may see every customer."""
    if "owner" not in refusal.extra or customers_of(calling).everything:
        return refusal
    return Refused(refusal.type, refusal.status, refusal.title, refusal.detail)
