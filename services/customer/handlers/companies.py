"""What can be done with companies: each handler loads, decides and appends, and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass

from services.customer.domain.company import (
    COMPANY,
    COMPANY_CLAIMS,
    OUTDATED,
    ArchiveCompany,
    ChangeCompany,
    Command,
    Company,
    RegisterCompany,
    RemoveContact,
    RestoreCompany,
    SetContact,
    stream_of,
)
from services.customer.domain.customer import CUSTOMER
from services.customer.domain.state import stream_of as customer_stream
from services.customer.handlers.customers import Request
from services.customer.queries.records import tree_of
from shared.decider import Refused, invalid, not_found
from shared.envelope import Causation
from shared.events.company import CompanyFields
from shared.eventstore import StoreUnavailable
from shared.execute import Command as Execution
from shared.execute import Done, Writer
from shared.ids import derived_id
from shared.keyring import keyed_hash

ATTEMPTS = 20
TAX_ID = "tax_id"


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks: a request, the branches that it may touch, and the version that it rests on."""

    request: Request
    may_touch: Callable[[str | None], None]
    rests_on: Callable[[int | None], None]


def new_company_id(command_id: str) -> str:
    """The id of the company that a command registers: the same each time it is sent."""
    return derived_id("company", command_id)


@dataclass(frozen=True, slots=True)
class Companies:
    """The use cases; `secret` is that of the chain's keyed hashes."""

    writer: Writer
    secret: bytes

    async def get(self, company: str) -> Company:
        """A company as it is. Raises `Refused` (404)."""
        state, version = await self.writer.state(COMPANY, stream_of(company))
        if version == 0:
            kind = "company"
            raise not_found(kind, company)
        return state

    async def register(self, asking: Asking, fields: CompanyFields) -> Done:
        """Make a company known."""
        company = new_company_id(asking.request.command_id)
        command = RegisterCompany(
            company=company,
            at=asking.request.at,
            may_touch=asking.may_touch,
            hashed=self.claim_id,
            fields=fields,
        )
        return await self._carry_out(asking.request, command)

    async def change(
        self, asking: Asking, company: str, fields: CompanyFields, cleared: tuple[str, ...]
    ) -> Done:
        """Give fields other values."""
        for _ in range(ATTEMPTS):
            state = await self.get(company)
            command = ChangeCompany(
                company=company,
                at=asking.request.at,
                may_touch=asking.may_touch,
                rests_on=asking.rests_on,
                hashed=self.claim_id,
                fields=fields,
                cleared=cleared,
                seen=state.fields.tax_id,
            )
            try:
                return await self._carry_out(asking.request, command)
            except Refused as refusal:
                if refusal.type != OUTDATED:
                    raise
        message = f"the company changed {ATTEMPTS} times in a row"
        raise StoreUnavailable(message)

    async def set_contact(
        self,
        asking: Asking,
        company: str,
        customer: str,
        *,
        position: str | None,
        decides: bool,
    ) -> Done:
        """Let a customer speak for a company; of a merged one, the survivor does."""
        command = SetContact(
            company=company,
            at=asking.request.at,
            may_touch=asking.may_touch,
            rests_on=asking.rests_on,
            customer=await self._survivor(customer),
            position=position,
            decides=decides,
        )
        return await self._carry_out(asking.request, command)

    async def remove_contact(self, asking: Asking, company: str, customer: str) -> Done:
        """Let a customer speak for a company no longer, under whichever id they were set."""
        command = RemoveContact(
            company=company,
            at=asking.request.at,
            may_touch=asking.may_touch,
            rests_on=asking.rests_on,
            customer=customer,
            others=frozenset(await tree_of(self.writer, customer)),
        )
        return await self._carry_out(asking.request, command)

    async def archive(self, asking: Asking, company: str) -> Done:
        """Put a company out of sight."""
        command = ArchiveCompany(
            company=company,
            at=asking.request.at,
            may_touch=asking.may_touch,
            rests_on=asking.rests_on,
        )
        return await self._carry_out(asking.request, command)

    async def restore(self, asking: Asking, company: str) -> Done:
        """Bring a company back into sight."""
        command = RestoreCompany(
            company=company,
            at=asking.request.at,
            may_touch=asking.may_touch,
            rests_on=asking.rests_on,
        )
        return await self._carry_out(asking.request, command)

    def claim_id(self, tax_id: str) -> str:
        """The id of the claim on a tax id."""
        return f"{TAX_ID}|{keyed_hash(self.secret, TAX_ID, tax_id)}"

    async def _survivor(self, customer: str) -> str:
        """Whom a customer is now. Raises `Refused` (422) for nobody."""
        current = customer
        for _ in range(ATTEMPTS):
            state, _version = await self.writer.state(CUSTOMER, customer_stream(current))
            if not state.registered or state.erased:
                break
            if state.merged is None:
                return current
            current = state.merged.survivor
        raise invalid("customer", "is no customer")

    async def _carry_out(self, request: Request, command: Command) -> Done:
        stream = stream_of(command.company)
        execution = Execution(
            id=request.command_id,
            hash=request.hash,
            stream=stream,
            key=stream,
            body=command,
            causation=request.why or Causation(correlation=request.command_id),
        )
        return await self.writer.one(COMPANY, execution, COMPANY_CLAIMS)
