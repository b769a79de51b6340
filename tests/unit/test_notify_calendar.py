"""Campaigns by the calendar: when they run, and that each moment begins one run."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given as given_any
from hypothesis import strategies as st

from services.notify.domain import CAMPAIGN, BeginRun, Campaign, StartCampaign
from services.notify.domain.calendar import next_run
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.campaigns.calendars import Calendars
from services.notify.handlers.campaigns.requests import Request, define, freeze, pause, start, stop
from shared.clock import ManualClock
from shared.envelope import Causation
from shared.events.campaign import (
    AudienceFrozen,
    CampaignDefined,
    CampaignRunBegan,
    CampaignStarted,
    CampaignStopped,
    OnCalendar,
    OnEntering,
    Template,
)
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.testing import given

NOW = datetime(2018, 1, 2, 12, tzinfo=UTC)  # a Tuesday
MOSCOW = ZoneInfo("Europe/Moscow")
BERLIN = ZoneInfo("Europe/Berlin")
MONDAYS = OnCalendar(segment="regulars", every="week", days=(1,), at="10:00")
WEEKLY = CampaignDefined(
    campaign="weekly",
    title="Weekly",
    trigger=MONDAYS,
    channel="email",
    topic="marketing",
    template=Template(subject="s", text="t"),
    start=NOW,
    holdout_percent=0,
)
FIRST = datetime(2018, 1, 8, 7, tzinfo=UTC)  # Monday 10:00 in Moscow
WEEK = timedelta(days=7)


def runs(rule: OnCalendar, after: datetime, zone: ZoneInfo, count: int) -> list[str]:
    found = []
    for _ in range(count):
        after = next_run(rule, after, zone)
        found.append(after.astimezone(zone).strftime("%Y-%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("every", "days", "expected"),
    [
        ("day", (), ["2018-01-03 10:00", "2018-01-04 10:00", "2018-01-05 10:00"]),
        ("week", (1, 4), ["2018-01-04 10:00", "2018-01-08 10:00", "2018-01-11 10:00"]),
        # February 2018 has no 30th.
        ("month", (30,), ["2018-01-30 10:00", "2018-03-30 10:00", "2018-04-30 10:00"]),
        ("month", (-1,), ["2018-01-31 10:00", "2018-02-28 10:00", "2018-03-31 10:00"]),
    ],
)
def test_a_rule_runs_on_its_days_at_its_hour(
    every: str, days: tuple[int, ...], expected: list[str]
) -> None:
    rule = OnCalendar.model_validate(
        {"kind": "on_calendar", "segment": "s", "every": every, "days": days, "at": "10:00"}
    )
    assert runs(rule, NOW, MOSCOW, 3) == expected


def test_the_hour_is_that_of_the_wall_over_changes_of_the_clock() -> None:
    daily = OnCalendar(segment="s", every="day", at="02:30")
    # In Berlin 2018-03-25 has no 02:30: the clock jumps from 02:00 to 03:00.
    spring = datetime(2018, 3, 24, 12, tzinfo=UTC)
    assert runs(daily, spring, BERLIN, 2) == ["2018-03-25 03:30", "2018-03-26 02:30"]
    # On 2018-10-28 it comes twice: once is enough.
    autumn = datetime(2018, 10, 27, 12, tzinfo=UTC)
    assert runs(daily, autumn, BERLIN, 2) == ["2018-10-28 02:30", "2018-10-29 02:30"]
    assert next_run(daily, autumn, BERLIN) == datetime(2018, 10, 28, 0, 30, tzinfo=UTC)


@given_any(
    st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)),  # noqa: DTZ001 - the zone is set below
    st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia", "America/Sao_Paulo"]),
    st.lists(st.sampled_from([-1, 1, 15, 29, 31]), min_size=1),
)
def test_the_next_run_is_the_first_one_after(at: datetime, name: str, days: list[int]) -> None:
    rule = OnCalendar(segment="s", every="month", days=tuple(days), at="00:00")
    zone, after = ZoneInfo(name), at.replace(tzinfo=UTC)
    found = next_run(rule, after, zone)
    assert found > after
    # Asked again just before it, it is the same one: none lies between.
    assert next_run(rule, found - timedelta(milliseconds=1), zone) == found


def began(run: int, due: datetime) -> CampaignRunBegan:
    return CampaignRunBegan(campaign="weekly", run=run, due=due)


STARTED = CampaignStarted(campaign="weekly", run=1)
FROZEN = AudienceFrozen(campaign="weekly", run=2, size=3)
STOPPED = CampaignStopped(campaign="weekly")


def test_each_moment_begins_one_run_and_the_start_begins_none() -> None:
    begin = BeginRun("weekly", FIRST, FIRST)
    assert not CAMPAIGN.fold([WEEKLY, STARTED]).gathering
    given(CAMPAIGN, [WEEKLY, STARTED]).when(begin).then([began(2, FIRST)])
    assert CAMPAIGN.fold([WEEKLY, STARTED, began(2, FIRST)]).gathering
    given(CAMPAIGN, [WEEKLY, STARTED, began(2, FIRST), FROZEN]).when(begin).then_nothing()
    given(CAMPAIGN, [WEEKLY]).when(begin).then_nothing()
    given(CAMPAIGN, [WEEKLY, STARTED, STOPPED]).when(begin).then_nothing()
    next_one = BeginRun("weekly", FIRST + WEEK, FIRST + WEEK)
    given(CAMPAIGN, [WEEKLY, STARTED, began(2, FIRST)]).when(next_one).then_nothing()
    given(CAMPAIGN, [WEEKLY, STARTED, began(2, FIRST), FROZEN]).when(next_one).then(
        [began(3, FIRST + WEEK)]
    )
    entering = WEEKLY.model_copy(update={"trigger": OnEntering(segment="s")})
    given(CAMPAIGN, [entering, STARTED]).when(begin).then_nothing()


def test_a_calendar_that_is_started_again_goes_on_counting_its_runs() -> None:
    again = StartCampaign("weekly", FIRST)
    given(CAMPAIGN, [WEEKLY, STARTED]).when(again).then_nothing()
    history = [WEEKLY, STARTED, began(2, FIRST), FROZEN, STOPPED]
    third = CampaignStarted(campaign="weekly", run=3)
    given(CAMPAIGN, history).when(again).then([third])
    campaign = CAMPAIGN.fold([*history, third])
    assert campaign.closed("run-2", FIRST) == "campaign_stopped"
    assert campaign.closed("run-4", FIRST) is None


@dataclass(slots=True)
class Office:
    """A service with a weekly campaign that was started."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))

    @classmethod
    async def opened(cls, definition: CampaignDefined = WEEKLY) -> "Office":
        office = cls()
        await define(office.writer(), Request("d", "d", NOW), definition, lambda _version: None)
        await start(office.writer(), Request("s", "s", NOW), "weekly")
        return office

    def writer(self) -> Writer:
        keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
        return Writer(self.store, keyring, self.clock, "notify")

    async def at(self, moment: datetime) -> Campaign:
        """The campaign after two workers have looked at the moment."""
        self.clock.advance(moment - self.clock.moment)
        for _ in range(2):
            await Calendars(self.writer(), CampaignBook(self.store), MOSCOW).turn()
        return (await CampaignBook(self.store).require("weekly")).campaign

    async def gathered(self, run: int) -> None:
        await freeze(self.writer(), "weekly", run, 3, Causation("c"))


async def test_a_run_begins_at_its_moment_and_not_before() -> None:
    office = await Office.opened()
    before = await office.at(FIRST - timedelta(milliseconds=1))
    assert (before.run, before.gathering) == (1, False)
    begun = await office.at(FIRST)
    assert (begun.run, begun.due, begun.gathering) == (2, FIRST, True)
    await office.gathered(2)
    assert (await office.at(FIRST + WEEK)).run == 3


async def test_after_a_time_away_the_last_run_begins_and_those_before_it_do_not() -> None:
    office = await Office.opened()
    campaign = await office.at(FIRST + 3 * WEEK + timedelta(hours=1))
    assert (campaign.run, campaign.due) == (2, FIRST + 3 * WEEK)
    await office.gathered(2)
    assert (await office.at(FIRST + 3 * WEEK + timedelta(hours=2))).run == 2


async def test_no_run_begins_before_the_start_nor_from_the_end_on() -> None:
    later = WEEKLY.model_copy(update={"start": FIRST + WEEK, "end": FIRST + 2 * WEEK})
    office = await Office.opened(later)
    assert (await office.at(FIRST)).run == 1
    assert (await office.at(FIRST + WEEK)).due == FIRST + WEEK
    await office.gathered(2)
    assert (await office.at(FIRST + 2 * WEEK)).run == 2


async def test_a_paused_calendar_begins_its_runs_and_a_stopped_one_does_not() -> None:
    office = await Office.opened()
    await pause(office.writer(), Request("p", "p", NOW), "weekly")
    assert (await office.at(FIRST)).run == 2
    await office.gathered(2)
    await stop(office.writer(), Request("x", "x", NOW), "weekly")
    assert (await office.at(FIRST + WEEK)).run == 2
