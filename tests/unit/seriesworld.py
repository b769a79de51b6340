"""A chain on memory in which customers go through series: sources, readers, timers, read models."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.notify.consumers.journeys import SeriesReaders
from services.notify.consumers.occasions import occasions
from services.notify.domain.series import journey_stream
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.books.series import SeriesBook, SeriesEntry
from services.notify.handlers.campaigns.requests import Request, define, start
from services.notify.handlers.campaigns.scheduling import Occasion
from services.notify.handlers.recipients.dates import Dates
from services.notify.handlers.series.beginning import Beginnings
from services.notify.handlers.series.journeying import Journeying
from services.notify.handlers.series.noting import note
from services.notify.handlers.series.requests import define_series, steer_series
from services.notify.projections import RECIPIENTS, Recipient
from services.notify.projections.journeys import JOURNEYS, JourneyDocument
from services.notify.queries import Journeys, Recipients
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.campaign import CampaignDefined, OnStep, Template
from shared.events.contract import EventData
from shared.events.segment import Cause, CauseKind, SegmentEntered, SegmentExited
from shared.events.series import JourneyNoted, JourneyPassedOver, SendStep, SeriesDefined
from shared.eventstore import EventStore
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import (
    MemoryDocuments,
    MemoryEventStore,
    MemoryKeyStore,
    MemoryLeases,
    MemoryParking,
)
from shared.projector import Folder
from shared.records import RawRecord
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import records_of, tell

T0 = datetime(2018, 1, 1, 12, tzinfo=UTC)
TICK = timedelta(milliseconds=1)
KEYRING = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
NOWHERE: Any = None
"""No Kafka: records are handed over."""
NOTES = (JourneyNoted, JourneyPassedOver)
"""What depends on the order of reading."""


def entered_segment(segment: str, kind: CauseKind = "event") -> SegmentEntered:
    return SegmentEntered(segment=segment, definition=1, cause=Cause(kind=kind))


def left_segment(segment: str, kind: CauseKind = "event") -> SegmentExited:
    return SegmentExited(segment=segment, definition=1, cause=Cause(kind=kind))


@dataclass(slots=True)
class World:
    """One series on its way; nothing is read before it is asked for.

    `known` is the moment before which all is noted, `people_known` that of the recipients.
    """

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    clock: ManualClock = field(default_factory=lambda: ManualClock(T0))
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    people: MemoryDocuments = field(default_factory=MemoryDocuments)
    leases: MemoryLeases = field(init=False)
    sources: dict[str, MemoryEventStore] = field(default_factory=dict)
    known: datetime | None = None
    people_known: datetime | None = None
    parked: set[str] = field(default_factory=set)
    entered_until: int = 1 << 60
    taken: int = 0

    def __post_init__(self) -> None:
        self.leases = MemoryLeases(self.clock)

    def until(self, moment: datetime) -> None:
        """The clock shows the moment."""
        self.clock.advance(moment - self.clock.now())

    def writer(self, store: EventStore | None = None) -> Writer:
        return Writer(store or self.store, KEYRING, self.clock, "notify")

    async def begin(self, definition: SeriesDefined) -> None:
        """The series runs, and so do the campaigns of its steps."""
        names = {each.campaign for each in definition.steps if isinstance(each, SendStep)}
        await self.campaigns(*sorted(names))
        await self.define(definition)
        await self.steer("start", definition.series)

    async def campaigns(self, *names: str) -> None:
        """Campaigns that are set off by steps, and run."""
        writer = self.writer()
        for name in names:
            now = self.clock.now()
            campaign = CampaignDefined(
                campaign=name,
                title=name,
                trigger=OnStep(),
                channel="email",
                topic="marketing",
                template=Template(subject="s", text="t"),
                start=now - timedelta(days=1000),
                holdout_percent=0,
            )
            request = Request(f"d-{name}", name, now)
            await define(writer, request, campaign, lambda _version: None)
            await start(writer, Request(f"s-{name}", name, now), name)

    async def define(self, definition: SeriesDefined) -> None:
        campaigns = await CampaignBook(self.store).now()
        now = self.clock.now()
        request = Request(f"series {now.isoformat()}", definition.model_dump_json(), now)
        await define_series(self.writer(), request, definition, campaigns, lambda _version: None)

    async def steer(self, steering: Any, series: str = "welcome") -> None:  # noqa: ANN401 - a literal
        now = self.clock.now()
        request = Request(f"{steering} {now.isoformat()}", steering, now)
        await steer_series(self.writer(), request, series, steering)

    async def tell(
        self,
        customer: str,
        data: EventData,
        at: datetime,
        happened: datetime | None = None,
        topic: str = "t",
    ) -> RawRecord:
        """Something another service recorded at a moment; gives its record."""
        source = self.sources.setdefault(topic, MemoryEventStore())
        before = len(source.commits)
        writer = Writer(source, KEYRING, ManualClock(at), "segment")
        await tell(writer, f"{topic}-{customer}", customer, [NewEvent(data, happened or at)])
        (record,) = records_of(source.commits[before:], at)
        return record

    async def happens(self, stream: str, customer: str, event: NewEvent, at: datetime) -> RawRecord:
        """Something this service recorded at a moment; gives its record."""
        before = len(self.store.commits)
        await tell(
            Writer(self.store, KEYRING, ManualClock(at), "notify"), stream, customer, [event]
        )
        (record,) = records_of(self.store.commits[before:], at)
        return record

    def readers(self, store: EventStore | None = None) -> SeriesReaders:
        book = SeriesBook(self.store)
        return SeriesReaders(
            NOWHERE,
            NOWHERE,
            book,
            partial(note, self.writer(store), book),
            lambda record, _topics: record.timestamp < self.entered_until,
            self.beginnings().passed,
        )

    async def read(self, *records: RawRecord, store: EventStore | None = None) -> None:
        """Both readers take the records, as one batch."""
        readers = self.readers(store)
        await readers.enter(records)
        await readers.move(records)

    async def fold(self) -> None:
        """The read model takes what it has not read yet."""
        new = list(records_of(self.store.commits, T0))[self.taken :]
        self.taken += len(new)
        folder = Folder(JOURNEYS, self.documents, MemoryParking())
        await folder.fold(
            [record for record in new if b'"type":"journey.' in (record.value or b"")]
        )

    def timers(self, store: EventStore | None = None, page: int = 200) -> Journeying:
        return Journeying(
            writer=self.writer(store),
            book=SeriesBook(self.store),
            leases=self.leases,
            owner="owner",
            standings=Journeys(MemoryQuestions(self.documents)),
            recipients=_People(self),
            known=self._known,
            people_known=lambda: self.people_known,
            page=page,
        )

    async def _known(self, _entry: SeriesEntry) -> datetime | None:
        return self.known

    def beginnings(self, store: EventStore | None = None) -> Beginnings:
        """Who begins on a date; `people` are known, and the chain's clock is UTC's."""
        questions = MemoryQuestions(self.people)
        dates = Dates(self.leases, "owner", Recipients(questions, questions), _no_branches, UTC)
        return Beginnings(self.writer(store), SeriesBook(self.store), dates)

    async def go_on(self, before: datetime | None = None) -> None:
        """All is known before a moment, and what is due by then is done."""
        if before is not None:
            self.known = self.people_known = before
        while True:
            count = len(self.store.commits)
            await self.fold()
            await self.timers().turn()
            if len(self.store.commits) == count:
                return

    async def history(self, customer: str = "anna", series: str = "welcome") -> list[EventData]:
        """What became of the journeys, without what depends on the order of reading."""
        stream = journey_stream(series, customer)
        found = await self.writer().histories([stream])
        events = found[stream][0] if stream in found else ()
        return [each for each in events if not isinstance(each, NOTES)]

    async def standing(self, customer: str = "anna") -> JourneyDocument | None:
        await self.fold()
        return await Journeys(MemoryQuestions(self.documents)).of_customer("welcome", customer)

    async def messages(self) -> list[Occasion]:
        """What the campaigns of the steps are to say."""
        records = list(records_of(self.store.commits, T0))
        entries = (await CampaignBook(self.store).now()).values()
        return [found for entry in entries for found in occasions(entry, records)]

    async def person(self, customer: str, *events: EventData) -> None:
        """What is known of a customer."""
        store = MemoryEventStore()
        writer = Writer(store, KEYRING, ManualClock(T0), "customer")
        await tell(writer, f"customer-{customer}", customer, [NewEvent(e, T0) for e in events])
        folder = Folder(RECIPIENTS, self.people, MemoryParking(), KEYRING)
        await folder.fold(list(records_of(store.commits, T0)))


async def _no_branches() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class _People:
    """The recipients of a world."""

    world: World

    async def load(self, customers: Iterable[str]) -> Mapping[str, Recipient]:
        questions = MemoryQuestions(self.world.people)
        return await Recipients(questions, questions).load(list(customers))

    async def standing_still(self, customers: Iterable[str]) -> set[str]:
        return self.world.parked & set(customers)
