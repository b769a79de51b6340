"""When a dispatcher looks at what again: kept in memory, since forgetting it costs only work.

Waits are in the time of the event loop; the chain's clock may stand still. They are spread at
random, so that what failed together does not come back together. A provider that is away rests by
itself: what fails at one is no other's fault.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from services.notify.channels import NotTaken, Receipt, Unknown
from services.notify.projections import QueuedMessage

WAIT_SECONDS = 1.0
"""How long a message rests that cannot be decided yet: progress comes once a second."""
SETTLED_SECONDS = 30.0
"""How long the queue may need to show what was appended here."""
FIRST_REST_SECONDS = 1.0
LONGEST_REST_SECONDS = 60.0
LONGEST_REFUSAL_SECONDS = 300.0
LONGEST_ASKED_SECONDS = 3600.0
"""What a provider may ask for by `Retry-After`; more is a mistake, or can be asked for again."""
SPREAD = 0.5
"""How much of a wait is added at random, at the most."""
LARGEST_BATCH = 400
SMALLEST_BATCH = 10
SLOW_SECONDS = 4.0
QUICK_SECONDS = 1.0
KEPT = 50_000


@dataclass(slots=True)
class _Rest:
    """A provider that could not be reached: until when it rests, and for how long next time."""

    until: float
    seconds: float
    probing: bool = False


@dataclass(slots=True)
class Pacing:
    """Messages and providers that rest; `size` is how many messages fit well within the deadline.

    `random` gives numbers from 0 to 1.
    """

    size: int = LARGEST_BATCH // 4
    random: Callable[[], float] = random.random
    _begun: dict[str, deque[float]] = field(default_factory=dict)
    _until: dict[str, float] = field(default_factory=dict)
    _resting: dict[str, _Rest] = field(default_factory=dict)

    def is_due(self, message: str) -> bool:
        """Whether the message may be looked at."""
        until = self._until.get(message)
        if until is None:
            return True
        if until > _now():
            return False
        del self._until[message]
        return True

    def pause(self, message: str) -> None:
        """Look at it again in a moment."""
        self._rest(message, WAIT_SECONDS)

    def settle(self, message: str, seconds: float = SETTLED_SECONDS) -> None:
        """It has moved on; the queue shows it soon, or it is due again in so many seconds."""
        self._rest(message, min(seconds, SETTLED_SECONDS))

    def admits(self, provider: str, per_second: float | None = None) -> bool:
        """Whether something may be handed to the provider: one message after a rest, to try it.

        Where there is a limit per second, it counts as begun.
        """
        now = _now()
        rest = self._resting.get(provider)
        if rest is not None and rest.until > now:
            return False
        if per_second is not None and not self._begin(provider, per_second, now):
            return False
        if rest is not None:
            rest.until, rest.probing = now + rest.seconds, True
        return True

    def note(self, message: QueuedMessage, receipt: Receipt, provider: str | None = None) -> None:
        """What a provider said, of the message and of itself."""
        provider = provider or message.channel
        match receipt:
            case NotTaken(reason="away", retry_after=asked):
                self._rest(message.id, WAIT_SECONDS)
                self._put_to_rest(provider, asked)
                return
            case Unknown():
                self._rest(message.id, WAIT_SECONDS)
                self._put_to_rest(provider, None)
                return
            case NotTaken(reason="late"):
                self._rest(message.id, WAIT_SECONDS)
                return
            case NotTaken(reason="refused", retry_after=asked):
                seconds = min(2.0**message.refusals, LONGEST_REFUSAL_SECONDS)
                self._rest(message.id, self._spread(max(seconds, _asked(asked))))
        self._resting.pop(provider, None)

    def took(self, seconds: float) -> None:
        """How long a batch took: the next one is to end long before its deadline."""
        if seconds > SLOW_SECONDS:
            self.size = max(SMALLEST_BATCH, self.size // 2)
        elif seconds < QUICK_SECONDS:
            self.size = min(LARGEST_BATCH, self.size * 2)

    def _put_to_rest(self, provider: str, asked: float | None) -> None:
        rest = self._resting.get(provider)
        seconds = FIRST_REST_SECONDS
        if rest is not None:
            seconds = min(2 * rest.seconds, LONGEST_REST_SECONDS) if rest.probing else rest.seconds
        until = _now() + self._spread(max(seconds, _asked(asked)))
        if rest is None or rest.probing or (asked is not None and until > rest.until):
            self._resting[provider] = _Rest(until, seconds)

    def _begin(self, provider: str, per_second: float, now: float) -> bool:
        """Count one more, unless there are as many as a second may have."""
        span = max(1.0, 1 / per_second)
        begun = self._begun.setdefault(provider, deque())
        while begun and begun[0] <= now - span:
            begun.popleft()
        if len(begun) >= max(1, int(per_second * span)):
            return False
        begun.append(now)
        return True

    def _spread(self, seconds: float) -> float:
        return seconds * (1 + SPREAD * self.random())

    def _rest(self, message: str, seconds: float) -> None:
        if len(self._until) >= KEPT:
            now = _now()
            kept = {name: until for name, until in self._until.items() if until > now}
            self._until = kept if len(kept) < KEPT // 2 else {}
        self._until[message] = _now() + seconds


def _now() -> float:
    return asyncio.get_running_loop().time()


def _asked(seconds: float | None) -> float:
    """What a provider asks for, as far as it is believed."""
    return 0.0 if seconds is None else min(seconds, LONGEST_ASKED_SECONDS)
