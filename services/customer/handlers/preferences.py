"""The customer's own page: whoever holds the link speaks for the customer, and for nobody else."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.customer.domain.preferring import Said, commands_of
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.customers import Request, carry_out_all
from services.customer.handlers.tokens import Tokens
from services.customer.queries.records import Record, Records
from shared.clock import Clock
from shared.decider import Refused
from shared.eventstore import body_hash
from shared.execute import Writer

LIFETIME = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the page stands on."""

    writer: Writer
    records: Records
    book: ConfigurationBook
    tokens: Tokens
    clock: Clock

    def link(self, customer: str) -> tuple[str, datetime]:
        """A token that opens the customer's page, and when it ends (system time)."""
        now = self.clock.system_now()
        return self.tokens.issue("preferences", customer, now, LIFETIME), now + LIFETIME

    async def open(self, token: str) -> Record:
        """The customer, or whom they were merged into. Raises `Refused`: 401, or 410 if erased."""
        told = self.tokens.read("preferences", token, self.clock.system_now())
        found = await self.records.get(told.subject)
        if found.state.erased:
            raise Refused("erased", 410, "The customer was erased.")
        return found

    async def topics(self) -> Collection[str]:
        """What the chain's living forms ask consents for."""
        forms = (await self.book.fresh()).forms
        return {each.topic for _, form in forms.living() for each in form.consents}

    async def say(self, token: str, command_id: str, said: Said) -> Record:
        """Record what the customer says; gives the customer as it then is. Raises the refusal."""
        found = await self.open(token)
        at = self.clock.now()
        commands = commands_of(found.id, found.state, await self.topics(), said, at)
        asked = [
            (_request(f"{command_id}|{number}", at), command)
            for number, command in enumerate(commands)
        ]
        for outcome in await carry_out_all(self.writer, asked) if asked else ():
            if isinstance(outcome, Refused):
                raise outcome
        return await self.records.get(found.id)


def _request(command_id: str, at: datetime) -> Request:
    return Request(command_id, body_hash(command_id), at)
