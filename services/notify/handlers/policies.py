"""The sending policy as this service's own store has it, never older than a second."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from services.notify.domain.policy import POLICY, POLICY_STREAM, DefinePolicy, Policy
from shared.envelope import Causation
from shared.events.sending import SendingPolicyDefined
from shared.eventstore import body_hash
from shared.execute import Command, Done, Writer
from shared.freshness import Freshness

OLDEST_SECONDS = 1.0


@dataclass(slots=True)
class PolicyBook:
    """The policy; who changes it here, sees it at once."""

    writer: Writer
    _known: Policy = field(default_factory=Policy)
    _freshness: Freshness = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._freshness = Freshness(self._read, OLDEST_SECONDS)

    async def fresh(self) -> Policy:
        """The policy as it was within the last second. Raises `StoreUnavailable`."""
        await self._freshness.ensure()
        return self._known

    async def now(self) -> Policy:
        """The policy as it is. Raises `StoreUnavailable`."""
        await self._freshness.renew()
        return self._known

    async def define(
        self,
        command_id: str,
        definition: SendingPolicyDefined,
        at: datetime,
        may_replace: Callable[[int], None],
    ) -> Done:
        """Give the chain its (new) policy. Raises `Refused` that names what is wrong in it."""
        command = Command(
            id=command_id,
            hash=body_hash(definition.model_dump(mode="json")),
            stream=POLICY_STREAM,
            key=POLICY_STREAM,
            body=DefinePolicy(definition, at, may_replace),
            causation=Causation(correlation=command_id),
        )
        try:
            return await self.writer.one(POLICY, command)
        finally:
            self._freshness.forget()

    async def _read(self) -> None:
        heads = await self.writer.store.heads([POLICY_STREAM])
        head = heads.get(POLICY_STREAM)
        if head is not None and head.version != self._known.version:
            self._known, _ = await self.writer.state(POLICY, POLICY_STREAM)
