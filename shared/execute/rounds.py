"""Rounds of load, decide and append: how many there are, and by when each must have written."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from shared.clock import Clock
from shared.events.contract import EventData
from shared.eventstore import EventStore, Head, StoreUnavailable
from shared.execute.heads import RememberedHeads
from shared.keyring import Keyring

ATTEMPTS = 20
FAILURES = 3
"""Tries at a store that does not answer, without any progress between them.

A slow answer may hide a recorded commit, which the next try finds known.
"""


class Means(Protocol):
    """What commands are carried out with; the `Writer` is one."""

    @property
    def store(self) -> EventStore:
        """Where commits go."""
        ...

    @property
    def heads(self) -> RememberedHeads:
        """Where streams end that were appended to without a look at their histories."""
        ...

    @property
    def keyring(self) -> Keyring:
        """The keys that seal personal fields."""
        ...

    @property
    def clock(self) -> Clock:
        """Both times."""
        ...

    @property
    def service(self) -> str:
        """Whose events they are."""
        ...

    @property
    def append_deadline(self) -> timedelta:
        """How long after its moment an append may still be written."""
        ...

    async def histories(
        self, streams: Sequence[str], *, sealed: bool = False
    ) -> Mapping[str, tuple[Sequence[EventData], Head]]:
        """The events of the streams, opened unless `sealed`, and the heads."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """When a round decides (system time), and until when it may write (the loop's time)."""

    moment: datetime
    deadline: float

    @classmethod
    def open(cls, means: Means) -> "Window":
        """The window that begins now."""
        # Progress counts on it: nothing is written later than the deadline after this moment. So
        # the deadline begins first: a pause between the two must not lengthen it.
        patience = means.append_deadline.total_seconds()
        deadline = asyncio.get_running_loop().time() + patience
        return cls(means.clock.system_now(), deadline)


async def in_rounds(play: Callable[[], Awaitable[None]], left: Callable[[], int]) -> None:
    """Play rounds until nothing is left.

    Raises `StoreUnavailable` after `FAILURES` that left as much as before, and after `ATTEMPTS`
    rounds in which others were faster.
    """
    fruitless = failures = 0
    at_failure = -1
    while before := left():
        try:
            await play()
        except (TimeoutError, StoreUnavailable) as failure:
            failures = failures + 1 if left() == at_failure else 1
            at_failure = left()
            if failures == FAILURES:
                raise StoreUnavailable from failure
            continue
        if left() == before:
            fruitless += 1
            await asyncio.sleep(0.002 * fruitless)
        if fruitless == ATTEMPTS:
            message = f"{ATTEMPTS} writers in a row were faster"
            raise StoreUnavailable(message)
