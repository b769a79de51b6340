"""What may count for a journey is noted once, under the event that brought it."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from services.notify.domain.series import JOURNEY, JourneyCommand, Note, NoteSign, journey_stream
from services.notify.handlers.books.series import SeriesBook
from shared import causes
from shared.decider import Refused
from shared.envelope import Causation
from shared.eventstore import body_hash
from shared.execute import Command, Writer

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something that may count for a customer in a series; `why.causation` is the event."""

    series: str
    customer: str
    note: Note
    why: Causation

    @property
    def stream(self) -> str:
        """Of the customer's journeys through the series."""
        return journey_stream(self.series, self.customer)


async def note(writer: Writer, book: SeriesBook, noticed: Sequence[Noticed]) -> None:
    """Write it down where it may come to something. Raises `StoreUnavailable`.

    Only an occasion to enter begins a stream. One behind too many causes is none: what a series
    says may move customers between segments, and so let them enter others.
    """
    entries = await book.fresh()
    asked = sorted({each.stream for each in noticed if not each.note.enters})
    begun = await writer.store.heads(asked) if asked else {}
    commands = [
        _command(each, NoteSign(entries[each.series].course, each.series, each.note))
        for each in noticed
        if (each.note.enters and not _too_deep(each)) or each.stream in begun
    ]
    outcomes = await writer.many(JOURNEY, commands)
    for command, outcome in zip(commands, outcomes, strict=True):
        if isinstance(outcome, Refused):
            # Nothing should ever refuse it; if something does, a person must know of it.
            log.error("journey not noted", stream=command.stream, reason=str(outcome))


def _command(noticed: Noticed, body: NoteSign) -> Command[JourneyCommand]:
    what = "enters" if noticed.note.enters else "sign"
    command_id = f"journey|{noticed.stream}|{what}|{noticed.note.cause}"
    return Command(
        id=command_id,
        hash=body_hash(command_id),
        stream=noticed.stream,
        key=noticed.customer,
        body=body,
        causation=noticed.why,
        subject=noticed.customer,
    )


def _too_deep(noticed: Noticed) -> bool:
    why = noticed.why
    return causes.stops(why.depth, "campaign-loop", why.causation, series=noticed.series)
