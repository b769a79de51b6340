"""When a dispatcher looks at what again: kept in memory, since forgetting it costs only work.

Waits are in the time of the event loop; the chain's clock may stand still.
"""

import asyncio
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
LARGEST_BATCH = 400
SMALLEST_BATCH = 10
SLOW_SECONDS = 4.0
QUICK_SECONDS = 1.0
KEPT = 50_000


@dataclass(slots=True)
class _Rest:
    """A channel that could not be reached: until when it rests, and for how long next time."""

    until: float
    seconds: float
    probing: bool = False


@dataclass(slots=True)
class Pacing:
    """Messages and channels that rest; `size` is how many messages fit well within the deadline."""

    size: int = LARGEST_BATCH // 4
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

    def settle(self, message: str) -> None:
        """It has moved on; the queue shows it soon."""
        self._rest(message, SETTLED_SECONDS)

    def admits(self, channel: str) -> bool:
        """Whether something may be handed to the channel: one message after a rest, to try it."""
        rest = self._resting.get(channel)
        if rest is None:
            return True
        now = _now()
        if rest.until > now:
            return False
        rest.until, rest.probing = now + rest.seconds, True
        return True

    def note(self, message: QueuedMessage, receipt: Receipt) -> None:
        """What a channel said, of the message and of itself."""
        match receipt:
            case NotTaken(reason="away") | Unknown():
                self._rest(message.id, WAIT_SECONDS)
                self._put_to_rest(message.channel)
                return
            case NotTaken(reason="late"):
                self._rest(message.id, WAIT_SECONDS)
                return
            case NotTaken(reason="refused"):
                seconds = min(2.0**message.refusals, LONGEST_REFUSAL_SECONDS)
                self._rest(message.id, seconds)
        self._resting.pop(message.channel, None)

    def took(self, seconds: float) -> None:
        """How long a batch took: the next one is to end long before its deadline."""
        if seconds > SLOW_SECONDS:
            self.size = max(SMALLEST_BATCH, self.size // 2)
        elif seconds < QUICK_SECONDS:
            self.size = min(LARGEST_BATCH, self.size * 2)

    def _put_to_rest(self, channel: str) -> None:
        rest = self._resting.get(channel)
        now = _now()
        if rest is None:
            self._resting[channel] = _Rest(now + FIRST_REST_SECONDS, FIRST_REST_SECONDS)
        elif rest.probing:
            seconds = min(2 * rest.seconds, LONGEST_REST_SECONDS)
            self._resting[channel] = _Rest(now + seconds, seconds)

    def _rest(self, message: str, seconds: float) -> None:
        if len(self._until) >= KEPT:
            now = _now()
            kept = {name: until for name, until in self._until.items() if until > now}
            self._until = kept if len(kept) < KEPT // 2 else {}
        self._until[message] = _now() + seconds


def _now() -> float:
    return asyncio.get_running_loop().time()
