"""A chain of causes that is too long is a loop of rules that cause each other: it stops."""

import structlog

MOST_CAUSES = 8

log = structlog.stdlib.get_logger(__name__)


def too_deep(depth: int) -> bool:
    """Whether what follows would stand behind too many causes; `depth` is what it would have."""
    return depth > MOST_CAUSES


def stops(depth: int, alarm: str, cause: str | None, **known: str) -> bool:
    """The same, and if so a person is told: what stopped, by which event, and what is known."""
    if not too_deep(depth):
        return False
    log.error("a chain of causes is too long", alarm=alarm, cause=cause, **known)
    return True
