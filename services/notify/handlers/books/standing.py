"""What stands in one stream of this service's own store, never older than a second."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel

from shared.decider import Decider
from shared.envelope import Causation
from shared.eventstore import body_hash
from shared.execute import Command, Done, Writer
from shared.freshness import Freshness

OLDEST_SECONDS = 1.0

MayReplace = Callable[[int], None]
"""Refuses the number of a version that somebody else has changed meanwhile."""


class Versioned(Protocol):
    """A state that counts the events of its stream."""

    @property
    def version(self) -> int:
        """How many events it has seen."""
        ...


StateT = TypeVar("StateT", bound=Versioned)


@dataclass(slots=True)
class StandingBook(Generic[StateT]):
    """One thing that the chain defines anew as a whole; who changes it here, sees it at once."""

    decider: ClassVar[Decider[Any, Any]]
    stream: ClassVar[str]

    writer: Writer
    oldest_seconds: float = OLDEST_SECONDS
    _known: StateT = field(init=False)
    _freshness: Freshness = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._known = self.decider.initial()
        self._freshness = Freshness(self._read, self.oldest_seconds)

    async def fresh(self) -> StateT:
        """As it was a moment ago. Raises `StoreUnavailable`."""
        await self._freshness.ensure()
        return self._known

    async def now(self) -> StateT:
        """As it is. Raises `StoreUnavailable`."""
        await self._freshness.renew()
        return self._known

    async def _change(self, command_id: str, definition: BaseModel, body: object) -> Done:
        """Carry out the command that defines it anew. Raises its refusal."""
        command = Command(
            id=command_id,
            hash=body_hash(definition.model_dump(mode="json")),
            stream=self.stream,
            key=self.stream,
            body=body,
            causation=Causation(correlation=command_id),
        )
        try:
            return await self.writer.one(self.decider, command)
        finally:
            self._freshness.forget()

    async def _read(self) -> None:
        head = (await self.writer.store.heads([self.stream])).get(self.stream)
        if head is not None and head.version != self._known.version:
            self._known, _ = await self.writer.state(self.decider, self.stream)
