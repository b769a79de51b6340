"""Campaigns on a date: each local hour of each year's day once, whatever is killed on the way."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.notify.domain.anniversary import comes_round, zone_of
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.campaigns.anniversaries import Anniversaries
from services.notify.handlers.campaigns.requests import Request, define, start
from services.notify.handlers.recipients.dates import Dates
from services.notify.projections import RECIPIENTS, QueuedMessage
from services.notify.projections.anniversaries import day_keys
from services.notify.queries import Recipients
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.campaign import CampaignDefined, OnDate, Template
from shared.events.contract import EventData
from shared.events.customer import CustomerChanged, CustomerRegistered
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
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import records_of, tell

NOW = datetime(2018, 3, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEYRING = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
MOSCOW = ZoneInfo("Europe/Moscow")
BIRTHDAY = OnDate(field="birth_date", at="10:00")
CAMPAIGN = CampaignDefined(
    campaign="birthday",
    title="Birthday",
    trigger=BIRTHDAY,
    channel="email",
    topic="marketing",
    template=Template(subject="s", text="t"),
    start=NOW,
    holdout_percent=0,
)


@dataclass(slots=True)
class Registry:
    """Customers of a chain in Moscow, with a campaign that runs, and workers that look for days."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    people: MemoryDocuments = field(default_factory=MemoryDocuments)
    customers: MemoryEventStore = field(default_factory=MemoryEventStore)
    new: list[QueuedMessage] = field(default_factory=list)
    passed: bool = True
    leases: MemoryLeases = field(init=False)

    def __post_init__(self) -> None:
        self.leases = MemoryLeases(self.clock)

    @classmethod
    async def of(cls, rule: OnDate = BIRTHDAY) -> "Registry":
        registry = cls()
        definition = CAMPAIGN.model_copy(update={"trigger": rule})
        await define(registry.writer(), Request("d", "d", NOW), definition, lambda _version: None)
        await start(registry.writer(), Request("s", "s", NOW), "birthday")
        return registry

    def writer(self) -> Writer:
        return Writer(self.store, KEYRING, self.clock, "notify")

    async def customer(self, name: str, *events: EventData) -> None:
        writer = Writer(self.customers, KEYRING, self.clock, "customer")
        told = [NewEvent(event, self.clock.moment) for event in events]
        await tell(writer, f"customer-{name}", name, told)
        folder = Folder(RECIPIENTS, self.people, MemoryParking(), KEYRING)
        await folder.fold(records_of(self.customers.commits, self.clock.moment))

    async def at(self, moment: datetime, owner: str = "a") -> list[tuple[str, str]]:
        """What is scheduled anew by a worker that begins its work at the moment."""
        self.clock.advance(moment - self.clock.moment)
        before = len(self.new)
        questions = MemoryQuestions(self.people)
        worker = Anniversaries(
            writer=self.writer(),
            book=CampaignBook(self.store),
            dates=Dates(
                self.leases, owner, Recipients(questions, questions), self.branches, MOSCOW
            ),
            passed=lambda _moment: self.passed,
            scheduled=self.new.extend,
        )
        await worker.turn()
        return sorted((each.customer, each.occurrence) for each in self.new[before:])

    async def branches(self) -> dict[str, str]:
        return {"tokyo": "Asia/Tokyo"}


def born(text: str, zone: str | None = None, branch: str | None = None) -> CustomerRegistered:
    return CustomerRegistered(birth_date=text, time_zone=zone, home_branch=branch)


async def test_each_has_the_day_at_the_hour_of_the_own_clock() -> None:
    registry = await Registry.of()
    await registry.customer("anna", born("1990-03-08"))
    await registry.customer("ben", born("1990-03-08", "America/New_York"))
    await registry.customer("chie", born("1990-03-08", branch="tokyo"))
    await registry.customer("dora", born("1990-03-09"))
    # 10:00 on 8 March: in Tokyo 01:00 UTC, in Moscow 07:00, in New York 15:00.
    assert await registry.at(datetime(2018, 3, 8, 0, 59, tzinfo=UTC)) == []
    assert await registry.at(datetime(2018, 3, 8, 1, tzinfo=UTC)) == [("chie", "birth_date-2018")]
    assert await registry.at(datetime(2018, 3, 8, 7, tzinfo=UTC)) == [("anna", "birth_date-2018")]
    assert await registry.at(datetime(2018, 3, 8, 14, 59, tzinfo=UTC)) == []
    assert await registry.at(datetime(2018, 3, 8, 15, tzinfo=UTC)) == [("ben", "birth_date-2018")]
    assert await registry.at(datetime(2019, 3, 8, 12, tzinfo=UTC)) == [
        ("anna", "birth_date-2019"),
        ("chie", "birth_date-2019"),
        ("dora", "birth_date-2018"),
    ]


@pytest.mark.parametrize(
    ("days", "due"),
    [(-7, datetime(2018, 3, 8, 7, tzinfo=UTC)), (7, datetime(2018, 3, 22, 7, tzinfo=UTC))],
)
async def test_days_before_and_after(days: int, due: datetime) -> None:
    registry = await Registry.of(BIRTHDAY.model_copy(update={"days": days}))
    await registry.customer("anna", born("1990-03-15"))
    assert await registry.at(due - HOUR) == []
    assert await registry.at(due) == [("anna", "birth_date-2018")]


async def test_days_before_new_year_belong_to_the_year_of_the_day_itself() -> None:
    registry = await Registry.of(BIRTHDAY.model_copy(update={"days": -7}))
    await registry.customer("anna", born("1990-01-03"))
    assert await registry.at(datetime(2018, 12, 27, 7, tzinfo=UTC)) == [("anna", "birth_date-2019")]


async def test_the_anniversary_of_a_registration_is_that_of_its_local_day() -> None:
    registry = await Registry.of(OnDate(field="registered", at="10:00"))
    # 22:30 UTC on 1 March is 2 March in Moscow.
    registry.clock.advance(22 * HOUR + HOUR / 2)
    await registry.customer("anna", CustomerRegistered())
    assert await registry.at(datetime(2019, 3, 1, 12, tzinfo=UTC)) == []
    assert await registry.at(datetime(2019, 3, 2, 7, tzinfo=UTC)) == [("anna", "registered-2019")]


async def test_a_custom_date_once_and_not_after_it_was_changed() -> None:
    rule = OnDate(field="custom.expires", days=-3, at="10:00", yearly=False)
    registry = await Registry.of(rule)
    for name in ("anna", "boris", "clara"):
        await registry.customer(name, CustomerRegistered(custom={"expires": "2018-03-20"}))
    await registry.customer("boris", CustomerChanged(custom={"expires": "2019-03-20"}))
    await registry.customer("clara", CustomerChanged(cleared=("custom.expires",)))
    found = await registry.at(datetime(2018, 3, 17, 7, tzinfo=UTC))
    assert found == [("anna", "custom.expires-2018")]
    assert await registry.at(datetime(2019, 3, 17, 7, tzinfo=UTC)) == [
        ("boris", "custom.expires-2019")
    ]


async def test_what_was_due_while_nobody_was_there_is_found_again_once() -> None:
    registry = await Registry.of()
    await registry.customer("anna", born("1990-03-08"))
    await registry.at(NOW + DAY)
    assert await registry.at(NOW + 20 * DAY, "b") == [("anna", "birth_date-2018")]
    assert await registry.at(NOW + 21 * DAY, "c") == []
    # It is as old as the hour that was missed: that is what `max_age` of the campaign counts from.
    (message,) = registry.new
    assert message.occurred == datetime(2018, 3, 8, 7, tzinfo=UTC)


async def test_what_is_done_again_after_a_kill_finds_its_messages_there() -> None:
    registry = await Registry.of()
    await registry.customer("anna", born("1990-03-08"))
    due = datetime(2018, 3, 8, 7, tzinfo=UTC)
    assert len(await registry.at(due)) == 1
    registry.leases = MemoryLeases(registry.clock)  # as if nothing had been saved
    assert await registry.at(due + HOUR) == []


async def test_nothing_is_looked_at_before_everything_up_to_it_was_read() -> None:
    registry = await Registry.of()
    await registry.customer("anna", born("1990-03-08"))
    registry.passed = False
    assert await registry.at(NOW + 20 * DAY) == []
    registry.passed = True
    assert len(await registry.at(NOW + 20 * DAY)) == 1


async def test_a_day_that_has_passed_before_it_was_known_is_left_out() -> None:
    registry = await Registry.of()
    await registry.at(datetime(2018, 3, 9, tzinfo=UTC))
    await registry.customer("anna", born("1990-03-08"))
    assert await registry.at(datetime(2018, 3, 10, tzinfo=UTC)) == []


@pytest.mark.parametrize(("year", "day"), [(2018, date(2018, 3, 1)), (2020, date(2020, 2, 29))])
def test_who_was_born_on_29_february_has_the_day_once_in_every_year(year: int, day: date) -> None:
    origin = date(2000, 2, 29)
    days = [date(year, 1, 1) + place * DAY for place in range(365)]
    assert [each for each in days if comes_round(BIRTHDAY, origin, each)] == [day]


def test_nobody_celebrates_the_day_of_birth_itself() -> None:
    assert not comes_round(BIRTHDAY, date(2018, 3, 8), date(2018, 3, 8))
    assert comes_round(BIRTHDAY, date(2018, 3, 8), date(2019, 3, 8))


def test_a_zone_that_there_is_not_is_passed_over() -> None:
    assert zone_of("Mars/Olympus", "Asia/Tokyo", MOSCOW) == ZoneInfo("Asia/Tokyo")
    assert zone_of(None, None, MOSCOW) == MOSCOW


def test_what_is_no_date_has_no_day() -> None:
    assert day_keys("8 March", None, {"size": "2018-3-8"}) == []
    assert day_keys("1990-03-08", NOW, {"expires": "2018-12-31"}) == [
        "birth_date|03-08",
        "custom.expires|12-31",
        "registered|03-01",
    ]
