"""The dispatcher on memory twins: whatever fails, freezes or is doubled, no second hand-over."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.notify.channels import (
    Accepted,
    NotTaken,
    Outgoing,
    Receipt,
    Rejected,
    Unknown,
)
from services.notify.domain import Stage
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.campaigns.requests import Request, define, pause, resume, start, stop
from services.notify.handlers.campaigns.scheduling import Occasion, schedule
from services.notify.handlers.sending.buckets import Buckets
from services.notify.handlers.sending.dispatcher import Dispatcher
from services.notify.handlers.sending.pacing import Pacing
from services.notify.projections import QUEUE, RECIPIENTS
from services.notify.queries import Queue, Recipients
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.envelope import Causation
from shared.events.campaign import CampaignDefined, OnEntering, Template
from shared.events.contract import EventData
from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerRegistered,
    Evidence,
    Identifier,
    IdentifierAdded,
    IdentifierChanged,
)
from shared.eventstore import Append, EventStore, Known, StoreUnavailable
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
from shared.testing.channels import ScriptedChannel
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import records_of, tell
from shared.testing.virtual_time import in_virtual_time

NOW = datetime(2018, 1, 2, tzinfo=UTC)
KEYRING = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
SECRET = b"s" * 32
CAMPAIGN = "we-miss-you"
DEFINED = CampaignDefined(
    campaign=CAMPAIGN,
    title="We miss you",
    trigger=OnEntering(segment="lapsed"),
    channel="email",
    topic="marketing",
    template=Template(subject="Hello {{ customer.name }}", text="Come back"),
    start=NOW,
    holdout_percent=0,
)
GIVEN = ConsentGiven(topic="marketing", channel="email", evidence=Evidence(source="till"))
WITHDRAWN = ConsentWithdrawn(topic="marketing", channel="email", evidence=Evidence(source="till"))
DAY = timedelta(days=1)

FakeChannel = ScriptedChannel[Outgoing, Receipt]


async def accept(_message: Outgoing) -> Receipt:
    return Accepted("r1")


def answering(receipt: Receipt) -> Callable[[Outgoing], Awaitable[Receipt]]:
    async def answer(_message: Outgoing) -> Receipt:
        return receipt

    return answer


@dataclass(slots=True)
class Desk:
    """Notify without its servers: its store, its read models, and a channel.

    `reached` is W of `customer.events` in the readers' eyes; nothing is folded before `fold`.
    """

    store: MemoryEventStore
    channel: FakeChannel
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    reached: datetime | None = None
    refused: set[str] = field(default_factory=set)
    queue: MemoryDocuments = field(default_factory=MemoryDocuments)
    people: MemoryDocuments = field(default_factory=MemoryDocuments)
    parked: MemoryDocuments = field(default_factory=MemoryDocuments)
    customers: MemoryEventStore = field(default_factory=MemoryEventStore)

    @classmethod
    async def opened(
        cls,
        answer: Callable[[Outgoing], Awaitable[Receipt]] = accept,
        *,
        deduplicates: timedelta | None = None,
        definition: CampaignDefined = DEFINED,
    ) -> "Desk":
        """With one campaign, running."""
        desk = cls(MemoryEventStore(), ScriptedChannel(answer, deduplicates))
        writer = desk.writer()
        await define(writer, Request("d", "d", NOW), definition, lambda _version: None)
        await start(writer, Request("s", "s", NOW), CAMPAIGN)
        return desk

    def writer(self, store: EventStore | None = None) -> Writer:
        return Writer(store or self.store, KEYRING, self.clock, "notify", timedelta(seconds=2))

    async def dispatcher(self, store: EventStore | None = None, **more: object) -> Dispatcher:
        """One that holds all buckets, whoever else believes to do so."""
        buckets = Buckets(MemoryLeases(self.clock), "owner")
        await buckets.tend()
        settings: dict[str, Any] = {
            "writer": self.writer(store),
            "book": CampaignBook(self.store),
            "buckets": buckets,
            "queue": Queue(MemoryQuestions(self.queue)),
            "recipients": Recipients(MemoryQuestions(self.people), MemoryQuestions(self.parked)),
            "channels": {"email": self.channel},
            "reached": lambda _customer: self.reached,
            "refused": lambda: self.refused,
            "secret": SECRET,
            **more,
        }
        return Dispatcher(**settings)

    async def customer(self, name: str, *events: EventData, email: bool = True) -> None:
        """Something that happened to a customer, read at once."""
        await self.tell_of(name, *events, email=email)
        await self.fold_customers()

    async def tell_of(self, name: str, *events: EventData, email: bool = True) -> None:
        """Something that happened to a customer, not read yet."""
        identifier = Identifier(kind="email", hash=f"h-{name}", epoch=1, value=f"{name}@x.example")
        known = CustomerRegistered(
            name=name.capitalize(), identifiers=(identifier,) if email else ()
        )
        first = not await self.customers.heads([f"customer-{name}"])
        told = [
            NewEvent(event, self.clock.moment)
            for event in ([known] if first else []) + list(events)
        ]
        writer = Writer(self.customers, KEYRING, self.clock, "customer")
        await tell(writer, f"customer-{name}", name, told)

    async def fold_customers(self) -> None:
        """Let the readers know all that is recorded of customers."""
        folder = Folder(RECIPIENTS, self.people, MemoryParking(), KEYRING)
        await folder.fold(records_of(self.customers.commits, self.clock.moment))

    async def schedule(self, *customers: str, version: int = 1) -> None:
        """Schedule a message for each, and queue it."""
        why = Causation("c", f"membership@{version}", 1)
        await schedule(
            self.writer(),
            [Occasion(CAMPAIGN, name, f"lapsed@{version}", "email", why) for name in customers],
        )
        await self.fold()

    async def fold(self) -> None:
        """Let the queue show what is recorded."""
        messages = [commit for commit in self.store.commits if commit.stream.startswith("message")]
        folder = Folder(QUEUE, self.queue, MemoryParking(), KEYRING)
        await folder.fold(records_of(messages, self.clock.moment))

    def know_all(self) -> None:
        """Let everything recorded so far be read, and a moment pass."""
        self.clock.advance(timedelta(seconds=3))
        self.reached = self.clock.moment - timedelta(seconds=1)

    async def stages(self) -> list[Stage]:
        """The stages of all messages, by customer."""
        await self.fold()
        found = sorted(self.queue.everything(), key=lambda raw: (raw["customer"], raw["turn"]))
        return [Stage(raw["stage"]) for raw in found]

    async def reasons(self) -> list[str | None]:
        """The reasons of all messages, by customer."""
        await self.fold()
        found = sorted(self.queue.everything(), key=lambda raw: (raw["customer"], raw["turn"]))
        return [raw.get("reason") for raw in found]

    def outcomes(self) -> dict[str, int]:
        """How many outcomes each message has in the log."""
        counts: dict[str, int] = {}
        kinds = ("message.sent", "suppressed", "held_out", "failed", "uncertain")
        for commit in self.store.commits:
            if commit.stream.startswith("message-"):
                ends = sum(f"{kind}.v1" in text for text in commit.events for kind in kinds)
                counts[commit.stream] = counts.get(commit.stream, 0) + ends
        return counts


async def test_a_message_is_handed_over_once_with_its_id_as_key() -> None:
    desk = await Desk.opened()
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    dispatcher = await desk.dispatcher()
    for _ in range(3):
        await dispatcher.step()
        await desk.fold()
    assert await desk.stages() == [Stage.SENT]
    (handed,) = desk.channel.taken
    (message,) = desk.queue.everything()
    assert (handed.id, handed.address, handed.subject) == (
        message["_id"],
        "anna@x.example",
        "Hello Anna",
    )


async def test_what_was_scheduled_here_is_handed_over_before_the_queue_shows_it() -> None:
    desk = await Desk.opened()
    await desk.customer("anna", GIVEN)
    desk.know_all()
    dispatcher = await desk.dispatcher()
    why = Causation("c", "membership@1", 1)
    dispatcher.offer(
        await schedule(desk.writer(), [Occasion(CAMPAIGN, "anna", "lapsed@1", "email", why)])
    )
    await dispatcher.step()
    assert len(desk.channel.taken) == 1
    await desk.fold()
    await dispatcher.step()
    assert len(desk.channel.taken) == 1


async def test_new_messages_do_not_keep_older_ones_waiting() -> None:
    desk = await Desk.opened()
    for name in ("anna", "boris"):
        await desk.customer(name, GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    why = Causation("c", "membership@1", 1)
    new = await schedule(desk.writer(), [Occasion(CAMPAIGN, "boris", "lapsed@1", "email", why)])
    dispatcher = await desk.dispatcher()
    dispatcher.offer(new)
    await dispatcher.step()
    # The new one first, and the one in the queue in the same batch.
    assert [message.address for message in desk.channel.taken] == [
        "boris@x.example",
        "anna@x.example",
    ]


async def test_each_message_gets_its_reason_and_only_when_everything_was_read() -> None:
    desk = await Desk.opened()
    await desk.customer("anna")
    await desk.customer("boris", GIVEN, email=False)
    await desk.schedule("anna", "boris", "clara")
    desk.reached = desk.clock.moment
    dispatcher = await desk.dispatcher()
    await dispatcher.step()
    assert await desk.stages() == [Stage.SCHEDULED] * 3
    desk.know_all()
    await (await desk.dispatcher()).step()
    assert await desk.reasons() == ["no_consent", "no_address", "no_customer"]
    assert desk.channel.taken == []


async def test_a_missing_name_that_the_template_needs_is_a_reason_too() -> None:
    unnamed = DEFINED.model_copy(
        update={"template": Template(subject="Hello {{ customer.surname }}", text="t")}
    )
    desk = await Desk.opened(definition=unnamed)
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    await (await desk.dispatcher()).step()
    assert await desk.reasons() == ["template_error"]


async def test_holdout_takes_only_whoever_would_have_got_it() -> None:
    held = DEFINED.model_copy(update={"holdout_percent": 100})
    desk = await Desk.opened(definition=held)
    await desk.customer("anna", GIVEN)
    await desk.customer("boris")
    await desk.schedule("anna", "boris")
    desk.know_all()
    await (await desk.dispatcher()).step()
    assert await desk.stages() == [Stage.HELD_OUT, Stage.SUPPRESSED]
    assert desk.channel.taken == []


async def test_a_withdrawal_that_was_read_stops_a_message_that_waits() -> None:
    desk = await Desk.opened()
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    await desk.customer("anna", WITHDRAWN)
    desk.know_all()
    await (await desk.dispatcher()).step()
    assert await desk.reasons() == ["withdrawn"]


async def test_nothing_goes_out_while_the_topic_of_customers_stands_still() -> None:
    """A withdrawal may lie unread: knowledge older than 20 s lets nothing out."""
    desk = await Desk.opened()
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    desk.clock.advance(timedelta(seconds=20))
    await (await desk.dispatcher()).step()
    assert (await desk.stages(), desk.channel.taken) == ([Stage.SCHEDULED], [])
    desk.know_all()
    await (await desk.dispatcher()).step()
    assert await desk.stages() == [Stage.SENT]


async def test_a_customer_whose_events_are_parked_or_refused_waits() -> None:
    desk = await Desk.opened()
    for name in ("anna", "boris", "clara"):
        await desk.customer(name, GIVEN)
    await desk.schedule("anna", "boris", "clara")
    desk.know_all()
    desk.refused.add("anna")
    event = {"_id": "1", "rev": 1, "projection": RECIPIENTS.name, "key": b"boris"}
    await desk.parked.write([event])
    await (await desk.dispatcher()).step()
    assert await desk.stages() == [Stage.SCHEDULED, Stage.SCHEDULED, Stage.SENT]


async def test_a_stop_acts_on_everything_not_yet_handed_over() -> None:
    desk = await Desk.opened()
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    await stop(desk.writer(), Request("stop", "stop", NOW), CAMPAIGN)
    await (await desk.dispatcher()).step()
    assert await desk.reasons() == ["campaign_stopped"]


@in_virtual_time
async def test_a_stop_acts_within_a_second_on_a_dispatcher_that_is_at_work() -> None:
    desk = await Desk.opened()
    for name in ("anna", "boris"):
        await desk.customer(name, GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    dispatcher = await desk.dispatcher()
    await dispatcher.step()
    assert await desk.stages() == [Stage.SENT]
    await desk.schedule("boris")
    desk.know_all()
    await stop(desk.writer(), Request("stop", "stop", NOW), CAMPAIGN)
    # A second, by the clock that says how old what was read of the campaigns is.
    await asyncio.sleep(1.001)
    await dispatcher.step()
    assert await desk.reasons() == [None, "campaign_stopped"]


async def test_what_is_paused_waits_and_goes_out_once_resumed() -> None:
    desk = await Desk.opened()
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    await pause(desk.writer(), Request("pause", "pause", NOW), CAMPAIGN)
    desk.know_all()
    await (await desk.dispatcher()).step()
    assert (await desk.stages(), desk.channel.taken) == ([Stage.SCHEDULED], [])
    await resume(desk.writer(), Request("resume", "resume", NOW), CAMPAIGN)
    await (await desk.dispatcher()).step()
    assert await desk.stages() == [Stage.SENT]


async def test_what_the_end_overtakes_is_not_sent() -> None:
    ending = DEFINED.model_copy(update={"end": NOW + timedelta(seconds=2)})
    desk = await Desk.opened(definition=ending)
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()  # three seconds pass
    await (await desk.dispatcher()).step()
    assert await desk.reasons() == ["campaign_ended"]


async def test_two_dispatchers_at_once_hand_over_once() -> None:
    desk = await Desk.opened()
    names = [f"c{number}" for number in range(20)]
    for name in names:
        await desk.customer(name, GIVEN)
    await desk.schedule(*names)
    desk.know_all()
    first, second = await desk.dispatcher(), await desk.dispatcher()
    await asyncio.gather(first.step(), second.step())
    assert sorted(message.address for message in desk.channel.taken) == sorted(
        f"{name}@x.example" for name in names
    )
    assert set(desk.outcomes().values()) == {1}


async def _freeze_after_sending(desk: Desk, meanwhile: Callable[[], Awaitable[None]]) -> Dispatcher:
    """A dispatcher that stands still, past its deadline, between its append and the hand-over."""

    async def after(appends: Sequence[Append]) -> None:
        if "message.sending.v1" in appends[0].commit.events[0] and not store.questions.count("!"):
            store.questions.append("!")
            await meanwhile()
            await asyncio.sleep(0.2)

    store = InterceptedStore(desk.store, after=after)
    return await desk.dispatcher(store, hand_over_seconds=0.1)


async def test_a_dispatcher_that_wakes_after_its_time_hands_nothing_over() -> None:
    desk = await Desk.opened()
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()

    async def nothing() -> None:
        return None

    await (await _freeze_after_sending(desk, nothing)).step()
    assert desk.channel.taken == []
    # It knows that it handed nothing over, so the message is as it was.
    assert await desk.stages() == [Stage.SCHEDULED]
    await (await desk.dispatcher()).step()
    assert await desk.stages() == [Stage.SENT]


@pytest.mark.parametrize(
    ("deduplicates", "stage", "handed"),
    [(None, Stage.UNCERTAIN, 0), (DAY, Stage.SENT, 1)],
)
async def test_whoever_took_over_from_a_frozen_dispatcher_has_the_last_word(
    deduplicates: timedelta | None, stage: Stage, handed: int
) -> None:
    desk = await Desk.opened(deduplicates=deduplicates)
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()

    async def take_over() -> None:
        await desk.fold()
        desk.clock.advance(timedelta(seconds=16))
        desk.know_all()
        await (await desk.dispatcher()).step()

    await (await _freeze_after_sending(desk, take_over)).step()
    assert await desk.stages() == [stage]
    assert len(desk.channel.taken) == handed
    assert set(desk.outcomes().values()) == {1}


async def _killed_in_hand_over(desk: Desk) -> None:
    """A dispatcher that dies when the channel has taken the message."""
    killed = asyncio.Event()

    async def die(_message: Outgoing) -> Receipt:
        killed.set()
        await asyncio.Event().wait()
        return Accepted()

    desk.channel.answer = die
    step = asyncio.ensure_future((await desk.dispatcher()).step())
    await killed.wait()
    step.cancel()
    await asyncio.wait([step])
    desk.channel.answer = accept
    await desk.fold()


@pytest.mark.parametrize(
    ("deduplicates", "stage", "handed"),
    [(None, Stage.UNCERTAIN, 1), (DAY, Stage.SENT, 2), (timedelta(seconds=10), Stage.UNCERTAIN, 1)],
)
async def test_a_kill_after_the_hand_over_is_settled_by_what_the_channel_declares(
    deduplicates: timedelta | None, stage: Stage, handed: int
) -> None:
    desk = await Desk.opened(deduplicates=deduplicates)
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    await _killed_in_hand_over(desk)
    # Within the grace nobody touches it: the hand-over could still be under way.
    await (await desk.dispatcher()).step()
    assert (await desk.stages(), len(desk.channel.taken)) == ([Stage.SENDING], 1)
    desk.clock.advance(timedelta(seconds=16))
    desk.know_all()
    await (await desk.dispatcher()).step()
    assert await desk.stages() == [stage]
    assert len(desk.channel.taken) == handed
    assert len({message.id for message in desk.channel.taken}) == 1


async def test_a_withdrawal_after_a_kill_leaves_the_message_uncertain_and_unsent() -> None:
    desk = await Desk.opened(deduplicates=DAY)
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    await _killed_in_hand_over(desk)
    await desk.customer("anna", WITHDRAWN)
    desk.clock.advance(timedelta(seconds=16))
    desk.know_all()
    await (await desk.dispatcher()).step()
    assert (await desk.stages(), len(desk.channel.taken)) == ([Stage.UNCERTAIN], 1)


@pytest.mark.parametrize(
    ("receipt", "stage"),
    [(Rejected("550"), Stage.FAILED), (Unknown(), Stage.UNCERTAIN)],
)
async def test_what_the_channel_says_for_good_is_the_outcome(
    receipt: Receipt, stage: Stage
) -> None:
    desk = await Desk.opened(answering(receipt))
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    await (await desk.dispatcher()).step()
    assert await desk.stages() == [stage]


async def test_a_channel_that_breaks_its_contract_leaves_the_message_uncertain() -> None:
    async def break_down(_message: Outgoing) -> Receipt:
        raise RuntimeError

    desk = await Desk.opened(break_down)
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    await (await desk.dispatcher()).step()
    assert await desk.stages() == [Stage.UNCERTAIN]


async def test_an_unanswered_hand_over_is_repeated_at_once_where_the_channel_deduplicates() -> None:
    desk = await Desk.opened(answering(Unknown()), deduplicates=DAY)
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    dispatcher = await desk.dispatcher()
    await dispatcher.step()
    assert await desk.stages() == [Stage.SENDING]
    desk.channel.answer = accept
    # A rest is a second and a half at the most.
    await asyncio.sleep(1.6)
    await dispatcher.step()
    assert await desk.stages() == [Stage.SENT]
    assert [message.id for message in desk.channel.taken] == [desk.channel.taken[0].id] * 2


class Eager(Pacing):
    """Nothing rests."""

    def is_due(self, message: str) -> bool:
        del message
        return True

    def admits(self, provider: str, per_second: float | None = None) -> bool:
        del provider, per_second
        return True


@pytest.mark.parametrize(
    ("second", "handed", "expected"),
    [
        # Within its hour the channel is asked again; after it nobody can tell any more.
        (NotTaken("away"), 2, Stage.UNCERTAIN),
        (NotTaken("late"), 2, Stage.UNCERTAIN),
        (NotTaken("refused", "451"), 2, Stage.UNCERTAIN),
        (Accepted("r2"), 2, Stage.SENT),
    ],
)
async def test_a_doubt_is_not_forgotten_because_the_next_attempt_was_not_taken(
    second: Receipt, handed: int, expected: Stage
) -> None:
    answers: list[Receipt] = [Unknown(), second]

    async def answer(_message: Outgoing) -> Receipt:
        return answers.pop(0) if answers else Accepted("delivered twice")

    desk = await Desk.opened(answer, deduplicates=timedelta(hours=1))
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    dispatcher = await desk.dispatcher(_pacing=Eager())
    for _ in range(2):
        desk.know_all()
        await dispatcher.step()
        await desk.fold()
    desk.clock.advance(timedelta(hours=2))
    desk.know_all()
    for each in (dispatcher, await desk.dispatcher()):
        await each.step()
        await desk.fold()
    assert (await desk.stages(), len(desk.channel.taken)) == ([expected], handed)


async def test_what_was_not_taken_is_tried_again_and_asked_about_anew() -> None:
    desk = await Desk.opened(answering(NotTaken("refused", "451")))
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    await (await desk.dispatcher()).step()
    assert await desk.stages() == [Stage.SCHEDULED]
    await desk.customer("anna", WITHDRAWN)
    desk.know_all()
    await (await desk.dispatcher()).step()
    assert await desk.stages() == [Stage.SUPPRESSED]


async def test_a_channel_that_is_away_is_tried_with_one_message_at_a_time() -> None:
    desk = await Desk.opened(answering(NotTaken("away")))
    names = [f"c{number}" for number in range(10)]
    for name in names:
        await desk.customer(name, GIVEN)
    await desk.schedule(*names)
    desk.know_all()
    dispatcher = await desk.dispatcher()
    await dispatcher.step()
    assert len(desk.channel.taken) == 10
    await desk.fold()
    # A rest is a second and a half at the most.
    await asyncio.sleep(1.6)
    await dispatcher.step()
    # The channel has rested: one message tries it.
    assert len(desk.channel.taken) == 11
    assert await desk.stages() == [Stage.SCHEDULED] * 10


async def test_results_are_written_down_however_long_the_store_is_away() -> None:
    desk = await Desk.opened()
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    failures = 0

    async def fail_results(appends: Sequence[Append]) -> None:
        nonlocal failures
        if "message.sent.v1" in appends[0].commit.events[0] and failures < 4:
            failures += 1
            raise StoreUnavailable

    dispatcher = await desk.dispatcher(InterceptedStore(desk.store, before=fail_results))
    await dispatcher.step()
    assert failures == 4
    assert (await desk.stages(), len(desk.channel.taken)) == ([Stage.SENT], 1)


async def test_a_begin_of_which_nobody_can_tell_hands_nothing_over_and_is_taken_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = await Desk.opened()
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    away = False

    async def lose_the_answer(_appends: Sequence[Append]) -> None:
        nonlocal away
        away = True
        raise StoreUnavailable

    async def unknown(store: InterceptedStore, ids: Sequence[str]) -> Mapping[str, Known]:
        if away:
            raise StoreUnavailable
        return await store.store.known(ids)

    monkeypatch.setattr(InterceptedStore, "known", unknown)
    store = InterceptedStore(desk.store, after=lose_the_answer)
    dispatcher = await desk.dispatcher(store)
    with pytest.raises(StoreUnavailable):
        await dispatcher.step()
    assert (await desk.stages(), desk.channel.taken) == ([Stage.SENDING], [])
    away, store.after = False, _nothing
    await dispatcher.step()
    assert await desk.stages() == [Stage.SCHEDULED]
    await (await desk.dispatcher()).step()
    assert (await desk.stages(), len(desk.channel.taken)) == ([Stage.SENT], 1)


async def _nothing(_appends: Sequence[Append]) -> None:
    return None


async def test_the_book_reads_only_what_has_grown_and_is_never_older_than_a_second() -> None:
    desk = await Desk.opened()
    store = InterceptedStore(desk.store)
    book = CampaignBook(store)
    assert (await book.fresh())[CAMPAIGN].campaign.state == "running"
    await stop(desk.writer(), Request("stop", "stop", NOW), CAMPAIGN)
    assert (await book.fresh())[CAMPAIGN].campaign.state == "running"
    assert (await book.now())[CAMPAIGN].campaign.state == "stopped"
    await book.now()
    assert store.questions == ["names", "heads", "read", "names", "heads", "read", "names", "heads"]


async def test_a_batch_costs_as_few_round_trips_for_many_messages_as_for_one() -> None:
    desk = await Desk.opened()
    names = [f"c{number}" for number in range(50)]
    for name in names:
        await desk.customer(name, GIVEN)
    await desk.schedule(*names)
    desk.know_all()
    store = InterceptedStore(desk.store)
    await (await desk.dispatcher(store)).step()
    # Once a second: is there another policy, other senders, other budgets of branches? What
    # customers said by links, and which of their addresses get nothing. Twice: known commands,
    # histories, one append; first the decisions, then the results, and between them once more
    # whether somebody has said something.
    writing = ["known", "read"]
    looking = ["heads", "read", "read", "heads", "heads"]
    assert (store.questions, store.appended) == ([*looking, *writing, "heads", *writing], 2)
    assert len(desk.channel.taken) == 50


async def test_work_goes_on_until_it_is_cancelled_and_ends_with_the_batch_in_hand() -> None:
    desk = await Desk.opened()
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    handing = asyncio.Event()

    async def slow(_message: Outgoing) -> Receipt:
        handing.set()
        await asyncio.sleep(0.2)
        return Accepted()

    desk.channel.answer = slow
    dispatcher = await desk.dispatcher()
    running = asyncio.ensure_future(dispatcher.run())
    await handing.wait()
    running.cancel()
    await asyncio.wait([running])
    assert await desk.stages() == [Stage.SENT]
    assert dispatcher.buckets.mine() == frozenset()


async def test_the_address_that_a_consent_is_bound_to_is_the_one_that_counts() -> None:
    desk = await Desk.opened()
    bound = GIVEN.model_copy(update={"contact": "h-anna"})
    elsewhere = GIVEN.model_copy(update={"contact": "h-other"})
    await desk.customer("anna", bound)
    await desk.customer("boris", elsewhere)
    await desk.schedule("anna", "boris")
    desk.know_all()
    await (await desk.dispatcher()).step()
    assert await desk.stages() == [Stage.SENT, Stage.SUPPRESSED]
    assert (await desk.reasons())[1] == "no_address"


async def test_the_queue_is_worked_through_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.notify.handlers.sending.finding.PAGE", 5)
    desk = await Desk.opened()
    names = [f"c{number:02d}" for number in range(12)]
    for name in names[6:]:
        await desk.customer(name, GIVEN)
    await desk.schedule(*names)
    desk.reached = desk.clock.moment
    dispatcher = await desk.dispatcher()
    # The first six are not known of yet and wait; they must not stand in the way of the others.
    while await dispatcher.step():
        pass
    assert len(desk.channel.taken) == 6


def address(name: str, **known: Any) -> IdentifierAdded:  # noqa: ANN401 - fields of any kind
    identifier = Identifier(
        kind="email", hash=f"h-{name}", epoch=1, value=f"{name}@x.example", **known
    )
    return IdentifierAdded(identifier=identifier)


BAD = IdentifierChanged(kind="email", hash="h-anna", state="bad")
NOT_THERE = ConsentWithdrawn(
    topic="marketing", channel="email", contact="h-work", evidence=Evidence(source="till")
)


@pytest.mark.parametrize(
    ("events", "taken", "reason"),
    [
        # Her own address first; the preferred one where there is one.
        ([GIVEN, address("work")], "anna@x.example", None),
        ([GIVEN, address("work", preferred=True)], "work@x.example", None),
        # Neither a bad one nor one that she does not want it at.
        ([GIVEN, BAD, address("work")], "work@x.example", None),
        ([GIVEN, address("work", preferred=True), NOT_THERE], "anna@x.example", None),
        ([GIVEN, BAD], None, "bad_address"),
    ],
    ids=["first", "preferred", "not the bad one", "not where withdrawn", "none"],
)
async def test_a_message_goes_to_the_contact_point_of_choice(
    events: list[EventData], taken: str | None, reason: str | None
) -> None:
    desk = await Desk.opened()
    await desk.customer("anna", *events)
    await desk.schedule("anna")
    desk.know_all()
    await (await desk.dispatcher()).step()
    assert [message.address for message in desk.channel.taken] == ([taken] if taken else [])
    assert await desk.reasons() == [reason]


async def test_no_more_hand_overs_begin_than_the_channel_declares_for_a_second() -> None:
    desk = await Desk.opened()
    desk.channel.per_second = 3.0
    names = [f"c{number}" for number in range(10)]
    for name in names:
        await desk.customer(name, GIVEN)
    await desk.schedule(*names)
    desk.know_all()
    await (await desk.dispatcher()).step()
    # The others have not even begun: nothing of them is to be written down.
    assert len(desk.channel.taken) == 3
    assert sorted(await desk.stages()) == [Stage.SCHEDULED] * 7 + [Stage.SENT] * 3
