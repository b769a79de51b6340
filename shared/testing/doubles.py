"""Doubles for tests: a diary, the smallest decider with personal fields, and a store that errs.

The diary writes real event types, so that sealing, encoding and schemas are the product's own.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.decider import Decider, NewEvent, Refused
from shared.envelope import Causation
from shared.events.contract import EventData
from shared.events.customer import ConsentGiven, CustomerRegistered, Evidence
from shared.eventstore import Append, Claim, Commit, EventStore, Head, Known, body_hash
from shared.execute import Command

DAY = datetime(2017, 12, 1, 9, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Note:
    """Write a line into the diary, once; an empty line is refused, `copies` repeats it."""

    text: str
    copies: int = 1


@dataclass(frozen=True, slots=True)
class Receive:
    """Begin the diary of somebody with a name; a second time changes nothing."""

    name: str


def _decide(command: Note | Receive, lines: tuple[str, ...]) -> Sequence[NewEvent]:
    if isinstance(command, Receive):
        return [] if lines else [NewEvent(CustomerRegistered(surname=command.name), DAY)]
    if not command.text:
        raise Refused("empty", 422, "A line needs words.")
    if command.text in lines:
        return []
    consent = ConsentGiven(topic=command.text, channel="email", evidence=Evidence(source="diary"))
    return [NewEvent(consent, DAY)] * command.copies


def _evolve(lines: tuple[str, ...], data: EventData) -> tuple[str, ...]:
    if isinstance(data, ConsentGiven):
        return (*lines, data.topic)
    if isinstance(data, CustomerRegistered):
        return (*lines, f"name {data.surname}")
    raise TypeError(data.type)


diary: Decider[Note | Receive, tuple[str, ...]] = Decider(tuple, _decide, _evolve)
"""Folds to the lines written; a name is the line `name <surname>`."""


def note(command_id: str, owner: str, text: str, copies: int = 1) -> Command[Note | Receive]:
    """The command that writes a line into the owner's diary."""
    return _command(command_id, owner, Note(text, copies), text)


def receive(command_id: str, owner: str, name: str) -> Command[Note | Receive]:
    """The command that begins the owner's diary."""
    return _command(command_id, owner, Receive(name), name)


def _command(
    command_id: str, owner: str, body: Note | Receive, content: str
) -> Command[Note | Receive]:
    return Command(
        id=command_id,
        hash=body_hash(content),
        stream=f"customer-{owner}",
        key=owner,
        body=body,
        causation=Causation(correlation=command_id),
        subject=owner,
    )


async def _pass(_appends: Sequence[Append]) -> None:
    return None


@dataclass(slots=True)
class InterceptedStore:
    """A store whose appends can be delayed, raced or failed, before or after they are done.

    `before` and `after` are awaited with each batch, and may raise; `appended` counts the batches
    that reached the store, `questions` the reads.
    """

    store: EventStore
    before: Callable[[Sequence[Append]], Awaitable[None]] = _pass
    after: Callable[[Sequence[Append]], Awaitable[None]] = _pass
    appended: int = 0
    questions: list[str] = field(default_factory=list)

    async def known(self, command_ids: Sequence[str]) -> Mapping[str, Known]:
        """Ask the store."""
        self.questions.append("known")
        return await self.store.known(command_ids)

    async def heads(self, streams: Sequence[str]) -> Mapping[str, Head]:
        """Ask the store."""
        self.questions.append("heads")
        return await self.store.heads(streams)

    async def read(self, streams: Sequence[str]) -> Mapping[str, Sequence[Commit]]:
        """Ask the store."""
        self.questions.append("read")
        return await self.store.read(streams)

    async def names(self, prefix: str) -> Sequence[str]:
        """Ask the store."""
        self.questions.append("names")
        return await self.store.names(prefix)

    async def claims(self, ids: Sequence[str]) -> Mapping[str, Claim]:
        """Ask the store."""
        self.questions.append("claims")
        return await self.store.claims(ids)

    async def claims_of(self, owners: Sequence[str]) -> Sequence[Claim]:
        """Ask the store."""
        self.questions.append("claims_of")
        return await self.store.claims_of(owners)

    async def append(self, appends: Sequence[Append]) -> Sequence[bool]:
        """Append, with what was put before and after."""
        await self.before(appends)
        self.appended += 1
        results = await self.store.append(appends)
        await self.after(appends)
        return results

    async def append_together(self, appends: Sequence[Append]) -> bool:
        """Append all or nothing, with what was put before and after."""
        await self.before(appends)
        self.appended += 1
        result = await self.store.append_together(appends)
        await self.after(appends)
        return result
