"""Timers of journeys: what is due is done, at its exact moment, once all before it is known.

Who is due is found in `journeys`; what it comes to is decided by the stream. So one that is looked
at twice, too late or by two workers changes nothing, and a worker may be killed anywhere: the lease
is for economy alone. Of a series that is paused only what was due before is looked at, and who may
leave; the journeys of one that was stopped end at the moment of the stop.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import Protocol

import structlog

from services.notify.domain.series import JOURNEY, GoOn, JourneyCommand, journey_stream
from services.notify.handlers.books.series import SeriesBook, SeriesEntry
from services.notify.handlers.deciding.choosing import Zones
from services.notify.handlers.series.surroundings import Around, asks_of_customer, states_of
from services.notify.projections import Recipient
from services.notify.projections.journeys import JourneyDocument
from shared.decider import Refused
from shared.envelope import Causation
from shared.eventstore import body_hash
from shared.execute import Command, Writer
from shared.readmodel import Leases
from shared.recurring import again_and_again

POLL_SECONDS = 0.5
LEASE_SECONDS = 15.0
AGAIN_SECONDS = 1.0
"""After this a journey that is still due is looked at again: the read model may be behind."""
PAGE = 200
_TICK = timedelta(milliseconds=1)

log = structlog.stdlib.get_logger(__name__)


class People(Protocol):
    """The recipients."""

    async def load(self, customers: Collection[str]) -> Mapping[str, Recipient]:
        """Those of the customers that are known of."""
        ...

    async def standing_still(self, customers: Collection[str]) -> set[str]:
        """Those of the customers of whom an event is parked."""
        ...


class Standings(Protocol):
    """Where customers stand."""

    async def due(
        self, series: str, before: datetime, without: Collection[str], limit: int
    ) -> Sequence[JourneyDocument]:
        """Those of a series of whom something is due before a moment, the earliest first."""
        ...

    async def noted(
        self, series: str, before: datetime, without: Collection[str], limit: int
    ) -> Sequence[JourneyDocument]:
        """Those of whom something is noted from before a moment, the earliest first."""
        ...

    async def entered(
        self, series: str, before: datetime, without: Collection[str], limit: int
    ) -> Sequence[JourneyDocument]:
        """Open ones that began before a moment."""
        ...


@dataclass(slots=True)
class Journeying:
    """Lets journeys go on.

    `known` gives, for a series, the moment (the chain's clock) before which all that may count for
    it is noted; `people_known` the one before which all is in `recipients`; `refused` the customers
    whose events Kafka refused. `zone` is the chain's, `branches` gives those of branches.
    """

    writer: Writer
    book: SeriesBook
    leases: Leases
    owner: str
    standings: Standings
    recipients: People
    known: Callable[[SeriesEntry], Awaitable[datetime | None]]
    people_known: Callable[[], datetime | None]
    refused: Callable[[], Collection[str]] = frozenset
    zone: tzinfo = UTC
    branches: Callable[[], Awaitable[Mapping[str, str]]] | None = None
    page: int = PAGE
    _looked_at: dict[str, tuple[datetime | None, datetime]] = field(default_factory=dict)
    """Document → what was due of it when it was looked at, and when (system time)."""

    async def run(self) -> None:
        """Do what is due, until cancelled."""
        await again_and_again(self.turn, POLL_SECONDS, partial(log.warning, "journeys wait"))

    async def turn(self) -> None:
        """Look at every series once. Raises `StoreUnavailable`."""
        now = self.writer.clock.system_now()
        old = now - timedelta(seconds=AGAIN_SECONDS)
        self._looked_at = {k: each for k, each in self._looked_at.items() if each[1] > old}
        known = {
            entry.name: before
            for entry in list((await self.book.fresh()).values())
            if entry.course.turns and (before := await self.known(entry)) is not None
        }
        # How far the readers are comes first, so that the series are at least as new.
        for entry in list((await self.book.now()).values()):
            if entry.name in known:
                await self.go_on(entry, known[entry.name])

    async def go_on(self, entry: SeriesEntry, before: datetime) -> None:
        """Do all of a series that is due before a moment, unless somebody else does."""
        if not await self._page(entry, before):
            return
        lease = await self.leases.acquire(f"journeys-{entry.name}", self.owner, LEASE_SECONDS)
        if lease is None:
            return
        try:
            while found := await self._page(entry, before):
                await self._all(entry, found, before)
                if await self.leases.renew(lease, LEASE_SECONDS) is None:
                    return
        finally:
            await self.leases.release(lease)

    async def _page(self, entry: SeriesEntry, before: datetime) -> Sequence[JourneyDocument]:
        """The next ones to look at, and none twice in a short while."""
        resting = list(self._looked_at)
        stopped = entry.course.last_stop(before)
        paused = entry.course.paused_since()
        asks = [(self.standings.due, before if paused is None else min(before, paused))]
        if stopped is not None:
            asks.insert(0, (self.standings.entered, stopped))
        if paused is not None:
            # Time stands still for it, and there may be very many: only who may leave is looked at.
            asks.append((self.standings.noted, before))
        for ask, until in asks:
            if found := await ask(entry.name, until, resting, self.page):
                return found
        return ()

    async def _all(
        self, entry: SeriesEntry, found: Sequence[JourneyDocument], before: datetime
    ) -> None:
        now = self.writer.clock.system_now()
        self._looked_at |= {each.id: (each.due_at, now) for each in found}
        customers = {each.customer for each in found}
        still = {*self.refused(), *await self.recipients.standing_still(customers)}
        moving = [each for each in found if each.customer not in still]
        surroundings = await self._surroundings(entry, moving)
        commands = [
            self._command(entry, each, before, around)
            for each, around in zip(moving, surroundings, strict=True)
        ]
        for command, outcome in zip(
            commands, await self.writer.many(JOURNEY, commands), strict=True
        ):
            if isinstance(outcome, Refused):
                # Nothing should ever refuse it; if something does, a person must know of it.
                log.error("journey stands still", stream=command.stream, reason=str(outcome))

    async def _surroundings(
        self, entry: SeriesEntry, journeys: Sequence[JourneyDocument]
    ) -> Sequence[Around]:
        # Before what is read, so that it is surely in it.
        until = self.people_known()
        versions = {each.number: each.definition for each in entry.course.versions}
        messages = await states_of(
            self.writer.store,
            [(each, versions[each.version]) for each in journeys if each.version in versions],
        )
        people: Mapping[str, Recipient] = {}
        zones = Zones(self.zone)
        if any(map(asks_of_customer, versions.values())):
            people = await self.recipients.load({each.customer for each in journeys})
            zones = Zones(self.zone, {} if self.branches is None else await self.branches())
        return [
            Around(people.get(each.customer), zones, until, messages.get(each.customer, {}))
            for each in journeys
        ]

    def _command(
        self, entry: SeriesEntry, journey: JourneyDocument, before: datetime, around: Around
    ) -> Command[JourneyCommand]:
        stream = journey_stream(entry.name, journey.customer)
        version = journey.versions.get(stream, 0)
        command_id = f"journey|{stream}|on|{version}|{before.isoformat()}"
        return Command(
            id=command_id,
            hash=body_hash(command_id),
            stream=stream,
            key=journey.customer,
            body=GoOn(entry.course, entry.name, before, around),
            causation=Causation(journey.correlation, journey.cause, journey.depth + 1),
            subject=journey.customer,
        )
