"""Audiences of broadcasts: whole, once, whoever is killed on the way."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.campaigns import audience
from services.notify.handlers.campaigns.audience import Audiences
from services.notify.handlers.campaigns.requests import Request, begin_run, define, start, stop
from services.notify.projections import RECIPIENTS, QueuedMessage
from services.notify.queries import Recipients
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.campaign import Broadcast, BroadcastList, CampaignDefined, OnCalendar, Template
from shared.events.lists import ListCause, ListEntered, ListLeft
from shared.events.segment import Cause, SegmentEntered, SegmentExited
from shared.eventstore import Append, EventStore, StoreUnavailable
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
from shared.testing import InterceptedStore
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import records_of, tell

NOW = datetime(2018, 1, 2, tzinfo=UTC)
KEYRING = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
DEFINED = CampaignDefined(
    campaign="coupons",
    title="Coupons",
    trigger=Broadcast(segment="coupon"),
    channel="email",
    topic="marketing",
    template=Template(subject="s", text="t"),
    start=NOW,
    holdout_percent=0,
)
BECAUSE = Cause(kind="event")
ENTERED = SegmentEntered(segment="coupon", definition=1, cause=BECAUSE)
EXITED = SegmentExited(segment="coupon", definition=1, cause=BECAUSE)


@dataclass(slots=True)
class Hall:
    """A chain of members, and workers that gather them."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    people: MemoryDocuments = field(default_factory=MemoryDocuments)
    leases: MemoryLeases = field(init=False)
    new: list[QueuedMessage] = field(default_factory=list)
    passed: bool = True

    def __post_init__(self) -> None:
        self.leases = MemoryLeases(self.clock)

    @classmethod
    async def of(cls, members: int, definition: CampaignDefined = DEFINED) -> "Hall":
        """With a broadcast that was started, members, and one who was a member."""
        hall = cls()
        await define(hall.writer(), Request("d", "d", NOW), definition, lambda _version: None)
        await hall.start("1")
        log = MemoryEventStore()
        writer = Writer(log, KEYRING, hall.clock, "segment")
        for number in range(members):
            name = f"c{number:03d}"
            await tell(writer, f"membership-{name}", name, [NewEvent(ENTERED, NOW)])
        left = [NewEvent(ENTERED, NOW), NewEvent(EXITED, NOW)]
        await tell(writer, "membership-left", "left", left)
        folder = Folder(RECIPIENTS, hall.people, MemoryParking(), KEYRING)
        await folder.fold(records_of(log.commits, NOW))
        return hall

    async def start(self, command_id: str) -> None:
        await start(self.writer(), Request(command_id, "start", NOW), "coupons")

    def writer(self, store: EventStore | None = None) -> Writer:
        return Writer(store or self.store, KEYRING, self.clock, "notify")

    async def gather(self, owner: str = "a", store: EventStore | None = None) -> None:
        """One worker's turn."""
        book = CampaignBook(self.store)
        questions = MemoryQuestions(self.people)
        audiences = Audiences(
            writer=self.writer(store),
            book=book,
            leases=self.leases,
            owner=owner,
            recipients=Recipients(questions, questions),
            passed=lambda _moment: self.passed,
            scheduled=self.new.extend,
        )
        for entry in (await book.now()).values():
            await audiences.gather(entry)

    def frozen(self) -> list[str]:
        """The data of `campaign.audience_frozen`, as often as it is there."""
        return [
            text[text.index('"data"') :]
            for commit in self.store.commits
            for text in commit.events
            if "audience_frozen" in text
        ]

    def messages(self) -> int:
        return sum(commit.stream.startswith("message-") for commit in self.store.commits)


@pytest.fixture(autouse=True)
def _small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience, "RANGE", 10)


async def test_every_member_gets_a_message_and_the_size_is_written_down() -> None:
    hall = await Hall.of(25)
    await hall.gather()
    assert (hall.messages(), len(hall.new)) == (25, 25)
    assert {message.occurrence for message in hall.new} == {"run-1"}
    assert hall.frozen() == ['"data":{"campaign":"coupons","run":1,"size":25}}']
    await hall.gather()
    assert (hall.messages(), len(hall.frozen())) == (25, 1)


async def test_nobody_is_gathered_before_everything_up_to_the_start_was_read() -> None:
    hall = await Hall.of(3)
    hall.passed = False
    await hall.gather()
    assert (hall.messages(), hall.frozen()) == (0, [])


async def test_a_message_is_as_old_as_the_start_of_its_run_however_late_it_is_gathered() -> None:
    hall = await Hall.of(1)
    hall.clock.advance(timedelta(days=2))
    await hall.gather()
    (message,) = hall.new
    assert (message.occurred, message.scheduled_at) == (NOW, NOW + timedelta(days=2))


async def test_of_a_calendar_it_is_as_old_as_the_moment_of_the_calendar() -> None:
    daily = OnCalendar(segment="coupon", every="day", at="10:00")
    definition = DEFINED.model_copy(update={"trigger": daily})
    hall = await Hall.of(1, definition)
    due = NOW + timedelta(hours=10)
    hall.clock.advance(timedelta(hours=20))
    await begin_run(hall.writer(), "coupons", due)
    await hall.gather()
    (message,) = hall.new
    assert message.occurred == due


async def test_a_list_is_gathered_like_a_segment() -> None:
    to_a_list = DEFINED.model_copy(update={"trigger": BroadcastList(list="vip")})
    hall = await Hall.of(5, to_a_list)
    log = MemoryEventStore()
    writer = Writer(log, KEYRING, hall.clock, "segment")
    by_hand = ListCause(kind="hand")
    on = NewEvent(ListEntered(list="vip", cause=by_hand), NOW)
    off = NewEvent(ListLeft(list="vip", cause=by_hand), NOW)
    for number in range(12):
        await tell(writer, f"lists-d{number:02d}", f"d{number:02d}", [on, on])
    await tell(writer, "lists-gone", "gone", [on, off])
    folder = Folder(RECIPIENTS, hall.people, MemoryParking(), KEYRING)
    await folder.fold(records_of(log.commits, NOW))
    await hall.gather()
    assert {message.customer for message in hall.new} == {f"d{number:02d}" for number in range(12)}
    assert hall.frozen() == ['"data":{"campaign":"coupons","run":1,"size":12}}']
    questions = MemoryQuestions(hall.people)
    assert await Recipients(questions, questions).count_listed("vip") == 12


async def test_a_segment_without_members_is_an_audience_too() -> None:
    hall = await Hall.of(0)
    await hall.gather()
    assert hall.frozen() == ['"data":{"campaign":"coupons","run":1,"size":0}}']


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("broken", [1, 2, 3, 4])
async def test_wherever_a_worker_is_killed_another_one_ends_with_the_same(
    broken: int, when: str
) -> None:
    """Killed before or after the append number `broken`: three ranges, then the size."""
    hall = await Hall.of(25)
    store = InterceptedStore(hall.store)

    async def die(_appends: Sequence[Append]) -> None:
        if store.appended == (broken if when == "after" else broken - 1):
            raise KeyboardInterrupt

    setattr(store, when, die)
    with pytest.raises(KeyboardInterrupt):
        await hall.gather("a", store)
    hall.clock.advance(timedelta(seconds=31))
    await hall.gather("b")
    assert hall.messages() == 25
    assert hall.frozen() == ['"data":{"campaign":"coupons","run":1,"size":25}}']


async def test_one_worker_gathers_at_a_time() -> None:
    hall = await Hall.of(25)
    inside = 0

    async def another(_appends: Sequence[Append]) -> None:
        nonlocal inside
        inside += 1
        before = hall.messages()
        await hall.gather("b")
        assert hall.messages() == before

    await hall.gather("a", InterceptedStore(hall.store, before=another))
    assert (inside, hall.messages(), len(hall.frozen())) == (4, 25, 1)


async def test_a_stop_ends_the_gathering_and_the_next_run_gathers_anew() -> None:
    hall = await Hall.of(25)

    async def stop_now(_appends: Sequence[Append]) -> None:
        if store.appended == 1:
            await stop(hall.writer(), Request("stop", "stop", NOW), "coupons")
            raise StoreUnavailable

    store = InterceptedStore(hall.store, after=stop_now)
    await hall.gather("a", store)
    assert hall.frozen() == []
    first = hall.messages()
    await hall.gather()
    assert hall.messages() == first
    await hall.start("2")
    await hall.gather()
    assert hall.messages() == first + 25
    assert hall.frozen() == ['"data":{"campaign":"coupons","run":2,"size":25}}']
