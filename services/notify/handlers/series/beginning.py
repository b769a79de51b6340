"""Series that begin on a date: whose date comes round is noted, as of the exact moment.

Dates are looked at like those of campaigns, and up to which moment that was done is kept; before
that nothing which was recorded earlier may end or move a journey (`passed`), so it is known who is
on one. A date in its year is one occasion of a definition, also where it is found again later by
another clock of the customer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial

from services.notify.domain.anniversary import occurrence_of_date
from services.notify.domain.series import Note, SeriesVersion
from services.notify.handlers.books.series import SeriesBook, SeriesEntry
from services.notify.handlers.recipients.dates import TICK, Dates, Due, Look, Span
from services.notify.handlers.series.noting import Noticed, note
from shared.events.campaign import OnDate
from shared.execute import Writer


def dates_of(series: str) -> str:
    """The name under which the dates of a series are looked for."""
    return f"series-dates-{series}"


@dataclass(frozen=True, slots=True)
class Beginnings:
    """Lets journeys begin on dates."""

    writer: Writer
    book: SeriesBook
    dates: Dates
    _passed: dict[str, datetime] = field(default_factory=dict)
    """Series → up to which moment its dates were looked at when that was last asked."""

    async def look(self, until: datetime) -> None:
        """Note whose date came round until a moment. Raises `StoreUnavailable`."""
        for entry in list((await self.book.now()).values()):
            if entry.course.by_date and entry.course.turns:
                since = entry.course.turns[0].at - TICK
                looks = partial(self._looks, entry)
                await self.dates.go_on(dates_of(entry.name), since, until, looks)

    async def passed(self, series: str, at: datetime) -> bool:
        """Whether dates of a series were looked at up to a moment. Raises `StoreUnavailable`."""
        known = self._passed.get(series)
        if known is None or known < at:
            known = await self.dates.looked_until(dates_of(series))
            if known is not None:
                self._passed[series] = known
        return known is not None and known >= at

    def _looks(self, entry: SeriesEntry, span: Span) -> Sequence[Look]:
        """One for each version that began on a date, of the time in which it stood."""
        versions, looks = entry.course.versions, []
        for version, after in zip(versions, (*versions[1:], None), strict=True):
            rule = version.definition.entry
            since = max(span[0], version.at - TICK)
            until = span[1] if after is None else min(span[1], after.at - TICK)
            if isinstance(rule, OnDate) and since < until:
                looks.append(Look(rule, (since, until), partial(self._note, entry, version, rule)))
        return looks

    async def _note(
        self,
        entry: SeriesEntry,
        version: SeriesVersion,
        rule: OnDate,
        day: date,
        people: Sequence[Due],
    ) -> None:
        cause = f"{occurrence_of_date(rule, day)}@{version.number}"
        why = entry.causes[version.number]
        noticed = [
            Noticed(entry.name, person.id, Note(moment, moment, cause, enters=True), why)
            for person, moment in people
            if entry.course.admits(moment) == version
        ]
        if noticed:
            await note(self.writer, self.book, noticed)
