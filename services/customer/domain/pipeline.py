"""Pipelines: the stages that deals go through, with the chance of winning in each.

A stage is archived and never deleted, because deals may stand in it and figures count with its
probability: one that a new definition leaves out stays in it, archived. Won and lost are the two
outcomes of every pipeline, outside of its stages.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from services.customer.domain.configuration.catalogue import (
    Archive,
    Catalogue,
    Define,
    Restore,
    Rules,
    check_titles,
    decide_item,
)
from shared.decider import Decider, NewEvent, invalid
from shared.events.contract import EventData
from shared.events.deal import (
    CallWebhook,
    PipelineArchived,
    PipelineDefined,
    PipelineRestored,
    Robot,
    SetField,
    Stage,
)

WON, LOST = "won", "lost"
MAX_STAGES = 50
MAX_ROBOTS = 20
LONGEST_AFTER = 366 * 24 * 3600
CERTAIN = 10_000
"""Hundredths of a percent: a deal that is won."""

PipelineCommand = Define[PipelineDefined] | Archive | Restore


@dataclass(frozen=True, slots=True)
class Pipelines(Catalogue[PipelineDefined]):
    """All pipelines by name."""

    def stage(self, pipeline: str, stage: str) -> Stage | None:
        """A stage, archived or not."""
        definition = self.get(pipeline)
        stages = () if definition is None else definition.stages
        return next((each for each in stages if each.stage == stage), None)

    def probability(self, pipeline: str, stage: str) -> int:
        """That a deal in the stage is won, in hundredths of a percent; of no stage 0."""
        found = self.stage(pipeline, stage)
        return 0 if found is None else found.probability


def decide(command: PipelineCommand, state: Pipelines) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal."""
    if isinstance(command, Define) and (known := state.get(command.name)) is not None:
        command = replace(command, definition=_keeping(known, command.definition))
    return decide_item(_RULES, command, state)


def _keeping(known: PipelineDefined, wanted: PipelineDefined) -> PipelineDefined:
    """The definition with the stages that it leaves out, archived behind the others."""
    named = {each.stage for each in wanted.stages}
    left_out = tuple(
        each.model_copy(update={"archived": True, "robots": ()})
        for each in known.stages
        if each.stage not in named
    )
    return wanted.model_copy(update={"stages": (*wanted.stages, *left_out)})


def evolve(state: Pipelines, data: EventData) -> Pipelines:
    """The pipelines after an event."""
    match data:
        case PipelineDefined(pipeline=pipeline):
            return state.with_definition(pipeline, data)
        case PipelineArchived(pipeline=pipeline):
            return state.with_archived(pipeline, archived=True)
        case PipelineRestored(pipeline=pipeline):
            return state.with_archived(pipeline, archived=False)
        case _:
            message = f"pipelines have no event {data.type}"
            raise TypeError(message)


PIPELINES: Decider[PipelineCommand, Pipelines] = Decider(Pipelines, decide, evolve)


def _check(definition: PipelineDefined, name: str, state: Pipelines) -> None:
    check_titles(definition.titles, name, ((other, each.titles) for other, each in state.living()))
    stages = definition.stages
    if not any(not each.archived for each in stages):
        raise invalid("stages", "at least one stage that is not archived")
    if len(stages) > MAX_STAGES:
        raise invalid("stages", f"at most {MAX_STAGES}, archived ones included")
    _once((each.stage for each in stages), "stages", "stage")
    _once((each.reason for each in definition.lost_reasons), "lost_reasons", "reason")
    for index, stage in enumerate(stages):
        path = f"stages.{index}"
        if stage.stage in {WON, LOST}:
            raise invalid(f"{path}.stage", "won and lost are outcomes, not stages")
        if len(stage.robots) > MAX_ROBOTS:
            raise invalid(f"{path}.robots", f"at most {MAX_ROBOTS}")
        _once((each.robot for each in stage.robots), f"{path}.robots", "robot")
        for number, robot in enumerate(stage.robots):
            _check_robot(robot, f"{path}.robots.{number}", definition)


def _check_robot(robot: Robot, path: str, definition: PipelineDefined) -> None:
    if robot.after > LONGEST_AFTER:
        raise invalid(f"{path}.after", f"at most {LONGEST_AFTER} seconds, a year")
    match robot.action:
        case SetField(field="expected_close", days=days):
            if days is None:
                raise invalid(f"{path}.action.days", "a date is set by a number of days")
        case SetField(value=None):
            raise invalid(f"{path}.action.value", "the new value")
        case SetField(field="stage", value=value):
            if value not in _living(definition):
                raise invalid(f"{path}.action.value", "is no stage of this pipeline")
        case CallWebhook(url=url):
            if not is_web_address(url):
                raise invalid(f"{path}.action.url", "http or https, with a host, without a user")


def is_web_address(url: str) -> bool:
    """Whether the text is an address of http or https, with a host and without a user."""
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    known = parts.scheme in {"http", "https"} and parts.username is None
    return known and has_port and bool(parts.hostname)


def _living(definition: PipelineDefined) -> Iterator[str | None]:
    return (each.stage for each in definition.stages if not each.archived)


def _once(names: Iterable[str], path: str, what: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise invalid(path, f"the same {what} stands here twice: {twice[0]}")


_RULES: Rules[PipelineDefined, Pipelines] = Rules(
    kind="pipeline",
    archived=lambda name: PipelineArchived(pipeline=name),
    restored=lambda name: PipelineRestored(pipeline=name),
    check=_check,
)
