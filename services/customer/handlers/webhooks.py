"""Letters of the outbox are handed over: again and again, less and less often, and not for ever.

Whoever is killed with a letter in hand leaves it to the next, once its time is over: so the other
system may get it twice, with the same id. After the last attempt an event tells that it was given
up, before the letter is settled.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from services.customer.handlers.calling import Caller, Unreachable
from shared import telemetry
from shared.decider import Decider, NewEvent
from shared.envelope import Causation
from shared.events.contract import EventData
from shared.events.deal import DealWebhookGivenUp
from shared.eventstore import StoreUnavailable, body_hash
from shared.execute import Command, Writer
from shared.outbox import Letter, Outbox

LEASE_SECONDS = 60.0
AT_ONCE = 20
POLL_SECONDS = 0.5
MOST_ATTEMPTS = 12
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 3600.0

GIVEN_UP: Decider[NewEvent, bool] = Decider(
    lambda: False,
    lambda event, told: [] if told else [event],
    lambda _told, _data: True,
)
"""It is told once."""

log = structlog.stdlib.get_logger(__name__)


def pause_after(attempts: int, jitter: float) -> float:
    """Seconds until the next attempt: twice as long each time, and between half and all of it.

    `jitter` is a number from 0 to 1, so that what failed together does not come back together.
    """
    longest: float = min(FIRST_PAUSE_SECONDS * 2**attempts, LONGEST_PAUSE_SECONDS)
    return longest * (1 + jitter) / 2


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Hands letters over; `random` gives numbers from 0 to 1."""

    writer: Writer
    outbox: Outbox
    caller: Caller
    random: Callable[[], float]
    most_attempts: int = MOST_ATTEMPTS

    async def run(self) -> None:
        """Hand over until cancelled."""
        while True:
            try:
                busy = await self.step()
            except StoreUnavailable as failure:
                log.warning("webhooks wait", reason=str(failure))
                busy = 0
            if not busy:
                await asyncio.sleep(POLL_SECONDS)

    async def step(self) -> int:
        """Try what is due; gives how many. Raises `StoreUnavailable`."""
        letters = await self.outbox.take(LEASE_SECONDS, AT_ONCE)
        outcomes = await asyncio.gather(
            *(self._hand_over(each) for each in letters), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return len(letters)

    async def _hand_over(self, letter: Letter) -> None:
        try:
            await self.caller.call(letter.url, letter.body, letter.id)
        except Unreachable as failure:
            await self._failed(letter, str(failure))
        except Exception:
            # One letter must not stop the others: it is tried again, and given up in the end.
            log.exception("webhook failed", request=letter.id)
            await self._failed(letter, "fault")
        else:
            telemetry.WEBHOOKS.labels("sent").inc()
            await self.outbox.settle(letter)

    async def _failed(self, letter: Letter, reason: str) -> None:
        attempts = letter.attempts + 1
        # An address that is not allowed will not be another time either.
        if attempts < self.most_attempts and reason != "address":
            telemetry.WEBHOOKS.labels("failed").inc()
            await self.outbox.postpone(letter, pause_after(letter.attempts, self.random()))
            return
        telemetry.WEBHOOKS.labels("given_up").inc()
        log.error("webhook given up", request=letter.id, attempts=attempts, reason=reason)
        await self._tell(
            letter,
            DealWebhookGivenUp(
                request=letter.id, deal=letter.about, attempts=attempts, reason=reason
            ),
        )
        await self.outbox.settle(letter)

    async def _tell(self, letter: Letter, data: EventData) -> None:
        stream = f"webhook-{letter.id}"
        command = Command(
            id=f"give-up|{letter.id}",
            hash=body_hash(letter.id),
            stream=stream,
            key=letter.key,
            body=NewEvent(data, self.writer.clock.now(), letter.branch),
            causation=Causation(letter.correlation, letter.cause, letter.depth),
            subject=letter.subject,
        )
        await self.writer.one(GIVEN_UP, command)
