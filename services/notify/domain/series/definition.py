"""What a series' definition must be like: steps that lead somewhere, each once.

No way through the steps comes to one of them twice: who is to go through them again enters again.
So a journey has an end, however long it waits.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from functools import lru_cache

from services.notify.domain.definition import LONGEST_TITLE, check_date, check_name
from services.notify.domain.durations import exact_duration
from services.notify.domain.happening import LONGEST_VALUE, MOST_VALUES, check_event
from shared.decider import invalid
from shared.events.campaign import OnDate, OnEvent
from shared.events.series import (
    BranchStep,
    EndStep,
    FieldIs,
    IsMember,
    KnownEntry,
    KnownStep,
    MessageWas,
    SendStep,
    SeriesDefined,
    WaitEventStep,
    WaitMessageStep,
    WaitStep,
)

MOST_STEPS = 50
MOST_EXITS = 10
LONGEST_WAIT = timedelta(days=366)
_NO = "otherwise"
_Leads = Mapping[str, Sequence[tuple[str, str]]]
"""Of each step, where it leads: the path of the field that says so, and the step."""


def checked(definition: SeriesDefined) -> SeriesDefined:
    """The definition with its title trimmed. Raises `Refused` that names what is wrong."""
    check_name("name", definition.series)
    title = definition.title.strip()
    if not 0 < len(title) <= LONGEST_TITLE:
        raise invalid("title", f"has 1 to {LONGEST_TITLE} characters")
    _check_sign(definition.entry, "entry")
    if len(definition.exits) > MOST_EXITS:
        raise invalid("exits", f"at most {MOST_EXITS} of them")
    for place, sign in enumerate(definition.exits):
        _check_sign(sign, f"exits.{place}")
    if definition.reentry_after is not None:
        if definition.reentry != "ended":
            raise invalid("reentry_after", "goes with `reentry: ended`")
        exact_duration(definition.reentry_after, "reentry_after")
    if None not in (definition.start, definition.end) and definition.end <= definition.start:  # type: ignore[operator]  # neither is None
        raise invalid("end", "is after `start`")
    _check_steps(definition)
    return definition.model_copy(update={"title": title})


def step_of(definition: SeriesDefined, name: str) -> KnownStep:
    """The step with the name."""
    return next(step for step in definition.steps if step.id == name)


def following(definition: SeriesDefined, name: str | None, outcome: str | None) -> KnownStep | None:
    """The step after one that went so (None: the first step); None: there is none any more."""
    steps = definition.steps
    if name is None:
        return steps[0]
    place = next(place for place, step in enumerate(steps) if step.id == name)
    step = steps[place]
    no = outcome in ("no", "timed_out")
    named = getattr(step, _NO if no else "next", None)
    if named is not None:
        return step_of(definition, named)
    return steps[place + 1] if place + 1 < len(steps) else None


@lru_cache(maxsize=4096)
def ahead(definition: SeriesDefined, name: str | None) -> AbstractSet[str]:
    """The steps that may be come to from one (None: the first) on, itself included."""
    steps = definition.steps
    return _reached(name or steps[0].id, _leads(steps))


def campaigns_of(definition: SeriesDefined) -> Mapping[str, str]:
    """The campaigns of its messages, by the path at which each is named."""
    return {
        f"steps.{place}.campaign": step.campaign
        for place, step in enumerate(definition.steps)
        if isinstance(step, SendStep)
    }


def _check_sign(sign: KnownEntry, path: str) -> None:
    if isinstance(sign, OnEvent):
        check_event(sign, path)
    elif isinstance(sign, OnDate):
        check_date(sign, path)
    else:
        check_name(f"{path}.segment", sign.segment)


def _check_steps(definition: SeriesDefined) -> None:
    steps = definition.steps
    if not 0 < len(steps) <= MOST_STEPS:
        raise invalid("steps", f"1 to {MOST_STEPS} steps")
    known: set[str] = set()
    for place, step in enumerate(steps):
        check_name(f"steps.{place}.id", step.id)
        if step.id in known:
            raise invalid(f"steps.{place}.id", "is the name of another step")
        known.add(step.id)
    for place, step in enumerate(steps):
        _check_step(step, f"steps.{place}", steps)
    leads = _leads(steps)
    reached = _reached(steps[0].id, leads)
    for place, step in enumerate(steps):
        if step.id not in reached:
            raise invalid(f"steps.{place}", "no way leads to it")


def _check_step(step: KnownStep, path: str, steps: Sequence[KnownStep]) -> None:
    match step:
        case SendStep():
            check_name(f"{path}.campaign", step.campaign)
        case WaitStep():
            _check_wait(step.length, f"{path}.length")
        case WaitEventStep():
            check_event(OnEvent(event=step.event, where=step.where), path)
            _check_wait(step.at_most, f"{path}.at_most")
        case WaitMessageStep():
            _check_sender(step.step, f"{path}.step", steps)
            _check_wait(step.at_most, f"{path}.at_most")
        case BranchStep():
            _check_question(step, f"{path}.question", steps)
        case _:
            pass
    for field in ("next", _NO):
        named = getattr(step, field, None)
        if named is not None and named not in {each.id for each in steps}:
            raise invalid(f"{path}.{field}", "there is no such step")


def _check_wait(text: str, path: str) -> None:
    if exact_duration(text, path) > LONGEST_WAIT:
        raise invalid(path, f"at most {LONGEST_WAIT.days} days")


def _check_question(step: BranchStep, path: str, steps: Sequence[KnownStep]) -> None:
    match step.question:
        case IsMember(segment=segment):
            check_name(f"{path}.segment", segment)
        case MessageWas(step=name):
            _check_sender(name, f"{path}.step", steps)
        case FieldIs(values=values):
            if not 0 < len(values) <= MOST_VALUES:
                raise invalid(f"{path}.values", f"1 to {MOST_VALUES} values")
            if any(len(value) > LONGEST_VALUE for value in values):
                raise invalid(f"{path}.values", f"at most {LONGEST_VALUE} characters")


def _check_sender(name: str, path: str, steps: Sequence[KnownStep]) -> None:
    if name not in {each.id for each in steps if isinstance(each, SendStep)}:
        raise invalid(path, "names a step that sends a message")


def _leads(steps: Sequence[KnownStep]) -> _Leads:
    return {step.id: list(_ways(place, steps)) for place, step in enumerate(steps)}


def _ways(place: int, steps: Sequence[KnownStep]) -> Iterator[tuple[str, str]]:
    step = steps[place]
    if isinstance(step, EndStep):
        return
    forks = isinstance(step, WaitEventStep | WaitMessageStep | BranchStep)
    for field in ("next", _NO) if forks else ("next",):
        named = getattr(step, field)
        if named is not None:
            yield f"steps.{place}.{field}", named
        elif place + 1 < len(steps):
            yield f"steps.{place}.{field}", steps[place + 1].id


def _reached(first: str, leads: _Leads) -> set[str]:
    """Every step that a way leads to. Raises `Refused` where one leads back to itself."""
    done: set[str] = set()
    under_way = {first}
    path: list[tuple[str, Iterator[tuple[str, str]]]] = [(first, iter(leads[first]))]
    while path:
        name, ways = path[-1]
        way = next(ways, None)
        if way is None:
            path.pop()
            under_way.discard(name)
            done.add(name)
            continue
        field, to = way
        if to in under_way:
            raise invalid(field, f"leads back to {to}: whoever is to go on from there enters again")
        if to not in done:
            under_way.add(to)
            path.append((to, iter(leads[to])))
    return done
