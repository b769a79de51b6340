"""What a receipt must be to be recorded, and the life of an import.

A fact's ids, its own and that of the command, are made of its source's id alone: whoever sends it,
by whatever way, it is recorded once. So receipts need no history to be decided. An import is open
from its beginning to its end, and has one of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import assert_never

from shared.decider import Decider, NewEvent, Refused, invalid, not_found
from shared.events.contract import EventData
from shared.events.imports import ImportBegun, ImportEnded
from shared.events.interaction import FactIdentifier, ReceiptLine, ReceiptRecorded
from shared.ids import derived_id

AHEAD = timedelta(days=1)
"""A till's clock may be ahead of the chain's by this much."""
CUSTOMER_STREAM = "interaction-"
IMPORT_STREAM = "import-"


def stream_of(customer: str) -> str:
    """The stream of what a customer did."""
    return CUSTOMER_STREAM + customer


def customer_of(stream: str) -> str:
    """The customer whose stream it is."""
    return stream.removeprefix(CUSTOMER_STREAM)


def import_stream_of(import_id: str) -> str:
    """The stream of an import."""
    return IMPORT_STREAM + import_id


@dataclass(frozen=True, kw_only=True)
class RecordReceipt:
    """Record a basket that a customer paid, of at least one line.

    `source` and `branch` hold no `|`; `time` is by the till's clock, `now` by the chain's; `total`
    is what the source says, in minor units.
    """

    source: str
    source_id: str
    branch: str
    time: datetime
    now: datetime
    lines: tuple[ReceiptLine, ...]
    total: int | None = None
    identified_by: FactIdentifier | None = None
    till: str | None = None
    cashier: str | None = None

    @property
    def id(self) -> str:
        """The id of the command: the same for all who send this receipt."""
        return f"{self.source}|{self.branch}|{self.source_id}"

    @cached_property
    def fact(self) -> str:
        """The id of the fact."""
        return derived_id("fact", self.source, self.branch, self.source_id)


def decide_receipt(command: RecordReceipt, _state: None) -> Sequence[NewEvent]:
    """The receipt as an event, or why it cannot be one."""
    if command.time > command.now + AHEAD:
        raise invalid("time", "is more than a day ahead of the chain's clock")
    total = sum(line.amount for line in command.lines)
    if command.total not in (None, total):
        raise invalid("total", "should be the sum of the lines' amounts, or be left out")
    recorded = ReceiptRecorded(
        fact=command.fact,
        source=command.source,
        source_id=command.source_id,
        total=total,
        coupon_lines=sum(1 for line in command.lines if line.coupon),
        lines=command.lines,
        identified_by=command.identified_by,
        till=command.till,
        cashier=command.cashier,
    )
    return [NewEvent(recorded, command.time, command.branch)]


def _nothing() -> None:
    """A customer's stream is never read to decide."""


def _still_nothing(_state: None, _data: EventData) -> None:
    """Whatever was recorded, the next receipt does not ask for it."""


RECEIPTS: Decider[RecordReceipt, None] = Decider(_nothing, decide_receipt, _still_nothing)


@dataclass(frozen=True, slots=True)
class Import:
    """An import: `title` once it was begun, `facts` once it has ended."""

    title: str | None = None
    facts: int | None = None

    @property
    def begun(self) -> bool:
        """Whether there is such an import."""
        return self.title is not None

    @property
    def open(self) -> bool:
        """Whether facts may name it."""
        return self.begun and self.facts is None


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginImport:
    """Let facts name an import from now on; one that is there already is gone on with."""

    import_id: str
    title: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EndImport:
    """Say that all facts of an import are recorded.

    `facts` is the importer's own count of them, at least 0. The importer ends it after the last of
    its batches was answered: a batch still under way would come too late.
    """

    import_id: str
    facts: int
    at: datetime


ImportCommand = BeginImport | EndImport


def decide_import(command: ImportCommand, state: Import) -> Sequence[NewEvent]:
    """The events that follow from a command on an import, or its refusal."""
    match command:
        case BeginImport():
            return _begin(command, state)
        case EndImport():
            return _end(command, state)
        case _:
            assert_never(command)


def _begin(command: BeginImport, state: Import) -> Sequence[NewEvent]:
    if not state.begun:
        begun = ImportBegun(import_id=command.import_id, title=command.title)
        return [NewEvent(begun, command.at)]
    if state.title != command.title:
        raise Refused(
            "import-differs",
            409,
            "There is another import of this id.",
            "begin it with the same title to go on with it, or choose another id",
        )
    return []


def _end(command: EndImport, state: Import) -> Sequence[NewEvent]:
    if not state.begun:
        kind = "import"
        raise not_found(kind, command.import_id)
    if not state.open:
        return []
    return [NewEvent(ImportEnded(import_id=command.import_id, facts=command.facts), command.at)]


def evolve_import(state: Import, data: EventData) -> Import:
    """The import after an event."""
    match data:
        case ImportBegun(title=title):
            return replace(state, title=title)
        case ImportEnded(facts=facts):
            return replace(state, facts=facts)
        case _:
            message = f"an import has no event {data.type}"
            raise TypeError(message)


IMPORTS: Decider[ImportCommand, Import] = Decider(Import, decide_import, evolve_import)
