"""Somebody unknown becomes a customer by what they did, where the chain has decided so.

The command's id is that of the stream in which the facts wait: however many there are, they make
one customer. Where somebody has one of the identifiers already, the facts are theirs, and nobody is
registered. What a family shares is nobody's own: by that alone nobody is registered, and who is
registered by something else shares it too.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from services.customer.domain.commands import NewIdentifier, Register
from services.customer.domain.configuration.registration import Registration
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.customers import Request, carry_out_all, new_customer_id
from shared.decider import Refused
from shared.envelope import Causation
from shared.events.customer import CustomerRegistered
from shared.eventstore import body_hash
from shared.execute import Writer
from shared.identifiers import KnownIdentifier

DEEPEST = 8
log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stranger:
    """A fact of somebody unknown: its kind, the stream in which it waits, and who they are."""

    event: str
    kind: str
    stream: str
    recorded: datetime
    branch: str | None
    correlation: str
    depth: int
    known: tuple[KnownIdentifier, ...]

    @property
    def command_id(self) -> str:
        """The same for all facts that wait there."""
        return f"unknown|{self.stream}"


Shared = Callable[[Collection[str]], Awaitable[Collection[str]]]
"""Gives those of the identifiers (`<kind>|<hash>`) that several people are known to share."""


@dataclass(frozen=True, slots=True)
class Registering:
    """Registers people by their facts."""

    writer: Writer
    book: ConfigurationBook
    shared: Shared

    async def wanted(self, kinds: Iterable[tuple[str, datetime]]) -> bool:
        """Whether any of these facts, by kind and when it was recorded, may make a customer."""
        registration = (await self.book.now()).registration
        return any(registration.takes(kind, recorded) for kind, recorded in kinds)

    async def react(self, strangers: Sequence[Stranger]) -> None:
        """Register those that are to be; done again, it changes nothing."""
        configuration = await self.book.now()
        shared = await self.shared({each.claim_id for one in strangers for each in one.known})
        asked: Mapping[str, tuple[Request, Register]] = {
            each.command_id: (_request(each), command)
            for each in reversed(strangers)
            if each.depth < DEEPEST
            and (command := _registration(configuration.registration, each, shared)) is not None
        }
        if not asked:
            return
        for outcome in await carry_out_all(self.writer, list(asked.values())):
            if isinstance(outcome, Refused) and outcome.type != "identifier-taken":
                log.error("somebody unknown is not registered", reason=outcome.type)


def _registration(
    decided: Registration, stranger: Stranger, shared: Collection[str]
) -> Register | None:
    definition = decided.definition
    if definition is None or not decided.takes(stranger.kind, stranger.recorded):
        return None
    kinds = {each.kind for each in stranger.known if each.claim_id not in shared}
    if not kinds or (definition.identifiers and kinds.isdisjoint(definition.identifiers)):
        return None
    once = {each.claim_id: each for each in stranger.known}
    return Register(
        customer=new_customer_id(stranger.command_id),
        at=stranger.recorded,
        person=CustomerRegistered(home_branch=stranger.branch, acquisition=definition.acquisition),
        identifiers=tuple(
            NewIdentifier(known=each, shared=each.claim_id in shared) for each in once.values()
        ),
    )


def _request(stranger: Stranger) -> Request:
    return Request(
        stranger.command_id,
        body_hash(stranger.command_id),
        stranger.recorded,
        Causation(stranger.correlation, stranger.event, stranger.depth + 1),
    )
