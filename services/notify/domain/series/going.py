"""What a journey comes to next, and when.

Of one moment, an end comes before all else, then an event that was waited for, then what time alone
brings. Nothing comes before what cannot be said yet.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Protocol

from services.notify.domain.durations import exact_duration
from services.notify.domain.series.became import NOT_YET
from services.notify.domain.series.course import Course, awaited, mark_of
from services.notify.domain.series.definition import following, step_of
from services.notify.domain.series.standing import Journey, Note, Standing
from shared.events.contract import EventData
from shared.events.series import (
    BranchStep,
    EndReason,
    EndStep,
    FieldIs,
    IsMember,
    JourneyEnded,
    JourneyEntered,
    JourneyStepTaken,
    JourneyWaiting,
    KnownSign,
    KnownStep,
    MessageState,
    MessageWas,
    Outcome,
    SendStep,
    SeriesDefined,
    WaitEventStep,
    WaitMessageStep,
    WaitStep,
    WaitUntilStep,
)

_DAY = timedelta(days=1)
_ENDS, _CAME, _TIME = range(3)
"""What comes first of one moment."""
Coming = tuple[datetime | None, EventData | None]
"""What comes next and when; nothing at a moment: an answer is missing; no moment: nothing."""
NOTHING: Coming = (None, None)


@dataclass(frozen=True, slots=True)
class Said:
    """The message of a journey's step."""

    campaign: str
    occurrence: str


class Surroundings(Protocol):
    """What a step may ask; None: not all that was recorded until then is known yet."""

    def zone(self, at: datetime) -> tzinfo | None:
        """By which clock the customer lives."""
        ...

    def answer(self, question: IsMember | FieldIs, at: datetime) -> bool | None:
        """Whether it is so."""
        ...

    def reached(self, said: Said, state: MessageState) -> datetime | None:
        """Since when a message has come so far; `NOT_YET`: of what was recorded, never."""
        ...


@dataclass(frozen=True, slots=True)
class NothingKnown:
    """Nobody has looked."""

    def zone(self, _at: datetime) -> tzinfo | None:
        """Unknown."""
        return None

    def answer(self, _question: IsMember | FieldIs, _at: datetime) -> bool | None:
        """Unknown."""
        return None

    def reached(self, _said: Said, _state: MessageState) -> datetime | None:
        """Unknown."""
        return None


NOTHING_KNOWN = NothingKnown()


def occurrence_of_step(series: str, number: int, step: str) -> str:
    """The occurrence of a message: the series, which journey of the customer, and the step."""
    return f"{series}/{number}/{step}"


def series_of(occurrence: str) -> str | None:
    """The series of a message's occurrence, if a step of one sent it."""
    series, slash, _ = occurrence.partition("/")
    return series if slash else None


def upcoming(state: Journey, series: str, course: Course, surroundings: Surroundings) -> Coming:
    """What comes next of what is known, and when."""
    if state.open is None:
        return _entering(state, series, course)
    on = _Going(state.open, series, course, course.definition(state.open.version), surroundings)
    return min(
        (each for each in on.ways(state.notes)),
        key=lambda each: (each[0], each[1], each[2]),
        default=(None, None, None, NOTHING),
    )[3]


def _entering(state: Journey, series: str, course: Course) -> Coming:
    for note in sorted(state.notes, key=lambda note: (note.at, note.cause)):
        version = course.admits(note.at)
        begun = course.begun(note.at)
        if not note.enters or version is None or begun is None or note.happened < begun:
            continue
        if not _may_enter(state, version.definition, note.at):
            continue
        entered = JourneyEntered(
            series=series,
            number=state.number + 1,
            version=version.number,
            at=note.at,
            cause=note.cause,
        )
        return note.at, entered
    return NOTHING


def _may_enter(state: Journey, definition: SeriesDefined, at: datetime) -> bool:
    if state.ended is None:
        return state.number == 0
    if definition.reentry == "never" or at <= state.ended:
        return False
    after = definition.reentry_after
    return after is None or at >= state.ended + exact_duration(after, "reentry_after")


_Way = tuple[datetime, int, str, Coming]
"""A moment, its rank, the cause where there is one, and what comes of it."""


@dataclass(frozen=True, slots=True)
class _Going:
    """An open journey, and what it goes by."""

    standing: Standing
    series: str
    course: Course
    definition: SeriesDefined
    surroundings: Surroundings

    def ways(self, notes: tuple[Note, ...]) -> Iterator[_Way]:
        """Everything that would come next, were it not for the others."""
        stopped = self.course.stopped(self.standing.entered)
        if stopped is not None:
            yield stopped, _ENDS, "", (stopped, self._ended(stopped, "stopped"))
        for note in notes:
            yield from self._of(note)
        yield from self._by_message()
        yield from self._by_time()

    def _of(self, note: Note) -> Iterator[_Way]:
        if note.ends is not None and note.at > self.standing.entered:
            yield note.at, _ENDS, note.cause, (note.at, self._ended(note.at, note.ends))
        if note.happened <= self.standing.entered:
            return
        for sign in self.definition.exits:
            if mark_of(sign) in note.signs:
                ended = self._ended(note.at, "exit", sign)
                yield note.at, _ENDS, note.cause, (note.at, ended)
                return
        step, at = self._at(), self.course.acts(note.at)
        if not isinstance(step, WaitEventStep) or at is None:
            return
        if note.happened > self.standing.since and mark_of(awaited(step)) in note.signs:
            yield at, _CAME, note.cause, (at, self._taken(step, at, "came"))

    def _by_message(self) -> Iterator[_Way]:
        step, since = self._at(), self.standing.since
        if not isinstance(step, WaitMessageStep) or self.standing.until is None:
            return
        reached = self._reached(step.step, step.state)
        if reached is None:
            yield since, _CAME, "", (since, None)
        elif reached != NOT_YET and (at := self.course.acts(max(reached, since))) is not None:
            yield at, _CAME, "", (at, self._taken(step, at, "came"))

    def _by_time(self) -> Iterator[_Way]:
        standing, step = self.standing, self._at()
        if step is not None and standing.until is not None:
            at = self.course.acts(standing.until)
            how: Outcome = (
                "timed_out" if isinstance(step, WaitEventStep | WaitMessageStep) else "waited"
            )
            if at is not None:
                yield at, _TIME, "", (at, self._taken(step, at, how))
            return
        at = self.course.acts(standing.since)
        if at is not None:
            following_one = step or following(self.definition, standing.step, standing.outcome)
            yield at, _TIME, "", (at, self._come_to(following_one, at))

    def _at(self) -> KnownStep | None:
        """The step at which it stands."""
        if self.standing.step is None or self.standing.outcome is not None:
            return None
        return step_of(self.definition, self.standing.step)

    def _come_to(self, step: KnownStep | None, at: datetime) -> EventData | None:
        """What follows from coming to a step; None: that cannot be said yet."""
        match step:
            case None | EndStep():
                return self._ended(at, "finished")
            case SendStep():
                return self._taken(step, at, "sent", self._said(step))
            case WaitStep(length=length):
                return self._waits(step, at, at + exact_duration(length, "length"))
            case WaitEventStep(at_most=at_most):
                return self._waits(step, at, at + exact_duration(at_most, "at_most"))
            case WaitMessageStep():
                return self._looks_for_message(step, at)
            case WaitUntilStep():
                zone = self.surroundings.zone(at)
                return self._asks(step, at, None if zone is None else next_shown(step, at, zone))
            case BranchStep():
                return self._branched(step, at)

    def _branched(self, step: BranchStep, at: datetime) -> EventData | None:
        question = step.question
        if isinstance(question, MessageWas):
            reached = self._reached(question.step, question.state)
            answer = None if reached is None else reached <= at
        else:
            answer = self.surroundings.answer(question, at)
        if answer is None:
            return self._asks(step, at, None)
        return self._taken(step, at, "yes" if answer else "no")

    def _looks_for_message(self, step: WaitMessageStep, at: datetime) -> EventData | None:
        """It may have come so far before anybody waited for it."""
        reached = self._reached(step.step, step.state)
        if reached is None:
            return self._asks(step, at, None)
        if reached <= at:
            return self._taken(step, at, "came")
        return self._waits(step, at, at + exact_duration(step.at_most, "at_most"))

    def _reached(self, name: str, state: MessageState) -> datetime | None:
        sender = step_of(self.definition, name)
        if not isinstance(sender, SendStep):
            return NOT_YET
        return self.surroundings.reached(self._said(sender), state)

    def _asks(self, step: KnownStep, at: datetime, until: datetime | None) -> EventData | None:
        """It stands there until it is known how it goes on; that is said once."""
        stands = self._at() is not None
        return None if stands and until is None else self._waits(step, at, until)

    def _said(self, step: SendStep) -> Said:
        occurrence = occurrence_of_step(self.series, self.standing.number, step.id)
        return Said(step.campaign, occurrence)

    def _waits(self, step: KnownStep, at: datetime, until: datetime | None) -> EventData:
        number = self.standing.number
        return JourneyWaiting(series=self.series, number=number, step=step.id, at=at, until=until)

    def _taken(
        self, step: KnownStep, at: datetime, outcome: Outcome, said: Said | None = None
    ) -> EventData:
        return JourneyStepTaken(
            series=self.series,
            number=self.standing.number,
            step=step.id,
            at=at,
            outcome=outcome,
            campaign=None if said is None else said.campaign,
            occurrence=None if said is None else said.occurrence,
        )

    def _ended(self, at: datetime, reason: EndReason, sign: KnownSign | None = None) -> EventData:
        number = self.standing.number
        return JourneyEnded(series=self.series, number=number, at=at, reason=reason, exit=sign)


def next_shown(step: WaitUntilStep, after: datetime, zone: tzinfo) -> datetime:
    """The first moment (UTC) after another at which a clock shows the time of the step.

    At the very moment it is the next day's. A time that the clock jumps over is where it lands;
    one that comes twice is its first coming.
    """
    hour = time.fromisoformat(step.at)
    day = after.astimezone(zone).date() - _DAY
    while True:
        moment = datetime.combine(day, hour, zone).astimezone(UTC)
        if moment > after and step.weekday in (None, day.isoweekday()):
            return moment
        day += _DAY
