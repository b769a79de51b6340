"""Campaigns that end by themselves: at their end, or with the last word on a broadcast."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.notify.domain import (
    MESSAGE,
    BeginSending,
    RecordSent,
    Suppress,
    message_stream,
)
from services.notify.domain.message import MessageCommand
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.campaigns.finishing import Finishing
from services.notify.handlers.campaigns.requests import Request, define, freeze, pause, start
from services.notify.handlers.campaigns.scheduling import Occasion, schedule
from services.notify.projections import QUEUE, QueuedMessage
from services.notify.queries import Queue
from shared.clock import ManualClock
from shared.envelope import Causation
from shared.events.campaign import Broadcast, CampaignDefined, OnEntering, Template
from shared.execute import Command, Writer
from shared.keyring import Keyring
from shared.memory import MemoryDocuments, MemoryEventStore, MemoryKeyStore, MemoryParking
from shared.projector import Folder
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import records_of

NOW = datetime(2018, 1, 2, tzinfo=UTC)
END = NOW + timedelta(days=30)
KEYRING = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
WHY = Causation("c", "x@1", 1)
COUPONS = CampaignDefined(
    campaign="coupons",
    title="Coupons",
    trigger=Broadcast(segment="coupon"),
    channel="email",
    topic="marketing",
    template=Template(subject="s", text="t"),
    start=NOW,
    holdout_percent=0,
)


@dataclass(slots=True)
class Calendar:
    """A service with one campaign, running, and whoever notes its end."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    queue: MemoryDocuments = field(default_factory=MemoryDocuments)

    @classmethod
    async def of(cls, definition: CampaignDefined) -> "Calendar":
        calendar = cls()
        await define(calendar.writer(), Request("d", "d", NOW), definition, lambda _version: None)
        await start(calendar.writer(), Request("s", "s", NOW), definition.campaign)
        return calendar

    def writer(self) -> Writer:
        return Writer(self.store, KEYRING, self.clock, "notify")

    async def look(self) -> str:
        """The state of the campaign, once it was looked whether it ends."""
        book = CampaignBook(self.store)
        await Finishing(self.writer(), book, Queue(MemoryQuestions(self.queue))).turn()
        return (await book.require("coupons")).campaign.state

    async def message(self, customer: str) -> QueuedMessage:
        occasion = Occasion("coupons", customer, "run-1", "email", WHY)
        (message,) = await schedule(self.writer(), [occasion])
        return message

    async def do(self, message: QueuedMessage, *bodies: MessageCommand) -> None:
        for number, body in enumerate(bodies):
            name = f"{message.id}|{number}"
            command = Command(
                id=name,
                hash=name,
                stream=message_stream(message.id),
                key=message.customer,
                body=body,
                causation=WHY,
            )
            await self.writer().one(MESSAGE, command)

    async def fold(self) -> None:
        """Let the queue show what is recorded."""
        messages = [commit for commit in self.store.commits if commit.stream.startswith("message")]
        folder = Folder(QUEUE, self.queue, MemoryParking(), KEYRING)
        await folder.fold(records_of(messages, self.clock.moment))


async def test_a_broadcast_is_finished_with_the_last_outcome_and_not_before() -> None:
    calendar = await Calendar.of(COUPONS)
    anna, boris = await calendar.message("anna"), await calendar.message("boris")
    await calendar.fold()
    assert await calendar.look() == "running"
    await freeze(calendar.writer(), "coupons", 1, 2, WHY)
    suppressed = Suppress(message=anna.id, at=NOW, reason="no_consent")
    await calendar.do(anna, suppressed)
    await calendar.fold()
    assert await calendar.look() == "running"
    begun = BeginSending(message=boris.id, at=NOW, contact="h", attempt="a")
    await calendar.do(boris, begun, RecordSent(message=boris.id, at=NOW, attempt="a"))
    # The queue is behind: it still shows boris' message as open.
    assert await calendar.look() == "running"
    await calendar.fold()
    assert await calendar.look() == "finished"


async def test_a_queue_that_lacks_messages_of_the_run_finishes_nothing() -> None:
    calendar = await Calendar.of(COUPONS)
    anna = await calendar.message("anna")
    await calendar.do(anna, Suppress(message=anna.id, at=NOW, reason="no_consent"))
    await calendar.fold()
    await calendar.message("boris")
    await freeze(calendar.writer(), "coupons", 1, 2, WHY)
    assert await calendar.look() == "running"


async def test_an_empty_broadcast_is_finished_at_once() -> None:
    calendar = await Calendar.of(COUPONS)
    await freeze(calendar.writer(), "coupons", 1, 0, WHY)
    assert await calendar.look() == "finished"


async def test_the_end_finishes_what_runs_and_what_is_paused() -> None:
    ending = COUPONS.model_copy(update={"trigger": OnEntering(segment="coupon"), "end": END})
    for paused in (False, True):
        calendar = await Calendar.of(ending)
        if paused:
            await pause(calendar.writer(), Request("p", "p", NOW), "coupons")
        calendar.clock.advance(timedelta(days=30) - timedelta(milliseconds=1))
        assert await calendar.look() == ("paused" if paused else "running")
        calendar.clock.advance(timedelta(milliseconds=1))
        assert await calendar.look() == "finished"
        await calendar.look()
        texts = [text for commit in calendar.store.commits for text in commit.events]
        assert sum("campaign.finished" in text for text in texts) == 1
