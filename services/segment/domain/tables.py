"""Tables of cut points: each a stream `table-<name>` of what it looks at and of the cuts set last.

What customers are divided by changes only with an event, so that the log says by which cuts anybody
entered a segment. The same cuts set again are no event: nobody is asked anew for nothing.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.segment.rules.instants import UNITS, show_span, span
from services.segment.rules.language.rfm import Percentile, Rfm, RfmCell
from services.segment.rules.language.tree import Rule, leaves
from services.segment.rules.ruleset import LiveRule
from services.segment.rules.tables import Cuts, Figures, Percentiles, Table
from shared.decider import Decider, NewEvent, invalid, not_found
from shared.envelope import Envelope
from shared.events.contract import EventData
from shared.events.segment import CutPointsSet, TableDefined

DAY = UNITS["day"]
CUTS, PERCENTS = 4, 99
LONGEST_TITLE = 200
SHORTEST_EVERY = UNITS["hour"]
LARGEST = 10**15
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_NAME = 60
_MILLISECOND = timedelta(milliseconds=1)


def table_stream(name: str) -> str:
    """The stream of a table."""
    return f"table-{name}"


@dataclass(frozen=True, slots=True)
class DefineTable:
    """Give a table its (new) meaning; `fixed` are cut points in place of quantiles.

    `rests_on` is told the version that is there (None: there is none), and may refuse the change.
    """

    name: str
    title: str
    look_back: str
    at: datetime
    branch: str | None = None
    fixed: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None = None
    every: str | None = None
    by: str | None = None
    rests_on: Callable[[int | None], None] = lambda _version: None


@dataclass(frozen=True, slots=True)
class SetCutPoints:
    """Divide by what the base was while the table had this definition."""

    name: str
    definition: int
    base: Sequence[Figures]
    at: datetime


Command = DefineTable | SetCutPoints


@dataclass(frozen=True, slots=True)
class TableState:
    """A table as its stream has it; `defined` is None before the first definition.

    `definition` counts definitions; `set_at` is when its cut points were last set.
    """

    version: int = 0
    definition: int = 0
    defined: TableDefined | None = None
    cut: CutPointsSet | None = None

    @property
    def table(self) -> Table | None:
        """What rules are asked with."""
        if self.defined is None:
            return None
        defined, cut = self.defined, self.cut
        cuts = None
        if defined.recency is not None:
            cuts = _cuts(defined.recency, defined.frequency or (), defined.monetary or ())
        elif cut is not None:
            cuts = cuts_of(cut)
        percentiles = None if cut is None else Percentiles(cut.spent, cut.receipts, cut.average)
        return Table(span(defined.look_back), defined.branch, cuts, percentiles)


def _cuts(recency: Sequence[int], frequency: Sequence[int], monetary: Sequence[int]) -> Cuts:
    return Cuts(tuple(days * DAY for days in recency), frequency, monetary)


def cuts_of(cut: CutPointsSet) -> Cuts:
    """The cut points of scores, as rules are asked with them."""
    return _cuts(cut.recency, cut.frequency, cut.monetary)


def evolve(state: TableState, data: EventData) -> TableState:
    """The state after one more event of the stream; another meaning forgets the cut points."""
    match data:
        case TableDefined():
            old = state.defined
            same = old is not None and (old.look_back, old.branch) == (data.look_back, data.branch)
            return TableState(
                state.version + 1, state.definition + 1, data, state.cut if same else None
            )
        case CutPointsSet():
            return replace(state, version=state.version + 1, cut=data)
        case _:
            message = f"{data.type} does not belong to the stream of a table"
            raise TypeError(message)


def tables(horizon: timedelta) -> Decider[Command, TableState]:
    """The behaviour of tables, where receipts are kept one by one for `horizon`."""

    def decide(command: Command, state: TableState) -> Sequence[NewEvent]:
        if isinstance(command, DefineTable):
            return _define(command, state, horizon // _MILLISECOND)
        return _set(command, state)

    return Decider(TableState, decide, evolve)


def _define(command: DefineTable, state: TableState, horizon: int) -> Sequence[NewEvent]:
    _check(command, horizon)
    recency, frequency, monetary = command.fixed or (None, None, None)
    data = TableDefined(
        table=command.name, title=command.title.strip(), look_back=command.look_back,
        branch=command.branch, recency=recency, frequency=frequency, monetary=monetary,
        every=command.every, by=command.by,
    )  # fmt: skip
    old = state.defined
    if old is not None and old.model_copy(update={"by": None}) == data.model_copy(
        update={"by": None}
    ):
        return ()
    command.rests_on(state.version or None)
    return (NewEvent(data, command.at),)


def _check(command: DefineTable, horizon: int) -> None:
    if len(command.name) > _LONGEST_NAME or _NAME.fullmatch(command.name) is None:
        raise invalid(
            "name",
            f"is made of small letters, digits and single hyphens, at most {_LONGEST_NAME} in all",
        )
    if not 0 < len(command.title.strip()) <= LONGEST_TITLE:
        raise invalid("title", f"has 1 to {LONGEST_TITLE} characters")
    if _span("look_back", command.look_back) > horizon:
        raise invalid("look_back", f"receipts are kept one by one for {show_span(horizon)}")
    if command.every is not None and _span("every", command.every) < SHORTEST_EVERY:
        raise invalid("every", "is an hour at least")
    names = ("recency", "frequency", "monetary")
    for name, cuts in zip(names, command.fixed or (), strict=False):
        if len(cuts) != CUTS or list(cuts) != sorted(cuts) or abs(max(cuts, key=abs)) > LARGEST:
            raise invalid(f"fixed.{name}", f"are {CUTS} whole numbers that ascend")


def _span(field: str, text: str) -> int:
    try:
        return span(text)
    except ValueError as error:
        raise invalid(field, str(error)) from error


def _set(command: SetCutPoints, state: TableState) -> Sequence[NewEvent]:
    """What was counted for another definition is nobody's business."""
    if state.defined is None:
        raise not_found("table", command.name)
    if state.definition != command.definition:
        return ()
    data = cut_points(command.name, command.base)
    return () if data == state.cut else (NewEvent(data, command.at),)


def cut_points(name: str, base: Sequence[Figures]) -> CutPointsSet:
    """The cut points that divide a base into fifths and hundredths, by nearest rank.

    Of n sorted values, cut i of k parts is the first one after the ⌈n·i/k⌉-th: so many lie below
    it, fewer where values are equal; after the last one it is one more. Recency is in whole days,
    rounded up.
    """
    ages = sorted(figures.age for figures in base)
    counts = sorted(figures.receipts for figures in base)
    sums = sorted(figures.spent for figures in base)
    averages = sorted(figures.average for figures in base)
    return CutPointsSet(
        table=name,
        base=len(base),
        recency=tuple(max(1, -(-age // DAY)) for age in _parts(ages, CUTS + 1)),
        frequency=_parts(counts, CUTS + 1),
        monetary=_parts(sums, CUTS + 1),
        spent=_parts(sums, PERCENTS + 1),
        receipts=_parts(counts, PERCENTS + 1),
        average=_parts(averages, PERCENTS + 1),
    )


def _parts(values: Sequence[int], parts: int) -> tuple[int, ...]:
    if not values:
        return (1,) * (parts - 1)
    size = len(values)
    ranks = (-(-size * part // parts) for part in range(1, parts))
    return tuple(values[rank] if rank < size else values[-1] + 1 for rank in ranks)


class SetTables:
    """The tables that events made, given in any order and however often."""

    def __init__(self, events: Iterable[Envelope]) -> None:
        """Events of other types are passed over."""
        models: Mapping[str, type[EventData]] = {
            each.type: each for each in (TableDefined, CutPointsSet)
        }
        streams: dict[str, dict[int, Envelope]] = {}
        for event in events:
            if event.type in models:
                streams.setdefault(event.stream, {})[event.streamversion] = event
        self.moments: list[datetime] = []
        self.tables: dict[str, Table] = {}
        self._lasts: dict[str, Envelope] = {}
        for stream, found in sorted(streams.items()):
            state = TableState()
            for version in sorted(found):
                event, before = found[version], state.table
                state = evolve(state, models[event.type].model_validate_json(bytes(event.data)))
                if state.table != before:
                    self.moments.append(datetime.fromisoformat(event.recordedtime))
                    self._lasts[stream.removeprefix(table_stream(""))] = event
            if (table := state.table) is not None:
                self.tables[stream.removeprefix(table_stream(""))] = table

    def defining_again(self, rules: Mapping[str, LiveRule]) -> dict[str, LiveRule]:
        """The rules, those that rest on a table no older than what was set last of it."""
        return {name: self._since(live) for name, live in rules.items()}

    def _since(self, live: LiveRule) -> LiveRule:
        for name in sorted(tables_in(live.rule)):
            event = self._lasts.get(name)
            at = None if event is None else datetime.fromisoformat(event.recordedtime)
            if event is not None and at is not None and at > live.defined_at:
                live = replace(
                    live, defined_at=at, event=event.id,
                    correlation=event.correlationid, depth=event.causedepth,
                )  # fmt: skip
        return live


def tables_in(rule: Rule) -> frozenset[str]:
    """The tables that a rule names."""
    named = (leaf for leaf in leaves(rule) if isinstance(leaf, Rfm | RfmCell | Percentile))
    return frozenset(leaf.table for leaf in named)
