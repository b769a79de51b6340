"""Taking in what providers say: reports of messages, and what people write back.

Returns once what follows of all of it is durable, so whoever brought it may be told so; a provider
that hears nothing tells it again, which changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import structlog

from services.notify.channels.reports import Heard, Reply, Report
from services.notify.domain.suppression import Patience
from services.notify.handlers.returns.replying import Holders, Replying, Told
from services.notify.handlers.returns.reporting import Reporting
from services.notify.settings import NotifySettings
from shared.execute import Writer
from shared.identifiers import IdentifierRules
from shared.recurring import again_and_again
from shared.waiting import WaitingPlace

POLL_SECONDS = 1.0

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Hearing:
    """Takes in what is heard."""

    reporting: Reporting
    replying: Replying

    @classmethod
    def of(
        cls,
        writer: Writer,
        rules: IdentifierRules,
        told: Told,
        holders: Holders,
        *,
        place: WaitingPlace,
        settings: NotifySettings,
    ) -> Self:
        """One that writes with this, and asks these read models."""
        patience = Patience(settings.failures_most, settings.failures_within)
        ends = frozenset(each.casefold() for each in settings.stop_words)
        return cls(
            Reporting(writer, rules, told, place, patience),
            Replying(writer, rules, told, holders, ends),
        )

    async def take(self, provider: str, heard: Sequence[Heard]) -> None:
        """Write it down. Raises `StoreUnavailable`."""
        reports = [each for each in heard if isinstance(each, Report)]
        if reports:
            await self.reporting.take(provider, reports)
        replies = [each for each in heard if isinstance(each, Reply)]
        if replies:
            await self.replying.take(provider, replies)

    async def run(self) -> None:
        """Look at what waits for its message, until cancelled; two at once only work twice."""
        await again_and_again(
            self._look, POLL_SECONDS, partial(log.warning, "late reports not looked at")
        )

    async def _look(self) -> None:
        while await self.reporting.look_again():
            pass
