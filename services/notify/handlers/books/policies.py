"""The sending policy as this service's own store has it."""

from datetime import datetime
from typing import ClassVar

from services.notify.domain.policy import POLICY, POLICY_STREAM, DefinePolicy, Policy
from services.notify.handlers.books.standing import MayReplace, StandingBook
from shared.decider import Decider
from shared.events.sending import SendingPolicyDefined
from shared.execute import Done


class PolicyBook(StandingBook[Policy]):
    """The policy; who changes it here, sees it at once."""

    decider: ClassVar[Decider[DefinePolicy, Policy]] = POLICY
    stream: ClassVar[str] = POLICY_STREAM

    async def define(
        self,
        command_id: str,
        definition: SendingPolicyDefined,
        at: datetime,
        may_replace: MayReplace,
    ) -> Done:
        """Give the chain its (new) policy. Raises `Refused` that names what is wrong in it."""
        return await self._change(command_id, definition, DefinePolicy(definition, at, may_replace))
