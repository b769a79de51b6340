"""Robots: what a deal's stage, and the time in it, ask for by themselves. Pure.

A robot of a stage is due `after` seconds from the moment at which the deal came in. When that is
depends on the deal and on the robot alone: one that is defined later counts from the entry too, and
is due at the earliest when it was defined; one that acts on entering leaves those in peace who were
there before it. So it does not matter when a worker comes round to it. Each robot acts once in each
stay; what it asks for has an id that follows from deal, stay and robot, so that a deal that goes on
in another stream asks for nothing twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from services.customer.domain.deal_stays import OUTCOMES
from shared.decider import NewEvent
from shared.envelope import Causation, Envelope
from shared.events import EVENT_TYPES
from shared.events.contract import EventData
from shared.events.deal import (
    CallWebhook,
    DealChangeRequested,
    DealMessageRequested,
    DealTaskRequested,
    DealTransferred,
    DealWebhookRequested,
    PipelineDefined,
    PlanTask,
    Robot,
    SendMessage,
    SetField,
)
from shared.ids import derived_id
from shared.projection import Event, SteppedDocument


def robots_stream(deal: str) -> str:
    """The stream of what robots ask for; `deal` is the stream of the deal without `deal-`."""
    return f"robots-{deal}"


@dataclass(frozen=True, slots=True)
class LiveRobot:
    """A robot as it stands, and since when it stands so."""

    robot: Robot
    since: datetime


Place = tuple[str, str]
"""Pipeline and stage."""


@dataclass(frozen=True, slots=True)
class RobotRules:
    """The robots of all stages; `number` counts the events of pipelines."""

    number: int = 0
    robots: Mapping[Place, Sequence[LiveRobot]] = field(default_factory=dict)

    def of(self, pipeline: str, stage: str) -> Sequence[LiveRobot]:
        """The robots of a stage, in their order."""
        return self.robots.get((pipeline, stage), ())


NO_ROBOTS = RobotRules()


def robot_rules(events: Iterable[Envelope]) -> RobotRules:
    """The robots that the events of pipelines, in their order, come to."""
    number = 0
    robots: dict[Place, Sequence[LiveRobot]] = {}
    for envelope in events:
        number += 1
        if envelope.type != PipelineDefined.type:
            # Deals in an archived pipeline go on, and so do its robots.
            continue
        data = EVENT_TYPES[envelope.type].model_validate_json(bytes(envelope.data))
        assert isinstance(data, PipelineDefined)  # noqa: S101 - its type says so
        since = datetime.fromisoformat(envelope.recordedtime)
        for stage in data.stages:
            place = (data.pipeline, stage.stage)
            before = {each.robot: each for each in robots.get(place, ())}
            robots[place] = [
                LiveRobot(robot, known.since if (known := before.get(robot)) else since)
                for robot in stage.robots
            ]
    return RobotRules(number, robots)


class OlderRules(RuntimeError):  # noqa: N818 - says what is wrong
    """The document was evaluated with a newer rule set: load it, then fold."""


class RobotDocument(SteppedDocument, kw_only=True, omit_defaults=True):
    """One stream of a deal and its robots.

    `stay` numbers its stays in stages; `entered` is when the present one began, None while it is
    closed or gone; `event`, `correlation` and `depth` are of the event that says so. `fired` names
    the robots that have acted in this stay, `due` those that will, with their moments.
    `not_before`: what was due earlier was asked for in the stream before. `rules` has no default,
    so that it is always stored.
    """

    rules: int
    deal: str
    pipeline: str = ""
    stage: str = ""
    branch: str | None = None
    stay: int = 0
    entered: datetime | None = None
    not_before: datetime | None = None
    event: str = ""
    correlation: str = ""
    depth: int = 0
    fired: list[str] = msgspec.field(default_factory=list)
    due: dict[str, datetime] = msgspec.field(default_factory=dict)


Outcome = tuple[RobotDocument, Sequence[NewEvent]]


@dataclass(frozen=True, slots=True)
class RobotEngine:
    """The engine with one rule set; another set is another engine."""

    rules: RobotRules

    def step(self, document: RobotDocument | None, event: Event) -> Outcome:
        """Take in an event of the deal, and ask for what is due by then."""
        light = event.light
        known = document or self._begun(event)
        if known.rules > self.rules.number:
            message = f"rule set {known.rules} is needed, this is {self.rules.number}"
            raise OlderRules(message)
        self._plan(known)
        asked = self._settle(known, light.recordedtime)
        _take(known, event)
        self._plan(known)
        # What is due on entering is due by now.
        asked += self._settle(known, light.recordedtime + _A_LITTLE)
        return known, asked

    def fold(self, document: RobotDocument | None, event: Event) -> RobotDocument:
        """Take in an event and ask for nothing."""
        known = document or self._begun(event)
        _take(known, event)
        self._plan(known)
        return known

    def wake(self, document: RobotDocument, until: datetime) -> Outcome:
        """Ask for what is due before a moment, each at its own."""
        if document.rules > self.rules.number:
            return document, ()
        self._plan(document)
        return document, self._settle(document, until)

    def revise(self, document: RobotDocument, _at: datetime) -> Outcome:
        """Go by the present rule set; what is overdue by it is asked for when woken."""
        if document.rules < self.rules.number:
            self._plan(document)
        return document, ()

    def live(self, document: RobotDocument, _import: str, _until: datetime) -> Outcome:
        """Deals have no past that an import brings."""
        return document, ()

    def _begun(self, event: Event) -> RobotDocument:
        light, data = event.light, event.data
        company = getattr(data, "company", None)
        return RobotDocument(
            id=light.stream.removeprefix("deal-"),
            partition=event.partition,
            rules=self.rules.number,
            key=light.subject if company is None else f"company-{company}",
            subject=light.subject,
            deal=data.deal,
        )

    def _plan(self, document: RobotDocument) -> None:
        """Say which robots are still to act in this stay, and when."""
        due: dict[str, datetime] = {}
        for live in self.rules.of(document.pipeline, document.stage):
            moment = _moment(live, document)
            if moment is not None:
                due[live.robot.robot] = moment
        document.due = due
        document.due_at = min(due.values(), default=None)
        document.rules = self.rules.number

    def _settle(self, document: RobotDocument, until: datetime) -> list[NewEvent]:
        """Let all robots act that are due before a moment, in the order of theirs."""
        asked = []
        robots = {
            each.robot.robot: each.robot
            for each in self.rules.of(document.pipeline, document.stage)
        }
        for name, moment in sorted(document.due.items(), key=lambda each: (each[1], each[0])):
            if moment < until:
                asked.append(_asked(document, robots[name], moment))
                document.fired.append(name)
                del document.due[name]
        document.due_at = min(document.due.values(), default=None)
        return asked


_A_LITTLE = timedelta(milliseconds=1)


def _moment(live: LiveRobot, document: RobotDocument) -> datetime | None:
    """When a robot is due in this stay; None when it is not."""
    entered, robot = document.entered, live.robot
    if entered is None or robot.robot in document.fired:
        return None
    if robot.after == 0 and live.since > entered:
        return None
    if document.subject is None and isinstance(robot.action, SendMessage):
        # A company has no address.
        return None
    moment = max(entered + timedelta(seconds=robot.after), live.since)
    if document.not_before is not None and moment < document.not_before:
        return None
    return moment


def _take(document: RobotDocument, event: Event) -> None:
    """Change what is known of the deal by an event."""
    data, light = event.data, event.light
    terms = getattr(data, "terms", None)
    if terms is not None:
        document.branch = terms.branch
    if hasattr(data, "visits"):
        _enter(document, event, data.visits[-1].entered)
        document.stay = len(data.visits)
        document.pipeline = data.pipeline
        document.not_before = light.recordedtime
        if data.status != "open":
            document.entered = None
    elif light.type in OUTCOMES or light.type == DealTransferred.type:
        document.entered = None
    elif hasattr(data, "stage"):
        _enter(document, event, event.time)
        document.not_before = None
        document.pipeline = getattr(data, "pipeline", document.pipeline)


def _enter(document: RobotDocument, event: Event, moment: datetime) -> None:
    light = event.light
    document.stage = event.data.stage
    document.stay += 1
    document.entered = moment
    document.fired = []
    document.event, document.correlation = light.id, light.correlationid
    document.depth = light.causedepth


def _asked(document: RobotDocument, robot: Robot, moment: datetime) -> NewEvent:
    causation = Causation(document.correlation, document.event, document.depth + 1)
    return NewEvent(_request(document, robot, moment), moment, document.branch, causation)


def request_id(document: RobotDocument, robot: Robot) -> str:
    """The id of what a robot asks for in this stay."""
    return derived_id("robot", document.deal, str(document.stay), robot.robot)


def _request(document: RobotDocument, robot: Robot, moment: datetime) -> EventData:
    about = {
        "request": request_id(document, robot),
        "deal": document.deal,
        "pipeline": document.pipeline,
        "stage": document.stage,
        "robot": robot.robot,
    }
    match robot.action:
        case PlanTask(title=title, due_days=days):
            return DealTaskRequested(**about, title=title, due=moment + timedelta(days=days))
        case SendMessage(template=template, channel=channel):
            return DealMessageRequested(**about, template=template, channel=channel)
        case CallWebhook(url=url):
            return DealWebhookRequested(**about, url=url)
        case SetField(field=changed, value=value, days=days):
            if changed == "expected_close":
                value = (moment + timedelta(days=days or 0)).date().isoformat()
            return DealChangeRequested(**about, field=changed, value=value or "")
