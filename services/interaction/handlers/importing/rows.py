"""From rows to a fact as the API takes it, or to what is wrong with which row and column.

Whatever comes of a file goes through the models that tills' own requests go through, so that a
fact that came both ways is one and the same. Of a receipt with a wrong line nothing is recorded.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from services.interaction.domain.days import zone_name
from services.interaction.handlers.importing.columns import (
    EXTRA,
    IDENTIFIERS,
    POSITION,
    FactReading,
    How,
)
from shared.decider import Refused
from shared.events.contract import show_moment
from shared.identifiers import IdentifierRules
from shared.importing import ERROR, values
from shared.importing.values import DateOrder, Mark, WrongCell
from shared.jobs import Flaw, RowResult
from shared.tables import Row, fused
from shared.tables.writing import APOSTROPHE

SEPARATOR = "\x1f"
NAMED = ("source", "branch", "source_id")
"""What names a fact."""
EMPTY = "should not be empty"
LEFT_OUT_AT_ZERO = frozenset({"discount", "coupon", "coupon_match"})
"""Nothing taken off is what most lines say in files; in requests it is left out."""
_encode = msgspec.json.Encoder().encode
_sorted = msgspec.json.Encoder(order="sorted").encode


def text_of(cell: str) -> str:
    """The text of a cell, as it was before a spreadsheet was kept from running it."""
    return fused(cell).strip() if cell.startswith(APOSTROPHE) else cell.strip()


@dataclass(slots=True)
class Wrong:
    """What is wrong with the rows of one fact, of which `first` is the number of the first."""

    first: int
    flaws: dict[int, list[Flaw]] = field(default_factory=dict)

    def note(self, row: int, path: str | None, message: str) -> None:
        """Something is wrong with a row, maybe in a column."""
        self.flaws.setdefault(row, []).append(Flaw(message, path))

    def refused(self, row: int, refusal: Refused) -> None:
        """A row is refused for its fields, or as a whole."""
        for each in refusal.errors:
            self.note(row, each.field, each.message)
        if not refusal.errors:
            self.note(row, None, refusal.detail or refusal.title)

    def results(self) -> list[RowResult]:
        """One for each wrong row, and one at the first row, which stands for the fact."""
        if self.first not in self.flaws:
            others = ", ".join(str(row) for row in sorted(self.flaws)[:5])
            self.note(self.first, None, f"nothing is recorded of it: see row {others}")
        return [
            RowResult(row=row, outcome=ERROR, flaws=tuple(flaws))
            for row, flaws in sorted(self.flaws.items())
        ]


@dataclass(frozen=True, slots=True)
class Item:
    """A fact as the API takes it: JSON; `lines` are the rows of its lines, in their order."""

    rows: Sequence[Row]
    lines: Sequence[Row]
    content: bytes

    def wrong(self, refusal: Refused) -> list[RowResult]:
        """The results where it was refused: each flaw at the row that it is of."""
        wrong = Wrong(self.rows[0].number)
        for each in refusal.errors:
            row, path = self._place(each.field)
            wrong.note(row.number, path, each.message)
        if not refusal.errors:
            wrong.refused(self.rows[0].number, refusal)
        return wrong.results()

    def _place(self, path: str) -> tuple[Row, str]:
        first, _, rest = path.partition(".")
        number, _, name = rest.partition(".")
        if first == "lines" and number.isdecimal() and int(number) < len(self.lines):
            return self.lines[int(number)], name or first
        return self.rows[0], "payment" if first == "payments" else path


class RowReader:
    """Reads the rows of one file."""

    def __init__(self, reading: FactReading, rules: IdentifierRules, zone: str) -> None:
        """`zone` is the chain's, where the mapping names none."""
        self.reading, self.rules, shape = reading, rules, reading.shape
        self._shape, self._columns = shape, shape.columns
        places = [(place, to) for place, to in enumerate(reading.columns) if to is not None]
        self._head = [(place, to) for place, to in places if to not in shape.lines]
        self._lines = [(place, to) for place, to in places if to in shape.lines]
        self._place = {to: place for place, to in places}
        self._needed = ("source_id", *sorted(shape.needs - shape.lines.keys()))
        self._zone = _zone(reading.zone or zone)
        self._zones = {branch: _zone(name) for branch, name in reading.zones.items()}
        self._how: Mapping[How, Callable[[str, ZoneInfo], object]] = {
            "text": lambda cell, _: cell,
            "word": lambda cell, _: _word(cell),
            "money": lambda cell, _: values.money(cell, reading.money, reading.decimal_mark),
            "number": lambda cell, _: _plain(cell, reading.decimal_mark),
            "whole": lambda cell, _: values.whole(cell),
            "yes_no": lambda cell, _: values.yes_no(cell),
            "list": lambda cell, _: list(values.several(cell)),
            "receipt": lambda cell, _: {"source_id": cell},
            "moment": lambda cell, zone: _moment(cell, reading.date_order, zone),
        }

    def item(self, rows: Sequence[Row]) -> Item | list[RowResult]:
        """The fact that the rows tell, or what is wrong with them."""
        wrong = Wrong(rows[0].number)
        for row in rows:
            if row.flaw is not None:
                wrong.note(row.number, None, row.flaw)
        if wrong.flaws:
            return wrong.results()
        fact = self.head(self._said(rows, wrong), wrong)
        lines = self._told(rows, fact, wrong) if self._shape.lines else []
        if wrong.flaws:
            return wrong.results()
        if (kind := fact.pop("payment", None)) is not None:
            amount = sum(each["amount"] for each in fact["lines"])
            fact["payments"] = [{"kind": kind, "amount": amount}]
        return Item(rows, lines, _encode(fact))

    def refused(self, rows: Sequence[Row], refusal: Refused) -> list[RowResult]:
        """The results where the fact that the rows tell was refused."""
        item = self.item(rows)
        return item.wrong(refusal) if isinstance(item, Item) else item

    def head(self, said: Mapping[str, tuple[int, str]], wrong: Wrong) -> dict[str, Any]:
        """The fields of the fact, but for its lines; `said` are rows and cells by their columns."""
        zone = self._zones.get(said["branch"][1], self._zone) if "branch" in said else self._zone
        fact: dict[str, Any] = {}
        for to, (number, cell) in said.items():
            try:
                self._take(fact, to, cell, zone)
            except WrongCell as problem:
                wrong.note(number, to, str(problem))
        self._date(fact, said, zone, wrong)
        self._identify(fact, said, wrong)
        for need in self._needed:
            if need not in said:
                wrong.note(wrong.first, need, EMPTY)
        return fact

    def line_value(self, to: str, text: str) -> object:
        """What a field of a line is by its text. Raises `WrongCell`."""
        return self._how[self._shape.lines[to]](text, self._zone)

    def _said(self, rows: Sequence[Row], wrong: Wrong) -> dict[str, tuple[int, str]]:
        """What is said of the fact, each by the first row that says something of it."""
        said: dict[str, tuple[int, str]] = {}
        first_cells = rows[0].cells
        for row in rows:
            # Most rows say of their fact what its first row has said.
            if row is not rows[0] and all(
                row.cells[place] == first_cells[place] for place, _ in self._head
            ):
                continue
            for place, to in self._head:
                if not (cell := text_of(row.cells[place])):
                    continue
                first = said.setdefault(to, (row.number, cell))
                if first[1] != cell:
                    wrong.note(row.number, to, f"should be as in row {first[0]}, of the same id")
        return self.with_defaults(said, rows[0].number)

    def with_defaults(
        self, said: dict[str, tuple[int, str]], number: int
    ) -> dict[str, tuple[int, str]]:
        """The same with what stands where the rows say nothing, as if the row of the number did."""
        for to, cell in self.reading.defaults.items():
            if to not in self._shape.lines:
                said.setdefault(to, (number, cell))
        return said

    def _take(self, fact: dict[str, Any], to: str, cell: str, zone: ZoneInfo) -> None:
        if to in IDENTIFIERS or to in {"time", "clock"}:
            return
        if to.startswith(EXTRA):
            fact.setdefault("extra", {})[to.removeprefix(EXTRA)] = cell
        else:
            fact[to] = self._how[self._columns[to]](cell, zone)

    def _date(
        self,
        fact: dict[str, Any],
        said: Mapping[str, tuple[int, str]],
        zone: ZoneInfo,
        wrong: Wrong,
    ) -> None:
        number, day = said.get("time", (wrong.first, ""))
        if not day:
            wrong.note(number, "time", EMPTY)
            return
        _, clock = said.get("clock", (0, ""))
        try:
            fact["time"] = _moment(f"{day} {clock}".strip(), self.reading.date_order, zone)
        except WrongCell as problem:
            wrong.note(number, "time", str(problem))

    def _identify(
        self, fact: dict[str, Any], said: Mapping[str, tuple[int, str]], wrong: Wrong
    ) -> None:
        """Whom it names: the customer's own id, or all identifiers there are."""
        if "customer" in said:
            return
        found = []
        for to, kind in IDENTIFIERS.items():
            if to not in said:
                continue
            number, cell = said[to]
            several = values.contacts(cell) if kind in {"phone", "email"} else [cell]
            for each in several:
                try:
                    known = values.identifier(self.rules, kind, each, to)
                    found.append({"kind": kind, "value": known.value})
                except Refused as refusal:
                    wrong.refused(number, refusal)
        if len(found) == 1:
            fact["identifier"] = found[0]
        elif found:
            fact["identifiers"] = found

    def _told(self, rows: Sequence[Row], fact: dict[str, Any], wrong: Wrong) -> Sequence[Row]:
        """The rows that are lines, which go into the fact in an order that rows do not change."""
        told: list[tuple[object, bytes, dict[str, object], Row]] = []
        for row in rows:
            line = self._line(row, wrong)
            if line is not None:
                position = line.pop(POSITION, 0)
                told.append((position, _sorted(line), line, row))
        told.sort(key=_in_order)
        if told:
            fact["lines"] = [line for _, _, line, _ in told]
        return [row for *_, row in told]

    def _line(self, row: Row, wrong: Wrong) -> dict[str, object] | None:
        cells = {to: cell for place, to in self._lines if (cell := text_of(row.cells[place]))}
        if not cells and not self._shape.needs & self._shape.lines.keys():
            return None
        for to, default in self.reading.defaults.items():
            if to in self._shape.lines:
                cells.setdefault(to, default)
        line: dict[str, object] = {"quantity": 1}
        for to, cell in cells.items():
            try:
                line[to] = self.line_value(to, cell)
            except WrongCell as problem:
                wrong.note(row.number, to, str(problem))
        placed = (POSITION,) if POSITION in self._place else ()
        for need in ("product", "amount", *placed):
            if need not in cells:
                wrong.note(row.number, need, EMPTY)
        for name in LEFT_OUT_AT_ZERO:
            if line.get(name) == 0:
                del line[name]
        return line


def _in_order(told: tuple[object, bytes, dict[str, object], Row]) -> tuple[Any, bytes]:
    return told[0], told[1]


def _word(cell: str) -> str:
    return "_".join(cell.casefold().replace("-", " ").split())


@lru_cache(maxsize=values.REMEMBERED)
def _moment(text: str, order: DateOrder, zone: ZoneInfo) -> str:
    return show_moment(values.local_moment(text, order, zone))


@lru_cache(maxsize=values.REMEMBERED)
def _plain(cell: str, mark: Mark) -> int | str:
    found = values.number(cell, mark)
    return int(found) if found == found.to_integral_value() else format(found, "f")


def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(zone_name(name))
