"""The senders as this service's own store has them."""

from datetime import datetime
from typing import ClassVar

from services.notify.domain.senders import SENDERS, SENDERS_STREAM, DefineSenders, Senders
from services.notify.handlers.books.standing import MayReplace, StandingBook
from services.notify.settings import is_sender
from shared.decider import Decider
from shared.events.sending import SendersDefined
from shared.execute import Done


class SenderBook(StandingBook[Senders]):
    """The senders; who changes them here, sees it at once."""

    decider: ClassVar[Decider[DefineSenders, Senders]] = SENDERS
    stream: ClassVar[str] = SENDERS_STREAM

    async def define(
        self, command_id: str, definition: SendersDefined, at: datetime, may_replace: MayReplace
    ) -> Done:
        """Give the chain its (new) senders. Raises `Refused` that names what is wrong in it."""
        return await self._change(
            command_id, definition, DefineSenders(definition, at, is_sender, may_replace)
        )
