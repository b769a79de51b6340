"""Costs of two sides in turn, so that a busy machine is busy for both.

The client's CPU time is that of the whole process, its driver's threads among it. What is compared
are medians: one run that something else has disturbed decides nothing.
"""

import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median

GC_THRESHOLD = 100_000
"""As the services set it."""
MICROSECONDS = 1_000_000
SECONDS = 12.0
"""For all rounds of one comparison."""
FEWEST = 3


@dataclass(frozen=True, slots=True)
class Cost:
    """What some things took together: seconds of CPU and of wall time."""

    count: int
    cpu: float
    wall: float


@dataclass(frozen=True, slots=True)
class Side:
    """All rounds of one side."""

    costs: Sequence[Cost]

    @property
    def cpu_each(self) -> float:
        """Microseconds of CPU for one thing."""
        return median(cost.cpu / cost.count for cost in self.costs) * MICROSECONDS

    @property
    def per_cpu_second(self) -> float:
        """Things done in a second of one core."""
        return median(cost.count / cost.cpu for cost in self.costs)

    @property
    def per_wall_second(self) -> float:
        """Things done in a second on the clock."""
        return median(cost.count / cost.wall for cost in self.costs)


def as_a_service() -> None:
    """Set the garbage collector as a service's process does, once everything is built."""
    gc.set_threshold(GC_THRESHOLD)
    gc.collect()
    gc.freeze()


SideOf = Callable[[int], Awaitable[Cost]]
"""Does one round and gives what it took."""


class Stopwatch:
    """Runs from its making."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def cost(self, count: int) -> Cost:
        """What so many things took until now."""
        return Cost(count, time.process_time() - self._cpu, time.perf_counter() - self._wall)


async def in_turn(
    rounds: int, ours: SideOf, bare: SideOf, *, warm: int = 1, seconds: float = SECONDS
) -> tuple[Side, Side]:
    """Both sides round by round, the first one to go changing; the first `warm` do not count.

    On a slow machine there are fewer rounds, as many as fit into the seconds, but no fewer than
    three.
    """
    begun = time.perf_counter()
    costs: tuple[list[Cost], list[Cost]] = ([], [])
    for number in range(warm + rounds):
        if len(costs[0]) >= FEWEST and time.perf_counter() - begun > seconds:
            break
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            cost = await (ours, bare)[which](number)
            if number >= warm:
                costs[which].append(cost)
    return Side(costs[0]), Side(costs[1])
