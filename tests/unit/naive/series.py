"""The slow model of a journey: a clock that goes from tick to tick, and looks at everything.

It follows docs/architecture/series.md word by word, for one customer, and shares no code with what
it is held against. Every moment is a whole number of ticks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Story = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Step:
    """A step: `length` in ticks for waits, or the tick of the day; `otherwise`, `of` are places."""

    kind: str
    length: int = 0
    otherwise: int | None = None
    of: int = 0


@dataclass(frozen=True)
class Plan:
    """A definition: since which tick, with which number; exits are kinds of events.

    Who has a `date` begins at that tick, and by nothing else.
    """

    since: int
    number: int
    steps: tuple[Step, ...]
    exits: frozenset[str]
    reentry: str
    after: int
    date: int | None = None


@dataclass(frozen=True)
class Event:
    """Something recorded at a tick that happened at another, not later one.

    A click is on the message of a journey (its number) and a step (its place).
    """

    at: int
    happened: int
    kind: str
    cause: str
    on: tuple[int, int] | None = None


@dataclass
class _Journey:
    number: int
    plan: Plan
    entered: int
    place: int = 0
    since: int = 0
    standing: bool = False
    until: int | None = None
    came: bool = False
    clicked: frozenset[tuple[int, int] | None] = frozenset()


TICKS_OF_A_DAY = 48


def lived(  # noqa: C901 - a tick in the order of the page, nothing hidden
    plans: Sequence[Plan],
    turns: Sequence[tuple[int, str]],
    events: Sequence[Event],
    *,
    member: bool,
    last: int,
) -> Story:
    """All that becomes of the customer up to a tick."""
    story: Story = []
    state, begun, count, ended = "draft", 0, 0, None
    journey: _Journey | None = None
    clicked: set[tuple[int, int] | None] = set()
    for tick in range(last + 1):
        stopped = False
        for at, turn in turns:
            if at == tick:
                if turn == "start":
                    begun = tick
                stopped = turn == "stop"
                state = {"pause": "paused", "stop": "stopped"}.get(turn, "running")
        now = sorted((each for each in events if each.at == tick), key=lambda each: each.cause)
        clicked |= {each.on for each in now if each.kind == "click"}
        idle = journey is None
        if journey is not None:
            journey.clicked = frozenset(clicked)
            end = "stopped" if stopped else _end(journey, now)
            if end is not None:
                story.append(("ended", journey.number, tick, end))
                journey, ended = None, tick
        if journey is not None:
            journey.came = journey.came or _came(journey, now)
            if state == "running" and _go(journey, tick, story, member=member):
                journey, ended = None, tick
        plan = next((each for each in reversed(plans) if each.since <= tick), None)
        by_date = plan is not None and plan.date is not None
        date = [Event(tick, tick, "date", "d")] if plan is not None and plan.date == tick else []
        for event in [*now, *date]:
            fits = event.kind == ("date" if by_date else "enter") and event.happened >= begun
            if (
                plan is None
                or not fits
                or not idle
                or journey is not None
                or state not in ("running", "paused")
            ):
                continue
            if ended == tick or (count and not _again(plan, ended, tick)):
                continue
            count += 1
            journey = _Journey(count, plan, tick, since=tick, clicked=frozenset(clicked))
            story.append(("entered", count, tick, plan.number))
            if state == "running" and _go(journey, tick, story, member=member):
                journey, ended = None, tick
    return story


def _again(plan: Plan | None, ended: int | None, tick: int) -> bool:
    if plan is None or ended is None:
        return False
    return plan.reentry == "ended" and tick >= ended + plan.after


def _end(journey: _Journey, now: Sequence[Event]) -> str | None:
    for event in now:
        if event.kind == "merged":
            return "merged"
        if event.kind in journey.plan.exits and event.happened > journey.entered:
            return "exit"
    return None


def _came(journey: _Journey, now: Sequence[Event]) -> bool:
    step = journey.plan.steps[journey.place]
    if not journey.standing or step.kind != "wait_event":
        return False
    since = max(journey.since, journey.entered)
    return any(each.kind == "kept" and each.happened > since for each in now)


def _clicked(journey: _Journey) -> bool:
    """Whether the message that the step waits for was clicked by now, before or meanwhile."""
    step = journey.plan.steps[journey.place]
    return step.kind == "wait_message" and (journey.number, step.of) in journey.clicked


def _go(journey: _Journey, tick: int, story: Story, *, member: bool) -> bool:
    """Take every step that can be taken by now; whether the journey is over."""
    while True:
        step = journey.plan.steps[journey.place]
        if not journey.standing:
            journey.since = tick
            if step.kind == "end":
                story.append(("ended", journey.number, tick, "finished"))
                return True
            if step.kind == "send":
                outcome = "sent"
            elif step.kind == "branch":
                outcome = "yes" if member else "no"
            elif _clicked(journey):
                outcome = "came"
            else:
                journey.standing, journey.until = True, _until(step, tick)
                story.append(("waiting", journey.number, journey.place, tick, journey.until))
                continue
        elif journey.came or _clicked(journey):
            outcome = "came"
        elif journey.until is not None and journey.until <= tick:
            outcome = "timed_out" if step.kind in ("wait_event", "wait_message") else "waited"
        else:
            return False
        story.append(("taken", journey.number, journey.place, tick, outcome))
        no = outcome in ("no", "timed_out") and step.otherwise is not None
        journey.place = (step.otherwise or 0) if no else journey.place + 1
        journey.standing, journey.until, journey.came = False, None, False


def _until(step: Step, tick: int) -> int:
    if step.kind != "wait_until":
        return tick + step.length
    then = tick + 1
    while then % TICKS_OF_A_DAY != step.length:
        then += 1
    return then
