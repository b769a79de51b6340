"""Read models of the diary: plain ones, and one that is stepped, with timers, rules and history.

What they fold is what `shared.testing.diary` writes. A fold fails where a line begins with `!`,
unless it is one of the mended ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

from shared.decider import NewEvent
from shared.envelope import Causation
from shared.events.customer import ConsentGiven, CustomerRegistered
from shared.events.imports import ImportEnded
from shared.events.segment import Cause, CauseKind, SegmentEntered, SegmentExited
from shared.projection import Document, Event, Projection, Stepped, SteppedDocument

TOPIC = "customer.events.v1"
BROKEN = "!"
DUE = "due "
"""A line `due <moment>` sets a timer."""
SEGMENT = "odd"


class Line(msgspec.Struct, gc=False):
    """Of a written line: its text."""

    topic: str


class Named(msgspec.Struct, gc=False):
    """Of the beginning of a diary: the name, sealed or in the clear."""

    surname: str | None = None


class Ended(msgspec.Struct, gc=False):
    """Of the end of an import."""

    import_id: str


class Diary(Document, kw_only=True):
    """A diary's lines in order."""

    name: str | None = None
    lines: list[str] = msgspec.field(default_factory=list)


class Shelf(Document, kw_only=True):
    """Who has written lines that begin with a letter."""

    owners: list[str] = msgspec.field(default_factory=list)


READS: Mapping[str, type[msgspec.Struct]] = {
    ConsentGiven.type: Line,
    CustomerRegistered.type: Named,
}


def _owner(event: Event) -> str | None:
    return event.light.subject


def _shelf(event: Event) -> str | None:
    return event.data.topic.lstrip(BROKEN)[:1] if isinstance(event.data, Line) else None


def _refuse_broken(event: Event) -> None:
    if isinstance(event.data, Line) and event.data.topic.startswith(BROKEN):
        message = f"{event.light.id} cannot be read"
        raise ValueError(message)


def _write(diary: Diary | None, event: Event) -> Diary:
    diary = diary or Diary(id=event.light.subject or "")
    if isinstance(event.data, Named):
        diary.name = event.data.surname
    else:
        diary.lines.append(event.data.topic)
    return diary


def _put(shelf: Shelf | None, event: Event) -> Shelf:
    shelf = shelf or Shelf(id=_shelf(event) or "")
    shelf.owners.append(event.light.subject or "")
    return shelf


def diaries(
    name: str = "diaries_v1",
    *,
    mended: bool = False,
    opens: bool = False,
    gapless: bool = True,
) -> Projection[Diary]:
    """One document per owner; with `gapless` it insists on every version."""

    def apply(diary: Diary | None, event: Event) -> Diary:
        if not mended:
            _refuse_broken(event)
        return _write(diary, event)

    return Projection(
        name=name, topics=(TOPIC,), reads=READS, document=Diary,
        target=_owner, apply=apply, opens=opens, gapless=gapless,
    )  # fmt: skip


def shelves(*, mended: bool = False) -> Projection[Shelf]:
    """One document per first letter of a line, so that one diary is in several documents."""

    def apply(shelf: Shelf | None, event: Event) -> Shelf:
        if not mended:
            _refuse_broken(event)
        return _put(shelf, event)

    return Projection(
        name="shelves_v1", topics=(TOPIC,), reads=READS, document=Shelf,
        target=_shelf, apply=apply,
    )  # fmt: skip


class Habit(SteppedDocument, kw_only=True, omit_defaults=True):
    """A diary as the segment `odd` sees it: in it while the number of its lines is odd."""

    rules: int
    lines: int = 0
    unlived: int = 0
    seen: list[str] = msgspec.field(default_factory=list)
    inside: bool = False


Change = tuple[Habit, Sequence[NewEvent]]


@dataclass(frozen=True, slots=True)
class Habits:
    """The rules of the segment, by their number; another number asks everybody anew."""

    number: int = 1

    def step(self, habit: Habit | None, event: Event) -> Change:
        """Take in a line. Raises ValueError for one that is broken, or newer rules."""
        _refuse_broken(event)
        customer = event.light.subject or ""
        habit = habit or Habit(id=customer, partition=event.partition, rules=self.number)
        if habit.rules > self.number:
            message = f"rules {habit.rules} are needed, these are {self.number}"
            raise ValueError(message)
        if not isinstance(event.data, Line):
            return habit, ()
        habit.seen.append(event.light.id)
        if event.light.history is not None:
            habit.unlived += 1
            habit.history = sorted({*habit.history, event.light.history})
            return habit, ()
        if event.data.topic.startswith(DUE):
            habit.due_at = datetime.fromisoformat(event.data.topic.removeprefix(DUE))
            return habit, ()
        habit.lines += 1
        return self._settle(habit, event.time, "event", event.light.id)

    def wake(self, habit: Habit, until: datetime) -> Change:
        """Forget a line when its time has come."""
        if habit.due_at is None or habit.due_at >= until:
            return habit, ()
        at, habit.due_at = habit.due_at, None
        habit.lines += 1
        return self._settle(habit, at, "time", None)

    def live(self, habit: Habit, import_id: str, until: datetime) -> Change:
        """Take in an import's lines at its end."""
        if import_id not in habit.history:
            return habit, ()
        habit.history = [each for each in habit.history if each != import_id]
        habit.lines, habit.unlived = habit.lines + habit.unlived, 0
        return self._settle(habit, until, "history", None)

    def revise(self, habit: Habit, at: datetime) -> Change:
        """Ask again: with each number of rules, odd and even change their places."""
        if habit.rules >= self.number:
            return habit, ()
        return self._settle(habit, at, "definition", None)

    def _settle(self, habit: Habit, at: datetime, kind: CauseKind, event: str | None) -> Change:
        habit.rules = self.number
        inside = habit.lines % 2 == self.number % 2
        if inside is habit.inside:
            return habit, ()
        habit.inside = inside
        cause = Cause(kind=kind, event=event)
        transition = SegmentEntered if inside else SegmentExited
        data = transition(segment=SEGMENT, definition=self.number, cause=cause)
        why = Causation(correlation=event or f"{habit.id}|{kind}", causation=event)
        return habit, (NewEvent(data, at, causation=why),)


def _folded(habit: Habit | None, event: Event) -> Habit:
    return Habits().step(habit, event)[0]


def habit_stream(customer: str) -> str:
    """The stream of a diary's transitions."""
    return f"membership-{customer}"


def habits(
    rules: Habits, name: str = "habits_v1", topics: Sequence[str] = (TOPIC,)
) -> Stepped[Habit]:
    """The stepping with these rules."""
    return Stepped(
        projection=Projection(
            name=name, topics=tuple(topics), reads={**READS, ImportEnded.type: Ended},
            document=Habit, target=_owner, apply=_folded,
        ),
        stream=habit_stream,
        step=rules.step,
        wake=rules.wake,
        live=rules.live,
        revise=rules.revise,
        barriers=frozenset({ImportEnded.type}),
    )  # fmt: skip


@dataclass(slots=True)
class HabitSource:
    """Implements `SteppedSource`; `newest` is what a refresh takes up."""

    newest: Habits = field(default_factory=Habits)
    number: int = 1
    refreshed: int = 0
    make: Callable[[Habits], Stepped[Habit]] = habits

    @property
    def stepped(self) -> Stepped[Habit]:
        """The stepping with the rules taken up last."""
        return self.make(replace(self.newest, number=self.number))

    async def refresh(self) -> None:
        """Take up the newest."""
        self.refreshed += 1
        self.number = self.newest.number
